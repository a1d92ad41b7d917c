//! The log of one partition: batches in memory, their offsets, and who waits for more.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Notify;

use super::batch::{self, Batch, Unplaced};
use super::budget::Budget;
use super::error::TopicError;
use super::lock::Lock;
use super::producers::{PRODUCER_BYTES, ProducerIdentity, Producers, Sequence};
use super::settings::Effective;
use super::transactions::{AbortedTransaction, Transactions};
use crate::time::WallMs;

/// Where a batch went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Appended {
    /// The offset of its first record.
    pub base_offset: i64,
    /// The timestamp that all of its records have, where the log gives it.
    pub log_append_time: Option<WallMs>,
    /// The first offset of the log.
    pub log_start_offset: i64,
}

/// One partition; its methods take the lock for themselves.
#[derive(Debug)]
pub(super) struct Partition {
    log: Lock<Log>,
    budget: Arc<Budget>,
}

impl Partition {
    pub(super) fn new(budget: Arc<Budget>) -> Self {
        Self {
            log: Lock::default(),
            budget,
        }
    }

    /// Appends one batch that was checked.
    ///
    /// `is_in_transaction` is asked, under the lock, of a batch that begins its transaction here:
    /// the marker that ends it is written later than the coordinator says so, and so behind the
    /// batch.
    pub(super) fn append(
        &self,
        batch: &Batch,
        bytes: &[u8],
        (effective, now): (&Effective, WallMs),
        is_in_transaction: impl FnOnce() -> Result<(), TopicError>,
    ) -> Result<Appended, TopicError> {
        let stamp = effective.log_append_time.then_some(now);
        // The copy is made before the lock is taken, so that readers do not wait for it.
        let copy = Unplaced::copy(bytes, stamp);
        let log = &mut *self.log.lock();
        if log.closed {
            return Err(TopicError::UnknownTopicOrPartition);
        }
        match (
            batch.is_transactional(),
            log.transactions.is_open(batch.producer_id),
        ) {
            (true, false) => is_in_transaction()?,
            (false, true) => return Err(TopicError::InvalidTxnState),
            (true, true) | (false, false) => {}
        }
        if batch.is_idempotent()
            && let Sequence::Duplicate(answer) = log.producers.check(batch)?
        {
            return Ok(Appended {
                log_start_offset: log.start,
                ..answer
            });
        }
        self.make_room(log, batch, cost(bytes.len()), effective)?;
        self.place(log, batch, copy, (effective, stamp))
    }

    /// Appends the marker that ends a producer's transaction, and shuts older epochs out.
    ///
    /// One that is here already is not written again, so that a coordinator may repeat itself. It
    /// takes its bytes even where none are left: there is at most one for each partition of each
    /// transaction, and without it its readers would wait for ever.
    pub(super) fn append_marker(
        &self,
        of: ProducerIdentity,
        committed: bool,
        effective: &Effective,
        now: WallMs,
    ) -> Result<(), TopicError> {
        let (batch, bytes) = Batch::marker(of, committed, now);
        let stamp = effective.log_append_time.then_some(now);
        let copy = Unplaced::copy(&bytes, stamp);
        let log = &mut *self.log.lock();
        if log.closed {
            return Err(TopicError::UnknownTopicOrPartition);
        }
        if !log.transactions.is_open(of.id) && !log.producers.is_news(of) {
            return Ok(());
        }
        if self
            .make_room(log, &batch, cost(bytes.len()), effective)
            .is_err()
        {
            let is_new = !log.producers.contains(of.id);
            let producer_bytes = if is_new { PRODUCER_BYTES } else { 0 };
            self.budget.take(cost(bytes.len()) + producer_bytes);
        }
        self.place(log, &batch, copy, (effective, stamp))?;
        Ok(())
    }

    /// Puts a batch, whose bytes were reserved, at the end of the log.
    fn place(
        &self,
        log: &mut Log,
        batch: &Batch,
        copy: Unplaced,
        (effective, stamp): (&Effective, Option<WallMs>),
    ) -> Result<Appended, TopicError> {
        let end = log
            .end
            .checked_add(i64::from(batch.last_offset_delta) + 1)
            .ok_or(TopicError::StorageFull)?;
        let stored = Stored {
            base: log.end,
            last: end - 1,
            max_timestamp: stamp.map_or(batch.max_timestamp, |WallMs(now)| now),
            bytes: copy.at(log.end),
        };
        log.bytes += stored.bytes.len() as u64;
        let bytes = stored.bytes.clone();
        log.batches.push_back(stored);
        let base_offset = std::mem::replace(&mut log.end, end);
        self.retain(log, effective);
        let answer = Appended {
            base_offset,
            log_append_time: stamp,
            log_start_offset: log.start,
        };
        log.observe(batch, &bytes, answer);
        log.wake();
        Ok(answer)
    }

