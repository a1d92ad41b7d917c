//! `JoinGroup` (11): enter a classic group, or its next generation.
//!
//! v1 rebalance timeout; v2 throttle time; v4 `MEMBER_ID_REQUIRED` (KIP-394); v5 static members
//! (KIP-345); v6 flexible; v7 protocol type in the answer (KIP-559); v8 reason (KIP-800); v9
//! skip assignment (KIP-814).

use crate::wire::schema;

schema! {
    /// A member asks to be in the next generation.
    pub struct JoinGroupRequest<'a>(versions 0..=9, flexible 6) {
        group_id: &'a str, 0..;
        session_timeout_ms: i32, 0..;
        /// Version 0 means the session timeout.
        rebalance_timeout_ms: i32, 1.., default -1;
        member_id: &'a str, 0..;
        group_instance_id: Option<&'a str>, 5..;
        protocol_type: &'a str, 0..;
        protocols: Vec<JoinGroupRequestProtocol<'a>>, 0..;
        reason: Option<&'a str>, 8..;
    }

    /// One assignor that the member supports, in its order of preference.
    pub struct JoinGroupRequestProtocol<'a> {
        name: &'a str, 0..;
        metadata: &'a [u8], 0..;
    }

    /// The generation that the member is in; the leader sees all members.
    pub struct JoinGroupResponse<'a>(versions 0..=9, flexible 6) {
        throttle_time_ms: i32, 2..;
        error_code: i16, 0..;
        generation_id: i32, 0.., default -1;
        protocol_type: Option<&'a str>, 7..;
        protocol_name: Option<&'a str>, 0.., null 7.., default Some("");
        leader: &'a str, 0..;
        skip_assignment: bool, 9..;
        member_id: &'a str, 0..;
        members: Vec<JoinGroupResponseMember<'a>>, 0..;
    }

    /// A member as its leader sees it.
    pub struct JoinGroupResponseMember<'a> {
        member_id: &'a str, 0..;
        group_instance_id: Option<&'a str>, 5..;
        metadata: &'a [u8], 0..;
    }
}
