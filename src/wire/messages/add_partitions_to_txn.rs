//! `AddPartitionsToTxn` (24): a transaction will write to these partitions.
//!
//! v3 flexible; v4 many transactions, verification alone (KIP-890); v5 partitions added
//! implicitly.

use crate::wire::schema;

schema! {
    /// The partitions, of one transaction until version 3 and of many from version 4.
    pub struct AddPartitionsToTxnRequest<'a>(versions 0..=5, flexible 3) {
        transactions: Vec<AddPartitionsToTxnTransaction<'a>>, 4..;
        v3_and_below_transactional_id: &'a str, 0..=3;
        v3_and_below_producer_id: i64, 0..=3;
        v3_and_below_producer_epoch: i16, 0..=3;
        v3_and_below_topics: Vec<AddPartitionsToTxnTopic<'a>>, 0..=3;
    }

    /// A transaction.
    pub struct AddPartitionsToTxnTransaction<'a> {
        transactional_id: &'a str, 4..;
        producer_id: i64, 4..;
        producer_epoch: i16, 4..;
        verify_only: bool, 4..;
        topics: Vec<AddPartitionsToTxnTopic<'a>>, 4..;
    }

    /// A topic and its partitions.
    pub struct AddPartitionsToTxnTopic<'a> {
        name: &'a str, 0..;
        partitions: Vec<i32>, 0..;
    }

    /// What became of each.
    pub struct AddPartitionsToTxnResponse<'a>(versions 0..=5, flexible 3) {
        throttle_time_ms: i32, 0..;
        error_code: i16, 4..;
        results_by_transaction: Vec<AddPartitionsToTxnResult<'a>>, 4..;
        results_by_topic_v3_and_below: Vec<AddPartitionsToTxnTopicResult<'a>>, 0..=3;
    }

    /// A transaction of the request.
    pub struct AddPartitionsToTxnResult<'a> {
        transactional_id: &'a str, 4..;
        topic_results: Vec<AddPartitionsToTxnTopicResult<'a>>, 4..;
    }

    /// A topic of the request.
    pub struct AddPartitionsToTxnTopicResult<'a> {
        name: &'a str, 0..;
        results_by_partition: Vec<AddPartitionsToTxnPartitionResult>, 0..;
    }

    /// A partition of the request.
    pub struct AddPartitionsToTxnPartitionResult {
        partition_index: i32, 0..;
        partition_error_code: i16, 0..;
    }
}
