//! The limits that all shards of an engine share, kept exactly.

use crate::atomic::{AtomicUsize, Ordering};

/// A count that never exceeds its bound.
#[derive(Debug)]
pub(crate) struct Quota {
    max: usize,
    // Written by every shard, and by none while another's step is not yet accounted for: what is
    // reserved counts as taken.
    taken: AtomicUsize,
}

impl Quota {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            max,
            taken: AtomicUsize::new(0),
        }
    }

    /// Takes `n` if there is room for all of them.
    pub(crate) fn reserve(&self, n: usize) -> bool {
        // Relaxed: the count guards nothing but itself.
        let take = |taken: usize| taken.checked_add(n).filter(|sum| *sum <= self.max);
        self.taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .is_ok()
    }

    /// Sets what somebody has taken against what they need of it.
    pub(crate) fn account(&self, taken: usize, needed: usize) {
        if taken > needed {
            self.taken.fetch_sub(taken - needed, Ordering::Relaxed);
        } else if needed > taken {
            // What was loaded from the journal was acknowledged once: it stays, and the bound
            // shows for what comes next.
            self.taken.fetch_add(needed - taken, Ordering::Relaxed);
        }
    }

    #[cfg(all(test, not(loom)))]
    fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

/// The quotas of one engine.
#[derive(Debug)]
pub(crate) struct Limits {
    pub(crate) groups: Quota,
    pub(crate) members: Quota,
    pub(crate) offsets: Quota,
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_never_exceeded_and_gives_back_what_was_not_used() {
        let quota = Quota::new(3);
        assert!(quota.reserve(2));
        assert!(!quota.reserve(2));
        quota.account(2, 1);
        assert!(quota.reserve(2));
        assert_eq!(quota.taken(), 3);
        quota.account(3, 0);
        assert_eq!(quota.taken(), 0);
    }
}
