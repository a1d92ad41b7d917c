//! `AddPartitionsToTxn` and `AddOffsetsToTxn`: a transaction begins or grows.

use std::collections::BTreeSet;

use super::error::TxnError;
use super::facts::{Producer, TransactionState, TxnPartition};
use super::machine::{Protocol, Step, Transactions};
use crate::ids::{GroupId, TransactionalId};
use crate::time::Now;

impl Transactions {
    /// Adds partitions and groups to a producer's transaction, which begins with the first.
    pub fn add(
        &mut self,
        id: &TransactionalId,
        producer: Producer,
        partitions: BTreeSet<TxnPartition>,
        groups: BTreeSet<GroupId>,
        (protocol, now): (Protocol, Now),
    ) -> Step<()> {
        if id.is_empty() {
            return Step::refused(TxnError::InvalidRequest);
        }
        let Some(slot) = self.by_id.get_mut(id) else {
            return Step::refused(TxnError::InvalidProducerIdMapping);
        };
        // First of all, since the producer may have an id that is only on its way to the log.
        let facts = match &slot.facts {
            Some(facts) if !slot.is_changing => facts,
            Some(_) | None => return Step::refused(TxnError::ConcurrentTransactions),
        };
        if facts.producer.id != producer.id {
            return Step::refused(TxnError::InvalidProducerIdMapping);
        }
        if facts.producer.epoch != producer.epoch {
            return Step::refused(TxnError::ProducerFenced);
        }
        if facts.state.is_ending() {
            return Step::refused(TxnError::ConcurrentTransactions);
        }
        let is_ongoing = facts.state == TransactionState::Ongoing;
        let has_all = partitions.is_subset(&facts.partitions) && groups.is_subset(&facts.groups);
        if is_ongoing && has_all {
            return Step::at_once(());
        }
        let mut facts = facts.clone();
        facts.partitions.extend(partitions);
        facts.groups.extend(groups);
        if facts.size() > self.limits.partitions_max {
            return Step::refused(TxnError::InvalidRequest);
        }
        if !is_ongoing {
            facts.started = now.wall;
        }
        facts.state = TransactionState::Ongoing;
        facts.is_v2 = protocol == Protocol::V2;
        facts.updated = now.wall;
        slot.change(id, facts, Ok(()))
    }
}
