//! `LeaveGroup` (13): members go.
//!
//! v1 throttle time; v3 many members, by instance id too (KIP-345); v4 flexible; v5 reason
//! (KIP-800).

use crate::wire::schema;

schema! {
    /// One member leaves, or many from version 3.
    pub struct LeaveGroupRequest<'a>(versions 0..=5, flexible 4) {
        group_id: &'a str, 0..;
        member_id: &'a str, 0..=2;
        members: Vec<MemberIdentity<'a>>, 3..;
    }

    /// Who leaves.
    pub struct MemberIdentity<'a> {
        member_id: &'a str, 3..;
        group_instance_id: Option<&'a str>, 3..;
        reason: Option<&'a str>, 5..;
    }

    /// Whether they could.
    pub struct LeaveGroupResponse<'a>(versions 0..=5, flexible 4) {
        throttle_time_ms: i32, 1..;
        error_code: i16, 0..;
        members: Vec<MemberResponse<'a>>, 3..;
    }

    /// Whether one could.
    pub struct MemberResponse<'a> {
        member_id: &'a str, 3..;
        group_instance_id: Option<&'a str>, 3..;
        error_code: i16, 3..;
    }
}
