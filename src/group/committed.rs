//! What a group has committed, as a fetch shows it: specification 1.8, KIP-447.

use super::Phase;
use super::groups::Group;
use super::record::{OffsetMetadata, OffsetValue};
use super::reply::{FetchedPartition, FetchedTopic};
use super::request::FetchRequest;
use super::row::{Reader, Row};
use crate::ids::{PartitionIndex, TopicName};
use crate::time::WallMs;

impl Group {
    /// What is committed; partitions without an offset are answered with none.
    pub(super) fn fetch(&self, request: FetchRequest) -> Vec<FetchedTopic> {
        if self.classic.phase == Phase::Dead {
            return fetch_from_nowhere(request);
        }
        let offsets = &self.facts.offsets;
        let require_stable = request.require_stable;
        let is_unstable =
            |topic: &TopicName, partition| require_stable && self.is_unstable(topic, partition);
        let Some(topics) = request.topics else {
            let all = offsets.by_topic().map(|(topic, row)| {
                let mut partitions = Vec::with_capacity(row.len());
                partitions.extend(row.iter().map(|(partition, value)| {
                    let is_unstable = is_unstable(topic, partition);
                    FetchedPartition {
                        partition,
                        committed: (!is_unstable).then_some(value),
                        is_unstable,
                    }
                }));
                FetchedTopic {
                    topic: topic.clone(),
                    partitions,
                }
            });
            return all.collect();
        };
        let asked = topics.into_iter().map(|asked| {
            let topic = asked.topic;
            let row = offsets.of_topic(topic.as_str()).map(Row::reader);
            let partitions = if let Some(row) = row.filter(|_| !require_stable) {
                fetch_row(row, &asked.partitions)
            } else {
                let value = |partition| offsets.get(topic.as_str(), partition);
                let partitions = asked.partitions.iter().map(|partition| {
                    let is_unstable = is_unstable(&topic, *partition);
                    FetchedPartition {
                        partition: *partition,
                        committed: value(*partition).filter(|_| !is_unstable),
                        is_unstable,
                    }
                });
                partitions.collect()
            };
            FetchedTopic { topic, partitions }
        });
        asked.collect()
    }
}

/// The offsets of a topic, stable or not.
fn fetch_row(mut row: Reader<'_>, partitions: &[PartitionIndex]) -> Vec<FetchedPartition> {
    let Some(topic_id) = row.topic_id() else {
        let fetched = partitions.iter().map(|partition| FetchedPartition {
            partition: *partition,
            committed: row.get(*partition),
            is_unstable: false,
        });
        return fetched.collect();
    };
    // Filled in place: a value that is put together elsewhere, number by number, and moved at
    // once is waited for by the processor, which took twice as long as all the rest.
    let blank = FetchedPartition {
        partition: 0,
        committed: Some(OffsetValue {
            offset: -1,
            leader_epoch: -1,
            metadata: OffsetMetadata::default(),
            committed_at: WallMs(0),
            expires_at: None,
            topic_id,
        }),
        is_unstable: false,
    };
    let mut fetched = vec![blank; partitions.len()];
    for (slot, partition) in fetched.iter_mut().zip(partitions) {
        slot.partition = *partition;
        match (row.plain(*partition), &mut slot.committed) {
            (Some(plain), Some(value)) => {
                value.offset = plain.offset;
                value.leader_epoch = plain.leader_epoch;
                value.committed_at = plain.committed_at;
            }
            (_, committed) => *committed = None,
        }
    }
    fetched
}

/// The answer for a group that does not exist: no error, and nothing committed.
pub(super) fn fetch_from_nowhere(request: FetchRequest) -> Vec<FetchedTopic> {
    let none = |partition| FetchedPartition {
        partition,
        committed: None,
        is_unstable: false,
    };
    request
        .topics
        .unwrap_or_default()
        .into_iter()
        .map(|asked| FetchedTopic {
            topic: asked.topic,
            partitions: asked.partitions.into_iter().map(none).collect(),
        })
        .collect()
}
