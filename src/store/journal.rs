//! The journal on a directory.

use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;

use super::config::{Damage, OpenError, Quarantined, Repair, StoreConfig, at};
use super::disk::{Disk, RealDisk, read_full};
use super::frame::{self, Flags, Frame};
use super::heard;
use super::log::{Body, Log, View};
use super::manifest::{self, Manifest};
use super::segment::{self, Segment};
use super::writer::{Shared, Submission, Writer};
use tokio::sync::Notify;

use crate::atomic::{Ordering, Parker, Unparker};
use crate::error::Refusal;
use crate::group::{Entry, Heard};
use crate::ids::ShardId;
use crate::journal::schema::{self, SchemaError};
use crate::journal::{Batch, Done, Durability, Journal, LoadError, Loaded};
use crate::mutation;

pub(super) const LOCK: &str = "LOCK";
/// A record has two bytes for its shard.
const SHARDS_MAX: u32 = 1 << 16;
/// A batch may have that many bytes; a record of it 64 MiB, its key 65,535 bytes.
const BATCH_BYTES_MAX: usize = 256 << 20;
/// Entries up to which a batch that waits may grow.
const GROWN_ENTRIES_MAX: usize = 4_096;

/// A journal in a directory of this machine, for as many shards as it was made for.
///
/// An engine takes it, or an `Arc` of it where the host wants to ask [`DiskJournal::is_healthy`].
/// Dropping it waits until everything that was appended is settled.
pub struct DiskJournal {
    shared: Arc<Shared>,
    disk: Arc<dyn Disk>,
    bell: Unparker,
    writer: Option<JoinHandle<()>>,
    repair: Repair,
    quarantined: Vec<Quarantined>,
}

/// How much a journal holds; see [`DiskJournal::usage`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Usage {
    /// Bytes of the log's files.
    pub file_bytes: u64,
    /// Bytes of the records that count.
    pub live_bytes: u64,
    /// Keys that are known, the deleted ones whose tombstones are in the log included.
    pub keys: u64,
}

impl DiskJournal {
    /// Opens the journal in a directory, which is made if it is not there.
    ///
    /// Reads the whole log once, at most max(64 MiB, twice the live bytes).
    ///
    /// # Errors
    ///
    /// [`OpenError`] where the directory is in use, of another version or number of shards,
    /// damaged, or cannot be read.
    pub fn open(
        dir: impl AsRef<Path>,
        config: StoreConfig,
        shards: u32,
    ) -> Result<Self, OpenError> {
        let disk = RealDisk::new(dir.as_ref()).map_err(at("making the directory"))?;
        Self::open_on(Arc::new(disk), config, shards)
    }

    /// The number of shards that the journal in a directory was made for; `None`: there is no
    /// journal. Changes nothing, and does not wait for whoever has the directory open.
    ///
    /// # Errors
    ///
    /// [`OpenError`] where the manifest is damaged, of another version or cannot be read.
    pub fn shards_of(dir: impl AsRef<Path>) -> Result<Option<u32>, OpenError> {
        if !dir.as_ref().exists() {
            return Ok(None);
        }
        let disk = RealDisk::new(dir.as_ref()).map_err(at("looking into the directory"))?;
        let names = disk.list().map_err(at("listing the directory"))?;
        let manifest = Manifest::read(&disk, &names)?;
        Ok(manifest.map(|manifest| manifest.shards))
    }

    pub(super) fn open_on(
        disk: Arc<dyn Disk>,
        config: StoreConfig,
        shards: u32,
    ) -> Result<Self, OpenError> {
        config.check()?;
        if shards > SHARDS_MAX {
            return Err(OpenError::Config("a journal has at most 65,536 shards"));
        }
        // Before the lock file is made: what is not ours is left as it is.
        let names = disk.list().map_err(at("listing the directory"))?;
        if !names.iter().any(|name| name == LOCK) {
            refuse_strays(&names)?;
        }
        let lock = disk.lock(LOCK).map_err(at("locking the directory"))?;
        let lock = lock.ok_or(OpenError::Locked)?;
        let (_, salt) = uuid::Uuid::new_v4().as_u64_pair();
        let (log, quarantined) = Log::open(Arc::clone(&disk), config, shards, salt)?;
        for found in &quarantined {
            tracing::warn!(
                damage = %found.damage,
                records = found.records,
                groups = ?found.groups,
                "damage in the journal was skipped"
            );
        }
        let shared = Arc::new(Shared::new(shards));
        shared.publish(&log);
        let parker = Parker::new();
        let bell = parker.unparker().clone();
        let writer = Writer::new(log, Arc::clone(&shared));
        let run = move || {
            writer.run(&parker);
            // Others may come in only now.
            drop(lock);
        };
        let thread = std::thread::Builder::new().name("takhin-journal".to_owned());
        let writer = thread.spawn(run).map_err(at("starting the writer"))?;
        Ok(Self {
            shared,
            disk,
            bell,
            writer: Some(writer),
            repair: config.repair,
            quarantined,
        })
    }

