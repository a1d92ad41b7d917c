//! `InitProducerId` with a transactional id: a producer takes the id over, or comes back to it.

use super::error::TxnError;
use super::facts::{Facts, Producer, TransactionState, is_exhausted};
use super::machine::{Slot, Step, Transactions};
use crate::ids::TransactionalId;
use crate::time::{Now, WallMs};

/// What a producer asks for when it begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InitRequest {
    /// How long, in milliseconds, its transactions may take.
    pub timeout_ms: i32,
    /// What it is already, if it goes on after an error (KIP-360).
    pub expected: Option<Producer>,
}

impl Transactions {
    /// Gives the id to whoever asks, under a new epoch, which fences whoever had it.
    ///
    /// A transaction that is still open is aborted first: the answer is `ConcurrentTransactions`
    /// until that is done. `fresh` gives a producer id that nobody has, or none for the moment; it
    /// is called at most once.
    pub fn init(
        &mut self,
        id: &TransactionalId,
        request: InitRequest,
        fresh: impl FnOnce() -> Option<i64>,
        now: Now,
    ) -> Step<Producer> {
        if id.is_empty() {
            return Step::refused(TxnError::InvalidRequest);
        }
        if request.timeout_ms <= 0 || request.timeout_ms > self.limits.timeout_ms_max {
            return Step::refused(TxnError::InvalidTimeout);
        }
        if !self.by_id.contains_key(id) {
            if self.by_id.len() >= self.limits.ids_max {
                return Step::refused(TxnError::NotAvailable);
            }
            let mut slot = Slot {
                facts: None,
                is_changing: false,
                deadline: None,
            };
            let Some(producer_id) = fresh() else {
                return Step::refused(TxnError::NotAvailable);
            };
            let mut facts = Facts::new(producer_id);
            facts.producer.epoch = 0;
            let producer = facts.producer;
            let step = slot.change(id, begun(facts, request, now.wall), Ok(producer));
            self.by_id.insert(id.clone(), slot);
            return step;
        }
        let Some(slot) = self.by_id.get_mut(id) else {
            return Step::refused(TxnError::NotAvailable);
        };
        let facts = match &slot.facts {
            Some(facts) if !slot.is_changing => facts.clone(),
            Some(_) | None => return Step::refused(TxnError::ConcurrentTransactions),
        };
        if !request
            .expected
            .is_none_or(|expected| facts.knows(expected))
        {
            return Step::refused(TxnError::ProducerFenced);
        }
        match facts.state {
            TransactionState::PrepareCommit | TransactionState::PrepareAbort => {
                Step::refused(TxnError::ConcurrentTransactions)
            }
            TransactionState::Ongoing => {
                let fenced = facts.fenced(fresh, now.wall);
                slot.change(id, fenced, Err(TxnError::ConcurrentTransactions))
            }
            TransactionState::Empty
            | TransactionState::CompleteCommit
            | TransactionState::CompleteAbort => match facts.renewed(request.expected, fresh) {
                Ok(facts) => {
                    let producer = facts.producer;
                    slot.change(id, begun(facts, request, now.wall), Ok(producer))
                }
                Err(error) => Step::refused(error),
            },
        }
    }
}

/// The facts of a producer that begins.
fn begun(facts: Facts, request: InitRequest, now: WallMs) -> Facts {
    Facts {
        timeout_ms: request.timeout_ms,
        state: TransactionState::Empty,
        started: WallMs(-1),
        updated: now,
        ..facts
    }
}

impl Facts {
    /// Whether a producer that says what it is may be who has the id. Its epoch is looked at when
    /// the next one is given.
    fn knows(&self, expected: Producer) -> bool {
        // The second: it may ask again for the id that took over from its own, and whose answer
        // it never got.
        expected.id == self.producer.id
            || (expected.id == self.previous_id && is_exhausted(expected.epoch))
    }

    /// The next epoch, or a new producer id when they are used up.
    fn renewed(
        &self,
        expected: Option<Producer>,
        fresh: impl FnOnce() -> Option<i64>,
    ) -> Result<Self, TxnError> {
        let mut facts = self.clone();
        let epoch = self.producer.epoch;
        let is_current = expected.is_none_or(|expected| expected.epoch == epoch);
        if self.is_exhausted() && is_current {
            facts.previous_id = self.producer.id;
            facts.producer = Producer {
                id: fresh().ok_or(TxnError::NotAvailable)?,
                epoch: 0,
            };
            facts.last_epoch = if expected.is_some() { epoch } else { -1 };
            return Ok(facts);
        }
        match expected {
            None => {
                facts.producer.epoch = epoch + 1;
                facts.last_epoch = -1;
            }
            Some(_) if is_current => {
                facts.producer.epoch = epoch + 1;
                facts.last_epoch = epoch;
            }
            // It asks again, because the answer got lost.
            Some(expected) if expected.epoch == self.last_epoch => {}
            Some(_) => return Err(TxnError::ProducerFenced),
        }
        Ok(facts)
    }

    /// An open transaction that is aborted over the head of its producer, which is shut out.
    pub(super) fn fenced(&self, fresh: impl FnOnce() -> Option<i64>, now: WallMs) -> Self {
        let mut facts = self.clone();
        if self.is_v2 && self.is_exhausted() {
            // Without one the next initialisation has to find it.
            facts.next_id = fresh().unwrap_or(-1);
        }
        facts.producer.epoch = self.producer.epoch.saturating_add(1);
        // As in Kafka it may go on under the new epoch, if nobody else has asked meanwhile.
        facts.last_epoch = self.producer.epoch;
        facts.state = TransactionState::PrepareAbort;
        facts.updated = now;
        facts
    }
}
