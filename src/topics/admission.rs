//! What may go into a log, and at which offset: sequence numbers, transactions, room.
//!
//! What is on its way to the disk counts as written here: if it fails, all that was admitted after
//! it fails, too.

use std::sync::Arc;

use super::batch::{Batch, Unplaced};
use super::durable::{Change, Durable, Pending};
use super::error::TopicError;
use super::partition::{Appended, Body, Log, Partition, Placed, cost};
use super::producers::{ProducerIdentity, Sequence};
use super::settings::Effective;
use crate::time::WallMs;

impl Partition {
    /// Admits one batch that was checked; the answer comes when it was applied.
    ///
    /// `is_in_transaction` is asked, under the lock, of a batch that begins its transaction here:
    /// the marker that ends it is written later than the coordinator says so, and so behind the
    /// batch.
    pub(super) fn append(
        self: &Arc<Self>,
        batch: &Batch,
        bytes: &[u8],
        (effective, now): (&Effective, WallMs),
        is_in_transaction: impl FnOnce() -> Result<(), TopicError>,
    ) -> Durable<Appended> {
        let stamp = effective.log_append_time.then_some(now);
        // The copy is made before the lock is taken, so that readers do not wait for it.
        let copy = Unplaced::copy(bytes, stamp);
        let log = &mut *self.log.lock();
        let admitted = self.check(log, batch, is_in_transaction).and_then(|()| {
            if let Some(known) = log.recognise(batch)? {
                return Ok(known);
            }
            let pays_for_producer = self.make_room(log, batch, cost(bytes.len()), effective)?;
            log.place(batch, pays_for_producer, stamp)
        });
        match admitted {
            Ok(Admission::Place(placed)) => self.admit(log, placed, copy, effective),
            Ok(Admission::Before(answer)) => Durable::done(Ok(answer)),
            Ok(Admission::OnItsWay(at)) => log.pending[at].told(),
            Err(error) => Durable::done(Err(error)),
        }
    }

    /// Whether the log takes a batch of that kind from its producer.
    fn check(
        &self,
        log: &Log,
        batch: &Batch,
        is_in_transaction: impl FnOnce() -> Result<(), TopicError>,
    ) -> Result<(), TopicError> {
        self.check_open(log)?;
        match (
            batch.is_transactional(),
            log.is_in_transaction(batch.producer_id),
        ) {
            (true, false) => is_in_transaction(),
            (false, true) => Err(TopicError::InvalidTxnState),
            (true, true) | (false, false) => Ok(()),
        }
    }

    fn check_open(&self, log: &Log) -> Result<(), TopicError> {
        if log.closed {
            return Err(TopicError::UnknownTopicOrPartition);
        }
        if self.shelf.as_ref().is_some_and(|shelf| !shelf.is_healthy()) {
            return Err(TopicError::StorageFailed);
        }
        Ok(())
    }

    /// Appends the marker that ends a producer's transaction, and shuts older epochs out.
    ///
    /// One that is here already is not written again, so that a coordinator may repeat itself. It
    /// takes its bytes even where none are left: there is at most one for each partition of each
    /// transaction, and without it its readers would wait for ever.
    pub(super) fn append_marker(
        self: &Arc<Self>,
        of: ProducerIdentity,
        committed: bool,
        effective: &Effective,
        now: WallMs,
    ) -> Durable<Appended> {
        let (batch, bytes) = Batch::marker(of, committed, now);
        let stamp = effective.log_append_time.then_some(now);
        let copy = Unplaced::copy(&bytes, stamp);
        let log = &mut *self.log.lock();
        if let Err(error) = self.check_open(log) {
            return Durable::done(Err(error));
        }
        if let Some(at) = log.marker_on_its_way(&batch) {
            return log.pending[at].told();
        }
        if !log.is_in_transaction(of.id) && !log.is_news(of) {
            return Durable::done(Ok(Appended {
                base_offset: -1,
                log_append_time: None,
                log_start_offset: log.start,
            }));
        }
        let room = self.make_room(log, &batch, cost(bytes.len()), effective);
        let pays_for_producer = room.unwrap_or_else(|_| {
            self.budget.take(cost(bytes.len()));
            false
        });
        match log.place(&batch, pays_for_producer, stamp) {
            Ok(Admission::Place(placed)) => self.admit(log, placed, copy, effective),
            Ok(Admission::Before(answer)) => Durable::done(Ok(answer)),
            Ok(Admission::OnItsWay(at)) => log.pending[at].told(),
            Err(error) => Durable::done(Err(error)),
        }
    }