    /// Whether batches can still be made durable. Once `false` it stays so: a write or sync
    /// failed, and nothing is acknowledged until the directory was opened again. A disk that is
    /// full is not that.
    pub fn is_healthy(&self) -> bool {
        // Relaxed: flags that stand alone.
        !self.shared.is_poisoned.load(Ordering::Relaxed)
            && !self.shared.has_ended.load(Ordering::Relaxed)
    }

    /// What was skipped at the opening; empty but for [`Repair::Quarantine`].
    pub fn quarantined(&self) -> &[Quarantined] {
        &self.quarantined
    }

    /// How much it holds, as of the last round.
    pub fn usage(&self) -> Usage {
        // Relaxed: figures stand alone.
        Usage {
            file_bytes: self.shared.file_bytes.load(Ordering::Relaxed),
            live_bytes: self.shared.live_bytes.load(Ordering::Relaxed),
            keys: self.shared.keys.load(Ordering::Relaxed),
        }
    }

    /// Notified whenever a round is durable.
    pub(super) fn progress(&self) -> Arc<Notify> {
        Arc::clone(&self.shared.progress)
    }

    pub(super) fn view(&self) -> Result<View, LoadError> {
        let (to, from) = sync_channel(1);
        let gone = || {
            LoadError::Io(std::io::Error::other(
                "the journal's writer is busy or gone",
            ))
        };
        self.shared.ask(to).map_err(|_| gone())?;
        self.bell.unpark();
        from.recv().map_err(|_| gone())
    }
}

impl Journal for DiskJournal {
    fn append(&self, batch: Batch<'_>, done: Done) {
        let body = encode(batch, self.shared.body());
        self.shared.append(Submission { done, body });
        self.bell.unpark();
    }

    fn grows_to(&self) -> usize {
        GROWN_ENTRIES_MAX
    }

    fn extend(&self, batch: Batch<'_>) -> bool {
        let is_extended = self.shared.extend(batch.ticket, |body| {
            let bytes = body.len();
            let encoded = encode_into(batch, body);
            if encoded.is_err() {
                // It is refused as a batch of its own.
                body.truncate(bytes);
            }
            encoded.is_ok()
        });
        // Also if it is not: the writer may have found the slot empty.
        self.bell.unpark();
        is_extended
    }

    fn load(
        &self,
        shard: ShardId,
        each: &mut dyn FnMut(Loaded) -> ControlFlow<()>,
    ) -> Result<(), LoadError> {
        let view = self.view()?;
        // Without it every member has its whole session.
        let heard = heard::take(&*self.disk, shard).unwrap_or_else(|error| {
            tracing::warn!(shard = shard.0, %error, "nothing is known of when members were heard");
            Vec::new()
        });
        for heard in heard {
            if each(Loaded::Heard(heard)).is_break() {
                return Ok(());
            }
        }
        read(&view, shard.0, self.repair, each)
    }

    /// Written here and now, without a sync: nobody is served any more.
    fn keep_heard(&self, shard: ShardId, heard: &[Heard]) {
        if self.is_healthy()
            && let Err(error) = heard::keep(&*self.disk, shard, heard)
        {
            tracing::warn!(shard = shard.0, %error, "when members were heard could not be kept");
        }
    }

    fn durability(&self) -> Durability {
        Durability::LocalFsync
    }

    fn is_healthy(&self) -> bool {
        Self::is_healthy(self)
    }
}

impl fmt::Debug for DiskJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskJournal")
            .field("is_healthy", &self.is_healthy())
            .field("usage", &self.usage())
            .field("quarantined", &self.quarantined)
            .finish_non_exhaustive()
    }
}

/// For a host that gives the journal to its engine, and asks it for its health.
impl Journal for Arc<DiskJournal> {
    fn append(&self, batch: Batch<'_>, done: Done) {
        DiskJournal::append(self, batch, done);
    }

    fn grows_to(&self) -> usize {
        DiskJournal::grows_to(self)
    }

    fn extend(&self, batch: Batch<'_>) -> bool {
        DiskJournal::extend(self, batch)
    }

    fn load(
        &self,
        shard: ShardId,
        each: &mut dyn FnMut(Loaded) -> ControlFlow<()>,
    ) -> Result<(), LoadError> {
        DiskJournal::load(self, shard, each)
    }

    fn keep_heard(&self, shard: ShardId, heard: &[Heard]) {
        DiskJournal::keep_heard(self, shard, heard);
    }

    fn durability(&self) -> Durability {
        DiskJournal::durability(self)
    }

