//! Reading a directory back: which segments make up the log, where it ends, and what is damaged.
//!
//! The newest segment may end in a torn tail: frames of a write that was not durable, some of
//! them perhaps whole. The log ends before it, at the last whole batch. Everything else that
//! does not read well is damage, because it once was durable:
//!
//! - a gap in any segment but the newest, whose successor began when it was complete;
//! - a gap in the newest one, before a frame whose write began after the gap;
//! - a header that is neither whole nor blank.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::config::{Damage, OpenError, Quarantined, Repair, at};
use super::disk::{Disk, DiskFile, read_full, read_whole};
use super::frame::{Flags, Frame, HEAD, Life, group_of};
use super::index::{Index, Keys, Mark};
use super::segment::{self, Found, HEADER, Header, Segment, Span};
use crate::journal::schema;
use crate::mutation;

/// The longest file that is read as a segment.
pub(super) const SEGMENT_BYTES_MAX: u64 = 1 << 30;

/// A log as it was found.
#[derive(Debug)]
pub(super) struct Recovered {
    /// Oldest first.
    pub(super) segments: Vec<Segment>,
    /// Files that hold nothing that counts, with their lengths.
    pub(super) free: Vec<(u64, u64)>,
    /// The next frame's sequence number.
    pub(super) next: u64,
    /// The newest life of a segment.
    pub(super) activation: u64,
    /// The newest segment ends in frames that do not count, and must not be continued.
    pub(super) is_torn: bool,
    pub(super) index: Index,
    pub(super) quarantined: Vec<Quarantined>,
    /// Files whose header is damaged.
    pub(super) lost: Vec<String>,
}

struct Candidate {
    number: u64,
    file: Arc<dyn DiskFile>,
    len: u64,
    header: Header,
}

/// Reads the log. Changes nothing on disk.
pub(super) fn recover(
    disk: &dyn Disk,
    names: &[String],
    salt: u64,
    repair: Repair,
    keys: &Keys,
) -> Result<Recovered, OpenError> {
    let mut recovered = Recovered {
        segments: Vec::new(),
        free: Vec::new(),
        next: 1,
        activation: 0,
        is_torn: false,
        index: Index::default(),
        quarantined: Vec::new(),
        lost: Vec::new(),
    };
    let found = headers(disk, names, salt, repair, &mut recovered)?;
    let Some(newest) = found.last() else {
        return Ok(recovered);
    };
    recovered.activation = newest.header.activation;
    let start = newest.header.start;
    let limits: Vec<Option<u64>> = found
        .iter()
        .skip(1)
        .map(|next| Some(next.header.base))
        .chain([None])
        .collect();
    recovered.next = start;
    for (candidate, limit) in found.into_iter().zip(limits) {
        let base = candidate.header.base;
        if base < start || limit.is_some_and(|limit| limit <= base) {
            recovered.free.push((candidate.number, candidate.len));
            continue;
        }
        let mut reading = Reading {
            name: segment::name(candidate.number),
            life: candidate.header.life(salt),
            base,
            limit,
            repair,
            keys,
            into: &mut recovered,
        };
        reading.begin()?;
        reading.segment(candidate)?;
    }
    Ok(recovered)
}

/// The segments by the order of their lives; blank files are free.
fn headers(
    disk: &dyn Disk,
    names: &[String],
    salt: u64,
    repair: Repair,
    recovered: &mut Recovered,
) -> Result<Vec<Candidate>, OpenError> {
    let mut found = Vec::new();
    for name in names {
        let Some(number) = segment::number(name) else {
            continue;
        };
        let file: Arc<dyn DiskFile> = disk.open(name).map_err(at("opening a segment"))?.into();
        let len = file.len().map_err(at("reading a segment"))?;
        let mut head = vec![0; 512];
        let read = read_full(&*file, &mut head, 0).map_err(at("reading a segment"))?;
        head.truncate(read);
        match Header::find(&head, salt) {
            Found::Header(header) => found.push(Candidate {
                number,
                file,
                len,
                header,
            }),
            Found::Blank => {
                let rest =
                    read_whole(&*file, SEGMENT_BYTES_MAX).map_err(at("reading a segment"))?;
                if rest.iter().all(|byte| *byte == 0) {
                    recovered.free.push((number, len));
                    continue;
                }
                lost_header(name, repair, recovered)?;
            }
            Found::Damaged => lost_header(name, repair, recovered)?,
        }
    }
    found.sort_by_key(|candidate| candidate.header.activation);
    Ok(found)
}

