//! `Produce` (0): append records.
//!
//! v3 transactional id, record batches; v5 log start offset; v7 zstd; v8 record errors (KIP-467);
//! v9 flexible; v10 current leader (KIP-951); v11 `TRANSACTION_ABORTABLE` and v12 partitions added
//! implicitly (KIP-890); v13 topic ids instead of names (KIP-516). Below 3 is gone (KIP-896).

use crate::ids::TopicId;
use crate::wire::schema;

schema! {
    /// Records to append.
    pub struct ProduceRequest<'a>(versions 3..=13, flexible 9) {
        transactional_id: Option<&'a str>, 3..;
        /// 0 wants no answer at all, 1 and -1 want one.
        acks: i16, 3..;
        timeout_ms: i32, 3..;
        topic_data: Vec<ProduceRequestTopic<'a>>, 3..;
    }

    /// A topic and its partitions.
    pub struct ProduceRequestTopic<'a> {
        topic_id: TopicId, 13..;
        name: &'a str, 3..=12;
        partition_data: Vec<ProduceRequestPartition<'a>>, 3..;
    }

    /// A partition and its records.
    pub struct ProduceRequestPartition<'a> {
        index: i32, 3..;
        /// One record batch, as it is stored.
        records: Option<&'a [u8]>, 3..;
    }

    /// Where the records went.
    pub struct ProduceResponse<'a>(versions 3..=13, flexible 9) {
        responses: Vec<ProduceResponseTopic<'a>>, 3..;
        throttle_time_ms: i32, 3..;
        node_endpoints: Vec<ProduceResponseNode<'a>>, 10.., tag 0;
    }

    /// A topic of the request.
    pub struct ProduceResponseTopic<'a> {
        topic_id: TopicId, 13..;
        name: &'a str, 3..=12;
        partition_responses: Vec<ProduceResponsePartition<'a>>, 3..;
    }

    /// A partition of the request.
    pub struct ProduceResponsePartition<'a> {
        index: i32, 3..;
        error_code: i16, 3..;
        base_offset: i64, 3..;
        /// -1 where the topic keeps the records' own times.
        log_append_time_ms: i64, 3.., default -1;
        log_start_offset: i64, 5.., default -1;
        record_errors: Vec<ProduceRecordError<'a>>, 8..;
        error_message: Option<&'a str>, 8..;
        current_leader: ProduceLeader, 10.., tag 0;
    }

    /// What is wrong with one record of a batch.
    pub struct ProduceRecordError<'a> {
        batch_index: i32, 8..;
        batch_index_error_message: Option<&'a str>, 8..;
    }

    /// Who leads a partition.
    pub struct ProduceLeader {
        leader_id: i32, 10.., default -1;
        leader_epoch: i32, 10.., default -1;
    }

    /// Where a leader can be reached.
    pub struct ProduceResponseNode<'a> {
        node_id: i32, 10..;
        host: &'a str, 10..;
        port: i32, 10..;
        rack: Option<&'a str>, 10..;
    }
}
