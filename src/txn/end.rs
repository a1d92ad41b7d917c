//! `EndTxn`: the end of a transaction is decided.

use super::error::TxnError;
use super::facts::{Facts, Producer, TransactionState};
use super::machine::{Protocol, Step, Transactions};
use crate::ids::TransactionalId;
use crate::time::{Now, WallMs};

impl Transactions {
    /// Commits or aborts a producer's transaction; what the producer goes on as.
    ///
    /// Under version 2 that has a higher epoch, and an abort needs no transaction: a client may
    /// abort what it never got to begin. `fresh` gives a producer id that nobody has, for when
    /// the epochs are used up; it is called at most once.
    pub fn end(
        &mut self,
        id: &TransactionalId,
        producer: Producer,
        committed: bool,
        fresh: impl FnOnce() -> Option<i64>,
        (protocol, now): (Protocol, Now),
    ) -> Step<Producer> {
        if id.is_empty() {
            return Step::refused(TxnError::InvalidRequest);
        }
        let Some(slot) = self.by_id.get_mut(id) else {
            return Step::refused(TxnError::InvalidProducerIdMapping);
        };
        let facts = match &slot.facts {
            Some(facts) if !slot.is_changing => facts,
            Some(_) | None => return Step::refused(TxnError::ConcurrentTransactions),
        };
        let decided = match protocol {
            Protocol::V1 => facts.decide_v1(producer, committed),
            Protocol::V2 => facts.decide_v2(producer, committed),
        };
        match decided {
            Ok(Decision::Done) => Step::at_once(facts.producer),
            Err(error) => Step::refused(error),
            Ok(Decision::End) => {
                let Some(facts) = facts.ended(committed, protocol, fresh, now.wall) else {
                    return Step::refused(TxnError::NotAvailable);
                };
                let goes_on = if facts.next_id >= 0 {
                    Producer {
                        id: facts.next_id,
                        epoch: 0,
                    }
                } else {
                    facts.producer
                };
                slot.change(id, facts, Ok(goes_on))
            }
        }
    }
}

/// What an `EndTxn` asks for.
enum Decision {
    /// What was done already; its answer got lost.
    Done,
    End,
}

impl Facts {
    fn decide_v1(&self, producer: Producer, committed: bool) -> Result<Decision, TxnError> {
        if self.producer.id != producer.id {
            return Err(TxnError::InvalidProducerIdMapping);
        }
        if self.producer.epoch != producer.epoch {
            return Err(TxnError::ProducerFenced);
        }
        match (self.state, committed) {
            (TransactionState::Ongoing, _) => Ok(Decision::End),
            (TransactionState::CompleteCommit, true) | (TransactionState::CompleteAbort, false) => {
                Ok(Decision::Done)
            }
            (TransactionState::PrepareCommit, true) | (TransactionState::PrepareAbort, false) => {
                Err(TxnError::ConcurrentTransactions)
            }
            (
                TransactionState::Empty
                | TransactionState::PrepareCommit
                | TransactionState::PrepareAbort
                | TransactionState::CompleteCommit
                | TransactionState::CompleteAbort,
                _,
            ) => Err(TxnError::InvalidState),
        }
    }

    /// Whether it is the same request again is told by the epoch: it is then the one before.
    fn decide_v2(&self, producer: Producer, committed: bool) -> Result<Decision, TxnError> {
        let same_epoch = self.producer.epoch == producer.epoch;
        let epoch_before = producer.epoch.checked_add(1) == Some(self.producer.epoch);
        let id_before = self.previous_id == producer.id
            && producer.epoch == i16::MAX - 1
            && self.producer.epoch == 0;
        if self.producer.id != producer.id && !id_before {
            return Err(TxnError::InvalidProducerIdMapping);
        }
        let is_again = epoch_before || id_before;
        let may_speak = match self.state {
            TransactionState::Empty | TransactionState::Ongoing => same_epoch,
            TransactionState::PrepareCommit | TransactionState::PrepareAbort => epoch_before,
            TransactionState::CompleteCommit | TransactionState::CompleteAbort => {
                is_again || same_epoch
            }
        };
        if !may_speak {
            return Err(TxnError::ProducerFenced);
        }
        match (self.state, committed) {
            (TransactionState::Ongoing, _) | (TransactionState::Empty, false) => Ok(Decision::End),
            (TransactionState::PrepareCommit, true) | (TransactionState::PrepareAbort, false) => {
                Err(TxnError::ConcurrentTransactions)
            }
            (TransactionState::CompleteCommit, true) | (TransactionState::CompleteAbort, false)
                if is_again =>
            {
                Ok(Decision::Done)
            }
            (TransactionState::CompleteCommit | TransactionState::CompleteAbort, false)
                if !is_again =>
            {
                Ok(Decision::End)
            }
            (
                TransactionState::Empty
                | TransactionState::PrepareCommit
                | TransactionState::PrepareAbort
                | TransactionState::CompleteCommit
                | TransactionState::CompleteAbort,
                _,
            ) => Err(TxnError::InvalidState),
        }
    }

    fn ended(
        &self,
        committed: bool,
        protocol: Protocol,
        fresh: impl FnOnce() -> Option<i64>,
        now: WallMs,
    ) -> Option<Self> {
        let mut facts = self.clone();
        if protocol == Protocol::V2 {
            if self.is_exhausted() {
                facts.next_id = fresh()?;
            }
            facts.last_epoch = self.producer.epoch;
            facts.producer.epoch = self.producer.epoch.saturating_add(1);
        }
        if self.state != TransactionState::Ongoing {
            // There was none: it begins and ends at once.
            facts.started = now;
        }
        facts.is_v2 = protocol == Protocol::V2;
        facts.state = if committed {
            TransactionState::PrepareCommit
        } else {
            TransactionState::PrepareAbort
        };
        facts.updated = now;
        Some(facts)
    }
}