/// Without its header nothing of a segment can be read: even its checksums begin with it. The
/// file is left alone.
fn lost_header(name: &str, repair: Repair, recovered: &mut Recovered) -> Result<(), OpenError> {
    let damage = Damage {
        file: name.to_owned(),
        offset: 0,
        reason: "the segment's header is damaged".to_owned(),
    };
    if repair == Repair::Refuse {
        return Err(OpenError::Corrupt(damage));
    }
    recovered.lost.push(name.to_owned());
    recovered.quarantined.push(Quarantined {
        damage,
        records: 0,
        groups: Vec::new(),
    });
    Ok(())
}

/// One segment being read.
struct Reading<'a> {
    name: String,
    life: Life,
    base: u64,
    limit: Option<u64>,
    repair: Repair,
    keys: &'a Keys,
    into: &'a mut Recovered,
}

impl Reading<'_> {
    /// The segment must go on where the one before it ended.
    fn begin(&mut self) -> Result<(), OpenError> {
        if self.into.next == self.base {
            return Ok(());
        }
        let reason = format!(
            "the segment begins with record {}, but the log ends before record {}",
            self.base, self.into.next
        );
        let missing = self.base.saturating_sub(self.into.next);
        self.damaged(HEADER, reason, missing, BTreeSet::new())
    }

    fn segment(&mut self, candidate: Candidate) -> Result<(), OpenError> {
        let doing = "reading a segment";
        let bytes = read_whole(&*candidate.file, SEGMENT_BYTES_MAX).map_err(at(doing))?;
        let mut spans = Vec::new();
        let mut position = usize::try_from(HEADER).unwrap_or(usize::MAX);
        let mut expected = self.base;
        // A frame of the segment's first entry cannot be missing its beginning.
        let mut is_after_damage = false;
        loop {
            let run = self.run(&bytes, position, expected, is_after_damage);
            let is_done = Some(run.next) == self.limit;
            let (resumes, is_proof) = if is_done {
                (None, false)
            } else {
                self.search(&bytes, run.stopped_at, run.next)
            };
            if !is_done && self.limit.is_none() && !is_proof {
                // The end, perhaps torn: only whole batches count.
                let torn = resumes.is_some() || run.batch_end != run.stopped_at;
                self.into.is_torn |= torn;
                self.keep(&bytes, run.from, run.batch_end, &mut spans);
                self.into.next = run.after_batch;
                break;
            }
            if is_done {
                self.keep(&bytes, run.from, run.stopped_at, &mut spans);
                self.into.next = run.next;
                break;
            }
            self.keep(&bytes, run.from, run.entry_end, &mut spans);
            let resumed = resumes.and_then(|at| Frame::parse(&bytes[at..], self.life));
            let after = resumed.map_or(self.limit, |frame| Some(frame.sequence));
            let missing = after.unwrap_or(run.next).saturating_sub(run.after_entry);
            let groups = self.groups_about(&bytes, &run, resumes);
            let at = run.stopped_at as u64;
            let reason = format!("record {} is damaged or missing", run.next);
            self.damaged(at, reason, missing, groups)?;
            let (Some(at), Some(frame)) = (resumes, resumed) else {
                self.into.next = self.limit.unwrap_or(run.next);
                break;
            };
            (position, expected) = (at, frame.sequence);
            is_after_damage = true;
        }
        self.into.segments.push(Segment {
            number: candidate.number,
            file: candidate.file,
            len: candidate.len,
            header: candidate.header,
            life: self.life,
            spans,
            known: None,
        });
        Ok(())
    }

    /// Follows whole frames without a gap.
    fn run(&self, bytes: &[u8], position: usize, expected: u64, is_after_damage: bool) -> Run {
        let mut run = Run {
            from: position,
            entry_end: position,
            after_entry: expected,
            batch_end: position,
            after_batch: expected,
            stopped_at: position,
            next: expected,
        };
        let mut is_partial = is_after_damage;
        while Some(run.next) != self.limit
            && let Some(frame) = Frame::parse(&bytes[run.stopped_at..], self.life)
            && frame.sequence == run.next
        {
            if is_partial && frame.flags.has(Flags::FIRST_OF_ENTRY) {
                is_partial = false;
                run.from = run.stopped_at;
            }
            run.stopped_at += frame.len;
            run.next += 1;
            if is_partial {
                run.from = run.stopped_at;
            }
            if is_partial || frame.flags.has(Flags::LAST_OF_ENTRY) {
                (run.entry_end, run.after_entry) = (run.stopped_at, run.next);
            }
            if is_partial
                || frame.flags.has(Flags::LAST_OF_BATCH)
                || mutation::is("half-a-batch-counts")
            {
                (run.batch_end, run.after_batch) = (run.stopped_at, run.next);
            }
        }
        run
    }

    /// Looks for the next whole frame after a gap, and for a proof that what is missing once was
    /// durable.
    fn search(&self, bytes: &[u8], from: usize, missing: u64) -> (Option<usize>, bool) {
        let mut first = None;
        let mut at = from;
        while at < bytes.len() {
            let rest = &bytes[at..];
            // A segment that was used before is full of what looks like a frame: most of it is
            // told by its number, and only what may be one is read to its end.
            let may_be = |frame: &Frame<'_>| {
                frame.sequence > missing
                    && self.limit.is_none_or(|limit| frame.sequence < limit)
                    && frame.sequence - self.life.base <= (at / HEAD) as u64
            };
            let frame = Frame::parse_unchecked(rest, self.life).filter(may_be);
            let frame = frame.and_then(|_| Frame::parse(rest, self.life));
            if let Some(frame) = frame {
                first = first.or(Some(at));
                if frame.write_began_at() > missing {
                    return (first, true);
                }
                at += frame.len;
            } else {
                at += 1;
            }
        }
        (first, false)
    }

    /// Counts a stretch of frames in.
    fn keep(&mut self, bytes: &[u8], from: usize, to: usize, spans: &mut Vec<Span>) {
        let mut at = from;
        while at < to
            && let Some(frame) = Frame::parse(&bytes[at..to], self.life)
        {
            let mark = Mark::of(self.keys, &frame);
            self.into.index.note(&mark, frame.sequence);
            at += frame.len;
        }
        if from < to {
            spans.push(Span {
                from: from as u64,
                to: to as u64,
            });
        }
    }

    /// The groups of which something is missing around a gap, as far as that can be told.
    fn groups_about(&self, bytes: &[u8], run: &Run, resumes: Option<usize>) -> BTreeSet<String> {
        let mut groups = BTreeSet::new();
        let mut at = run.entry_end;
        while at < run.stopped_at
            && let Some(frame) = Frame::parse(&bytes[at..], self.life)
        {
            groups.insert(text(group_of(frame.key)));
            at += frame.len;
        }
        // What the damaged frame itself seems to say.
        if let Some(frame) = Frame::parse_unchecked(&bytes[run.stopped_at..], self.life)
            && let Ok(record) = schema::decode(frame.key, None)
        {
            groups.insert(record.group().as_str().to_owned());
        }
        let mut at = resumes.unwrap_or(bytes.len());
        while let Some(frame) = Frame::parse(&bytes[at..], self.life)
            && !frame.flags.has(Flags::FIRST_OF_ENTRY)
        {
            groups.insert(text(group_of(frame.key)));
            at += frame.len;
        }
        groups
    }

    fn damaged(
        &mut self,
        offset: u64,
        reason: String,
        records: u64,
        groups: BTreeSet<String>,
    ) -> Result<(), OpenError> {
        let damage = Damage {
            file: self.name.clone(),
            offset,
            reason,
        };
        if self.repair == Repair::Refuse {
            return Err(OpenError::Corrupt(damage));
        }
        self.into.quarantined.push(Quarantined {
            damage,
            records,
            groups: groups.into_iter().collect(),
        });
        Ok(())
    }
}

/// A stretch of whole frames.
struct Run {
    /// Where the first whole entry begins.
    from: usize,
    /// Where the last whole entry ends.
    entry_end: usize,
    after_entry: u64,
    /// Where the last whole batch ends.
    batch_end: usize,
    after_batch: u64,
    stopped_at: usize,
    /// The record that is not there.
    next: u64,
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
