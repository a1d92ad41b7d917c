//! `AddOffsetsToTxn` (25): a transaction will commit offsets of this group.
//!
//! v3 flexible; v4 `TRANSACTION_ABORTABLE` (KIP-890).

use crate::wire::schema;

schema! {
    /// Transaction and group.
    pub struct AddOffsetsToTxnRequest<'a>(versions 0..=4, flexible 3) {
        transactional_id: &'a str, 0..;
        producer_id: i64, 0..;
        producer_epoch: i16, 0..;
        group_id: &'a str, 0..;
    }

    /// Whether it may.
    pub struct AddOffsetsToTxnResponse(versions 0..=4, flexible 3) {
        throttle_time_ms: i32, 0..;
        error_code: i16, 0..;
    }
}
