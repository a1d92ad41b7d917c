//! `SyncGroup` (14): the leader hands in the assignment, each member takes its own.
//!
//! v1 throttle time; v3 static members (KIP-345); v4 flexible; v5 protocol type and name (KIP-559).

use crate::wire::schema;

schema! {
    /// A member asks for its assignment.
    pub struct SyncGroupRequest<'a>(versions 0..=5, flexible 4) {
        group_id: &'a str, 0..;
        generation_id: i32, 0..;
        member_id: &'a str, 0..;
        group_instance_id: Option<&'a str>, 3..;
        protocol_type: Option<&'a str>, 5..;
        protocol_name: Option<&'a str>, 5..;
        assignments: Vec<SyncGroupRequestAssignment<'a>>, 0..;
    }

    /// What the leader assigned to one member.
    pub struct SyncGroupRequestAssignment<'a> {
        member_id: &'a str, 0..;
        assignment: &'a [u8], 0..;
    }

    /// The member's assignment.
    pub struct SyncGroupResponse<'a>(versions 0..=5, flexible 4) {
        throttle_time_ms: i32, 1..;
        error_code: i16, 0..;
        protocol_type: Option<&'a str>, 5..;
        protocol_name: Option<&'a str>, 5..;
        assignment: &'a [u8], 0..;
    }
}
