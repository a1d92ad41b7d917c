//! `ListTransactions` (66): the transactional ids that this coordinator has (KIP-664).
//!
//! v1 running for longer than that (KIP-994); v2 ids that match a pattern (KIP-1152).

use crate::wire::schema;

schema! {
    /// Which ids; an empty filter lets all pass.
    pub struct ListTransactionsRequest<'a>(versions 0..=2, flexible 0) {
        state_filters: Vec<&'a str>, 0..;
        producer_id_filters: Vec<i64>, 0..;
        /// Only transactions that run for longer than that, in milliseconds; -1 lets all pass.
        duration_filter: i64, 1.., default -1;
        transactional_id_pattern: Option<&'a str>, 2..;
    }

    /// The ids.
    pub struct ListTransactionsResponse<'a>(versions 0..=2, flexible 0) {
        throttle_time_ms: i32, 0..;
        error_code: i16, 0..;
        unknown_state_filters: Vec<&'a str>, 0..;
        transaction_states: Vec<ListedTransaction<'a>>, 0..;
    }

    /// An id.
    pub struct ListedTransaction<'a> {
        transactional_id: &'a str, 0..;
        producer_id: i64, 0..;
        transaction_state: &'a str, 0..;
    }
}
