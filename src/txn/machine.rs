//! The state machine: all transactional ids, and what settles their changes.

use std::collections::{BTreeMap, BTreeSet};

use super::error::TxnError;
use super::facts::{Ending, Facts, Producer, TransactionState, TxnPartition};
use crate::ids::{GroupId, TransactionalId};
use crate::time::{Now, Tick};

/// The bounds of the coordinator.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// `transaction.max.timeout.ms`: the longest timeout, in milliseconds, that a producer may ask
    /// for.
    pub timeout_ms_max: i32,
    /// `transactional.id.expiration.ms`: an id without a transaction is forgotten after that long.
    pub expiration_ms: i32,
    /// The most transactional ids; one more is refused with `NotAvailable` until others expire.
    pub ids_max: usize,
    /// The most partitions and groups of one transaction; one more is refused with
    /// `InvalidRequest`.
    pub partitions_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            timeout_ms_max: 900_000,
            expiration_ms: 604_800_000,
            ids_max: 100_000,
            partitions_max: 10_000,
        }
    }
}

/// Whose rules a request keeps, as its version says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    /// The epoch stays when a transaction ends.
    V1,
    /// The epoch is raised when a transaction ends (KIP-890).
    V2,
}

/// New facts of one id, to be made durable and then settled; `None`: the id expired.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// The id.
    pub id: TransactionalId,
    /// What is known of it then.
    pub facts: Option<Facts>,
}

/// What a request came to: the answer, and what has to be durable before it is given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step<T> {
    /// The answer; if `change` cannot be made durable, `NotAvailable` takes its place.
    pub answer: Result<T, TxnError>,
    /// What to write.
    pub change: Option<Change>,
}

impl<T> Step<T> {
    pub(super) fn refused(error: TxnError) -> Self {
        Self {
            answer: Err(error),
            change: None,
        }
    }

    pub(super) fn at_once(answer: T) -> Self {
        Self {
            answer: Ok(answer),
            change: None,
        }
    }
}

/// All transactional ids of the node.
#[derive(Debug)]
pub struct Transactions {
    pub(super) limits: Limits,
    pub(super) by_id: BTreeMap<TransactionalId, Slot>,
    // When to look at an id again: its transaction times out, or it expires.
    pub(super) deadlines: BTreeSet<(Tick, TransactionalId)>,
}

/// One id.
#[derive(Debug)]
pub(super) struct Slot {
    /// What is durable; `None` until the first change is.
    pub(super) facts: Option<Facts>,
    /// Whether a change is on its way to the log.
    pub(super) is_changing: bool,
    pub(super) deadline: Option<Tick>,
}

