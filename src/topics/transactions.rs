//! The transactions of one partition (KIP-98): which are open, and which were aborted.
//!
//! ```text
//!   offset      0    1    2    3    4    5    6    7
//!   batch       A    .    B    a!   .    B    b+   .        A, B open; a! aborts, b+ commits
//!   stable      0    0    0    2    2    2    7    8        after that append
//! ```
//!
//! A reader of committed records reads up to the last stable offset: the first offset of the
//! oldest open transaction, or the end of the log. What was aborted below it is in the log all the
//! same; the reader is told of it by a list and leaves it out.
//!
//! [`Transactions::observe`] is the one place where this state changes: a live append passes its
//! batch through it, and whoever reads a log back passes the same batches in the same order.
//!
//! Bounds: an open transaction is of one remembered producer, and an aborted one of one marker in
//! the log, with which it is forgotten.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::batch::{self, Batch};

/// An aborted transaction whose records a reader of committed records leaves out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AbortedTransaction {
    /// Whose.
    pub producer_id: i64,
    /// Its first offset in the partition; its last one is before that producer's next marker.
    pub first_offset: i64,
}

/// What is open and what was aborted.
#[derive(Debug, Default)]
pub(super) struct Transactions {
    // The first offset of each producer's open transaction, and the same in the order of offsets.
    open: BTreeMap<i64, i64>,
    firsts: BTreeSet<(i64, i64)>,
    // By rising marker.
    aborted: VecDeque<Aborted>,
}

#[derive(Clone, Copy, Debug)]
struct Aborted {
    producer_id: i64,
    first: i64,
    marker: i64,
    /// The last stable offset after the marker: whatever was aborted later begins at it or behind.
    stable: i64,
}

impl Transactions {
    /// Whether the producer has an open transaction here.
    pub(super) fn is_open(&self, producer_id: i64) -> bool {
        self.open.contains_key(&producer_id)
    }

    /// The offset up to which committed records can be read, in a log of these bounds.
    pub(super) fn stable_offset(&self, start: i64, end: i64) -> i64 {
        let first = self.firsts.first().map(|(first, _)| *first);
        first.map_or(end, |first| first.max(start))
    }

    /// A batch was appended at that offset.
    pub(super) fn observe(&mut self, batch: &Batch, bytes: &[u8], base_offset: i64) {
        let producer_id = batch.producer_id;
        if batch.is_control() {
            if let Some(committed) = batch::commits(bytes) {
                self.end(producer_id, committed, base_offset);
            }
        } else if batch.is_transactional() && !self.is_open(producer_id) {
            self.open.insert(producer_id, base_offset);
            self.firsts.insert((base_offset, producer_id));
        }
    }

    fn end(&mut self, producer_id: i64, committed: bool, marker: i64) {
        let Some(first) = self.open.remove(&producer_id) else {
            return;
        };
        self.firsts.remove(&(first, producer_id));
        if !committed {
            self.aborted.push_back(Aborted {
                producer_id,
                first,
                marker,
                stable: self.stable_offset(0, marker + 1),
            });
        }
    }

    /// The log begins there now.
    pub(super) fn forget_before(&mut self, start: i64) {
        while self.aborted.front().is_some_and(|one| one.marker < start) {
            self.aborted.pop_front();
        }
    }

    /// The aborted transactions with records from `from` to before `to`, by their first offset.
    pub(super) fn aborted_within(&self, from: i64, to: i64) -> Vec<AbortedTransaction> {
        let mut found = Vec::new();
        let first = self.aborted.partition_point(|one| one.marker < from);
        for one in self.aborted.range(first..) {
            if one.first < to {
                found.push(AbortedTransaction {
                    producer_id: one.producer_id,
                    first_offset: one.first,
                });
            }
            if one.stable >= to {
                break;
            }
        }
        found.sort_unstable_by_key(|one| one.first_offset);
        found
    }
}
