//! The one thread that touches the files: it takes what waits, makes it durable, and settles it.
//!
//! ```text
//!   shard 0 --- slot [ batch, batch ] <--- extend, while it waits
//!   shard 1 --- slot [ batch ]            --- taken as a whole ---> one write, one sync, settled
//! ```
//!
//! A batch that waits may still grow: so a shard needs no more than two of them, however many
//! commits come while a sync is under way, and a round takes them all.
//!
//! # No batch is left behind
//!
//! A slot's list is taken out as a whole by whoever works at it, the shard or the writer, and
//! never waited for. A shard that puts it back rings afterwards. So a writer that finds a slot
//! empty because the shard has the list in hand is rung later, and looks again.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use crossbeam_utils::CachePadded;
use tokio::sync::Notify;

use super::log::{Body, Failed, Log, View};
use crate::atomic::{ArrayQueue, AtomicBool, AtomicU64, Ordering, Parker};
use crate::error::Refusal;
use crate::ids::ShardId;
use crate::journal::{Done, Ticket};

/// A round takes no more batches once it has that many bytes, and a batch grows no more.
const ROUND_BYTES_MAX: usize = 1 << 20;
/// Bodies that are kept to be filled again, of at most [`ROUND_BYTES_MAX`] each.
const SPARE_MAX: usize = 16;
/// Batches of a shard that may wait: as many as it may have on their way.
const BATCHES_MAX: usize = 2;
/// A batch on its way.
#[derive(Debug)]
pub(super) struct Submission {
    pub(super) done: Done,
    /// Its records, or why it cannot be written; it is settled in its turn either way.
    pub(super) body: Result<Body, Refusal>,
}

/// Somebody wants to read what is durable.
pub(super) type Viewer = SyncSender<View>;

/// The batches of one shard that wait for the writer, in order.
struct Slot {
    /// One list, unless somebody works at it.
    list: ArrayQueue<Vec<Submission>>,
}

/// What the journal shares with its writer.
pub(super) struct Shared {
    slots: Box<[CachePadded<Slot>]>,
    /// At most one a shard, and one of a feed.
    viewers: ArrayQueue<Viewer>,
    /// Emptied bodies, to be filled again: memory that is there already.
    spare: ArrayQueue<Body>,
    /// Set by the journal, once, when it is dropped.
    pub(super) is_stopping: AtomicBool,
    /// Set by the writer, once: nothing more is acknowledged.
    pub(super) is_poisoned: AtomicBool,
    /// Set by the writer when it ends: nobody takes batches any more.
    pub(super) has_ended: AtomicBool,
    /// Written by the writer, read by any.
    pub(super) file_bytes: AtomicU64,
    pub(super) live_bytes: AtomicU64,
    pub(super) keys: AtomicU64,
    /// Notified by the writer whenever a round is durable.
    pub(super) progress: Arc<Notify>,
}

impl Shared {
    pub(super) fn new(shards: u32) -> Self {
        let shards = usize::try_from(shards).unwrap_or(usize::MAX);
        let slot = |_| {
            CachePadded::new(Slot {
                list: ArrayQueue::new(1),
            })
        };
        Self {
            slots: (0..shards).map(slot).collect(),
            viewers: ArrayQueue::new(shards.saturating_add(1)),
            spare: ArrayQueue::new(shards.saturating_mul(2).clamp(2, SPARE_MAX)),
            is_stopping: AtomicBool::new(false),
            is_poisoned: AtomicBool::new(false),
            has_ended: AtomicBool::new(false),
            file_bytes: AtomicU64::new(0),
            live_bytes: AtomicU64::new(0),
            keys: AtomicU64::new(0),
            progress: Arc::default(),
        }
    }

    fn slot(&self, shard: ShardId) -> Option<&Slot> {
        let at = usize::try_from(shard.0).ok()?;
        self.slots.get(at).map(|slot| &**slot)
    }

