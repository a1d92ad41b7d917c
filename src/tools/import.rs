//! Groups and offsets go into a journal.

use std::collections::BTreeMap;
use std::io::{BufRead, Read as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Weak};

use super::counts::Counts;
use super::error::ToolError;
use super::export::facts;
use super::lines::{self, Read};
use super::place::{self, GROUPS};
use crate::error::Refusal;
use crate::group::{Entry, GroupKey, Record, Then};
use crate::ids::ShardId;
use crate::journal::{Batch, Done, Journal, Outcomes, Ticket, schema};
use crate::shard::shard_of;
use crate::store::{DiskJournal, Repair, StoreConfig};

/// How to import.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ImportOptions {
    /// Goes on where there are groups or offsets already: what comes in wins over what is there
    /// under the same name, and everything else stays.
    pub merge: bool,
    /// The shards of a journal that has to be made; `None`: one a core. One that is there keeps
    /// its own.
    pub shards: Option<u32>,
}

/// Reads an export to its end.
///
/// # Errors
///
/// [`ToolError::Refused`] with the number of the first line that is not one, that contradicts
/// another, or that is missing; [`ToolError::Io`] where reading fails.
pub fn read_lines(name: &str, input: &mut dyn BufRead) -> Result<Vec<Record>, ToolError> {
    let mut reading = Reading::default();
    let mut number = 0;
    let mut bytes = Vec::new();
    loop {
        number += 1;
        bytes.clear();
        let mut limited = (&mut *input).take(LINE_BYTES_MAX + 1);
        let read = limited.read_until(b'\n', &mut bytes);
        let read = read.map_err(ToolError::io(format!("reading '{name}'")))?;
        let outcome = if read == 0 {
            if reading.has_ended {
                return Ok(reading.records);
            }
            Err("the end of the export is missing".to_owned())
        } else if bytes.len() as u64 > LINE_BYTES_MAX {
            Err(format!("it is longer than {LINE_BYTES_MAX} bytes"))
        } else {
            reading.line(number, &bytes)
        };
        outcome.map_err(|what| ToolError::Refused(format!("'{name}', line {number}: {what}")))?;
    }
}

/// An export that is being read.
#[derive(Debug, Default)]
struct Reading {
    has_begun: bool,
    has_ended: bool,
    records: Vec<Record>,
    counts: Counts,
    /// By its key: the line in which a record stands.
    lines: BTreeMap<Vec<u8>, u64>,
}

impl Reading {
    fn line(&mut self, number: u64, bytes: &[u8]) -> Result<(), String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8 text")?;
        let read = lines::read(text.trim_end())?;
        if self.has_ended {
            return Err("it comes after the end of the export".to_owned());
        }
        match read {
            Read::Begin if !self.has_begun => self.has_begun = true,
            Read::Begin => return Err("an export begins, in the middle of one".to_owned()),
            _ if !self.has_begun => return Err("an export does not begin like this".to_owned()),
            Read::Record(record) => self.record(number, record)?,
            Read::End(counts) => {
                if counts != self.counts {
                    let found = self.counts;
                    return Err(format!(
                        "there should be {counts} before it, but there are {found}"
                    ));
                }
                self.has_ended = true;
            }
        }
        Ok(())
    }

    fn record(&mut self, number: u64, record: Record) -> Result<(), String> {
        let key = check(&record)?;
        if let Some(line) = self.lines.insert(key, number) {
            return Err(format!("line {line} speaks of the same"));
        }
        self.counts.count(&record);
        self.records.push(record);
        Ok(())
    }
}

/// What goes into the journal must come out of it again; the record's key.
pub(super) fn check(record: &Record) -> Result<Vec<u8>, String> {
    let encoded = schema::encode(record).map_err(|error| format!("it is too long: {error}"))?;
    let len = encoded.key.len() + encoded.value.as_ref().map_or(0, Vec::len);
    if len > RECORD_BYTES_MAX {
        return Err(format!(
            "the record has {len} bytes, more than {RECORD_BYTES_MAX}"
        ));
    }
    match schema::decode(&encoded.key, encoded.value.as_deref()) {
        Ok(decoded) if decoded == *record => Ok(encoded.key),
        _ => Err("no record can say this: two of its values exclude each other".to_owned()),
    }
}

/// Writes records, which an export or a log of Kafka's has given, into the directory's journal;
/// makes one if there is none.
///
/// A journal that has to be made is there whole or not at all. One that is there takes the records
/// in batches: if that is cut short it may be repeated with [`ImportOptions::merge`].
///
/// # Errors
///
/// [`ToolError::Refused`] where groups or offsets are there already, a process has the directory
/// open, or it is somebody else's; [`ToolError::Damaged`] where it is damaged. Nothing was changed
/// then. [`ToolError::Io`] where the device fails.
pub fn import(dir: &Path, records: &[Record], options: ImportOptions) -> Result<Counts, ToolError> {
    if let Some(place) = place::journal_of(dir) {
        let facts = facts(&place, Repair::Refuse)?;
        if !facts.records.is_empty() && !options.merge {
            return Err(ToolError::Refused(format!(
                "'{}' has groups or offsets already (--merge adds to them)",
                place.display()
            )));
        }
        return fill(&place, facts.shards, records);
    }
    refuse_alien(dir)?;
    let shards = options.shards.unwrap_or_else(one_a_core);
    let unfinished = dir.join(UNFINISHED);
    if unfinished.exists() {
        let doing = format!("removing '{}'", unfinished.display());
        std::fs::remove_dir_all(&unfinished).map_err(ToolError::io(doing))?;
    }
    let imported = fill(&unfinished, shards, records)?;
    let place = dir.join(GROUPS);
    let doing = format!("renaming '{}'", unfinished.display());
    std::fs::rename(&unfinished, &place).map_err(ToolError::io(doing))?;
    let synced = std::fs::File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(ToolError::io(format!("syncing '{}'", dir.display())))?;
    Ok(imported)
}

