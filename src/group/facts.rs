//! The durable half of a group: what a replay of the records gives.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::record::{GroupMetadata, OffsetValue, Record};
use crate::ids::{GroupId, PartitionIndex, TopicName};

/// What is durable of a group. Changed by [`super::Groups::apply`] alone.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// The last stored metadata; `None`: never stored, or a group that only keeps offsets.
    pub(super) metadata: Option<Arc<GroupMetadata>>,
    /// The committed offsets.
    pub(super) offsets: Offsets,
}

impl Facts {
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
                value: Some(value.clone()),
            });
        metadata.into_iter().chain(offsets).collect()
    }
}

/// Committed offsets by topic; each topic's are sorted by partition in one block.
#[derive(Debug, Default)]
pub(super) struct Offsets {
    topics: BTreeMap<TopicName, Vec<(PartitionIndex, OffsetValue)>>,
    len: usize,
}

impl Offsets {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn get(&self, topic: &str, partition: PartitionIndex) -> Option<&OffsetValue> {
        let row = self.topics.get(topic)?;
        let at = row
            .binary_search_by_key(&partition, |(index, _)| *index)
            .ok()?;
        Some(&row[at].1)
    }

    pub(super) fn insert(
        &mut self,
        topic: &TopicName,
        partition: PartitionIndex,
        value: OffsetValue,
    ) {
        if !self.topics.contains_key(topic) {
            self.topics.insert(topic.clone(), Vec::new());
        }
        let row = self.topics.get_mut(topic).expect("inserted just above");
        match row.binary_search_by_key(&partition, |(index, _)| *index) {
            Ok(at) => row[at].1 = value,
            Err(at) => {
                row.insert(at, (partition, value));
                self.len += 1;
            }
        }
    }

    pub(super) fn remove(&mut self, topic: &str, partition: PartitionIndex) {
        let Some(row) = self.topics.get_mut(topic) else {
            return;
        };
        if let Ok(at) = row.binary_search_by_key(&partition, |(index, _)| *index) {
            row.remove(at);
            self.len -= 1;
        }
        if row.is_empty() {
            self.topics.remove(topic);
        }
    }

    /// Everything, by topic and partition.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&TopicName, PartitionIndex, &OffsetValue)> {
        self.topics
            .iter()
            .flat_map(|(topic, row)| row.iter().map(move |(index, value)| (topic, *index, value)))
    }

    /// One topic's offsets, by partition.
    pub(super) fn of_topic(&self, topic: &str) -> &[(PartitionIndex, OffsetValue)] {
        self.topics.get(topic).map_or(&[], Vec::as_slice)
    }

    /// The topics, in order.
    pub(super) fn by_topic(
        &self,
    ) -> impl Iterator<Item = (&TopicName, &[(PartitionIndex, OffsetValue)])> {
        self.topics
            .iter()
            .map(|(topic, row)| (topic, row.as_slice()))
    }
}