    /// Puts a batch behind those of its shard that wait; for the shard's owner. One of a shard
    /// that does not exist, or that has more on their way than it may, is dropped, and so refused.
    pub(super) fn append(&self, submission: Submission) {
        if let Some(slot) = self.slot(submission.done.ticket().shard) {
            let mut list = slot.list.pop().unwrap_or_default();
            if list.len() < BATCHES_MAX {
                list.push(submission);
            }
            self.put_back(slot, list);
        }
    }

    /// Has the batch of that ticket written on, if it is still waiting and not too long; whether
    /// `write` said that it was done. For the shard's owner.
    pub(super) fn extend(&self, ticket: Ticket, write: impl FnOnce(&mut Body) -> bool) -> bool {
        let Some(slot) = self.slot(ticket.shard) else {
            return false;
        };
        let Some(mut list) = slot.list.pop() else {
            return false;
        };
        let newest = list.last_mut().filter(|it| it.done.ticket() == ticket);
        let body = newest.and_then(|it| it.body.as_mut().ok());
        let body = body.filter(|body| body.len() < ROUND_BYTES_MAX);
        let is_written = body.is_some_and(write);
        self.put_back(slot, list);
        is_written
    }

    /// Whoever finds that the writer has ended empties the slots, and what is dropped counts as
    /// failed. The caller rings.
    fn put_back(&self, slot: &Slot, list: Vec<Submission>) {
        // Only the shard's owner puts lists in, and it has just taken out the one that was there.
        drop(slot.list.push(list));
        self.look_at_end();
    }

    /// Takes the batches that wait, as long as a round has room for them, beginning with that slot;
    /// for the writer.
    pub(super) fn take(&self, first: usize, into: &mut VecDeque<Submission>) {
        let mut bytes: usize = into.iter().map(Submission::bytes).sum();
        let (before, after) = self.slots.split_at(first);
        for slot in after.iter().chain(before) {
            if bytes >= ROUND_BYTES_MAX {
                break;
            }
            if let Some(list) = slot.list.pop() {
                bytes += list.iter().map(Submission::bytes).sum::<usize>();
                into.extend(list);
            }
        }
    }

    /// Asks for a view.
    pub(super) fn ask(&self, viewer: Viewer) -> Result<(), Viewer> {
        self.viewers.push(viewer)?;
        self.look_at_end();
        Ok(())
    }

    fn look_at_end(&self) {
        // A read-modify-write, as the writer's end is one: whichever is later sees what was done
        // before the earlier one, that push or that end.
        if self.has_ended.fetch_or(false, Ordering::AcqRel) {
            self.drop_all();
        }
    }

    /// An empty body, used before if there is one.
    pub(super) fn body(&self) -> Body {
        self.spare.pop().unwrap_or_default()
    }

    fn give_back(&self, mut body: Body) {
        if body.capacity() <= 2 * ROUND_BYTES_MAX {
            body.clear();
            // Where there are enough, one more is not kept.
            let _ = self.spare.push(body);
        }
    }

    fn drop_all(&self) {
        while self.viewers.pop().is_some() {}
        for slot in &self.slots {
            drop(slot.list.pop());
        }
    }

    /// Relaxed: figures stand alone.
    pub(super) fn publish(&self, log: &Log) {
        let (file_bytes, live_bytes) = log.bytes();
        self.file_bytes.store(file_bytes, Ordering::Relaxed);
        self.live_bytes.store(live_bytes, Ordering::Relaxed);
        self.keys.store(log.len() as u64, Ordering::Relaxed);
    }
}

/// Says that nobody takes batches any more, also when the writer panics.
struct Ending(Arc<Shared>);

impl Drop for Ending {
    fn drop(&mut self) {
        // Relaxed: a flag that stands alone.
        if std::thread::panicking() {
            self.0.is_poisoned.store(true, Ordering::Relaxed);
        }
        // Pairs with `look_at_end`: either this comes later and empties the slots after the push,
        // or the push is followed by a look at the flag that sees it.
        self.0.has_ended.swap(true, Ordering::AcqRel);
        self.0.drop_all();
    }
}

pub(super) struct Writer {
    log: Log,
    shared: Arc<Shared>,
    waiting: VecDeque<Submission>,
    /// The slot that is looked at first, each time another.
    first: usize,
    /// The disk was full the last time.
    is_full: bool,
}

