//! `OffsetFetch` (9): how far groups have read.
//!
//! v2 all topics, error at top level; v3 throttle time; v5 leader epoch (KIP-320); v6 flexible;
//! v7 require stable (KIP-447); v8 many groups (KIP-709); v9 member epochs (KIP-848); v10 topic
//! ids instead of names.

use crate::ids::TopicId;
use crate::wire::schema;

schema! {
    /// Asks for the offsets of one group, or of many from version 8.
    pub struct OffsetFetchRequest<'a>(versions 0..=10, flexible 6) {
        group_id: &'a str, 0..=7;
        /// Null asks for all that the group has.
        topics: Option<Vec<OffsetFetchRequestTopic<'a>>>, 0..=7, null 2..=7,
            default Some(Vec::new());
        groups: Vec<OffsetFetchRequestGroup<'a>>, 8..;
        require_stable: bool, 7..;
    }

    /// A topic of the one group.
    pub struct OffsetFetchRequestTopic<'a> {
        name: &'a str, 0..=7;
        partition_indexes: Vec<i32>, 0..=7;
    }

    /// A group.
    pub struct OffsetFetchRequestGroup<'a> {
        group_id: &'a str, 8..;
        member_id: Option<&'a str>, 9..;
        member_epoch: i32, 9.., default -1;
        /// Null asks for all that the group has.
        topics: Option<Vec<OffsetFetchRequestTopics<'a>>>, 8.., default Some(Vec::new());
    }

    /// A topic of a group.
    pub struct OffsetFetchRequestTopics<'a> {
        name: &'a str, 8..=9;
        topic_id: TopicId, 10..;
        partition_indexes: Vec<i32>, 8..;
    }

    /// The offsets of one group, or of many from version 8.
    pub struct OffsetFetchResponse<'a>(versions 0..=10, flexible 6) {
        throttle_time_ms: i32, 3..;
        topics: Vec<OffsetFetchResponseTopic<'a>>, 0..=7;
        error_code: i16, 2..=7;
        groups: Vec<OffsetFetchResponseGroup<'a>>, 8..;
    }

    /// A topic of the one group.
    pub struct OffsetFetchResponseTopic<'a> {
        name: &'a str, 0..=7;
        partitions: Vec<OffsetFetchResponsePartition<'a>>, 0..=7;
    }

    /// An offset of the one group.
    pub struct OffsetFetchResponsePartition<'a> {
        partition_index: i32, 0..=7;
        committed_offset: i64, 0..=7;
        committed_leader_epoch: i32, 5..=7, default -1;
        metadata: Option<&'a str>, 0..=7, default Some("");
        error_code: i16, 0..=7;
    }

    /// A group.
    pub struct OffsetFetchResponseGroup<'a> {
        group_id: &'a str, 8..;
        topics: Vec<OffsetFetchResponseTopics<'a>>, 8..;
        error_code: i16, 8..;
    }

    /// A topic of a group.
    pub struct OffsetFetchResponseTopics<'a> {
        name: &'a str, 8..=9;
        topic_id: TopicId, 10..;
        partitions: Vec<OffsetFetchResponsePartitions<'a>>, 8..;
    }

    /// An offset of a group.
    pub struct OffsetFetchResponsePartitions<'a> {
        partition_index: i32, 8..;
        committed_offset: i64, 8..;
        committed_leader_epoch: i32, 8.., default -1;
        metadata: Option<&'a str>, 8.., default Some("");
        error_code: i16, 8..;
    }
}
