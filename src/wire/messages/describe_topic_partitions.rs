//! `DescribeTopicPartitions` (75): topics page by page (KIP-966).

use crate::ids::TopicId;
use crate::wire::schema;

schema! {
    /// Which topics, and from where on.
    pub struct DescribeTopicPartitionsRequest<'a>(versions 0..=0, flexible 0) {
        topics: Vec<DescribeTopicPartitionsTopic<'a>>, 0..;
        response_partition_limit: i32, 0.., default 2000;
        cursor: Option<TopicPartitionsCursor<'a>>, 0..;
    }

    /// A topic.
    pub struct DescribeTopicPartitionsTopic<'a> {
        name: &'a str, 0..;
    }

    /// The first partition of a page.
    pub struct TopicPartitionsCursor<'a> {
        topic_name: &'a str, 0..;
        partition_index: i32, 0..;
    }

    /// A page.
    pub struct DescribeTopicPartitionsResponse<'a>(versions 0..=0, flexible 0) {
        throttle_time_ms: i32, 0..;
        topics: Vec<DescribedTopic<'a>>, 0..;
        /// Where the next page begins; null on the last one.
        next_cursor: Option<TopicPartitionsCursor<'a>>, 0..;
    }

    /// A topic.
    pub struct DescribedTopic<'a> {
        error_code: i16, 0..;
        name: Option<&'a str>, 0..;
        topic_id: TopicId, 0..;
        is_internal: bool, 0..;
        partitions: Vec<DescribedPartition>, 0..;
        topic_authorized_operations: i32, 0.., default i32::MIN;
    }

    /// A partition.
    pub struct DescribedPartition {
        error_code: i16, 0..;
        partition_index: i32, 0..;
        leader_id: i32, 0..;
        leader_epoch: i32, 0.., default -1;
        replica_nodes: Vec<i32>, 0..;
        isr_nodes: Vec<i32>, 0..;
        eligible_leader_replicas: Option<Vec<i32>>, 0..;
        last_known_elr: Option<Vec<i32>>, 0..;
        offline_replicas: Vec<i32>, 0..;
    }
}
