//! What a shard knows of producers: their epochs, and where they have something staged.
//!
//! In Kafka the log of a `__consumer_offsets` partition fences producers: an epoch below the
//! latest one that wrote to it is refused, for a day (`producer.id.expiration.ms`). Here a shard
//! knows the epochs of all producers that have something staged in it, over restarts too, and of
//! those that staged or ended something lately: as many as fit, forgotten at a restart. Fencing
//! zombies for good is the transaction coordinator's office; it is asked first.

use std::collections::{BTreeMap, BTreeSet};

use super::request::Producer;
use crate::error::Refusal;
use crate::ids::{GroupId, ProducerEpoch, ProducerId};

type Epochs = BTreeMap<ProducerId, ProducerEpoch>;

/// The producers of a shard.
#[derive(Debug, Default)]
pub(super) struct Producers {
    open: BTreeMap<ProducerId, Open>,
    /// Latest epochs; when these are [`Producers::RECENT_MAX`] they become the old ones.
    recent: Epochs,
    old: Epochs,
    order_next: u64,
}

/// A producer that has something staged, or on its way.
#[derive(Debug, Default)]
struct Open {
    /// The latest epoch that staged.
    epoch: Option<ProducerEpoch>,
    groups: BTreeSet<GroupId>,
    /// How many entries of a group are on their way.
    in_flight: BTreeMap<GroupId, u32>,
}

impl Producers {
    /// Epochs of so many producers are remembered at least, of twice as many at most, some 1.5 MB,
    /// beyond those that have something staged.
    const RECENT_MAX: usize = 32_768;

    /// The producer wants to stage or to end: its epoch is the latest from now on.
    pub(super) fn admit(&mut self, producer: Producer) -> Result<(), Refusal> {
        let Producer { id, epoch } = producer;
        if self.epoch(id).is_some_and(|latest| epoch < latest) {
            return Err(Refusal::InvalidProducerEpoch);
        }
        if self.recent.len() >= Self::RECENT_MAX && !self.recent.contains_key(&id) {
            self.old = std::mem::take(&mut self.recent);
        }
        self.recent.insert(id, epoch);
        Ok(())
    }

    fn epoch(&self, id: ProducerId) -> Option<ProducerEpoch> {
        let open = self.open.get(&id).and_then(|open| open.epoch);
        let recent = self.recent.get(&id).or_else(|| self.old.get(&id)).copied();
        open.max(recent)
    }

    /// The place of what is staged next, after everything that was staged before.
    pub(super) fn next_order(&mut self) -> u64 {
        let order = self.order_next;
        self.order_next = order.saturating_add(1);
        order
    }

    /// Something of that order is durable.
    pub(super) fn saw_order(&mut self, order: u64) {
        self.order_next = self.order_next.max(order.saturating_add(1));
    }

    /// An entry that stages is on its way.
    pub(super) fn staging(&mut self, id: ProducerId, group: &GroupId) {
        let open = self.open.entry(id).or_default();
        *open.in_flight.entry(group.clone()).or_default() += 1;
    }

    /// It is settled.
    pub(super) fn staging_settled(&mut self, id: ProducerId, group: &GroupId) {
        let Some(open) = self.open.get_mut(&id) else {
            return;
        };
        if let Some(count) = open.in_flight.get_mut(group) {
            *count -= 1;
            if *count == 0 {
                open.in_flight.remove(group);
            }
        }
        self.forget_if_closed(id);
    }

    /// The producer has something staged in the group, as of that epoch.
    pub(super) fn opened(&mut self, producer: Producer, group: &GroupId) {
        let open = self.open.entry(producer.id).or_default();
        open.epoch = open.epoch.max(Some(producer.epoch));
        open.groups.insert(group.clone());
    }

    /// The producer has nothing staged in the group any more.
    pub(super) fn closed(&mut self, id: ProducerId, group: &GroupId) {
        if let Some(open) = self.open.get_mut(&id) {
            open.groups.remove(group);
            self.forget_if_closed(id);
        }
    }

    fn forget_if_closed(&mut self, id: ProducerId) {
        let is_closed = |open: &Open| open.groups.is_empty() && open.in_flight.is_empty();
        if !self.open.get(&id).is_some_and(is_closed) {
            return;
        }
        if let Some(epoch) = self.open.remove(&id).and_then(|open| open.epoch) {
            // Its epoch is remembered as that of any other; refused only if it is old news.
            let _ = self.admit(Producer { id, epoch });
        }
    }

    /// The groups in which the producer has something staged or on its way, by name.
    pub(super) fn groups(&self, id: ProducerId) -> Vec<GroupId> {
        let Some(open) = self.open.get(&id) else {
            return Vec::new();
        };
        let all: BTreeSet<&GroupId> = open.groups.iter().chain(open.in_flight.keys()).collect();
        all.into_iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_epoch_is_refused_as_long_as_the_newer_is_known() {
        let mut producers = Producers::default();
        assert_eq!(producers.admit(Producer::new(1, 2)), Ok(()));
        let refused = Err(Refusal::InvalidProducerEpoch);
        assert_eq!(producers.admit(Producer::new(1, 1)), refused);
        assert_eq!(producers.admit(Producer::new(1, 2)), Ok(()));
        for id in 2..=i64::try_from(Producers::RECENT_MAX).unwrap() + 1 {
            assert_eq!(producers.admit(Producer::new(id, 0)), Ok(()));
        }
        assert_eq!(producers.admit(Producer::new(1, 1)), refused);
        assert!(producers.recent.len() + producers.old.len() <= 2 * Producers::RECENT_MAX);
    }

    #[test]
    fn an_epoch_with_something_staged_is_never_forgotten() {
        let mut producers = Producers::default();
        producers.opened(Producer::new(1, 2), &"g".into());
        for id in 2..=3 * i64::try_from(Producers::RECENT_MAX).unwrap() {
            assert_eq!(producers.admit(Producer::new(id, 0)), Ok(()));
        }
        let refused = Err(Refusal::InvalidProducerEpoch);
        assert_eq!(producers.admit(Producer::new(1, 1)), refused);
        producers.closed(ProducerId(1), &"g".into());
        assert_eq!(producers.admit(Producer::new(1, 1)), refused);
    }

    #[test]
    fn what_is_on_its_way_counts_among_the_groups() {
        let mut producers = Producers::default();
        producers.staging(ProducerId(1), &"b".into());
        producers.opened(Producer::new(1, 0), &"a".into());
        assert_eq!(producers.groups(ProducerId(1)), ["a".into(), "b".into()]);
        producers.staging_settled(ProducerId(1), &"b".into());
        producers.closed(ProducerId(1), &"a".into());
        assert_eq!(producers.groups(ProducerId(1)), []);
        assert!(producers.open.is_empty());
    }
}
