//! What a log says in the end, by Kafka's rules for loading it.
//!
//! Not [`Groups::apply`](crate::group::Groups::apply), because in Kafka's log the tombstone of a
//! group does not take its offsets along: one that became a consumer group (KIP-848) lives on. The
//! groups and offsets that come out are applied by that one rule like all others.

use std::collections::BTreeMap;

use super::segment::{Batch, Plain};
use crate::group::{OffsetValue, Record};
use crate::ids::{GroupId, PartitionIndex, TopicName};
use crate::journal::schema::{self, SchemaError};

type Place = (GroupId, TopicName, PartitionIndex);
/// An offset with the place in the log where it was written.
type At = (i64, OffsetValue);

/// A log being replayed.
#[derive(Debug, Default)]
pub(super) struct Replay {
    groups: BTreeMap<GroupId, Record>,
    offsets: BTreeMap<Place, At>,
    /// By producer: the offsets of its open transaction.
    open: BTreeMap<i64, BTreeMap<Place, At>>,
    skipped: BTreeMap<String, u64>,
}

/// What has come out.
pub(super) struct Finished {
    pub(super) records: Vec<Record>,
    pub(super) skipped: BTreeMap<String, u64>,
}

impl Replay {
    /// The count of what is left out under this name.
    pub(super) fn skipped(&mut self, what: &str) -> &mut u64 {
        if !self.skipped.contains_key(what) {
            self.skipped.insert(what.to_owned(), 0);
        }
        self.skipped.entry(what.to_owned()).or_default()
    }

    pub(super) fn batch(&mut self, batch: &Batch<'_>) -> Result<(), String> {
        let producer = batch.is_transactional().then_some(batch.producer_id);
        if batch.is_control() {
            return batch.records(|marker| self.end(batch.producer_id, &marker));
        }
        batch.records(|record| self.record(producer, &record))
    }

    /// A marker ends the producer's transaction.
    fn end(&mut self, producer: i64, marker: &Plain<'_>) -> Result<(), String> {
        // Version i16, then the type i16.
        let kind = marker.key.and_then(|key| key.get(2..4));
        let is_commit = match kind {
            Some([0, 0]) => false,
            Some([0, 1]) => true,
            Some(_) => return Ok(()),
            None => return Err("it is a control record without a type".to_owned()),
        };
        let staged = self.open.remove(&producer).unwrap_or_default();
        for (place, (at, value)) in staged.into_iter().filter(|_| is_commit) {
            // What was committed after it was staged wins.
            let is_newer = self
                .offsets
                .get(&place)
                .is_none_or(|(known, _)| at > *known);
            if is_newer {
                self.offsets.insert(place, (at, value));
            }
        }
        Ok(())
    }

    fn record(&mut self, producer: Option<i64>, record: &Plain<'_>) -> Result<(), String> {
        let Some(key) = record.key else {
            *self.skipped("records without a key") += 1;
            return Ok(());
        };
        let decoded = match schema::decode(key, record.value) {
            Ok(decoded) => decoded,
            Err(SchemaError::UnknownType(number)) => {
                let name = name_of(number);
                *self.skipped(&name) += 1;
                return Ok(());
            }
            Err(error) => return Err(error.to_string()),
        };
        match decoded {
            Record::Offset {
                group,
                topic,
                partition,
                value,
            } => self.offset((group, topic, partition), value, (producer, record.offset)),
            // A record type of our own, which no Kafka writes.
            Record::Pending { .. } => *self.skipped("records of a type that is not Kafka's") += 1,
            Record::Group { group, value: None } => {
                self.groups.remove(&group);
            }
            Record::Group { ref group, .. } => {
                let group = group.clone();
                self.groups.insert(group, decoded);
            }
        }
        Ok(())
    }

    fn offset(
        &mut self,
        place: Place,
        value: Option<OffsetValue>,
        (producer, at): (Option<i64>, i64),
    ) {
        match (value, producer) {
            (Some(value), None) => {
                self.offsets.insert(place, (at, value));
            }
            (Some(value), Some(producer)) => {
                let staged = self.open.entry(producer).or_default();
                staged.insert(place, (at, value));
            }
            // A removal takes along what is staged.
            (None, _) => {
                self.offsets.remove(&place);
                for staged in self.open.values_mut() {
                    staged.remove(&place);
                }
            }
        }
    }

    pub(super) fn finish(mut self) -> Finished {
        let open: usize = self.open.values().map(BTreeMap::len).sum();
        if open > 0 {
            *self.skipped("offsets of open transactions") += open as u64;
        }
        let mut records: Vec<Record> = std::mem::take(&mut self.groups).into_values().collect();
        let offsets = std::mem::take(&mut self.offsets).into_iter();
        records.extend(
            offsets.map(|((group, topic, partition), (_, value))| Record::Offset {
                group,
                topic,
                partition,
                value: Some(value),
            }),
        );
        Finished {
            records,
            skipped: self.skipped,
        }
    }
}

/// The record types of Kafka 4.4 that are not ours.
fn name_of(number: i16) -> String {
    let name = match number {
        3 => "ConsumerGroupMetadata",
        4 => "ConsumerGroupPartitionMetadata",
        5 => "ConsumerGroupMemberMetadata",
        6 => "ConsumerGroupTargetAssignmentMetadata",
        7 => "ConsumerGroupTargetAssignmentMember",
        8 => "ConsumerGroupCurrentMemberAssignment",
        9 => "ShareGroupPartitionMetadata",
        10 => "ShareGroupMemberMetadata",
        11 => "ShareGroupMetadata",
        12 => "ShareGroupTargetAssignmentMetadata",
        13 => "ShareGroupTargetAssignmentMember",
        14 => "ShareGroupCurrentMemberAssignment",
        15 => "ShareGroupStatePartitionMetadata",
        16 => "ConsumerGroupRegularExpression",
        17 => "StreamsGroupMetadata",
        19 => "StreamsGroupMemberMetadata",
        20 => "StreamsGroupTargetAssignmentMetadata",
        21 => "StreamsGroupTargetAssignmentMember",
        22 => "StreamsGroupCurrentMemberAssignment",
        23 => "StreamsGroupTopology",
        _ => return format!("records of type {number}"),
    };
    format!("{name} records")
}
