//! What open transactions have staged in a group: specification 1.15 and 4.5.

use std::collections::{BTreeMap, BTreeSet};

use super::record::PendingValue;
use crate::ids::{PartitionIndex, ProducerId, TopicName};

/// A topic's partition.
pub(super) type Place = (TopicName, PartitionIndex);

/// What is staged for one partition, by producer.
pub(super) type Stakes = BTreeMap<ProducerId, PendingValue>;

/// The staged offsets of a group. Most groups have none, and pay a pointer.
#[derive(Debug, Default)]
pub(super) struct Pending {
    staged: Option<Box<Staged>>,
}

#[derive(Debug, Default)]
struct Staged {
    by_place: BTreeMap<Place, Stakes>,
    by_producer: BTreeMap<ProducerId, BTreeSet<Place>>,
    len: usize,
}

impl Pending {
    pub(super) fn len(&self) -> usize {
        self.staged.as_ref().map_or(0, |staged| staged.len)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.staged.is_none()
    }

    /// What is staged for a partition, if anything is.
    pub(super) fn at(&self, topic: &TopicName, partition: PartitionIndex) -> Option<&Stakes> {
        // A clone of the name is a reference count; most groups do not get here.
        let staged = self.staged.as_ref()?;
        staged.by_place.get(&(topic.clone(), partition))
    }

    /// Whether that producer has something staged for that partition.
    pub(super) fn has(
        &self,
        topic: &TopicName,
        partition: PartitionIndex,
        producer: ProducerId,
    ) -> bool {
        self.at(topic, partition)
            .is_some_and(|stakes| stakes.contains_key(&producer))
    }

    /// Where that producer has something staged, in order.
    pub(super) fn places_of(&self, producer: ProducerId) -> impl Iterator<Item = &Place> {
        let places = self
            .staged
            .as_ref()
            .and_then(|staged| staged.by_producer.get(&producer));
        places.into_iter().flatten()
    }

    /// The producers that have something staged, in order.
    pub(super) fn producers(&self) -> impl Iterator<Item = ProducerId> {
        let staged = self.staged.iter();
        staged.flat_map(|staged| staged.by_producer.keys().copied())
    }

    /// Everything, by partition.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Place, &Stakes)> {
        self.staged.iter().flat_map(|staged| staged.by_place.iter())
    }

    /// Everything of one topic, by partition.
    pub(super) fn of_topic(&self, topic: &TopicName) -> impl Iterator<Item = (&Place, &Stakes)> {
        let range = (topic.clone(), PartitionIndex::MIN)..=(topic.clone(), PartitionIndex::MAX);
        let staged = self.staged.iter();
        staged.flat_map(move |staged| staged.by_place.range(range.clone()))
    }

    /// Stages.
    pub(super) fn insert(
        &mut self,
        topic: &TopicName,
        partition: PartitionIndex,
        producer: ProducerId,
        value: PendingValue,
    ) {
        let place = (topic.clone(), partition);
        let staged = self.staged.get_or_insert_default();
        let stakes = staged.by_place.entry(place.clone()).or_default();
        staged.len += usize::from(stakes.insert(producer, value).is_none());
        staged
            .by_producer
            .entry(producer)
            .or_default()
            .insert(place);
    }

    /// Takes something staged out; whether it was there and the producer's last in this group.
    pub(super) fn remove(
        &mut self,
        topic: &TopicName,
        partition: PartitionIndex,
        producer: ProducerId,
    ) -> bool {
        let Some(staged) = &mut self.staged else {
            return false;
        };
        let place = (topic.clone(), partition);
        let Some(stakes) = staged.by_place.get_mut(&place) else {
            return false;
        };
        if stakes.remove(&producer).is_none() {
            return false;
        }
        if stakes.is_empty() {
            staged.by_place.remove(&place);
        }
        staged.len -= 1;
        let mut is_last = false;
        if let Some(places) = staged.by_producer.get_mut(&producer) {
            places.remove(&place);
            is_last = places.is_empty();
        }
        if is_last {
            staged.by_producer.remove(&producer);
        }
        if staged.len == 0 {
            self.staged = None;
        }
        is_last
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::OffsetValue;
    use crate::ids::{ProducerEpoch, TopicId};
    use crate::time::WallMs;

    fn value(order: u64) -> PendingValue {
        PendingValue {
            epoch: ProducerEpoch(0),
            order,
            is_overtaken: false,
            offset: OffsetValue {
                offset: 1,
                leader_epoch: -1,
                metadata: "".into(),
                committed_at: WallMs(0),
                expires_at: None,
                topic_id: TopicId::ZERO,
            },
        }
    }

    #[test]
    fn the_last_of_a_producer_is_told() {
        let (topic, one, two) = ("t".into(), ProducerId(1), ProducerId(2));
        let mut pending = Pending::default();
        pending.insert(&topic, 0, one, value(0));
        pending.insert(&topic, 1, one, value(1));
        pending.insert(&topic, 1, one, value(2));
        pending.insert(&topic, 1, two, value(3));
        assert_eq!(pending.len(), 3);
        assert!(!pending.remove(&topic, 1, one));
        assert!(!pending.remove(&topic, 1, one));
        assert!(pending.remove(&topic, 1, two));
        assert!(pending.remove(&topic, 0, one));
        assert!(pending.is_empty());
    }

    #[test]
    fn a_topic_is_told_from_its_neighbours() {
        let mut pending = Pending::default();
        for topic in ["a", "b", "ba"] {
            pending.insert(&topic.into(), -1, ProducerId(1), value(0));
        }
        let found: Vec<&Place> = pending.of_topic(&"b".into()).map(|(at, _)| at).collect();
        assert_eq!(found, [&("b".into(), -1)]);
    }
}
