//! Memory for records on their way out, bounded for the whole node.
//!
//! Clients that ask for much and read slowly must not take the machine's memory together. What
//! all answers hold is counted; when little is left, a fetch gets fewer records and comes again.
//! Its first batch it gets always (KIP-74), so that nobody is stuck.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

/// The node's bytes for fetched records.
#[derive(Debug, Default)]
pub(super) struct FetchedBytes {
    // Written by every fetch that reads, and when its answer is gone.
    used: AtomicUsize,
}

impl FetchedBytes {
    /// Takes the wanted bytes, or what is left of the budget.
    pub(super) fn take(self: &Arc<Self>, wanted: usize) -> Share {
        let mut bytes = 0;
        let grown = |used: usize| {
            bytes = wanted.min(FETCHED_BYTES_MAX.saturating_sub(used));
            Some(used + bytes)
        };
        // Relaxed: the count guards no other memory. The closure never says no.
        let _ = self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown);
        Share {
            of: Arc::clone(self),
            bytes,
        }
    }
}

/// Some of the bytes, given back when dropped.
#[derive(Debug)]
pub(super) struct Share {
    of: Arc<FetchedBytes>,
    bytes: usize,
}

impl Share {
    /// How many they are.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Keeps as many as were needed, a first batch beyond the share included.
    pub(super) fn settle(&mut self, bytes: usize) {
        let of = &self.of.used;
        // Relaxed: as above.
        if bytes > self.bytes {
            of.fetch_add(bytes - self.bytes, Ordering::Relaxed);
        } else {
            of.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
    }

    /// An answer that gives the share back when it is gone.
    pub(super) fn into_answer(self, out: Vec<u8>) -> Bytes {
        Bytes::from_owner(Answer { out, _share: self })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        // Relaxed: as above.
        self.of.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

struct Answer {
    out: Vec<u8>,
    _share: Share,
}

impl AsRef<[u8]> for Answer {
    fn as_ref(&self) -> &[u8] {
        &self.out
    }
}

/// Some answers of the largest size that consumers ask for (50 MiB).
const FETCHED_BYTES_MAX: usize = 256 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_smaller_when_little_is_left_and_come_back_with_their_answers() {
        let all = Arc::new(FetchedBytes::default());
        let mut first = all.take(FETCHED_BYTES_MAX - 100);
        let second = all.take(1_000);
        assert_eq!((second.bytes(), all.take(1).bytes()), (100, 0));
        first.settle(500);
        let answer = first.into_answer(vec![7; 500]);
        assert_eq!(all.take(usize::MAX).bytes(), FETCHED_BYTES_MAX - 600);
        let part = answer.slice(100..);
        drop((answer, second));
        assert_eq!(all.take(usize::MAX).bytes(), FETCHED_BYTES_MAX - 500);
        drop(part);
        assert_eq!(all.take(usize::MAX).bytes(), FETCHED_BYTES_MAX);
    }

    #[test]
    fn a_first_batch_beyond_the_budget_is_counted() {
        let all = Arc::new(FetchedBytes::default());
        let _everything = all.take(usize::MAX);
        let mut share = all.take(1_000);
        share.settle(1_000);
        assert_eq!(share.bytes(), 1_000);
        drop(share);
        assert_eq!(all.take(1).bytes(), 0);
    }
}