fn fill(place: &Path, shards: u32, records: &[Record]) -> Result<Counts, ToolError> {
    let journal = DiskJournal::open(place, StoreConfig::default(), shards);
    let journal = journal.map_err(ToolError::open(place))?;
    let mut imported = Counts::default();
    let mut by_shard: BTreeMap<ShardId, Vec<&Record>> = BTreeMap::new();
    for record in records {
        imported.count(record);
        let shard = shard_of(record.group(), shards);
        by_shard.entry(shard).or_default().push(record);
    }
    let (outcomes, settled) = Settled::new();
    for (shard, records) in by_shard {
        for (index, batch) in (1..).zip(batches(&records)) {
            let ticket = Ticket {
                shard,
                term: 1,
                index,
            };
            let entries: Vec<Entry> = batch.iter().map(|record| entry(record)).collect();
            let to: Weak<dyn Outcomes> = Arc::downgrade(&outcomes) as Weak<dyn Outcomes>;
            let batch = Batch {
                ticket,
                entries: &entries,
            };
            journal.append(batch, Done::new(ticket, to));
            if settled.recv() != Ok(Ok(())) {
                return Err(ToolError::Io {
                    doing: format!("writing to '{}'", place.display()),
                    error: std::io::Error::other("the journal refused it; see the log above"),
                });
            }
        }
    }
    Ok(imported)
}

/// Cuts records into batches that a journal takes.
fn batches<'a>(records: &'a [&'a Record]) -> Vec<&'a [&'a Record]> {
    let mut batches = Vec::new();
    let (mut from, mut bytes) = (0, 0);
    for (at, record) in records.iter().enumerate() {
        let len = schema::encode(record).map_or(0, |encoded| {
            encoded.key.len() + encoded.value.map_or(0, |value| value.len())
        });
        if at > from && (bytes + len > BATCH_BYTES || at - from >= BATCH_RECORDS) {
            batches.push(&records[from..at]);
            (from, bytes) = (at, 0);
        }
        bytes += len;
    }
    batches.push(&records[from..]);
    batches
}

fn entry(record: &Record) -> Entry {
    Entry {
        group: GroupKey { slot: 0, serial: 0 },
        records: record.clone().into(),
        then: Then::Rest,
    }
}

/// Tells when a batch is settled; one is on its way at a time.
#[derive(Debug)]
struct Settled {
    to: SyncSender<Result<(), Refusal>>,
}

impl Settled {
    fn new() -> (Arc<Self>, Receiver<Result<(), Refusal>>) {
        let (to, from) = sync_channel(1);
        (Arc::new(Self { to }), from)
    }
}

impl Outcomes for Settled {
    fn settled(&self, _: Ticket, outcome: Result<(), Refusal>) {
        // Whoever waited may have given up.
        let _ = self.to.send(outcome);
    }
}

/// A directory that holds something, and nothing of ours, is somebody else's.
fn refuse_alien(dir: &Path) -> Result<(), ToolError> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(ToolError::io(format!("reading '{}'", dir.display()))(error)),
    };
    for entry in entries {
        let entry = entry.map_err(ToolError::io(format!("reading '{}'", dir.display())))?;
        let name = entry.file_name();
        let is_ours = OURS.iter().any(|ours| name == *ours);
        if !is_ours || (name == GROUPS && !is_empty(&entry.path())) {
            return Err(ToolError::Refused(format!(
                "'{}' has '{}' in it and no journal: it is not this server's, or damaged",
                dir.display(),
                name.display()
            )));
        }
    }
    Ok(())
}

fn is_empty(dir: &PathBuf) -> bool {
    std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none())
}

fn one_a_core() -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    u32::try_from(cores).unwrap_or(1)
}

/// Where a journal is made.
const UNFINISHED: &str = "groups.importing";
/// What may stand in a data directory that has no journal.
const OURS: &[&str] = &[GROUPS, UNFINISHED, "topics", "transactions", "lost+found"];
/// Twice the largest record, whose bytes are written as hexadecimal digits.
const LINE_BYTES_MAX: u64 = 160 << 20;
/// What a frame of the journal has room for.
const RECORD_BYTES_MAX: usize = 63 << 20;
const BATCH_RECORDS: usize = 1_000;
const BATCH_BYTES: usize = 4 << 20;
