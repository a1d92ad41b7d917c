//! `Fetch` (1): read records, waiting for them if there are none.
//!
//! v4 isolation level; v5 log start offset; v7 sessions (KIP-227); v9 leader epoch (KIP-320);
//! v10 zstd; v11 rack (KIP-392); v12 flexible, diverging epochs (KIP-595); v13 topic ids
//! (KIP-516); v15 replica state instead of id (KIP-903); v16 node endpoints (KIP-951); v17
//! directory ids (KIP-853); v18 the replica's high watermark (KIP-1166).

use crate::ids::TopicId;
use crate::wire::schema;

schema! {
    /// What to read.
    pub struct FetchRequest<'a>(versions 4..=18, flexible 12) {
        cluster_id: Option<&'a str>, 12.., tag 0;
        /// -1 is a consumer.
        replica_id: i32, 4..=14, default -1;
        replica_state: FetchReplicaState, 15.., tag 1;
        max_wait_ms: i32, 4..;
        min_bytes: i32, 4..;
        max_bytes: i32, 4.., default i32::MAX;
        /// 0 reads uncommitted records, 1 committed ones only.
        isolation_level: i8, 4..;
        session_id: i32, 7..;
        /// -1 wants no session, 0 a new one.
        session_epoch: i32, 7.., default -1;
        topics: Vec<FetchRequestTopic<'a>>, 4..;
        forgotten_topics_data: Vec<FetchForgottenTopic<'a>>, 7..;
        rack_id: &'a str, 11..;
    }

    /// The replica that reads; -1 is a consumer.
    pub struct FetchReplicaState {
        replica_id: i32, 15.., default -1;
        replica_epoch: i64, 15.., default -1;
    }

    /// A topic and its partitions.
    pub struct FetchRequestTopic<'a> {
        topic: &'a str, 4..=12;
        topic_id: TopicId, 13..;
        partitions: Vec<FetchRequestPartition>, 4..;
    }

    /// A partition and from where on.
    pub struct FetchRequestPartition {
        partition: i32, 4..;
        current_leader_epoch: i32, 9.., default -1;
        fetch_offset: i64, 4..;
        last_fetched_epoch: i32, 12.., default -1;
        log_start_offset: i64, 5.., default -1;
        partition_max_bytes: i32, 4..;
        replica_directory_id: TopicId, 17.., tag 0;
        high_watermark: i64, 18.., default i64::MAX, tag 1;
    }

    /// A topic whose partitions leave the session.
    pub struct FetchForgottenTopic<'a> {
        topic: &'a str, 7..=12;
        topic_id: TopicId, 13..;
        partitions: Vec<i32>, 7..;
    }

    /// The records.
    pub struct FetchResponse<'a>(versions 4..=18, flexible 12) {
        throttle_time_ms: i32, 4..;
        error_code: i16, 7..;
        session_id: i32, 7..;
        responses: Vec<FetchResponseTopic<'a>>, 4..;
        node_endpoints: Vec<FetchResponseNode<'a>>, 16.., tag 0;
    }

    /// A topic of the request or of the session.
    pub struct FetchResponseTopic<'a> {
        topic: &'a str, 4..=12;
        topic_id: TopicId, 13..;
        partitions: Vec<FetchResponsePartition<'a>>, 4..;
    }

    /// A partition and its records.
    pub struct FetchResponsePartition<'a> {
        partition_index: i32, 4..;
        error_code: i16, 4..;
        high_watermark: i64, 4..;
        last_stable_offset: i64, 4.., default -1;
        log_start_offset: i64, 5.., default -1;
        diverging_epoch: FetchEpochEnd, 12.., tag 0;
        current_leader: FetchLeader, 12.., tag 1;
        snapshot_id: FetchSnapshot, 12.., tag 2;
        aborted_transactions: Option<Vec<FetchAbortedTransaction>>, 4..;
        preferred_read_replica: i32, 11.., default -1;
        /// Record batches, as they are stored; the last one may be cut off.
        records: Option<&'a [u8]>, 4..;
    }

    /// Where an epoch ends.
    pub struct FetchEpochEnd {
        epoch: i32, 12.., default -1;
        end_offset: i64, 12.., default -1;
    }

    /// Who leads a partition.
    pub struct FetchLeader {
        leader_id: i32, 12.., default -1;
        leader_epoch: i32, 12.., default -1;
    }

    /// A snapshot to be fetched instead.
    pub struct FetchSnapshot {
        end_offset: i64, 12.., default -1;
        epoch: i32, 12.., default -1;
    }

    /// A transaction whose records are to be left out.
    pub struct FetchAbortedTransaction {
        producer_id: i64, 4..;
        first_offset: i64, 4..;
    }

    /// Where a leader can be reached.
    pub struct FetchResponseNode<'a> {
        node_id: i32, 16..;
        host: &'a str, 16..;
        port: i32, 16..;
        rack: Option<&'a str>, 16..;
    }
}
