//! `OffsetForLeaderEpoch` (23): where an epoch ends (KIP-101, KIP-320).
//!
//! v2 the current leader's epoch; v3 replica id; v4 flexible.

use crate::wire::schema;

schema! {
    /// Which epochs of which partitions.
    pub struct OffsetForLeaderEpochRequest<'a>(versions 2..=4, flexible 4) {
        /// -1 is a consumer, -2 one that does not say.
        replica_id: i32, 3.., default -2;
        topics: Vec<OffsetForLeaderTopic<'a>>, 2..;
    }

    /// A topic and its partitions.
    pub struct OffsetForLeaderTopic<'a> {
        topic: &'a str, 2..;
        partitions: Vec<OffsetForLeaderPartition>, 2..;
    }

    /// A partition and an epoch.
    pub struct OffsetForLeaderPartition {
        partition: i32, 2..;
        current_leader_epoch: i32, 2.., default -1;
        leader_epoch: i32, 2..;
    }

    /// Where they end.
    pub struct OffsetForLeaderEpochResponse<'a>(versions 2..=4, flexible 4) {
        throttle_time_ms: i32, 2..;
        topics: Vec<OffsetForLeaderTopicResult<'a>>, 2..;
    }

    /// A topic of the request.
    pub struct OffsetForLeaderTopicResult<'a> {
        topic: &'a str, 2..;
        partitions: Vec<EpochEndOffset>, 2..;
    }

    /// A partition of the request. The error stands before the partition here.
    pub struct EpochEndOffset {
        error_code: i16, 2..;
        partition: i32, 2..;
        leader_epoch: i32, 2.., default -1;
        end_offset: i64, 2.., default -1;
    }
}
