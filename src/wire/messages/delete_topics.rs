//! `DeleteTopics` (20).
//!
//! v4 flexible; v5 error message (KIP-599); v6 topic ids (KIP-516).

use crate::ids::TopicId;
use crate::wire::schema;

schema! {
    /// The topics to delete.
    pub struct DeleteTopicsRequest<'a>(versions 1..=6, flexible 4) {
        topics: Vec<DeleteTopicState<'a>>, 6..;
        topic_names: Vec<&'a str>, 1..=5;
        timeout_ms: i32, 1..;
    }

    /// A topic by name or, where the name is null, by id.
    pub struct DeleteTopicState<'a> {
        name: Option<&'a str>, 6..;
        topic_id: TopicId, 6..;
    }

    /// What became of each.
    pub struct DeleteTopicsResponse<'a>(versions 1..=6, flexible 4) {
        throttle_time_ms: i32, 1..;
        responses: Vec<DeletableTopicResult<'a>>, 1..;
    }

    /// A topic of the request.
    pub struct DeletableTopicResult<'a> {
        name: Option<&'a str>, 1.., null 6..;
        topic_id: TopicId, 6..;
        error_code: i16, 1..;
        error_message: Option<&'a str>, 5..;
    }
}
