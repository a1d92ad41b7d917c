//! `OffsetCommit` (8): how far a group has read.
//!
//! v1 generation, member and timestamp; v2 retention for the timestamp; v3 throttle time; v5 no
//! retention (KIP-211); v6 leader epoch (KIP-320); v7 static members (KIP-345); v8 flexible; v9
//! member epochs (KIP-848); v10 topic ids instead of names.

use crate::ids::TopicId;
use crate::wire::schema;

schema! {
    /// The offsets to keep.
    pub struct OffsetCommitRequest<'a>(versions 0..=10, flexible 8) {
        group_id: &'a str, 0..;
        generation_id_or_member_epoch: i32, 1.., default -1;
        member_id: &'a str, 1..;
        group_instance_id: Option<&'a str>, 7..;
        /// -1 stands for the coordinator's own retention.
        retention_time_ms: i64, 2..=4, default -1;
        topics: Vec<OffsetCommitRequestTopic<'a>>, 0..;
    }

    /// A topic and its partitions.
    pub struct OffsetCommitRequestTopic<'a> {
        name: &'a str, 0..=9;
        topic_id: TopicId, 10..;
        partitions: Vec<OffsetCommitRequestPartition<'a>>, 0..;
    }

    /// A partition and its offset.
    pub struct OffsetCommitRequestPartition<'a> {
        partition_index: i32, 0..;
        committed_offset: i64, 0..;
        committed_leader_epoch: i32, 6.., default -1;
        commit_timestamp: i64, 1..=1, default -1;
        committed_metadata: Option<&'a str>, 0.., default Some("");
    }

    /// What became of each offset.
    pub struct OffsetCommitResponse<'a>(versions 0..=10, flexible 8) {
        throttle_time_ms: i32, 3..;
        topics: Vec<OffsetCommitResponseTopic<'a>>, 0..;
    }

    /// A topic of the request.
    pub struct OffsetCommitResponseTopic<'a> {
        name: &'a str, 0..=9;
        topic_id: TopicId, 10..;
        partitions: Vec<OffsetCommitResponsePartition>, 0..;
    }

    /// A partition of the request.
    pub struct OffsetCommitResponsePartition {
        partition_index: i32, 0..;
        error_code: i16, 0..;
    }
}