impl Writer {
    pub(super) fn new(log: Log, shared: Arc<Shared>) -> Self {
        Self {
            log,
            shared,
            waiting: VecDeque::new(),
            first: 0,
            is_full: false,
        }
    }

    /// Works until the journal is dropped and everything is settled.
    pub(super) fn run(mut self, bell: &Parker) {
        let _ending = Ending(Arc::clone(&self.shared));
        let mut is_preparing = false;
        loop {
            self.take();
            if !self.waiting.is_empty() {
                self.round();
                is_preparing = self.prepare();
            // Acquire: pairs with the release in the journal's drop, before which all was pushed.
            } else if self.shared.is_stopping.load(Ordering::Acquire) {
                self.take();
                if self.waiting.is_empty() {
                    break;
                }
            } else if is_preparing {
                is_preparing = self.prepare();
            } else {
                bell.park();
            }
        }
        if !self.is_poisoned()
            && let Err(failed) = self.log.close()
        {
            tracing::warn!(?failed, "the journal was not closed in order");
        }
    }

    fn is_poisoned(&self) -> bool {
        // Relaxed: written by this thread alone.
        self.shared.is_poisoned.load(Ordering::Relaxed)
    }

    fn take(&mut self) {
        while let Some(viewer) = self.shared.viewers.pop() {
            // Whoever asked may have given up.
            let _ = viewer.send(self.log.view());
        }
        self.shared.take(self.first, &mut self.waiting);
        self.first = (self.first + 1) % self.shared.slots.len().max(1);
    }

    /// Makes what waits durable, as far as one write goes, and settles it.
    fn round(&mut self) {
        let is_poisoned = self.is_poisoned();
        let bodies: Vec<&Body> = self
            .waiting
            .iter()
            .map_while(|waiting| waiting.body.as_ref().ok())
            .collect();
        let count = bodies.len();
        let (settled, outcome) = if is_poisoned {
            (self.waiting.len(), Err(Refusal::NotAvailable))
        } else if count == 0 {
            let body = self.waiting.front().map(|first| &first.body);
            let refusal = body.and_then(|body| body.as_ref().err().copied());
            (1, Err(refusal.unwrap_or(Refusal::Failed)))
        } else {
            match self.log.commit(&bodies) {
                Ok(durable) => {
                    self.is_full = false;
                    (durable, Ok(()))
                }
                Err(failed) => {
                    self.failed(&failed);
                    (count, Err(Refusal::NotAvailable))
                }
            }
        };
        self.shared.publish(&self.log);
        // One atomic load while nobody waits.
        self.shared.progress.notify_waiters();
        for submission in self.waiting.drain(..settled) {
            // First, so that whoever is told has it for what comes next.
            if let Ok(body) = submission.body {
                self.shared.give_back(body);
            }
            submission.done.settle(outcome);
        }
    }

    /// Does some of what the next rounds will need, now that this one is settled; whether there
    /// is more to do.
    fn prepare(&mut self) -> bool {
        if self.is_poisoned() {
            return false;
        }
        let prepared = self.log.prepare();
        self.shared.publish(&self.log);
        prepared.unwrap_or_else(|failed| {
            self.failed(&failed);
            false
        })
    }

    fn failed(&mut self, failed: &Failed) {
        match failed {
            Failed::Full(error) => {
                if !self.is_full {
                    tracing::warn!(
                        %error,
                        "the journal's disk is full: writes are refused until there is room"
                    );
                }
                self.is_full = true;
            }
            Failed::Poisoned(what) => {
                tracing::error!(
                    what,
                    "the journal failed and acknowledges nothing more: look at the disk, then \
                     start again; what was acknowledged is read back"
                );
                // Relaxed: a flag that stands alone.
                self.shared.is_poisoned.store(true, Ordering::Relaxed);
            }
        }
    }
}

impl Submission {
    fn bytes(&self) -> usize {
        self.body.as_ref().map_or(0, |body| body.len())
    }
}
