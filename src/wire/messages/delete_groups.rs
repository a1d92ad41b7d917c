//! `DeleteGroups` (42): forget empty groups.
//!
//! v1 throttling; v2 flexible; v3 error message.

use crate::wire::schema;

schema! {
    /// Which groups.
    pub struct DeleteGroupsRequest<'a>(versions 0..=3, flexible 2) {
        groups_names: Vec<&'a str>, 0..;
    }

    /// What became of each.
    pub struct DeleteGroupsResponse<'a>(versions 0..=3, flexible 2) {
        throttle_time_ms: i32, 0..;
        results: Vec<DeletableGroupResult<'a>>, 0..;
    }

    /// A group of the request.
    pub struct DeletableGroupResult<'a> {
        group_id: &'a str, 0..;
        error_code: i16, 0..;
        error_message: Option<&'a str>, 3..;
    }
}