    /// Lets a batch with its place into the log: at once in memory, else on its way.
    fn admit(
        self: &Arc<Self>,
        log: &mut Log,
        placed: Placed,
        copy: Unplaced,
        effective: &Effective,
    ) -> Durable<Appended> {
        let bytes = copy.at(placed.base);
        if let Some(shelf) = &self.shelf {
            let change = Change::Batch {
                placed,
                bytes,
                effective: *effective,
            };
            return log.pend(change, shelf, self);
        }
        let body = Body::Memory(bytes.clone());
        let answer = self.apply(log, &placed, &bytes, body, effective);
        self.retain(log, effective);
        log.wake();
        Durable::done(Ok(Appended {
            log_start_offset: log.start,
            ..answer
        }))
    }
}

impl Log {
    /// What a producer has on its way, the newest first.
    fn on_their_way(&self, producer_id: i64) -> impl Iterator<Item = &Batch> {
        let batches = self.pending.iter().rev().filter_map(Pending::batch);
        let batches = batches.map(|placed| &placed.batch);
        batches.filter(move |batch| batch.producer_id == producer_id)
    }

    /// Whether a producer has an open transaction here, what is on its way counted in.
    pub(super) fn is_in_transaction(&self, producer_id: i64) -> bool {
        match self.on_their_way(producer_id).next() {
            Some(newest) => newest.is_transactional() && !newest.is_control(),
            None => self.transactions.is_open(producer_id),
        }
    }

    /// Whether a producer's epoch is one that was not seen here, what is on its way counted in.
    fn is_news(&self, of: ProducerIdentity) -> bool {
        let is_older = |batch: &Batch| batch.producer_epoch < of.epoch;
        self.on_their_way(of.id).all(is_older) && self.producers.is_news(of)
    }

    /// Where the same marker is pending, if nothing of its producer follows it.
    fn marker_on_its_way(&self, marker: &Batch) -> Option<usize> {
        let newest = self.pending.iter().rposition(|pending| {
            let batch = pending.batch().map(|placed| &placed.batch);
            batch.is_some_and(|batch| batch.producer_id == marker.producer_id)
        })?;
        let placed = self.pending.get(newest)?.batch()?;
        let is_same =
            placed.batch.is_control() && placed.batch.producer_epoch == marker.producer_epoch;
        is_same.then_some(newest)
    }

    /// Whether a producer may be forgotten for a new one.
    pub(super) fn can_forget(&self) -> bool {
        self.producers
            .can_forget(|id| self.transactions.is_open(id))
    }

    /// Gives a batch its place.
    fn place(
        &self,
        batch: &Batch,
        pays_for_producer: bool,
        stamp: Option<WallMs>,
    ) -> Result<Admission, TopicError> {
        let base = self.next();
        let end = base
            .checked_add(i64::from(batch.last_offset_delta) + 1)
            .ok_or(TopicError::StorageFull)?;
        Ok(Admission::Place(Placed {
            batch: match stamp {
                Some(now) => batch.stamped(now),
                None => *batch,
            },
            base,
            last: end - 1,
            stamp,
            pays_for_producer,
        }))
    }

    /// The offset of the next batch.
    fn next(&self) -> i64 {
        let mut on_their_way = self.pending.iter().rev().filter_map(Pending::batch);
        on_their_way
            .next()
            .map_or(self.end, |placed| placed.last + 1)
    }

    /// Holds a producer's batch against what is known of it and what is on its way; `None`: it is
    /// the next one.
    fn recognise(&self, batch: &Batch) -> Result<Option<Admission>, TopicError> {
        if !batch.is_idempotent() {
            return Ok(None);
        }
        let mut newest: Option<&Batch> = None;
        for (at, pending) in self.pending.iter().enumerate() {
            let Some(Placed { batch: known, .. }) = pending.batch() else {
                continue;
            };
            if known.producer_id != batch.producer_id {
                continue;
            }
            if known.is_control() {
                // Numbers go on behind a marker, but begin anew where it brings a new epoch.
                let producer = ProducerIdentity {
                    id: known.producer_id,
                    epoch: known.producer_epoch,
                };
                let is_news = match newest {
                    Some(newest) => newest.producer_epoch < known.producer_epoch,
                    None => self.producers.is_news(producer),
                };
                newest = if is_news { Some(known) } else { newest };
            } else if known.is_repeated_by(batch) {
                return Ok(Some(Admission::OnItsWay(at)));
            } else {
                newest = Some(known);
            }
        }
        match (self.producers.check(batch), newest) {
            (Ok(Sequence::Duplicate(answer)), _) => Ok(Some(Admission::Before(Appended {
                log_start_offset: self.start,
                ..answer
            }))),
            // What is on its way counts as written: if it fails, all that was admitted after it
            // fails, too.
            (_, Some(newest)) => newest.is_followed_by(batch).map(|()| None),
            (Ok(Sequence::Next), None) => Ok(None),
            (Err(error), None) => Err(error),
        }
    }
}

/// What becomes of a batch that came.
enum Admission {
    Place(Placed),
    /// It was appended before.
    Before(Appended),
    /// It is pending at that place.
    OnItsWay(usize),
}
