//! `TxnOffsetCommit` (28): offsets that count once a transaction commits.
//!
//! v2 leader epoch; v3 flexible, generation and member (KIP-447); v4 `TRANSACTION_ABORTABLE` and
//! v5 partition added implicitly (KIP-890); v6 topic ids instead of names (KIP-1319).

use crate::ids::TopicId;
use crate::wire::schema;

schema! {
    /// The offsets to keep.
    pub struct TxnOffsetCommitRequest<'a>(versions 0..=6, flexible 3) {
        transactional_id: &'a str, 0..;
        group_id: &'a str, 0..;
        producer_id: i64, 0..;
        producer_epoch: i16, 0..;
        generation_id_or_member_epoch: i32, 3.., default -1;
        member_id: &'a str, 3..;
        group_instance_id: Option<&'a str>, 3..;
        topics: Vec<TxnOffsetCommitRequestTopic<'a>>, 0..;
    }

    /// A topic and its partitions.
    pub struct TxnOffsetCommitRequestTopic<'a> {
        name: &'a str, 0..=5;
        topic_id: TopicId, 6..;
        partitions: Vec<TxnOffsetCommitRequestPartition<'a>>, 0..;
    }

    /// A partition and its offset.
    pub struct TxnOffsetCommitRequestPartition<'a> {
        partition_index: i32, 0..;
        committed_offset: i64, 0..;
        committed_leader_epoch: i32, 2.., default -1;
        committed_metadata: Option<&'a str>, 0.., default Some("");
    }

    /// What became of each offset.
    pub struct TxnOffsetCommitResponse<'a>(versions 0..=6, flexible 3) {
        throttle_time_ms: i32, 0..;
        topics: Vec<TxnOffsetCommitResponseTopic<'a>>, 0..;
    }

    /// A topic of the request.
    pub struct TxnOffsetCommitResponseTopic<'a> {
        name: &'a str, 0..=5;
        topic_id: TopicId, 6..;
        partitions: Vec<TxnOffsetCommitResponsePartition>, 0..;
    }

    /// A partition of the request.
    pub struct TxnOffsetCommitResponsePartition {
        partition_index: i32, 0..;
        error_code: i16, 0..;
    }
}
