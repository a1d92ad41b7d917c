//! `Metadata` (3): brokers, topics, partitions and who leads them.
//!
//! v1 null for all topics, rack, controller; v2 cluster id; v3 throttle time; v4 auto-creation
//! may be forbidden; v5 offline replicas; v7 leader epoch; v8 authorized operations; v9 flexible;
//! v10 topic ids (KIP-516); v11 no operations of the cluster (KIP-700); v12 null names; v13 an
//! error at top level (KIP-1102).

use crate::ids::TopicId;
use crate::wire::schema;

schema! {
    /// Which topics.
    pub struct MetadataRequest<'a>(versions 0..=13, flexible 9) {
        /// Null asks for all; so does an empty list in version 0.
        topics: Option<Vec<MetadataRequestTopic<'a>>>, 0.., null 1..;
        allow_auto_topic_creation: bool, 4.., default true;
        include_cluster_authorized_operations: bool, 8..=10;
        include_topic_authorized_operations: bool, 8..;
    }

    /// A topic by name or, where the name is null, by id.
    pub struct MetadataRequestTopic<'a> {
        topic_id: TopicId, 10..;
        name: Option<&'a str>, 0.., null 10..;
    }

    /// The cluster.
    pub struct MetadataResponse<'a>(versions 0..=13, flexible 9) {
        throttle_time_ms: i32, 3..;
        brokers: Vec<MetadataBroker<'a>>, 0..;
        cluster_id: Option<&'a str>, 2..;
        controller_id: i32, 1.., default -1;
        topics: Vec<MetadataTopic<'a>>, 0..;
        cluster_authorized_operations: i32, 8..=10, default i32::MIN;
        error_code: i16, 13..;
    }

    /// A broker.
    pub struct MetadataBroker<'a> {
        node_id: i32, 0..;
        host: &'a str, 0..;
        port: i32, 0..;
        rack: Option<&'a str>, 1..;
    }

    /// A topic.
    pub struct MetadataTopic<'a> {
        error_code: i16, 0..;
        name: Option<&'a str>, 0.., null 12..;
        topic_id: TopicId, 10..;
        is_internal: bool, 1..;
        partitions: Vec<MetadataPartition>, 0..;
        topic_authorized_operations: i32, 8.., default i32::MIN;
    }

    /// A partition.
    pub struct MetadataPartition {
        error_code: i16, 0..;
        partition_index: i32, 0..;
        leader_id: i32, 0..;
        leader_epoch: i32, 7.., default -1;
        replica_nodes: Vec<i32>, 0..;
        isr_nodes: Vec<i32>, 0..;
        offline_replicas: Vec<i32>, 5..;
    }
}
