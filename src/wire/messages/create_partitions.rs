//! `CreatePartitions` (37): more partitions for a topic (KIP-195).
//!
//! v2 flexible; v3 throttling (KIP-599).

use crate::wire::schema;

schema! {
    /// Which topics.
    pub struct CreatePartitionsRequest<'a>(versions 0..=3, flexible 2) {
        topics: Vec<CreatePartitionsTopic<'a>>, 0..;
        timeout_ms: i32, 0..;
        validate_only: bool, 0..;
    }

    /// A topic and how many partitions it shall have.
    pub struct CreatePartitionsTopic<'a> {
        name: &'a str, 0..;
        /// All of them, the old ones included.
        count: i32, 0..;
        /// Null leaves the choice to the broker.
        assignments: Option<Vec<CreatePartitionsAssignment>>, 0..;
    }

    /// Where a new partition shall live.
    pub struct CreatePartitionsAssignment {
        broker_ids: Vec<i32>, 0..;
    }

    /// What became of each.
    pub struct CreatePartitionsResponse<'a>(versions 0..=3, flexible 2) {
        throttle_time_ms: i32, 0..;
        results: Vec<CreatePartitionsTopicResult<'a>>, 0..;
    }

    /// A topic of the request.
    pub struct CreatePartitionsTopicResult<'a> {
        name: &'a str, 0..;
        error_code: i16, 0..;
        error_message: Option<&'a str>, 0..;
    }
}
