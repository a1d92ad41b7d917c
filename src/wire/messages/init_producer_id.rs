//! `InitProducerId` (22): an id and an epoch for an idempotent or transactional producer.
//!
//! v2 flexible; v3 producer id and epoch (KIP-360); v4 `PRODUCER_FENCED` (KIP-588); v5
//! `TRANSACTION_ABORTABLE` (KIP-890); v6 two-phase commit (KIP-939).

use crate::wire::schema;

schema! {
    /// Who produces.
    pub struct InitProducerIdRequest<'a>(versions 0..=6, flexible 2) {
        transactional_id: Option<&'a str>, 0..;
        transaction_timeout_ms: i32, 0..;
        producer_id: i64, 3.., default -1;
        producer_epoch: i16, 3.., default -1;
        enable_2pc: bool, 6..;
        keep_prepared_txn: bool, 6..;
    }

    /// The id and the epoch.
    pub struct InitProducerIdResponse(versions 0..=6, flexible 2) {
        throttle_time_ms: i32, 0..;
        error_code: i16, 0..;
        producer_id: i64, 0.., default -1;
        producer_epoch: i16, 0..;
        ongoing_txn_producer_id: i64, 6.., default -1;
        ongoing_txn_producer_epoch: i16, 6.., default -1;
    }
}
