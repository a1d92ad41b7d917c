//! Idempotent producers (KIP-98): who writes to a partition, and what was written already.

use std::collections::{BTreeMap, VecDeque};

use super::batch::Batch;
use super::error::TopicError;
use super::partition::Appended;

/// A producer id with its epoch, as `InitProducerId` gives it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProducerIdentity {
    /// The id, never negative.
    pub id: i64,
    /// The epoch, 0 for a new id.
    pub epoch: i16,
}

/// What a producer's next batch is, held against the partition's memory of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sequence {
    /// To be appended.
    Next,
    /// Appended before, with that answer.
    Duplicate(Appended),
}

/// The producers that a partition remembers, a bounded number of them.
#[derive(Debug, Default)]
pub(super) struct Producers {
    by_id: BTreeMap<i64, Producer>,
    // Sum of all appends of producers; orders them by their last one.
    turns: u64,
    by_turn: BTreeMap<u64, i64>,
}

impl Producers {
    /// Holds a batch of a producer against what is remembered of it.
    ///
    /// A producer that is not remembered may begin with any number, as in Kafka since KIP-360: its
    /// history may have been forgotten here.
    ///
    /// # Errors
    ///
    /// `InvalidProducerEpoch` from an old epoch, `OutOfOrderSequence` if numbers are missing, or
    /// for a duplicate that is older than the last [`REMEMBERED`] batches.
    pub(super) fn check(&self, batch: &Batch) -> Result<Sequence, TopicError> {
        let Some(known) = self.by_id.get(&batch.producer_id) else {
            return Ok(Sequence::Next);
        };
        if batch.producer_epoch < known.epoch {
            return Err(TopicError::InvalidProducerEpoch);
        }
        if batch.producer_epoch > known.epoch {
            return if batch.base_sequence == 0 {
                Ok(Sequence::Next)
            } else {
                Err(TopicError::OutOfOrderSequence)
            };
        }
        let same = |written: &&Written| {
            written.first == batch.base_sequence && written.last == batch.last_sequence()
        };
        if let Some(written) = known.batches.iter().find(same) {
            return Ok(Sequence::Duplicate(written.answer));
        }
        // A marker that brought a new epoch leaves no batches: numbers begin anew.
        let newest = known.batches.back().map(|written| written.last);
        let next = newest.map_or(0, |last| last.checked_add(1).unwrap_or_default());
        if next == batch.base_sequence {
            Ok(Sequence::Next)
        } else {
            Err(TopicError::OutOfOrderSequence)
        }
    }

    /// Whether the producer is remembered.
    pub(super) fn contains(&self, producer_id: i64) -> bool {
        self.by_id.contains_key(&producer_id)
    }

    /// How many are remembered.
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Forgets the producer that has not written for longest, of those that may be forgotten;
    /// whether there was one.
    pub(super) fn forget_oldest(&mut self, must_stay: impl Fn(i64) -> bool) -> bool {
        let oldest = self.by_turn.iter().find(|(_, id)| !must_stay(**id));
        let Some((&turn, &id)) = oldest else {
            return false;
        };
        self.by_turn.remove(&turn);
        self.by_id.remove(&id);
        true
    }

    /// Whether there is a producer that may be forgotten.
    pub(super) fn can_forget(&self, must_stay: impl Fn(i64) -> bool) -> bool {
        self.by_id.keys().any(|id| !must_stay(*id))
    }

    /// Whether a marker of that producer brings news: it is not known, or under an older epoch.
    pub(super) fn is_news(&self, of: ProducerIdentity) -> bool {
        let known = self.by_id.get(&of.id);
        known.is_none_or(|known| known.epoch < of.epoch)
    }

    /// Remembers an appended batch; a marker only for its epoch.
    pub(super) fn remember(&mut self, batch: &Batch, answer: Appended) {
        self.turns += 1;
        let producer = self
            .by_id
            .entry(batch.producer_id)
            .or_insert_with(|| Producer {
                epoch: batch.producer_epoch,
                turn: self.turns,
                batches: VecDeque::new(),
            });
        self.by_turn.remove(&producer.turn);
        self.by_turn.insert(self.turns, batch.producer_id);
        producer.turn = self.turns;
        if producer.epoch != batch.producer_epoch {
            producer.epoch = batch.producer_epoch;
            producer.batches.clear();
        }
        if batch.is_control() {
            return;
        }
        if producer.batches.len() == REMEMBERED {
            producer.batches.pop_front();
        }
        producer.batches.push_back(Written {
            first: batch.base_sequence,
            last: batch.last_sequence(),
            answer,
        });
    }
}

/// What is remembered of one producer.
#[derive(Debug)]
struct Producer {
    epoch: i16,
    turn: u64,
    // The newest at the back, at most REMEMBERED.
    batches: VecDeque<Written>,
}

/// One batch that a producer wrote.
#[derive(Debug)]
struct Written {
    first: i32,
    last: i32,
    answer: Appended,
}

/// Batches of a producer that are recognised when they come again; a producer has at most five
/// requests in flight.
const REMEMBERED: usize = 5;

/// What a remembered producer costs of the node's bytes: five batches and the entries of the maps.
pub(super) const PRODUCER_BYTES: u64 = 512;
