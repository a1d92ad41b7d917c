//! `ListOffsets` and `OffsetForLeaderEpoch`: questions about offsets.

use std::collections::BTreeSet;

use super::call::Call;
use super::fetch::READ_COMMITTED;
use super::topic_errors::code_of;
use crate::ids::TopicName;
use crate::server::service::Handled;
use crate::topics::{ListedOffset, OffsetSpec, TopicError, TopicKey};
use crate::wire::codec::{DecodeError, Message};
use crate::wire::messages::{
    EpochEndOffset, ListOffsetsRequest, ListOffsetsRequestPartition, ListOffsetsResponse,
    ListOffsetsResponsePartition, ListOffsetsResponseTopic, OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse, OffsetForLeaderTopicResult,
};

impl Call<'_> {
    pub(super) fn list_offsets(&mut self) -> Result<Handled, DecodeError> {
        let request = ListOffsetsRequest::decode(self.body, self.header.version)?;
        if self.names_too_many(
            request
                .topics
                .iter()
                .map(|topic| 1 + topic.partitions.len())
                .sum(),
        ) {
            return Ok(Handled::Close);
        }
        let repeated = repeated(&request);
        let committed = request.isolation_level == READ_COMMITTED;
        let topics = request.topics.iter().map(|topic| {
            let key = TopicKey::Name(TopicName::from(topic.name));
            let partitions = topic.partitions.iter().map(|partition| {
                let listed = if repeated.contains(&(topic.name, partition.partition_index)) {
                    Err(TopicError::InvalidRequest)
                } else {
                    self.list_offset(&key, partition, committed)
                };
                tell(partition.partition_index, listed)
            });
            ListOffsetsResponseTopic {
                name: topic.name,
                partitions: partitions.collect(),
            }
        });
        let topics = topics.collect();
        Ok(self.reply(&ListOffsetsResponse {
            topics,
            ..Default::default()
        }))
    }

    fn list_offset(
        &self,
        topic: &TopicKey,
        partition: &ListOffsetsRequestPartition,
        committed: bool,
    ) -> Result<ListedOffset, TopicError> {
        if self.header.version < known_since(partition.timestamp) {
            return Err(TopicError::UnsupportedVersion);
        }
        let topics = &self.broker.topics;
        let spec = OffsetSpec::from_timestamp(partition.timestamp)?;
        let (index, epoch) = (partition.partition_index, partition.current_leader_epoch);
        if committed {
            topics.list_committed_offset(topic, index, epoch, spec)
        } else {
            topics.list_offset(topic, index, epoch, spec)
        }
    }

    pub(super) fn offset_for_leader_epoch(&mut self) -> Result<Handled, DecodeError> {
        let request = OffsetForLeaderEpochRequest::decode(self.body, self.header.version)?;
        if self.names_too_many(
            request
                .topics
                .iter()
                .map(|topic| 1 + topic.partitions.len())
                .sum(),
        ) {
            return Ok(Handled::Close);
        }
        let topics = request.topics.iter().map(|topic| {
            let key = TopicKey::Name(TopicName::from(topic.topic));
            let partitions = topic.partitions.iter().map(|one| {
                let end = self.broker.topics.epoch_end(
                    &key,
                    one.partition,
                    one.current_leader_epoch,
                    one.leader_epoch,
                );
                match end {
                    Ok(end) => EpochEndOffset {
                        partition: one.partition,
                        leader_epoch: end.leader_epoch,
                        end_offset: end.end_offset,
                        ..Default::default()
                    },
                    Err(error) => EpochEndOffset {
                        error_code: code_of(&error).0,
                        partition: one.partition,
                        ..Default::default()
                    },
                }
            });
            OffsetForLeaderTopicResult {
                topic: topic.topic,
                partitions: partitions.collect(),
            }
        });
        let topics = topics.collect();
        Ok(self.reply(&OffsetForLeaderEpochResponse {
            topics,
            ..Default::default()
        }))
    }
}

/// Partitions that the request names more than once; Kafka answers none of them.
fn repeated<'a>(request: &ListOffsetsRequest<'a>) -> BTreeSet<(&'a str, i32)> {
    let mut seen = BTreeSet::new();
    let mut repeated = BTreeSet::new();
    for topic in &request.topics {
        for partition in &topic.partitions {
            let place = (topic.name, partition.partition_index);
            if !seen.insert(place) {
                repeated.insert(place);
            }
        }
    }
    repeated
}

/// The first version in which a special timestamp has its meaning.
fn known_since(timestamp: i64) -> i16 {
    match timestamp {
        -3 => 7,
        -4 => 8,
        -5 => 9,
        -6 => 11,
        _ => 1,
    }
}

fn tell(
    partition_index: i32,
    listed: Result<ListedOffset, TopicError>,
) -> ListOffsetsResponsePartition {
    match listed {
        Ok(listed) => ListOffsetsResponsePartition {
            partition_index,
            error_code: 0,
            timestamp: listed.timestamp,
            offset: listed.offset,
            leader_epoch: listed.leader_epoch,
        },
        Err(error) => ListOffsetsResponsePartition {
            partition_index,
            error_code: code_of(&error).0,
            ..Default::default()
        },
    }
}
