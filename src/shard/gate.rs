//! The gate before a shard's mailbox: shut until the shard is loaded.
//!
//! ```text
//!   Loading ----> Serving          the mailbox answers from now on
//!      |
//!      +--------> Failed           final: what lives there is not available
//! ```
//!
//! While it is shut nothing is queued: every request is answered at the gate, as Kafka does
//! (specification 1.1).

use std::sync::{Arc, OnceLock};

use tokio::sync::oneshot;

use crate::atomic::{AtomicU64, Ordering};
use crate::error::Refusal;
use crate::group::{Reply, Request};
use crate::journal::LoadError;

/// How far a shard is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum ShardPhase {
    /// It reads its journal.
    Loading,
    /// It answers.
    Serving,
    /// Its journal could not be read, or a step of it panicked: its groups are not available
    /// until the engine was opened anew.
    Failed,
}

/// Who waits at a gate; as many as the host asks for, less those that gave up.
#[expect(
    clippy::disallowed_types,
    reason = "a cold path: locked when somebody waits for a load, and once at its end"
)]
type Waiting = std::sync::Mutex<Vec<oneshot::Sender<()>>>;

/// The gate of one shard.
#[derive(Debug)]
pub(crate) struct Gate {
    /// Written by who loads, once; read by any.
    phase: AtomicU64,
    /// Records that were applied. Written by who loads, read by any.
    records: AtomicU64,
    failure: OnceLock<Arc<LoadError>>,
    waiting: Waiting,
}

const LOADING: u64 = 0;
const SERVING: u64 = 1;
const FAILED: u64 = 2;

impl Gate {
    pub(super) fn new() -> Self {
        Self {
            phase: AtomicU64::new(LOADING),
            records: AtomicU64::new(0),
            failure: OnceLock::new(),
            waiting: Waiting::default(),
        }
    }

    pub(crate) fn phase(&self) -> ShardPhase {
        // Acquire: pairs with the release in `shift`, so that who sees a shard serve or failed
        // sees its records and its failure.
        match self.phase.load(Ordering::Acquire) {
            LOADING => ShardPhase::Loading,
            SERVING => ShardPhase::Serving,
            _ => ShardPhase::Failed,
        }
    }

    pub(super) fn is_loading(&self) -> bool {
        self.phase() == ShardPhase::Loading
    }

    /// Records that were applied so far.
    pub(crate) fn records(&self) -> u64 {
        // Relaxed: a number to show.
        self.records.load(Ordering::Relaxed)
    }

    pub(super) fn count_record(&self) {
        // Relaxed: a number to show, of one writer.
        self.records.fetch_add(1, Ordering::Relaxed);
    }

    /// Why the load failed, if it did.
    pub(crate) fn failure(&self) -> Option<&Arc<LoadError>> {
        self.failure.get()
    }

    /// The shard is loaded.
    pub(super) fn open(&self) {
        self.shift(SERVING);
    }

    /// The shard cannot be loaded.
    pub(super) fn fail(&self, error: LoadError) {
        // Only the one that loads says so, and only once.
        let _ = self.failure.set(Arc::new(error));
        self.shift(FAILED);
    }

    fn shift(&self, to: u64) {
        // Release: see `phase`.
        self.phase.store(to, Ordering::Release);
        // Nobody panics in the lock, and a list of senders cannot be half done.
        let waiting = self.waiting.lock().map(|mut it| std::mem::take(&mut *it));
        for sender in waiting.unwrap_or_default() {
            // Who no longer waits does not want to know.
            let _ = sender.send(());
        }
    }

    /// Ends, one way or the other, when the shard is no longer loading.
    pub(crate) fn passed(&self) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        if let Ok(mut waiting) = self.waiting.lock()
            // Asked within the lock: whoever ends the loading comes to the list after this.
            && self.is_loading()
        {
            waiting.retain(|sender| !sender.is_closed());
            waiting.push(sender);
        }
        receiver
    }

    /// What a request is answered at the gate; `None`: the shard serves.
    pub(super) fn answer(&self, request: &Request, is_closed: bool) -> Option<Reply> {
        match self.phase() {
            ShardPhase::Serving => None,
            ShardPhase::Loading if !is_closed => Some(request.while_loading()),
            ShardPhase::Loading | ShardPhase::Failed => {
                Some(request.refused(Refusal::NotAvailable))
            }
        }
    }
}
