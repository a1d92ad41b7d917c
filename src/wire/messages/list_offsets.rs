//! `ListOffsets` (2): the offset at a time.
//!
//! v1 one offset a partition; v2 isolation level; v4 leader epoch (KIP-320); v6 flexible; v7
//! greatest timestamp (KIP-734); v8 and v9 tiered storage (KIP-405, KIP-1005); v10 timeout
//! (KIP-1075); v11 earliest pending upload (KIP-1023).

use crate::wire::schema;

schema! {
    /// Which partitions at which times.
    pub struct ListOffsetsRequest<'a>(versions 1..=11, flexible 6) {
        /// -1 is a consumer.
        replica_id: i32, 1.., default -1;
        isolation_level: i8, 2..;
        topics: Vec<ListOffsetsRequestTopic<'a>>, 1..;
        timeout_ms: i32, 10..;
    }

    /// A topic and its partitions.
    pub struct ListOffsetsRequestTopic<'a> {
        name: &'a str, 1..;
        partitions: Vec<ListOffsetsRequestPartition>, 1..;
    }

    /// A partition and a time.
    pub struct ListOffsetsRequestPartition {
        partition_index: i32, 1..;
        current_leader_epoch: i32, 4.., default -1;
        /// In milliseconds; negative ones are names: -1 latest, -2 earliest, -3 greatest time.
        timestamp: i64, 1..;
    }

    /// The offsets.
    pub struct ListOffsetsResponse<'a>(versions 1..=11, flexible 6) {
        throttle_time_ms: i32, 2..;
        topics: Vec<ListOffsetsResponseTopic<'a>>, 1..;
    }

    /// A topic of the request.
    pub struct ListOffsetsResponseTopic<'a> {
        name: &'a str, 1..;
        partitions: Vec<ListOffsetsResponsePartition>, 1..;
    }

    /// A partition of the request; -1 says that there is no such offset.
    pub struct ListOffsetsResponsePartition {
        partition_index: i32, 1..;
        error_code: i16, 1..;
        timestamp: i64, 1.., default -1;
        offset: i64, 1.., default -1;
        leader_epoch: i32, 4.., default -1;
    }
}
