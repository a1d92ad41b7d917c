//! `ConsumerGroupHeartbeat` (68): join, stay, reconcile and leave a consumer group (KIP-848).
//!
//! v1 subscription by pattern, member ids made by the client (KIP-1082).

use crate::ids::TopicId;
use crate::wire::schema;

schema! {
    /// A member says that it is alive; what is null has not changed.
    pub struct ConsumerGroupHeartbeatRequest<'a>(versions 0..=1, flexible 0) {
        group_id: &'a str, 0..;
        member_id: &'a str, 0..;
        /// 0 joins, -1 leaves, -2 leaves as a static member that will be back.
        member_epoch: i32, 0..;
        instance_id: Option<&'a str>, 0..;
        rack_id: Option<&'a str>, 0..;
        rebalance_timeout_ms: i32, 0.., default -1;
        subscribed_topic_names: Option<Vec<&'a str>>, 0..;
        subscribed_topic_regex: Option<&'a str>, 1..;
        server_assignor: Option<&'a str>, 0..;
        topic_partitions: Option<Vec<ConsumerGroupTopicPartitions>>, 0..;
    }

    /// Partitions of a topic.
    pub struct ConsumerGroupTopicPartitions {
        topic_id: TopicId, 0..;
        partitions: Vec<i32>, 0..;
    }

    /// What the member is to own.
    pub struct ConsumerGroupHeartbeatResponse<'a>(versions 0..=1, flexible 0) {
        throttle_time_ms: i32, 0..;
        error_code: i16, 0..;
        error_message: Option<&'a str>, 0..;
        member_id: Option<&'a str>, 0..;
        member_epoch: i32, 0..;
        heartbeat_interval_ms: i32, 0..;
        /// Null where nothing changed.
        assignment: Option<ConsumerGroupAssignment>, 0..;
    }

    /// An assignment.
    pub struct ConsumerGroupAssignment {
        topic_partitions: Vec<ConsumerGroupTopicPartitions>, 0..;
    }
}