    /// Reserves what an append costs of the node's bytes; gives up own old batches if it must.
    fn make_room(
        &self,
        log: &mut Log,
        batch: &Batch,
        bytes: u64,
        effective: &Effective,
    ) -> Result<(), TopicError> {
        let is_new = batch.is_idempotent() && !log.producers.contains(batch.producer_id);
        if is_new && log.producers.len() >= effective.producers_max {
            let (producers, transactions) = (&mut log.producers, &log.transactions);
            if !producers.forget_oldest(|id| transactions.is_open(id)) {
                // All of them are in a transaction here; some end soon.
                return Err(TopicError::StorageFull);
            }
            self.budget.release(PRODUCER_BYTES);
        }
        let wanted = bytes + if is_new { PRODUCER_BYTES } else { 0 };
        // Old batches are given up only where that is enough.
        let may_drop = effective.retention_bytes.is_some()
            && wanted <= self.budget.free() + log.bytes + log.batches.len() as u64 * BATCH_OVERHEAD;
        while !self.budget.reserve(wanted) {
            if !may_drop || !self.drop_oldest(log) {
                return Err(TopicError::StorageFull);
            }
        }
        Ok(())
    }

    /// Drops the oldest batches until the log is as small as it must be; never the newest.
    fn retain(&self, log: &mut Log, effective: &Effective) {
        let Some(max) = effective.retention_bytes else {
            return;
        };
        while log.bytes > max && log.batches.len() > 1 {
            self.drop_oldest(log);
        }
    }

    /// Applies a changed limit.
    pub(super) fn trim(&self, effective: &Effective) {
        self.retain(&mut self.log.lock(), effective);
    }

    fn drop_oldest(&self, log: &mut Log) -> bool {
        let Some(oldest) = log.batches.pop_front() else {
            return false;
        };
        log.bytes -= oldest.bytes.len() as u64;
        log.start = log.start.max(oldest.last + 1);
        log.transactions.forget_before(log.start);
        self.budget.release(cost(oldest.bytes.len()));
        true
    }

    /// Moves the log start to an offset, -1 for the end; never back. The new start.
    pub(super) fn delete_before(&self, offset: i64) -> Result<i64, TopicError> {
        let log = &mut *self.log.lock();
        let target = if offset == -1 { log.end } else { offset };
        if target < 0 || target > log.end {
            return Err(TopicError::OffsetOutOfRange);
        }
        while log
            .batches
            .front()
            .is_some_and(|oldest| oldest.last < target)
        {
            self.drop_oldest(log);
        }
        log.start = log.start.max(target);
        log.transactions.forget_before(log.start);
        Ok(log.start)
    }

    /// Empties the log for good: its topic is gone. Who waits is woken.
    pub(super) fn close(&self) {
        let log = &mut *self.log.lock();
        log.closed = true;
        while self.drop_oldest(log) {}
        self.budget
            .release(log.producers.len() as u64 * PRODUCER_BYTES);
        log.producers = Producers::default();
        log.transactions = Transactions::default();
        log.wake();
    }

    /// The bounds of the log.
    pub(super) fn bounds(&self) -> Result<Bounds, TopicError> {
        self.log.lock().bounds()
    }

    /// Whether the producer has an open transaction here.
    pub(super) fn has_open_transaction(&self, producer_id: i64) -> bool {
        self.log.lock().transactions.is_open(producer_id)
    }

    /// Reads whole batches from the one that contains the offset.
    ///
    /// A waiter is registered under the same lock, to be woken once by the next append: what this
    /// read does not see wakes it.
    pub(super) fn read(
        &self,
        ask: ReadAsk,
        waiter: Option<&mut Waiter>,
    ) -> Result<Read, TopicError> {
        let offset = ask.offset;
        let log = &mut *self.log.lock();
        let bounds = log.bounds()?;
        if let Some(waiter) = waiter {
            log.register(waiter);
        }
        let mut read = Read::nothing(bounds);
        if offset < bounds.start || offset > bounds.end {
            return Ok(read);
        }
        let limit = if ask.committed {
            bounds.stable
        } else {
            bounds.end
        };
        let first = log.batches.partition_point(|stored| stored.last < offset);
        let mut left = ask.max_bytes;
        let mut to = offset;
        for stored in log.batches.range(first..) {
            let len = stored.bytes.len();
            let is_wanted = len <= left || (ask.at_least_one && read.batches.is_empty());
            // No batch lies across the last stable offset: there one begins.
            if !is_wanted || stored.base >= limit {
                break;
            }
            left = left.saturating_sub(len);
            to = stored.last + 1;
            read.batches.push(stored.bytes.clone());
        }
        if ask.committed && to > offset {
            read.aborted = log.transactions.aborted_within(offset, to);
        }
        Ok(read)
    }