impl Transactions {
    /// None yet.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            by_id: BTreeMap::new(),
            deadlines: BTreeSet::new(),
        }
    }

    /// Takes what a log held. A transaction that was open goes on with what is left of its time;
    /// one that was to end is returned, to be ended again.
    pub fn restore(&mut self, id: &TransactionalId, facts: Facts, now: Now) -> Option<Ending> {
        self.disarm(id);
        let ending = facts.ending(id);
        let slot = Slot {
            facts: Some(facts),
            is_changing: false,
            deadline: None,
        };
        self.by_id.insert(id.clone(), slot);
        self.arm(id, now);
        ending
    }

    /// A change that a step asked for is durable, or could not be made so: then it never was.
    /// What is to be ended now.
    pub fn settle(&mut self, change: Change, is_durable: bool, now: Now) -> Option<Ending> {
        let Change { id, facts } = change;
        let slot = self.by_id.get_mut(&id)?;
        slot.is_changing = false;
        if !is_durable {
            if slot.facts.is_none() {
                self.by_id.remove(&id);
            }
            return None;
        }
        let Some(facts) = facts else {
            self.disarm(&id);
            self.by_id.remove(&id);
            return None;
        };
        let before = slot.facts.as_ref().map(|facts| facts.state);
        debug_assert!(
            facts.state.is_reached_from(before),
            "{before:?} -> {:?}",
            facts.state
        );
        let goes_on =
            before == Some(TransactionState::Ongoing) && facts.state == TransactionState::Ongoing;
        let ending = facts.ending(&id);
        slot.facts = Some(facts);
        // The time of a transaction runs from its beginning.
        if !goes_on {
            self.arm(&id, now);
        }
        ending
    }

    /// The markers of a decided end are written.
    pub fn finished(&mut self, ending: &Ending, now: Now) -> Step<()> {
        let Some(slot) = self.by_id.get_mut(&ending.id) else {
            return Step::refused(TxnError::NotFound);
        };
        let Some(facts) = slot.facts.as_ref() else {
            return Step::refused(TxnError::NotFound);
        };
        if slot.is_changing || !facts.state.is_ending() || facts.producer != ending.producer {
            return Step::refused(TxnError::InvalidState);
        }
        let mut facts = facts.clone();
        facts.state = if ending.committed {
            TransactionState::CompleteCommit
        } else {
            TransactionState::CompleteAbort
        };
        facts.partitions.clear();
        facts.groups.clear();
        facts.updated = now.wall;
        if facts.next_id >= 0 {
            facts.previous_id = facts.producer.id;
            facts.producer = Producer {
                id: facts.next_id,
                epoch: 0,
            };
            facts.next_id = -1;
        }
        slot.change(&ending.id, facts, Ok(()))
    }

    /// Whether a producer's transaction is going on and has the partition in it.
    ///
    /// # Errors
    ///
    /// `InvalidProducerIdMapping`, `ProducerFenced`, `ConcurrentTransactions` while it ends, and
    /// `Abortable`.
    pub fn verify(
        &self,
        id: &str,
        producer: Producer,
        partition: &TxnPartition,
    ) -> Result<(), TxnError> {
        let facts = self.in_transaction(id, producer)?;
        let is_in = facts.partitions.contains(partition);
        is_in.then_some(()).ok_or(TxnError::Abortable)
    }

    /// The same for a group.
    ///
    /// # Errors
    ///
    /// As above.
    pub fn verify_group(
        &self,
        id: &str,
        producer: Producer,
        group: &GroupId,
    ) -> Result<(), TxnError> {
        let facts = self.in_transaction(id, producer)?;
        let is_in = facts.groups.contains(group);
        is_in.then_some(()).ok_or(TxnError::Abortable)
    }

    fn in_transaction(&self, id: &str, producer: Producer) -> Result<&Facts, TxnError> {
        if id.is_empty() {
            return Err(TxnError::InvalidRequest);
        }
        let facts = self.facts(id).ok_or(TxnError::InvalidProducerIdMapping)?;
        if facts.producer.id != producer.id {
            return Err(TxnError::InvalidProducerIdMapping);
        }
        if facts.producer.epoch != producer.epoch {
            return Err(TxnError::ProducerFenced);
        }
        if facts.state.is_ending() {
            return Err(TxnError::ConcurrentTransactions);
        }
        Ok(facts)
    }

    /// What is known of an id.
    pub fn facts(&self, id: &str) -> Option<&Facts> {
        self.by_id.get(id).and_then(|slot| slot.facts.as_ref())
    }

    /// All ids in their order, with what is known of them.
    pub fn all(&self) -> impl Iterator<Item = (&TransactionalId, &Facts)> {
        let slots = self.by_id.iter();
        slots.filter_map(|(id, slot)| slot.facts.as_ref().map(|facts| (id, facts)))
    }

    /// How many ids there are, those on their way to the log included.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }
}

impl Slot {
    /// Asks for new facts.
    pub(super) fn change<T>(
        &mut self,
        id: &TransactionalId,
        facts: Facts,
        answer: Result<T, TxnError>,
    ) -> Step<T> {
        self.is_changing = true;
        Step {
            answer,
            change: Some(Change {
                id: id.clone(),
                facts: Some(facts),
            }),
        }
    }
}
