//! `DescribeTransactions` (65): what the coordinator knows of transactional ids (KIP-664).

use crate::wire::schema;

schema! {
    /// Which ids.
    pub struct DescribeTransactionsRequest<'a>(versions 0..=0, flexible 0) {
        transactional_ids: Vec<&'a str>, 0..;
    }

    /// What is known of each.
    pub struct DescribeTransactionsResponse<'a>(versions 0..=0, flexible 0) {
        throttle_time_ms: i32, 0..;
        transaction_states: Vec<DescribedTransaction<'a>>, 0..;
    }

    /// An id of the request.
    pub struct DescribedTransaction<'a> {
        error_code: i16, 0..;
        transactional_id: &'a str, 0..;
        transaction_state: &'a str, 0..;
        transaction_timeout_ms: i32, 0..;
        transaction_start_time_ms: i64, 0..;
        producer_id: i64, 0..;
        producer_epoch: i16, 0..;
        topics: Vec<DescribedTransactionTopic<'a>>, 0..;
    }

    /// A topic in the transaction.
    pub struct DescribedTransactionTopic<'a> {
        topic: &'a str, 0..;
        partitions: Vec<i32>, 0..;
    }
}
