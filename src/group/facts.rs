//! The durable half of a group: what a replay of the records gives.

use std::sync::Arc;

use super::pending::Pending;
use super::record::{GroupMetadata, OffsetValue, Record};
use super::row::Row;
use super::sorted::Sorted;
use crate::ids::{GroupId, PartitionIndex, TopicName};
use crate::mutation;

/// What is durable of a group. Changed by [`super::Groups::apply`] alone.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// The last stored metadata; `None`: never stored, or a group that only keeps offsets.
    pub(super) metadata: Option<Arc<GroupMetadata>>,
    /// The committed offsets.
    pub(super) offsets: Offsets,
    /// The offsets of open transactions.
    pub(super) pending: Pending,
}

impl Facts {
    /// How many offsets are committed, and how many are staged.
    pub(super) fn sizes(&self) -> (usize, usize) {
        (self.offsets.len(), self.pending.len())
    }

    /// The records that would rebuild these facts, in a fixed order.
    pub(super) fn records(&self, group: &GroupId) -> Vec<Record> {
        let metadata = self.metadata.as_ref().map(|value| Record::Group {
            group: group.clone(),
            value: Some(Arc::clone(value)),
        });
        let offsets = self
            .offsets
            .iter()
            .map(|(topic, partition, value)| Record::Offset {
                group: group.clone(),
                topic: topic.clone(),
                partition,
                value: Some(value),
            });
        let pending = self
            .pending
            .iter()
            .flat_map(|((topic, partition), stakes)| {
                stakes.iter().map(|(producer, value)| Record::Pending {
                    group: group.clone(),
                    topic: topic.clone(),
                    partition: *partition,
                    producer: *producer,
                    value: Some(value.clone()),
                })
            });
        metadata.into_iter().chain(offsets).chain(pending).collect()
    }
}

/// Committed offsets by topic and partition.
#[derive(Debug, Default)]
pub(super) struct Offsets {
    topics: Sorted<TopicName, Row>,
    len: usize,
}

impl Offsets {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn get(&self, topic: &str, partition: PartitionIndex) -> Option<OffsetValue> {
        self.topics.get(topic)?.get(partition)
    }

    pub(super) fn contains(&self, topic: &str, partition: PartitionIndex) -> bool {
        let row = self.topics.get(topic);
        row.is_some_and(|row| row.contains(partition))
    }

    pub(super) fn insert(
        &mut self,
        topic: &TopicName,
        partition: PartitionIndex,
        value: &OffsetValue,
    ) {
        let row = self.topics.get_or_add(topic);
        self.len += usize::from(row.insert(partition, value));
    }

    /// Sets the offsets at the beginning of the records that are that group's; how many there
    /// were. A topic is looked up once for those that follow each other.
    pub(super) fn set(&mut self, group: &GroupId, records: &[Record]) -> usize {
        let mut records = records.iter().map_while(|it| it.sets_in(group)).peekable();
        let mut count = 0;
        while let Some((topic, ..)) = records.peek().copied() {
            let row = self.topics.get_or_add(topic);
            while let Some((_, partition, value)) = records.next_if(|it| it.0 == topic) {
                let forgotten = mutation::is("apply-forgets-the-leader-epoch");
                let forgotten = forgotten.then(|| OffsetValue {
                    leader_epoch: -1,
                    ..value.clone()
                });
                let value = forgotten.as_ref().unwrap_or(value);
                if row.insert(partition, value) {
                    self.len += 1;
                }
                count += 1;
            }
        }
        count
    }

    pub(super) fn remove(&mut self, topic: &str, partition: PartitionIndex) {
        let Some(row) = self.topics.get_mut(topic) else {
            return;
        };
        self.len -= usize::from(row.remove(partition));
        if row.is_empty() {
            self.topics.remove(topic);
        }
    }

    /// Everything, by topic and partition.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&TopicName, PartitionIndex, OffsetValue)> {
        self.by_topic().flat_map(|(topic, row)| {
            row.iter()
                .map(move |(partition, value)| (topic, partition, value))
        })
    }

    /// One topic's offsets, if there are any.
    pub(super) fn of_topic(&self, topic: &str) -> Option<&Row> {
        self.topics.get(topic)
    }

    /// How many topics there are.
    pub(super) fn topic_count(&self) -> usize {
        self.topics.len()
    }

    /// The topics, in order.
    pub(super) fn by_topic(&self) -> impl Iterator<Item = (&TopicName, &Row)> {
        self.topics.iter()
    }
}