    fn is_healthy(&self) -> bool {
        DiskJournal::is_healthy(self)
    }
}

impl Drop for DiskJournal {
    fn drop(&mut self) {
        // Release: pairs with the acquire in the writer, which then takes all that was pushed.
        self.shared.is_stopping.store(true, Ordering::Release);
        self.bell.unpark();
        let Some(writer) = self.writer.take() else {
            return;
        };
        // The last owner may be the writer itself, by an outcome that it settled: it ends then.
        if writer.thread().id() != std::thread::current().id() && writer.join().is_err() {
            tracing::error!("the journal's writer panicked");
        }
    }
}

/// A directory that is neither empty nor a journal's is somebody else's.
fn refuse_strays(names: &[String]) -> Result<(), OpenError> {
    let is_journal = names.iter().any(|name| name == manifest::NAME);
    match names.first().filter(|_| !is_journal) {
        Some(stray) => Err(OpenError::Corrupt(Damage {
            file: stray.clone(),
            offset: 0,
            reason: "the directory is not empty and has no manifest".to_owned(),
        })),
        None => Ok(()),
    }
}

/// The batch as frames that have no place yet.
pub(super) fn encode(batch: Batch<'_>, mut body: Body) -> Result<Body, Refusal> {
    encode_into(batch, &mut body)?;
    Ok(body)
}

/// Writes the batch behind what is there. What was written is to be taken back where it fails.
///
/// Where a batch was extended is the end of one, too: its entries are whole.
fn encode_into(batch: Batch<'_>, out: &mut Body) -> Result<(), Refusal> {
    let shard = batch.ticket.shard.0;
    let before = out.len();
    let mut last = before;
    for entry in batch.entries {
        for (at, record) in entry.records.iter().enumerate() {
            last = frame::begin(out);
            let appended = schema::append(record, out).map_err(|_| Refusal::Failed)?;
            let mut flags = place_in(entry, at);
            if !appended.has_value {
                flags = flags.with(Flags::TOMBSTONE);
            }
            frame::end(out, last, shard, flags, appended.key_len)
                .filter(|_| out.len() <= BATCH_BYTES_MAX)
                .ok_or(Refusal::Failed)?;
        }
    }
    if out.len() > before {
        frame::add_flag(&mut out[last..], Flags::LAST_OF_BATCH);
    }
    Ok(())
}

fn place_in(entry: &Entry, at: usize) -> Flags {
    let mut flags = Flags::default();
    if at == 0 {
        flags = flags.with(Flags::FIRST_OF_ENTRY);
    }
    if at + 1 == entry.records.len() {
        flags = flags.with(Flags::LAST_OF_ENTRY);
    }
    flags
}

/// Hands out the records of a shard in the order of the log.
pub(super) fn read(
    view: &View,
    shard: u32,
    repair: Repair,
    each: &mut dyn FnMut(Loaded) -> ControlFlow<()>,
) -> Result<(), LoadError> {
    for segment in &view.segments {
        for span in &segment.spans {
            let len = usize::try_from(span.to - span.from).unwrap_or(usize::MAX);
            let mut bytes = vec![0; len];
            let read = read_full(&*segment.file, &mut bytes, span.from).map_err(LoadError::Io)?;
            let mut at = 0;
            while at < len {
                let damaged = |what: &str| damage(segment, span.from + at as u64, what);
                // Frames of other shards are only stepped over.
                let Some(mut frame) = Frame::parse_unchecked(&bytes[at..read], segment.life) else {
                    return Err(damaged("there is no frame"));
                };
                if frame.shard == shard {
                    frame = Frame::parse(&bytes[at..read], segment.life)
                        .ok_or_else(|| damaged("the checksum does not fit"))?;
                    match loaded(&frame) {
                        Ok(Some(loaded)) => {
                            if each(loaded).is_break() {
                                return Ok(());
                            }
                        }
                        Err(error) if repair == Repair::Refuse => {
                            return Err(damaged(&error.to_string()));
                        }
                        Ok(None) | Err(_) => {}
                    }
                }
                at += frame.len;
            }
        }
    }
    Ok(())
}

/// What the frame holds; `None`: nothing that we know, which Kafka's loader skips, too.
fn loaded(frame: &Frame<'_>) -> Result<Option<Loaded>, SchemaError> {
    let is_lost = frame.value().is_none() && mutation::is("tombstones-are-not-read");
    if frame.flags.has(Flags::MARK) || is_lost {
        return Ok(None);
    }
    schema::loaded(frame.key, frame.value())
}

pub(super) fn damage(segment: &Segment, offset: u64, what: &str) -> LoadError {
    let name = segment::name(segment.number);
    LoadError::Corrupt(format!("{name} at byte {offset}: {what}"))
}
