//! `DeleteRecords` (21): forget records below an offset (KIP-107).
//!
//! v2 flexible.

use crate::wire::schema;

schema! {
    /// Which records.
    pub struct DeleteRecordsRequest<'a>(versions 0..=2, flexible 2) {
        topics: Vec<DeleteRecordsTopic<'a>>, 0..;
        timeout_ms: i32, 0..;
    }

    /// A topic and its partitions.
    pub struct DeleteRecordsTopic<'a> {
        name: &'a str, 0..;
        partitions: Vec<DeleteRecordsPartition>, 0..;
    }

    /// A partition and the first offset to keep.
    pub struct DeleteRecordsPartition {
        partition_index: i32, 0..;
        /// -1 stands for the high watermark.
        offset: i64, 0..;
    }

    /// What became of each.
    pub struct DeleteRecordsResponse<'a>(versions 0..=2, flexible 2) {
        throttle_time_ms: i32, 0..;
        topics: Vec<DeleteRecordsTopicResult<'a>>, 0..;
    }

    /// A topic of the request.
    pub struct DeleteRecordsTopicResult<'a> {
        name: &'a str, 0..;
        partitions: Vec<DeleteRecordsPartitionResult>, 0..;
    }

    /// A partition of the request.
    pub struct DeleteRecordsPartitionResult {
        partition_index: i32, 0..;
        low_watermark: i64, 0..;
        error_code: i16, 0..;
    }
}
