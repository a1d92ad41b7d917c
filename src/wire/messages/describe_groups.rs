//! `DescribeGroups` (15): classic groups in detail.
//!
//! v1 throttle time; v3 authorized operations; v4 static members (KIP-345); v5 flexible; v6 error
//! message (KIP-1043).

use crate::wire::schema;

schema! {
    /// Which groups.
    pub struct DescribeGroupsRequest<'a>(versions 0..=6, flexible 5) {
        groups: Vec<&'a str>, 0..;
        include_authorized_operations: bool, 3..;
    }

    /// The groups, in the order of the request.
    pub struct DescribeGroupsResponse<'a>(versions 0..=6, flexible 5) {
        throttle_time_ms: i32, 1..;
        groups: Vec<DescribedGroup<'a>>, 0..;
    }

    /// A group.
    pub struct DescribedGroup<'a> {
        error_code: i16, 0..;
        error_message: Option<&'a str>, 6..;
        group_id: &'a str, 0..;
        group_state: &'a str, 0..;
        protocol_type: &'a str, 0..;
        protocol_data: &'a str, 0..;
        members: Vec<DescribedGroupMember<'a>>, 0..;
        /// A bit field by the number of the operation; the default says "not asked for".
        authorized_operations: i32, 3.., default i32::MIN;
    }

    /// A member.
    pub struct DescribedGroupMember<'a> {
        member_id: &'a str, 0..;
        group_instance_id: Option<&'a str>, 4..;
        client_id: &'a str, 0..;
        client_host: &'a str, 0..;
        member_metadata: &'a [u8], 0..;
        member_assignment: &'a [u8], 0..;
    }
}
