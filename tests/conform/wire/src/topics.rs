//! Metadata, and topics to work with.

use std::time::Duration;

use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{CreateTopicsRequest, MetadataRequest, MetadataResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::conn::Conn;
use crate::error::{WireError, code};

/// Metadata of the brokers and of the topics named.
pub async fn metadata(
    conn: &Conn,
    topics: &[StrBytes],
    create: bool,
) -> Result<MetadataResponse, WireError> {
    let version = conn.versions().need::<MetadataRequest>()?;
    let topics = topics
        .iter()
        .map(|name| MetadataRequestTopic::default().with_name(Some(TopicName(name.clone()))))
        .collect();
    let mut request = MetadataRequest::default().with_topics(Some(topics));
    if version >= 4 {
        request.allow_auto_topic_creation = create; // older versions always create
    }
    conn.call(&request, version).await
}

#[derive(Debug, Clone)]
pub struct Topic {
    pub name: StrBytes,
    /// Nil where the server speaks no version of Metadata that gives it.
    pub id: Uuid,
    pub partitions: usize,
    /// The API that created it: "CreateTopics" or "Metadata".
    pub created_by: &'static str,
}

/// Creates `name` with `partitions` partitions, if it isn't there, and waits until Metadata
/// shows it. Without CreateTopics, lets Metadata create it, and then the server chooses the
/// number of partitions.
pub async fn ensure_topic(
    conn: &Conn,
    name: &StrBytes,
    partitions: usize,
    deadline: Instant,
) -> Result<Topic, WireError> {
    let create = conn.versions().pick::<CreateTopicsRequest>();
    if let Some(version) = create {
        create_topic(conn, version, name, partitions).await?;
    }
    loop {
        let response = metadata(conn, std::slice::from_ref(name), create.is_none()).await?;
        let topic = response
            .topics
            .iter()
            .find(|t| t.name.as_ref().is_some_and(|n| n.0 == *name));
        let state = topic.map_or(code::UNKNOWN_TOPIC_OR_PARTITION, |t| t.error_code);
        match (state, topic) {
            (0, Some(topic)) if !topic.partitions.is_empty() => {
                return Ok(Topic {
                    name: name.clone(),
                    id: topic.topic_id,
                    partitions: topic.partitions.len(),
                    created_by: if create.is_some() {
                        "CreateTopics"
                    } else {
                        "Metadata"
                    },
                });
            }
            (0 | code::UNKNOWN_TOPIC_OR_PARTITION | code::LEADER_NOT_AVAILABLE, _)
                if Instant::now() < deadline => {}
            (code, _) => {
                return Err(WireError::Server {
                    what: format!("Metadata for topic '{name}'"),
                    code,
                });
            }
        }
        sleep(Duration::from_millis(50)).await;
    }
}

async fn create_topic(
    conn: &Conn,
    version: i16,
    name: &StrBytes,
    partitions: usize,
) -> Result<(), WireError> {
    // From version 4 on the broker's default replication may be asked for.
    let mut replication: i16 = if version >= 4 { -1 } else { 1 };
    loop {
        let topic = CreatableTopic::default()
            .with_name(TopicName(name.clone()))
            .with_num_partitions(partitions as i32)
            .with_replication_factor(replication);
        let request = CreateTopicsRequest::default()
            .with_topics(vec![topic])
            .with_timeout_ms(10_000);
        let response = conn.call(&request, version).await?;
        let result = response.topics.first().map_or(-1, |t| t.error_code);
        match result {
            0 | code::TOPIC_ALREADY_EXISTS => return Ok(()),
            code::INVALID_REPLICATION_FACTOR if replication == -1 => replication = 1,
            code => {
                return Err(WireError::Server {
                    what: format!("CreateTopics v{version} for '{name}'"),
                    code,
                });
            }
        }
    }
}
