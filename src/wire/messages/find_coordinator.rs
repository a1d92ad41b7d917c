//! `FindCoordinator` (10): where groups and transactional ids live.
//!
//! v1 key type; v2 throttling; v3 flexible; v4 many keys (KIP-699); v5
//! `TRANSACTION_ABORTABLE` (KIP-890); v6 share groups (KIP-932).

use crate::wire::schema;

schema! {
    /// Asks for the coordinator of one key, or of many from version 4.
    pub struct FindCoordinatorRequest<'a>(versions 0..=6, flexible 3) {
        key: &'a str, 0..=3;
        /// 0 a group, 1 a transactional id, 2 a share group.
        key_type: i8, 1..;
        coordinator_keys: Vec<&'a str>, 4..;
    }

    /// The answer: at top level until version 3, a list from version 4.
    pub struct FindCoordinatorResponse<'a>(versions 0..=6, flexible 3) {
        throttle_time_ms: i32, 1..;
        error_code: i16, 0..=3;
        error_message: Option<&'a str>, 1..=3, default Some("");
        node_id: i32, 0..=3;
        host: &'a str, 0..=3;
        port: i32, 0..=3;
        coordinators: Vec<Coordinator<'a>>, 4..;
    }

    /// The coordinator of one key.
    pub struct Coordinator<'a> {
        key: &'a str, 4..;
        node_id: i32, 4..;
        host: &'a str, 4..;
        port: i32, 4..;
        error_code: i16, 4..;
        error_message: Option<&'a str>, 4.., default Some("");
    }
}
