//! `ListOffsets` and `OffsetForLeaderEpoch`: questions about offsets.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::call::{Call, Head, finished, later};
use super::fetch::READ_COMMITTED;
use super::offsets_topic::OffsetsTopic;
use super::topic_errors::code_of;
use crate::ids::TopicName;
use crate::server::service::{Answer, Handled};
use crate::topics::{ListedOffset, OffsetSpec, TopicError, TopicKey, Topics};
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
        let topics = &self.broker.topics;
        let ours = self.broker.offsets_topic.as_ref().filter(|ours| {
            let mut names = request.topics.iter().map(|topic| topic.name);
            names.any(|name| ours.is_named(&TopicKey::Name(TopicName::from(name))))
        });
        if let Some(ours) = ours {
            let (ours, topics) = (Arc::clone(ours), Arc::clone(topics));
            return Ok(list_blocking(self.body.to_vec(), self.head(), topics, ours));
        }
        let response = list(&request, self.header.version, topics, None);
        Ok(self.reply(&response))
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

/// Answers on a thread that may block; the request was decoded once already.
fn list_blocking(
    body: Vec<u8>,
    head: Head,
    topics: Arc<Topics>,
    ours: Arc<OffsetsTopic>,
) -> Handled {
    let listed = tokio::task::spawn_blocking(move || {
        let request = ListOffsetsRequest::decode(&body, head.version).ok()?;
        let response = list(&request, head.version, &topics, Some(&ours));
        let mut out = Vec::new();
        let handled = head.write(&response, &mut out);
        matches!(handled, Handled::Done).then_some(out)
    });
    later(async move {
        // It fails if the runtime ends, or with a panic that was told already.
        match listed.await {
            Ok(Some(out)) => finished(Handled::Done, out).await,
            Ok(None) | Err(_) => Answer::Close,
        }
    })
}

fn list<'a>(
    request: &ListOffsetsRequest<'a>,
    version: i16,
    topics: &Topics,
    ours: Option<&OffsetsTopic>,
) -> ListOffsetsResponse<'a> {
    let repeated = repeated(request);
    let committed = request.isolation_level == READ_COMMITTED;
    let responses = request.topics.iter().map(|topic| {
        let key = TopicKey::Name(TopicName::from(topic.name));
        let ours = ours.filter(|ours| ours.is_named(&key));
        let partitions = topic.partitions.iter().map(|partition| {
            let listed = if repeated.contains(&(topic.name, partition.partition_index)) {
                Err(TopicError::InvalidRequest)
            } else if version < known_since(partition.timestamp) {
                Err(TopicError::UnsupportedVersion)
            } else {
                list_one(topics, ours, &key, partition, committed)
            };
            tell(partition.partition_index, listed)
        });
        ListOffsetsResponseTopic {
            name: topic.name,
            partitions: partitions.collect(),
        }
    });
    ListOffsetsResponse {
        topics: responses.collect(),
        ..Default::default()
    }
}

fn list_one(
    topics: &Topics,
    ours: Option<&OffsetsTopic>,
    topic: &TopicKey,
    partition: &ListOffsetsRequestPartition,
    committed: bool,
) -> Result<ListedOffset, TopicError> {
    let spec = OffsetSpec::from_timestamp(partition.timestamp)?;
    let (index, epoch) = (partition.partition_index, partition.current_leader_epoch);
    match ours {
        Some(ours) => ours.list_offset(index, epoch, spec),
        None if committed => topics.list_committed_offset(topic, index, epoch, spec),
        None => topics.list_offset(topic, index, epoch, spec),
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
