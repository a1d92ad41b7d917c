//! `EndTxn` (26): commit or abort.
//!
//! v3 flexible; v4 `TRANSACTION_ABORTABLE`; v5 a new epoch in the answer (KIP-890).

use crate::wire::schema;

schema! {
    /// Which transaction, and how it ends.
    pub struct EndTxnRequest<'a>(versions 0..=5, flexible 3) {
        transactional_id: &'a str, 0..;
        producer_id: i64, 0..;
        producer_epoch: i16, 0..;
        /// False aborts.
        committed: bool, 0..;
    }

    /// Whether it did, and what the producer goes on with.
    pub struct EndTxnResponse(versions 0..=5, flexible 3) {
        throttle_time_ms: i32, 0..;
        error_code: i16, 0..;
        producer_id: i64, 5.., default -1;
        producer_epoch: i16, 5.., default -1;
    }
}
