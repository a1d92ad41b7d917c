//! Producer ids: never given twice, over restarts too.

use std::sync::atomic::{AtomicI64, Ordering};

/// Ids that are reserved durably at a time, so that giving one waits for no disk.
const BLOCK: i64 = 10_000;

/// The ids that are still to be given.
#[derive(Debug)]
pub(super) struct ProducerIds {
    // Counted up by whoever asks for an id.
    next: AtomicI64,
    // The first that must not be given yet; raised by the flusher once that is durable.
    end: AtomicI64,
}

impl ProducerIds {
    /// In memory: beginning at random, so that a producer of an earlier life, which still uses its
    /// id, does not share it with a new one.
    pub(super) fn in_memory() -> Self {
        Self {
            next: AtomicI64::new(random_id()),
            end: AtomicI64::new(i64::MAX),
        }
    }

    /// On disk: beginning where no id was given, none of them reserved yet.
    pub(super) fn from(end: i64) -> Self {
        Self {
            next: AtomicI64::new(end),
            end: AtomicI64::new(end),
        }
    }

    /// The next id; `None`: those that are reserved are used up. And whether more should be
    /// reserved by now.
    pub(super) fn take(&self) -> (Option<i64>, bool) {
        // Relaxed: the numbers only have to differ.
        let end = self.end.load(Ordering::Relaxed);
        let taken = self
            .next
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| {
                next.checked_add(1).filter(|after| *after <= end)
            });
        (taken.ok(), taken.unwrap_or_else(|it| it) >= end - BLOCK / 2)
    }

    /// Up to where ids should be reserved.
    pub(super) fn wanted_end(&self) -> i64 {
        let next = self.next.load(Ordering::Relaxed);
        let end = self.end.load(Ordering::Relaxed);
        end.max(next.saturating_add(BLOCK))
    }

    /// Ids up to there are reserved.
    pub(super) fn extend(&self, end: i64) {
        self.end.fetch_max(end, Ordering::Relaxed);
    }
}

/// Where a directory or a process begins to count.
pub(super) fn random_id() -> i64 {
    let [a, b, c, d, ..] = uuid::Uuid::new_v4().into_bytes();
    i64::from(u32::from_be_bytes([a & 0x3f, b, c, d])) << 20
}
