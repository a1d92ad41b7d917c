//! `Metadata`: the one broker, and topics, which a question may create.

use std::collections::BTreeSet;

use super::call::Call;
use super::topic_errors::code_of;
use super::{Broker, NODE_ID};
use crate::ids::{TopicId, TopicName};
use crate::server::service::Handled;
use crate::topics::{LEADER_EPOCH, TopicError, TopicKey, TopicSummary};
use crate::wire::ErrorCode;
use crate::wire::codec::{DecodeError, Message};
use crate::wire::messages::{
    MetadataBroker, MetadataPartition, MetadataRequest, MetadataRequestTopic, MetadataResponse,
    MetadataTopic,
};

impl Call<'_> {
    pub(super) fn metadata(&mut self) -> Result<Handled, DecodeError> {
        let version = self.header.version;
        let request = MetadataRequest::decode(self.body, version)?;
        if self.names_too_many(request.topics.as_ref().map_or(0, Vec::len)) {
            return Ok(Handled::Close);
        }
        let broker = self.broker;
        let found = match request.topics.as_deref() {
            None => all(broker),
            Some([]) if version == 0 => all(broker),
            Some(asked) if !are_named_legally(asked, version) => {
                asked.iter().map(illegal).collect()
            }
            Some(asked) => find(broker, asked, request.allow_auto_topic_creation),
        };
        let (host, port) = broker.address(self.connection);
        let operations = |wanted, all| if wanted { all } else { i32::MIN };
        let topic_operations = operations(
            request.include_topic_authorized_operations,
            TOPIC_OPERATIONS,
        );
        Ok(self.reply(&MetadataResponse {
            brokers: vec![MetadataBroker {
                node_id: NODE_ID,
                host: &host,
                port,
                rack: None,
            }],
            cluster_id: Some(&broker.cluster_id),
            controller_id: NODE_ID,
            topics: found.iter().map(|one| one.tell(topic_operations)).collect(),
            cluster_authorized_operations: operations(
                request.include_cluster_authorized_operations,
                CLUSTER_OPERATIONS,
            ),
            ..Default::default()
        }))
    }
}

/// A topic of the answer, or why it is none.
#[derive(Debug)]
enum Found<'a> {
    Topic(TopicSummary),
    Not {
        name: Option<&'a str>,
        id: TopicId,
        code: ErrorCode,
    },
}

impl Found<'_> {
    fn tell(&self, operations: i32) -> MetadataTopic<'_> {
        match self {
            Self::Topic(topic) => MetadataTopic {
                name: Some(topic.name.as_str()),
                topic_id: topic.id,
                is_internal: is_internal(topic.name.as_str()),
                partitions: (0..topic.partitions).map(partition).collect(),
                topic_authorized_operations: operations,
                ..Default::default()
            },
            Self::Not { name, id, code } => MetadataTopic {
                error_code: code.0,
                name: *name,
                topic_id: *id,
                is_internal: name.is_some_and(is_internal),
                ..Default::default()
            },
        }
    }
}

fn partition(partition_index: i32) -> MetadataPartition {
    MetadataPartition {
        partition_index,
        leader_id: NODE_ID,
        leader_epoch: LEADER_EPOCH,
        replica_nodes: vec![NODE_ID],
        isr_nodes: vec![NODE_ID],
        ..Default::default()
    }
}

fn all<'a>(broker: &Broker) -> Vec<Found<'a>> {
    let topics = broker.topics.list(None, usize::MAX);
    topics.into_iter().map(Found::Topic).collect()
}

/// Ids are in the layout since version 10, and may be asked for since 12.
fn are_named_legally(asked: &[MetadataRequestTopic<'_>], version: i16) -> bool {
    let by_name =
        |topic: &MetadataRequestTopic<'_>| topic.name.is_some() && topic.topic_id.is_zero();
    version >= 12 || asked.iter().all(by_name)
}

fn illegal<'a>(asked: &MetadataRequestTopic<'a>) -> Found<'a> {
    Found::Not {
        name: Some(asked.name.unwrap_or("")),
        id: asked.topic_id,
        code: ErrorCode::INVALID_REQUEST,
    }
}

/// Looks topics up, each once, in the order of the request. As in Kafka one id makes it a
/// question by ids, of which the names are no part.
fn find<'a>(broker: &Broker, asked: &[MetadataRequestTopic<'a>], create: bool) -> Vec<Found<'a>> {
    if asked.iter().any(|topic| !topic.topic_id.is_zero()) {
        let mut seen = BTreeSet::new();
        let ids = asked.iter().map(|topic| topic.topic_id);
        return ids
            .filter(|id| !id.is_zero() && seen.insert(*id))
            .map(|id| by_id(broker, id))
            .collect();
    }
    let mut seen = BTreeSet::new();
    let names = asked.iter().map(|topic| topic.name.unwrap_or(""));
    names
        .filter(|name| seen.insert(*name))
        .map(|name| by_name(broker, name, create))
        .collect()
}

fn by_id<'a>(broker: &Broker, id: TopicId) -> Found<'a> {
    match broker.topics.describe(&TopicKey::Id(id)) {
        Ok(topic) => Found::Topic(topic),
        Err(error) => Found::Not {
            name: None,
            id,
            code: code_of(&error),
        },
    }
}

fn by_name<'a>(broker: &Broker, name: &'a str, create: bool) -> Found<'a> {
    let topic_name = TopicName::from(name);
    let described = if create {
        broker.topics.describe_or_create(&topic_name)
    } else {
        broker.topics.describe(&TopicKey::Name(topic_name))
    };
    match described {
        Ok(topic) => Found::Topic(topic),
        Err(error) => Found::Not {
            name: Some(name),
            id: TopicId::ZERO,
            // Metadata has no code for a full node: the topic does not exist.
            code: if matches!(error, TopicError::PolicyViolation) {
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
            } else {
                code_of(&error)
            },
        },
    }
}

/// Whether the name is one of Kafka's own topics, which consumers of patterns leave out.
pub(super) fn is_internal(name: &str) -> bool {
    matches!(name, "__consumer_offsets" | "__transaction_state")
}

/// Everything that may be done with a topic, as bits (KIP-430): read, write, create, delete,
/// alter, describe, describe and alter its configuration. Nobody is forbidden anything.
pub(super) const TOPIC_OPERATIONS: i32 = 0xdf8;

/// Everything that may be done with the cluster: create, alter, describe, cluster action,
/// describe and alter configurations, idempotent write.
pub(super) const CLUSTER_OPERATIONS: i32 = 0x1fa0;
