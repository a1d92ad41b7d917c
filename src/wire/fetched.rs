//! The answer to `OffsetFetch`, put into bytes as its rows are found.
//!
//! It is the one answer with hundreds of rows that nearly all look alike, and the table of fields
//! wants a list of them first. [`OffsetFetchResponse`] stays the specification, and tests compare.
//!
//! [`OffsetFetchResponse`]: super::messages::OffsetFetchResponse

use super::codec::{Message as _, Version, Writer};
use super::messages::{OffsetFetchResponse, OffsetFetchResponsePartitions};
use crate::ids::TopicId;

/// Writes an answer: groups, in each its topics, in each its rows, as many as were announced.
#[derive(Debug)]
pub struct FetchedWriter<'w, 'b> {
    writer: &'w mut Writer<'b>,
    version: Version,
}

impl<'w, 'b> FetchedWriter<'w, 'b> {
    /// Begins an answer of so many groups; before version 8 it is of one.
    pub fn begin(writer: &'w mut Writer<'b>, version: i16, groups: usize) -> Self {
        let version = OffsetFetchResponse::version(version);
        if version.number >= 3 {
            // Not throttled.
            writer.i32(0);
        }
        if version.number >= MANY_GROUPS_FROM {
            writer.count(Some(groups), version.flexible);
        }
        Self { writer, version }
    }

    /// Begins a group.
    pub fn group(&mut self, group_id: &str, topics: usize) {
        if self.version.number >= MANY_GROUPS_FROM {
            self.writer.string(Some(group_id), self.version.flexible);
        }
        self.writer.count(Some(topics), self.version.flexible);
    }

    /// Begins a topic of the group.
    pub fn topic(&mut self, name: &str, id: TopicId, rows: usize) {
        if self.version.number < 10 {
            self.writer.string(Some(name), self.version.flexible);
        } else {
            self.writer.topic_id(id);
        }
        let rows = self.writer.count(Some(rows), self.version.flexible);
        self.writer.reserve(rows.saturating_mul(PLAIN_ROW_BYTES));
    }

    /// Writes a row of the topic.
    #[inline]
    pub fn row(&mut self, row: &OffsetFetchResponsePartitions<'_>) {
        if !self.version.flexible || row.metadata != Some("") {
            return self.any_row(row);
        }
        let mut plain = [0; PLAIN_ROW_BYTES];
        let row = (
            row.partition_index,
            row.committed_offset,
            row.committed_leader_epoch,
            row.error_code,
        );
        fill(&mut plain, row);
        self.writer.raw(&plain);
    }

    /// Writes rows of partitions side by side, from the first on: of each its offset and the
    /// leader's epoch. They have no metadata and no error.
    #[inline]
    pub fn rows(&mut self, first: i32, offsets: impl ExactSizeIterator<Item = (i64, i32)>) {
        // Not a range: the last partition has no next one.
        let mut index = first;
        if !self.version.flexible {
            for (offset, leader_epoch) in offsets {
                self.row(&OffsetFetchResponsePartitions {
                    partition_index: index,
                    committed_offset: offset,
                    committed_leader_epoch: leader_epoch,
                    ..OffsetFetchResponsePartitions::default()
                });
                index = index.wrapping_add(1);
            }
            return;
        }
        // Filled in place: what is put together elsewhere, number by number, and moved at once is
        // waited for by the processor.
        let pieces = self.writer.pieces(offsets.len());
        for (piece, (offset, leader_epoch)) in pieces.iter_mut().zip(offsets) {
            fill(piece, (index, offset, leader_epoch, 0));
            index = index.wrapping_add(1);
        }
    }

    #[inline(never)]
    fn any_row(&mut self, row: &OffsetFetchResponsePartitions<'_>) {
        self.writer.i32(row.partition_index);
        self.writer.i64(row.committed_offset);
        if self.version.number >= 5 {
            self.writer.i32(row.committed_leader_epoch);
        }
        self.writer.string(row.metadata, self.version.flexible);
        self.writer.i16(row.error_code);
        self.end_of_fields();
    }

    /// Ends a topic.
    pub fn end_topic(&mut self) {
        self.end_of_fields();
    }

    /// Ends a group. Before version 2 there is no place for its error.
    pub fn end_group(&mut self, error_code: i16) {
        if self.version.number >= 2 {
            self.writer.i16(error_code);
        }
        if self.version.number >= MANY_GROUPS_FROM {
            self.end_of_fields();
        }
    }

    /// Ends the answer.
    pub fn end(mut self) {
        self.end_of_fields();
    }

    /// No tagged fields.
    fn end_of_fields(&mut self) {
        if self.version.flexible {
            self.writer.uvarint(0);
        }
    }
}

/// The first version with many groups; before, the fields of the one are those of the answer.
const MANY_GROUPS_FROM: i16 = 8;

/// A row without metadata, in a flexible version.
const PLAIN_ROW_BYTES: usize = 20;

/// Fills in a row without metadata: partition, offset, leader's epoch, error. The last byte stays
/// as it is, 0 for no tagged fields.
#[inline]
fn fill(piece: &mut [u8; PLAIN_ROW_BYTES], row: (i32, i64, i32, i16)) {
    let (partition, offset, leader_epoch, error_code) = row;
    piece[..4].copy_from_slice(&partition.to_be_bytes());
    piece[4..12].copy_from_slice(&offset.to_be_bytes());
    piece[12..16].copy_from_slice(&leader_epoch.to_be_bytes());
    // The length of the empty text, plus one.
    piece[16] = 1;
    piece[17..19].copy_from_slice(&error_code.to_be_bytes());
}
