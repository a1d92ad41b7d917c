//! `ListGroups` (16): the groups that this coordinator has.
//!
//! v1 throttle time; v3 flexible; v4 states (KIP-518); v5 types (KIP-848).

use crate::wire::schema;

schema! {
    /// Which groups; an empty filter lets all pass.
    pub struct ListGroupsRequest<'a>(versions 0..=5, flexible 3) {
        states_filter: Vec<&'a str>, 4..;
        types_filter: Vec<&'a str>, 5..;
    }

    /// The groups.
    pub struct ListGroupsResponse<'a>(versions 0..=5, flexible 3) {
        throttle_time_ms: i32, 1..;
        error_code: i16, 0..;
        groups: Vec<ListedGroup<'a>>, 0..;
    }

    /// A group.
    pub struct ListedGroup<'a> {
        group_id: &'a str, 0..;
        protocol_type: &'a str, 0..;
        group_state: &'a str, 4..;
        group_type: &'a str, 5..;
    }
}
