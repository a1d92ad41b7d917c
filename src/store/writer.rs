//! The one thread that touches the files: it takes what waits, makes it durable, and settles it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use tokio::sync::Notify;

use super::log::{Body, Failed, Log, View};
use crate::atomic::{ArrayQueue, AtomicBool, AtomicU64, Ordering, Parker};
use crate::error::Refusal;
use crate::journal::Done;

/// A round takes no more batches once it has that many bytes.
const ROUND_BYTES_MAX: usize = 1 << 20;
/// Bodies that are kept to be filled again, of at most [`ROUND_BYTES_MAX`] each.
const SPARE_MAX: usize = 16;

/// A batch on its way.
#[derive(Debug)]
pub(super) struct Submission {
    pub(super) done: Done,
    /// Its records, or why it cannot be written; it is settled in its turn either way.
    pub(super) body: Result<Body, Refusal>,
}

/// What the writer is asked for.
#[derive(Debug)]
pub(super) enum Job {
    Append(Submission),
    /// What is durable, for reading.
    View(SyncSender<View>),
}

/// What the journal shares with its writer.
pub(super) struct Shared {
    /// At most two batches and one view a shard, if the host keeps to its contract, and one view
    /// of a feed.
    pub(super) jobs: ArrayQueue<Job>,
    /// Emptied bodies, to be filled again: memory that is there already.
    spare: ArrayQueue<Body>,
    /// Set by the journal, once, when it is dropped.
    pub(super) is_stopping: AtomicBool,
    /// Set by the writer, once: nothing more is acknowledged.
    pub(super) is_poisoned: AtomicBool,
    /// Set by the writer when it ends: nobody takes jobs any more.
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
        let capacity = usize::try_from(shards).unwrap_or(usize::MAX);
        Self {
            jobs: ArrayQueue::new(capacity.saturating_mul(3).saturating_add(1).max(4)),
            spare: ArrayQueue::new(capacity.saturating_mul(2).clamp(2, SPARE_MAX)),
            is_stopping: AtomicBool::new(false),
            is_poisoned: AtomicBool::new(false),
            has_ended: AtomicBool::new(false),
            file_bytes: AtomicU64::new(0),
            live_bytes: AtomicU64::new(0),
            keys: AtomicU64::new(0),
            progress: Arc::default(),
        }
    }

    /// Puts a job into the queue; whoever finds that the writer has ended empties the queue, and
    /// what is dropped counts as failed.
    pub(super) fn submit(&self, job: Job) -> Result<(), Job> {
        self.jobs.push(job)?;
        // A read-modify-write, as the writer's end is one: whichever is later sees what was done
        // before the earlier one, this push or that end.
        if self.has_ended.fetch_or(false, Ordering::AcqRel) {
            self.drop_jobs();
        }
        Ok(())
    }

    /// An empty body, used before if there is one.
    pub(super) fn body(&self) -> Body {
        self.spare.pop().unwrap_or_default()
    }

    fn give_back(&self, mut body: Body) {
        if body.bytes.capacity() <= ROUND_BYTES_MAX {
            body.bytes.clear();
            body.marks.clear();
            // Where there are enough, one more is not kept.
            let _ = self.spare.push(body);
        }
    }

    fn drop_jobs(&self) {
        while self.jobs.pop().is_some() {}
    }

    /// Relaxed: figures stand alone.
    pub(super) fn publish(&self, log: &Log) {
        let (file_bytes, live_bytes) = log.bytes();
        self.file_bytes.store(file_bytes, Ordering::Relaxed);
        self.live_bytes.store(live_bytes, Ordering::Relaxed);
        self.keys.store(log.len() as u64, Ordering::Relaxed);
    }
}

/// Says that nobody takes jobs any more, also when the writer panics.
struct Ending(Arc<Shared>);

impl Drop for Ending {
    fn drop(&mut self) {
        // Relaxed: a flag that stands alone.
        if std::thread::panicking() {
            self.0.is_poisoned.store(true, Ordering::Relaxed);
        }
        // Pairs with `submit`: either this comes later and empties the queue after the push, or
        // the push is followed by a look at the flag that sees it.
        self.0.has_ended.swap(true, Ordering::AcqRel);
        self.0.drop_jobs();
    }
}

pub(super) struct Writer {
    log: Log,
    shared: Arc<Shared>,
    waiting: VecDeque<Submission>,
    /// The disk was full the last time.
    is_full: bool,
}

impl Writer {
    pub(super) fn new(log: Log, shared: Arc<Shared>) -> Self {
        Self {
            log,
            shared,
            waiting: VecDeque::new(),
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
        let waiting = self.waiting.iter();
        let mut bytes: usize = waiting.map(Submission::bytes).sum();
        while bytes < ROUND_BYTES_MAX
            && let Some(job) = self.shared.jobs.pop()
        {
            match job {
                Job::Append(submission) => {
                    bytes += submission.bytes();
                    self.waiting.push_back(submission);
                }
                Job::View(to) => {
                    // Whoever asked may have given up.
                    let _ = to.send(self.log.view());
                }
            }
        }
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
        self.body.as_ref().map_or(0, |body| body.bytes.len())
    }
}
