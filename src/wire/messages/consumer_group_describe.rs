//! `ConsumerGroupDescribe` (69): consumer groups in detail (KIP-848).
//!
//! v1 member type (KIP-1099).

use crate::ids::TopicId;
use crate::wire::schema;

schema! {
    /// Which groups.
    pub struct ConsumerGroupDescribeRequest<'a>(versions 0..=1, flexible 0) {
        group_ids: Vec<&'a str>, 0..;
        include_authorized_operations: bool, 0..;
    }

    /// The groups, in the order of the request.
    pub struct ConsumerGroupDescribeResponse<'a>(versions 0..=1, flexible 0) {
        throttle_time_ms: i32, 0..;
        groups: Vec<ConsumerGroupDescribedGroup<'a>>, 0..;
    }

    /// A group.
    pub struct ConsumerGroupDescribedGroup<'a> {
        error_code: i16, 0..;
        error_message: Option<&'a str>, 0..;
        group_id: &'a str, 0..;
        group_state: &'a str, 0..;
        group_epoch: i32, 0..;
        assignment_epoch: i32, 0..;
        assignor_name: &'a str, 0..;
        members: Vec<ConsumerGroupDescribedMember<'a>>, 0..;
        authorized_operations: i32, 0.., default i32::MIN;
    }

    /// A member.
    pub struct ConsumerGroupDescribedMember<'a> {
        member_id: &'a str, 0..;
        instance_id: Option<&'a str>, 0..;
        rack_id: Option<&'a str>, 0..;
        member_epoch: i32, 0..;
        client_id: &'a str, 0..;
        client_host: &'a str, 0..;
        subscribed_topic_names: Vec<&'a str>, 0..;
        subscribed_topic_regex: Option<&'a str>, 0..;
        assignment: ConsumerGroupDescribedAssignment<'a>, 0..;
        target_assignment: ConsumerGroupDescribedAssignment<'a>, 0..;
        /// -1 unknown, 0 classic, 1 consumer.
        member_type: i8, 1.., default -1;
    }

    /// An assignment.
    pub struct ConsumerGroupDescribedAssignment<'a> {
        topic_partitions: Vec<ConsumerGroupDescribedTopic<'a>>, 0..;
    }

    /// Partitions of a topic.
    pub struct ConsumerGroupDescribedTopic<'a> {
        topic_id: TopicId, 0..;
        topic_name: &'a str, 0..;
        partitions: Vec<i32>, 0..;
    }
}
