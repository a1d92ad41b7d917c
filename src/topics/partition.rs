//! The log of one partition: batches, their offsets, and who waits for more.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Notify;

use super::batch::{self, Batch};
use super::budget::{Budget, Resources};
use super::disk::{Place, Shelf};
use super::durable::{Durable, Pending};
use super::error::TopicError;
use super::lock::Lock;
use super::producers::{PRODUCER_BYTES, Producers};
use super::settings::Effective;
use super::transactions::{AbortedTransaction, Transactions};
use crate::ids::{PartitionIndex, TopicId};
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
///
/// A batch is admitted by [`Partition::append`], which gives it its offset, and becomes part of the
/// log by [`Partition::apply`]: at once in memory, and on disk when it is durable. What is not
/// applied is seen by nobody, and when its write fails it leaves no trace.
#[derive(Debug)]
pub(super) struct Partition {
    pub(super) log: Lock<Log>,
    pub(super) budget: Arc<Budget>,
    // None: the partition is in memory alone.
    pub(super) shelf: Option<Shelf>,
}

impl Partition {
    pub(super) fn new(resources: &Resources, topic: TopicId, index: PartitionIndex) -> Self {
        let disk = resources.disk.as_ref();
        Self {
            log: Lock::default(),
            budget: Arc::clone(&resources.budget),
            shelf: disk.map(|disk| Shelf::new(Arc::clone(disk), topic, index)),
        }
    }

    /// A batch became part of the log: live, or read back from disk. Whatever is derived from
    /// batches is derived here.
    pub(super) fn apply(
        &self,
        log: &mut Log,
        placed: &Placed,
        bytes: &[u8],
        body: Body,
        effective: &Effective,
    ) -> Appended {
        let answer = Appended {
            base_offset: placed.base,
            log_append_time: placed.stamp,
            log_start_offset: log.start,
        };
        if placed.batch.is_idempotent() {
            self.settle_producer(log, placed, effective);
        }
        log.observe(&placed.batch, bytes, answer);
        let len = bytes.len();
        let stored = Stored {
            base: placed.base,
            last: placed.last,
            max_timestamp: placed.batch.max_timestamp,
            len,
            body,
        };
        log.bytes += len as u64;
        log.held += stored.cost();
        log.end = placed.last + 1;
        log.batches.push_back(stored);
        answer
    }

    /// Sees to it that a remembered producer is paid for, once, and that they are not too many.
    fn settle_producer(&self, log: &mut Log, placed: &Placed, effective: &Effective) {
        let is_new = !log.producers.contains(placed.batch.producer_id);
        match (is_new, placed.pays_for_producer) {
            (true, false) => self.budget.take(PRODUCER_BYTES),
            (false, true) => self.budget.release(PRODUCER_BYTES),
            (true, true) | (false, false) => {}
        }
        if is_new && log.producers.len() >= effective.producers_max {
            let (producers, transactions) = (&mut log.producers, &log.transactions);
            if producers.forget_oldest(|id| transactions.is_open(id)) {
                self.budget.release(PRODUCER_BYTES);
            }
        }
    }

    /// Reserves what an append costs of the node's bytes, and whether that is with its producer;
    /// gives up own old batches if it must.
    pub(super) fn make_room(
        &self,
        log: &mut Log,
        batch: &Batch,
        bytes: u64,
        effective: &Effective,
    ) -> Result<bool, TopicError> {
        let is_new = batch.is_idempotent() && !log.producers.contains(batch.producer_id);
        if is_new && log.producers.len() >= effective.producers_max && !log.can_forget() {
            // All of them are in a transaction here; some end soon.
            return Err(TopicError::StorageFull);
        }
        let wanted = bytes + if is_new { PRODUCER_BYTES } else { 0 };
        // Old batches are given up only where that is enough.
        let may_drop =
            effective.retention_bytes.is_some() && wanted <= self.budget.free() + log.held;
        while !self.budget.reserve(wanted) {
            if !may_drop || !self.drop_oldest(log) {
                return Err(TopicError::StorageFull);
            }
        }
        Ok(is_new)
    }