    /// The first offset whose timestamp is at least that, with its timestamp.
    pub(super) fn find_timestamp(&self, timestamp: i64) -> Result<Option<(i64, i64)>, TopicError> {
        let log = self.log.lock();
        let start = log.bounds()?.start;
        Ok(log
            .batches
            .iter()
            .filter(|stored| stored.max_timestamp >= timestamp)
            .find_map(|stored| batch::find_timestamp(&stored.bytes, stored.base, start, timestamp)))
    }

    /// The offset of the largest timestamp, with it.
    pub(super) fn newest_timestamp(&self) -> Result<Option<(i64, i64)>, TopicError> {
        let log = self.log.lock();
        let start = log.bounds()?.start;
        // Of equal ones the first, as Kafka answers.
        let newest = log
            .batches
            .iter()
            .rev()
            .max_by_key(|stored| stored.max_timestamp);
        Ok(newest.map(|stored| {
            let timestamp = stored.max_timestamp;
            batch::find_timestamp(&stored.bytes, stored.base, start, timestamp)
                .unwrap_or_else(|| (stored.base.max(start), timestamp))
        }))
    }

    /// Takes a registration back that has not been served.
    pub(super) fn deregister(&self, waiter: &Waiter) {
        let log = &mut *self.log.lock();
        let same = |one: &Arc<Notify>| Arc::ptr_eq(one, &waiter.notify);
        if waiter.registered == Some(log.wakes)
            && let Some(at) = log.waiters.iter().position(same)
        {
            log.waiters.swap_remove(at);
        }
    }

    #[cfg(test)]
    pub(super) fn waiters(&self) -> usize {
        self.log.lock().waiters.len()
    }
}

impl Drop for Partition {
    fn drop(&mut self) {
        self.close();
    }
}

/// What is wanted of a partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct ReadAsk {
    /// From there.
    pub(super) offset: i64,
    /// No more than that.
    pub(super) max_bytes: usize,
    /// The first batch comes whatever its size.
    pub(super) at_least_one: bool,
    /// Nothing from the last stable offset on, and a list of what was aborted.
    pub(super) committed: bool,
}

/// What was read of a partition.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) bounds: Bounds,
    pub(super) batches: Vec<Bytes>,
    pub(super) aborted: Vec<AbortedTransaction>,
}

impl Read {
    fn nothing(bounds: Bounds) -> Self {
        Self {
            bounds,
            batches: Vec::new(),
            aborted: Vec::new(),
        }
    }
}

/// The first offset of a log and the one after its last: its high watermark, too.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Bounds {
    pub(super) start: i64,
    pub(super) end: i64,
    /// The last stable offset: the end, or before it the first offset of an open transaction.
    pub(super) stable: i64,
}

/// A fetch's registration with one partition.
#[derive(Debug)]
pub(super) struct Waiter {
    notify: Arc<Notify>,
    // The count of wakes at which it was registered; the next wake makes that void.
    registered: Option<u64>,
}

impl Waiter {
    pub(super) fn new(notify: &Arc<Notify>) -> Self {
        Self {
            notify: Arc::clone(notify),
            registered: None,
        }
    }
}

#[derive(Debug, Default)]
struct Log {
    // Without gaps, oldest first; the oldest may begin before `start`.
    batches: VecDeque<Stored>,
    start: i64,
    end: i64,
    // Of all batches, without what surrounds them in memory.
    bytes: u64,
    producers: Producers,
    transactions: Transactions,
    waiters: Vec<Arc<Notify>>,
    // How often the waiters were woken.
    wakes: u64,
    closed: bool,
}

impl Log {
    fn bounds(&self) -> Result<Bounds, TopicError> {
        if self.closed {
            return Err(TopicError::UnknownTopicOrPartition);
        }
        Ok(Bounds {
            start: self.start,
            end: self.end,
            stable: self.transactions.stable_offset(self.start, self.end),
        })
    }

    /// A batch is in the log: who wrote it, and in which transaction. Whoever reads a log back
    /// passes its batches through here as well.
    fn observe(&mut self, batch: &Batch, bytes: &[u8], answer: Appended) {
        if batch.is_idempotent() {
            self.producers.remember(batch, answer);
            self.transactions.observe(batch, bytes, answer.base_offset);
        }
    }

    fn register(&mut self, waiter: &mut Waiter) {
        if waiter.registered != Some(self.wakes) {
            self.waiters.push(Arc::clone(&waiter.notify));
            waiter.registered = Some(self.wakes);
        }
    }

    fn wake(&mut self) {
        self.wakes += 1;
        for waiter in self.waiters.drain(..) {
            waiter.notify_one();
        }
    }
}

#[derive(Debug)]
struct Stored {
    base: i64,
    last: i64,
    max_timestamp: i64,
    bytes: Bytes,
}

/// What a batch of that length costs of the node's bytes.
fn cost(len: usize) -> u64 {
    len as u64 + BATCH_OVERHEAD
}

/// An allowance for what surrounds a batch in memory; without it the smallest batches would take
/// three times their share.
const BATCH_OVERHEAD: u64 = 128;
