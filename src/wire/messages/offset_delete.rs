//! `OffsetDelete` (47): forget offsets (KIP-496). Never flexible.

use crate::wire::codec::NEVER;
use crate::wire::schema;

schema! {
    /// The offsets to forget.
    pub struct OffsetDeleteRequest<'a>(versions 0..=0, flexible NEVER) {
        group_id: &'a str, 0..;
        topics: Vec<OffsetDeleteRequestTopic<'a>>, 0..;
    }

    /// A topic and its partitions.
    pub struct OffsetDeleteRequestTopic<'a> {
        name: &'a str, 0..;
        partitions: Vec<OffsetDeleteRequestPartition>, 0..;
    }

    /// A partition.
    pub struct OffsetDeleteRequestPartition {
        partition_index: i32, 0..;
    }

    /// What became of each offset. The error stands before the throttle time here.
    pub struct OffsetDeleteResponse<'a>(versions 0..=0, flexible NEVER) {
        error_code: i16, 0..;
        throttle_time_ms: i32, 0..;
        topics: Vec<OffsetDeleteResponseTopic<'a>>, 0..;
    }

    /// A topic of the request.
    pub struct OffsetDeleteResponseTopic<'a> {
        name: &'a str, 0..;
        partitions: Vec<OffsetDeleteResponsePartition>, 0..;
    }

    /// A partition of the request.
    pub struct OffsetDeleteResponsePartition {
        partition_index: i32, 0..;
        error_code: i16, 0..;
    }
}