    /// Drops the oldest batches until the log is as small as it must be; never the newest.
    pub(super) fn retain(&self, log: &mut Log, effective: &Effective) {
        let Some(max) = effective.retention_bytes else {
            return;
        };
        while log.bytes > max && log.batches.len() > 1 {
            self.drop_oldest(log);
        }
    }

    /// Applies a changed limit.
    pub(super) fn trim(self: &Arc<Self>, effective: &Effective) {
        let log = &mut *self.log.lock();
        self.retain(log, effective);
        if let Some(shelf) = &self.shelf {
            log.queue(shelf, self);
        }
    }

    fn drop_oldest(&self, log: &mut Log) -> bool {
        let Some(oldest) = log.batches.pop_front() else {
            return false;
        };
        log.bytes -= oldest.len as u64;
        log.held -= oldest.cost();
        log.start = log.start.max(oldest.last + 1);
        log.transactions.forget_before(log.start);
        self.budget.release(oldest.cost());
        true
    }

    /// Moves the log start to an offset, -1 for the end; never back. The new start.
    pub(super) fn delete_before(self: &Arc<Self>, offset: i64) -> Durable<i64> {
        let log = &mut *self.log.lock();
        let target = if offset == -1 { log.end } else { offset };
        if target < 0 || target > log.end {
            return Durable::done(Err(TopicError::OffsetOutOfRange));
        }
        let Some(shelf) = &self.shelf else {
            self.advance(log, target);
            return Durable::done(Ok(log.start));
        };
        if log.closed {
            return Durable::done(Err(TopicError::UnknownTopicOrPartition));
        }
        if !shelf.is_healthy() {
            return Durable::done(Err(TopicError::StorageFailed));
        }
        if target <= log.start && log.pending.is_empty() {
            return Durable::done(Ok(log.start));
        }
        log.pend_start(target, shelf, self)
    }

    /// Drops what lies before an offset.
    pub(super) fn advance(&self, log: &mut Log, target: i64) {
        while log
            .batches
            .front()
            .is_some_and(|oldest| oldest.last < target)
        {
            self.drop_oldest(log);
        }
        log.start = log.start.max(target);
        log.transactions.forget_before(log.start);
    }

    /// Empties the log for good: its topic is gone. Who waits is woken.
    pub(super) fn close(&self) {
        let log = &mut *self.log.lock();
        log.closed = true;
        self.fail(log, &TopicError::UnknownTopicOrPartition);
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
        self.log.lock().is_in_transaction(producer_id)
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
        let (mut read, bodies) = self.find(ask, waiter)?;
        // Not under the lock: appends do not wait for a reader's disk.
        read.batches = self.bytes_of(bodies)?;
        Ok(read)
    }

    fn find(
        &self,
        ask: ReadAsk,
        waiter: Option<&mut Waiter>,
    ) -> Result<(Read, Vec<(usize, Body)>), TopicError> {
        let offset = ask.offset;
        let log = &mut *self.log.lock();
        let bounds = log.bounds()?;
        if let Some(waiter) = waiter {
            log.register(waiter);
        }
        let mut read = Read::nothing(bounds);
        let mut bodies = Vec::new();
        if offset < bounds.start || offset > bounds.end {
            return Ok((read, bodies));
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
            let is_wanted = stored.len <= left || (ask.at_least_one && bodies.is_empty());
            // No batch lies across the last stable offset: there one begins.
            if !is_wanted || stored.base >= limit {
                break;
            }
            left = left.saturating_sub(stored.len);
            to = stored.last + 1;
            bodies.push((stored.len, stored.body.clone()));
        }
        if ask.committed && to > offset {
            read.aborted = log.transactions.aborted_within(offset, to);
        }
        Ok((read, bodies))
    }

    /// The bytes of batches, read back where they are on disk.
    fn bytes_of(&self, batches: Vec<(usize, Body)>) -> Result<Vec<Bytes>, TopicError> {
        let mut places = Vec::new();
        let mut bytes = Vec::with_capacity(batches.len());
        for (len, body) in batches {
            match body {
                Body::Memory(one) => bytes.push(one),
                Body::Disk(place) => places.push((place, len)),
            }
        }
        match &self.shelf {
            Some(shelf) if !places.is_empty() => shelf.read(&places),
            _ => Ok(bytes),
        }
    }

