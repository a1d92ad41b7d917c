//! `DescribeCluster` and `DescribeTopicPartitions`: the cluster of one, and its topics by pages.

use std::collections::BTreeSet;

use super::call::Call;
use super::metadata::{CLUSTER_OPERATIONS, TOPIC_OPERATIONS, is_internal};
use super::topic_errors::code_of;
use super::{Broker, NODE_ID};
use crate::ids::{TopicId, TopicName};
use crate::server::service::Handled;
use crate::topics::{LEADER_EPOCH, TopicError, TopicKey, TopicSummary};
use crate::wire::ErrorCode;
use crate::wire::codec::{DecodeError, Message};
use crate::wire::messages::{
    DescribeClusterBroker, DescribeClusterRequest, DescribeClusterResponse,
    DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, DescribedPartition,
    DescribedTopic, TopicPartitionsCursor,
};

impl Call<'_> {
    pub(super) fn describe_cluster(&mut self) -> Result<Handled, DecodeError> {
        let request = DescribeClusterRequest::decode(self.body, self.header.version)?;
        let refusal = match request.endpoint_type {
            BROKERS => None,
            CONTROLLERS => Some((
                ErrorCode::MISMATCHED_ENDPOINT_TYPE,
                "The request was sent to an endpoint of type BROKER, but we wanted an endpoint \
                 of type CONTROLLER",
            )),
            _ => Some((
                ErrorCode::UNSUPPORTED_ENDPOINT_TYPE,
                "The endpoint type is not known",
            )),
        };
        if let Some((code, message)) = refusal {
            return Ok(self.reply(&DescribeClusterResponse {
                error_code: code.0,
                error_message: Some(message),
                endpoint_type: request.endpoint_type,
                ..Default::default()
            }));
        }
        let broker = self.broker;
        let (host, port) = broker.address(self.connection);
        let cluster_authorized_operations = if request.include_cluster_authorized_operations {
            CLUSTER_OPERATIONS
        } else {
            i32::MIN
        };
        Ok(self.reply(&DescribeClusterResponse {
            endpoint_type: BROKERS,
            cluster_id: &broker.cluster_id,
            controller_id: NODE_ID,
            brokers: vec![DescribeClusterBroker {
                broker_id: NODE_ID,
                host: &host,
                port,
                ..Default::default()
            }],
            cluster_authorized_operations,
            ..Default::default()
        }))
    }

    pub(super) fn describe_topic_partitions(&mut self) -> Result<Handled, DecodeError> {
        let request = DescribeTopicPartitionsRequest::decode(self.body, self.header.version)?;
        if self.names_too_many(request.topics.len()) {
            return Ok(Handled::Close);
        }
        if !is_cursor_legal(&request) {
            let topics = request.topics.iter().map(|topic| DescribedTopic {
                error_code: ErrorCode::INVALID_REQUEST.0,
                name: Some(topic.name),
                ..Default::default()
            });
            let topics = topics.collect();
            return Ok(self.reply(&DescribeTopicPartitionsResponse {
                topics,
                ..Default::default()
            }));
        }
        let page = Page::of(self.broker, &request);
        Ok(self.reply(&DescribeTopicPartitionsResponse {
            topics: page.topics.iter().map(Entry::tell).collect(),
            next_cursor: page
                .next
                .as_ref()
                .map(|(name, partition)| TopicPartitionsCursor {
                    topic_name: name.as_str(),
                    partition_index: *partition,
                }),
            ..Default::default()
        }))
    }
}

/// A cursor stands at a topic that is asked for, at a partition that can be.
fn is_cursor_legal(request: &DescribeTopicPartitionsRequest<'_>) -> bool {
    request.cursor.as_ref().is_none_or(|cursor| {
        let mut topics = request.topics.iter();
        let is_asked_for =
            request.topics.is_empty() || topics.any(|topic| topic.name == cursor.topic_name);
        is_asked_for && cursor.partition_index >= 0
    })
}

/// Topics in the order of their names, with no more partitions than the limit.
struct Page {
    topics: Vec<Entry>,
    next: Option<(TopicName, i32)>,
}

/// A topic with some of its partitions, or why there is none.
struct Entry {
    name: TopicName,
    found: Result<(TopicId, std::ops::Range<i32>), TopicError>,
}

impl Page {
    fn of(broker: &Broker, request: &DescribeTopicPartitionsRequest<'_>) -> Self {
        let (from, first) = request.cursor.as_ref().map_or(("", 0), |cursor| {
            (cursor.topic_name, cursor.partition_index)
        });
        let mut left = request.response_partition_limit.clamp(1, PARTITIONS_MAX);
        let mut topics = Vec::new();
        for (name, described) in described_from(broker, request, from) {
            if left == 0 {
                return Self {
                    topics,
                    next: Some((name, 0)),
                };
            }
            let found = described.map(|topic| {
                let start = if name.as_str() == from { first } else { 0 };
                let end = topic.partitions.min(start.saturating_add(left));
                (topic.id, topic.partitions, start..end)
            });
            let (found, goes_on) = match found {
                Ok((id, count, part)) => {
                    left -= i32::try_from(part.len()).unwrap_or(left);
                    let goes_on = (part.end < count && !part.is_empty()).then_some(part.end);
                    (Ok((id, part)), goes_on)
                }
                Err(error) => (Err(error), None),
            };
            topics.push(Entry {
                name: name.clone(),
                found,
            });
            if let Some(partition) = goes_on {
                return Self {
                    topics,
                    next: Some((name, partition)),
                };
            }
        }
        Self { topics, next: None }
    }
}

/// What is asked for, sorted, from a name on.
fn described_from(
    broker: &Broker,
    request: &DescribeTopicPartitionsRequest<'_>,
    from: &str,
) -> Vec<(TopicName, Result<TopicSummary, TopicError>)> {
    if request.topics.is_empty() {
        let all = broker.topics.list(None, usize::MAX).into_iter();
        return all
            .filter(|topic| topic.name.as_str() >= from)
            .map(|topic| (topic.name.clone(), Ok(topic)))
            .collect();
    }
    let names: BTreeSet<&str> = request.topics.iter().map(|topic| topic.name).collect();
    names
        .range(from..)
        .map(|name| {
            let name = TopicName::from(*name);
            let described = broker.topics.describe(&TopicKey::Name(name.clone()));
            (name, described)
        })
        .collect()
}

impl Entry {
    fn tell(&self) -> DescribedTopic<'_> {
        let name = self.name.as_str();
        match &self.found {
            Ok((id, partitions)) => DescribedTopic {
                name: Some(name),
                topic_id: *id,
                is_internal: is_internal(name),
                partitions: partitions.clone().map(partition).collect(),
                topic_authorized_operations: TOPIC_OPERATIONS,
                ..Default::default()
            },
            Err(error) => DescribedTopic {
                error_code: code_of(error).0,
                name: Some(name),
                is_internal: is_internal(name),
                ..Default::default()
            },
        }
    }
}

fn partition(partition_index: i32) -> DescribedPartition {
    DescribedPartition {
        partition_index,
        leader_id: NODE_ID,
        leader_epoch: LEADER_EPOCH,
        replica_nodes: vec![NODE_ID],
        isr_nodes: vec![NODE_ID],
        eligible_leader_replicas: Some(Vec::new()),
        last_known_elr: Some(Vec::new()),
        ..Default::default()
    }
}

/// The endpoint types of KIP-919.
const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

/// `max.request.partition.size.limit`: the most partitions of a page, whatever is asked.
const PARTITIONS_MAX: i32 = 2_000;
