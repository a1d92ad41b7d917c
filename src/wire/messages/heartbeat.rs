//! `Heartbeat` (12): a classic member is alive. [`crate::wire::heartbeat`] has the fast path.
//!
//! v1 throttle time; v3 static members (KIP-345); v4 flexible.

use crate::wire::schema;

schema! {
    /// A member says that it is alive.
    pub struct HeartbeatRequest<'a>(versions 0..=4, flexible 4) {
        group_id: &'a str, 0..;
        generation_id: i32, 0..;
        member_id: &'a str, 0..;
        group_instance_id: Option<&'a str>, 3..;
    }

    /// Whether the member may go on.
    pub struct HeartbeatResponse(versions 0..=4, flexible 4) {
        throttle_time_ms: i32, 1..;
        error_code: i16, 0..;
    }
}