    /// The first offset whose timestamp is at least that, with its timestamp.
    pub(super) fn find_timestamp(&self, timestamp: i64) -> Result<Option<(i64, i64)>, TopicError> {
        let mut from = i64::MIN;
        loop {
            // One batch after the other, so that nothing is read under the lock.
            let (start, base, next, body) = {
                let log = self.log.lock();
                let start = log.bounds()?.start;
                let first = log.batches.partition_point(|stored| stored.last < from);
                let mut newer = log.batches.range(first..);
                let Some(stored) = newer.find(|stored| stored.max_timestamp >= timestamp) else {
                    return Ok(None);
                };
                let body = (stored.len, stored.body.clone());
                (start, stored.base, stored.last + 1, body)
            };
            for bytes in self.bytes_of(vec![body])? {
                let found = batch::find_timestamp(&bytes, base, start, timestamp);
                if found.is_some() {
                    return Ok(found);
                }
            }
            from = next;
        }
    }

    /// The offset of the largest timestamp, with it.
    pub(super) fn newest_timestamp(&self) -> Result<Option<(i64, i64)>, TopicError> {
        let (start, base, timestamp, body) = {
            let log = self.log.lock();
            let start = log.bounds()?.start;
            // Of equal ones the first, as Kafka answers.
            let newest = log
                .batches
                .iter()
                .rev()
                .max_by_key(|stored| stored.max_timestamp);
            let Some(stored) = newest else {
                return Ok(None);
            };
            let body = (stored.len, stored.body.clone());
            (start, stored.base, stored.max_timestamp, body)
        };
        let bytes = self.bytes_of(vec![body])?;
        let found = bytes
            .first()
            .and_then(|bytes| batch::find_timestamp(bytes, base, start, timestamp));
        Ok(Some(found.unwrap_or_else(|| (base.max(start), timestamp))))
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
pub(super) struct Log {
    // Oldest first; the oldest may begin before `start`.
    batches: VecDeque<Stored>,
    pub(super) start: i64,
    // Of all that is applied: the high watermark.
    pub(super) end: i64,
    // Of all batches, without what surrounds them in memory.
    bytes: u64,
    // What all batches cost of the node's bytes.
    held: u64,
    pub(super) producers: Producers,
    pub(super) transactions: Transactions,
    // Admitted and not durable yet, in order; always empty in memory.
    pub(super) pending: VecDeque<Pending>,
    // Whether the flusher knows that there is something to do.
    pub(super) is_queued: bool,
    waiters: Vec<Arc<Notify>>,
    // How often the waiters were woken.
    wakes: u64,
    pub(super) closed: bool,
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

    pub(super) fn wake(&mut self) {
        self.wakes += 1;
        for waiter in self.waiters.drain(..) {
            waiter.notify_one();
        }
    }
}

/// A batch with its place in the log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed {
    pub(super) batch: Batch,
    pub(super) base: i64,
    pub(super) last: i64,
    /// The time that the log gave it.
    pub(super) stamp: Option<WallMs>,
    /// Whether its admission reserved what its producer costs.
    pub(super) pays_for_producer: bool,
}

#[derive(Debug)]
struct Stored {
    base: i64,
    last: i64,
    max_timestamp: i64,
    len: usize,
    body: Body,
}

impl Stored {
    /// What it costs of the node's bytes.
    fn cost(&self) -> u64 {
        match self.body {
            Body::Memory(_) => cost(self.len),
            Body::Disk(_) => BATCH_OVERHEAD,
        }
    }
}

/// Where the bytes of a batch are.
#[derive(Clone, Debug)]
pub(super) enum Body {
    Memory(Bytes),
    Disk(Place),
}

/// What a batch of that length costs of the node's bytes.
pub(super) fn cost(len: usize) -> u64 {
    len as u64 + BATCH_OVERHEAD
}

/// An allowance for what surrounds a batch in memory; without it the smallest batches would take
/// three times their share.
const BATCH_OVERHEAD: u64 = 128;
