//! The answer to `OffsetFetch`, put into bytes as its rows are found.
//!
//! It is the one answer with hundreds of rows that nearly all look alike, and the table of fields
//! wants a list of them first. [`OffsetFetchResponse`] stays the specification, and tests compare.
//! From version 8 on, where an answer is of many groups.
//!
//! [`OffsetFetchResponse`]: super::messages::OffsetFetchResponse

use super::codec::{Field as _, Message as _, Version, Writer};
use super::messages::{OffsetFetchResponse, OffsetFetchResponsePartitions};
use crate::ids::TopicId;

/// Writes an answer: groups, in each its topics, in each its rows, as many as were announced.
#[derive(Debug)]
pub struct FetchedWriter<'w, 'b> {
    writer: &'w mut Writer<'b>,
    version: Version,
}

impl<'w, 'b> FetchedWriter<'w, 'b> {
    /// Begins an answer of so many groups, in a version from 8 on.
    pub fn begin(writer: &'w mut Writer<'b>, version: i16, groups: usize) -> Self {
        let version = OffsetFetchResponse::version(version);
        // Not throttled.
        writer.i32(0);
        writer.count(Some(groups), version.flexible);
        Self { writer, version }
    }

    /// Begins a group.
    pub fn group(&mut self, group_id: &str, topics: usize) {
        self.writer.string(Some(group_id), self.version.flexible);
        self.writer.count(Some(topics), self.version.flexible);
    }

    /// Begins a topic of the group.
    pub fn topic(&mut self, name: &str, id: TopicId, rows: usize) {
        if self.version.number < 10 {
            self.writer.string(Some(name), self.version.flexible);
        } else {
            self.writer.topic_id(id);
        }
        self.writer.count(Some(rows), self.version.flexible);
    }

    /// Writes a row of the topic.
    #[inline]
    pub fn row(&mut self, row: &OffsetFetchResponsePartitions<'_>) {
        if row.metadata != Some("") {
            return row.write(self.writer, self.version);
        }
        let [p0, p1, p2, p3] = row.partition_index.to_be_bytes();
        let [o0, o1, o2, o3, o4, o5, o6, o7] = row.committed_offset.to_be_bytes();
        let [l0, l1, l2, l3] = row.committed_leader_epoch.to_be_bytes();
        let [e0, e1] = row.error_code.to_be_bytes();
        // The 1 is the length of the empty text, the last byte stands for no tagged fields.
        self.writer.raw(&[
            p0, p1, p2, p3, o0, o1, o2, o3, o4, o5, o6, o7, l0, l1, l2, l3, 1, e0, e1, 0,
        ]);
    }

    /// Ends a topic.
    pub fn end_topic(&mut self) {
        self.writer.uvarint(0);
    }

    /// Ends a group.
    pub fn end_group(&mut self, error_code: i16) {
        self.writer.i16(error_code);
        self.writer.uvarint(0);
    }

    /// Ends the answer.
    pub fn end(self) {
        self.writer.uvarint(0);
    }
}
