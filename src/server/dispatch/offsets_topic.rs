//! `__consumer_offsets`: the journal of groups and offsets, read as Kafka's topic.
//!
//! It has a partition for each shard, because groups are placed by Kafka's own rule, and records
//! as Kafka's coordinator writes them; so Kafka's tools and monitors that read this topic work.
//! Offsets are numbers of the journal's records: they grow, with gaps as in any compacted topic.
//! What is kept is what the journal keeps: the last word on every key, and older ones for a while.
//! A record that the journal carries along comes again under a new offset, as it was. Times are
//! those of the commits. Offsets of open transactions appear once they are committed.
//!
//! Reading blocks, on the disk and on the journal's writer, and so it happens on threads for that.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Notify;

use crate::group::Record;
use crate::ids::{ShardId, TopicId, TopicName};
use crate::journal::schema;
use crate::store::{DiskJournal, Fed, Feed, FeedBounds};
use crate::tools::BatchWriter;
use crate::topics::{FetchPartition, FetchedPartition, ListedOffset, OffsetSpec};
use crate::topics::{LEADER_EPOCH, TopicError, TopicKey, TopicSummary};

/// The name of Kafka's topic of offsets.
const NAME: &str = "__consumer_offsets";
/// Of all coordinators, for good: the topic is never made anew.
const ID: TopicId = TopicId(*b"\xf0\x0d\x1e\xaf\x00\x00\x40\x00\x80\x00takhin");
/// What a partition gives at a time, whatever is asked for.
const BYTES_MAX: usize = 4 << 20;

/// The topic of offsets.
#[derive(Debug)]
pub struct OffsetsTopic {
    feed: Feed,
    shards: u32,
}

impl OffsetsTopic {
    /// The topic of a journal for that many shards.
    pub fn new(journal: Arc<DiskJournal>, shards: u32) -> Self {
        Self {
            feed: Feed::new(journal, shards),
            shards,
        }
    }

    /// What there is to know of it.
    pub fn summary(&self) -> TopicSummary {
        TopicSummary {
            name: TopicName::from(NAME),
            id: ID,
            partitions: i32::try_from(self.shards).unwrap_or(i32::MAX),
        }
    }

    /// Whether a request means this topic.
    pub(super) fn is_named(&self, key: &TopicKey) -> bool {
        match key {
            TopicKey::Name(name) => name.as_str() == NAME,
            TopicKey::Id(id) => *id == ID,
        }
    }

    /// Notified of all that is written.
    pub(super) fn progress(&self) -> &Notify {
        self.feed.progress()
    }

    fn shard(&self, partition: i32) -> Result<ShardId, TopicError> {
        let shard = u32::try_from(partition).ok();
        shard
            .filter(|shard| *shard < self.shards)
            .map(ShardId)
            .ok_or(TopicError::UnknownTopicOrPartition)
    }

    /// Reads a partition: at most that many bytes, but one record at least if `at_least_one`.
    pub(super) fn fetch(
        &self,
        ask: &FetchPartition,
        bytes_max: usize,
        at_least_one: bool,
    ) -> FetchedPartition {
        let mut fetched = FetchedPartition {
            topic: ask.topic.clone(),
            partition: ask.partition,
            error: None,
            high_watermark: -1,
            last_stable_offset: -1,
            log_start_offset: -1,
            divergence: None,
            batches: Vec::new(),
            aborted: Vec::new(),
        };
        match self.read(ask, bytes_max, at_least_one) {
            Ok((bounds, batch)) => {
                fetched.high_watermark = bounds.end.cast_signed();
                fetched.last_stable_offset = bounds.end.cast_signed();
                fetched.log_start_offset = bounds.start.cast_signed();
                fetched.batches = batch.into_iter().collect();
            }
            Err(error) => fetched.error = Some(error),
        }
        fetched
    }

    fn read(
        &self,
        ask: &FetchPartition,
        bytes_max: usize,
        at_least_one: bool,
    ) -> Result<(FeedBounds, Option<Bytes>), TopicError> {
        let shard = self.shard(ask.partition)?;
        if ask.current_leader_epoch > LEADER_EPOCH {
            return Err(TopicError::UnknownLeaderEpoch);
        }
        let from = u64::try_from(ask.fetch_offset).map_err(|_| TopicError::OffsetOutOfRange)?;
        let of_ask = usize::try_from(ask.max_bytes).unwrap_or(0);
        let bytes_max = bytes_max.min(of_ask).min(BYTES_MAX);
        let mut batch: Option<BatchWriter> = None;
        let mut time = NO_TIME;
        let mut each = |record: Fed<'_>| {
            time = time_of(&record).unwrap_or(time);
            let offset = record.sequence.cast_signed();
            let len = batch.as_ref().map_or(0, BatchWriter::len) + cost(&record);
            if len > bytes_max && (batch.is_some() || !at_least_one) {
                return false;
            }
            let batch = batch.get_or_insert_with(|| BatchWriter::new(offset, time));
            batch.push((offset, time), record.key, record.value)
        };
        let bounds = self.feed.read(shard, from, &mut each).map_err(|error| {
            tracing::warn!("the journal could not be read as '{NAME}': {error}");
            TopicError::StorageFailed
        })?;
        if from < bounds.start || from > bounds.end {
            return Err(TopicError::OffsetOutOfRange);
        }
        let batch = batch.and_then(BatchWriter::finish);
        Ok((bounds, batch.map(Bytes::from)))
    }

    /// Finds an offset.
    pub(super) fn list_offset(
        &self,
        partition: i32,
        current_leader_epoch: i32,
        spec: OffsetSpec,
    ) -> Result<ListedOffset, TopicError> {
        let shard = self.shard(partition)?;
        if current_leader_epoch > LEADER_EPOCH {
            return Err(TopicError::UnknownLeaderEpoch);
        }
        let mut found: Option<(i64, i64)> = None;
        let mut time = NO_TIME;
        let mut each = |record: Fed<'_>| {
            time = time_of(&record).unwrap_or(time);
            let this = (time, record.sequence.cast_signed());
            match spec {
                OffsetSpec::AtOrAfter(at) if time >= at => found = found.or(Some(this)),
                OffsetSpec::MaxTimestamp if found.is_none_or(|best| time > best.0) => {
                    found = Some(this);
                }
                _ => {}
            }
            !matches!(spec, OffsetSpec::AtOrAfter(_)) || found.is_none()
        };
        let bounds = match spec {
            OffsetSpec::AtOrAfter(_) | OffsetSpec::MaxTimestamp => {
                self.feed.read(shard, 0, &mut each)
            }
            _ => self.feed.bounds(shard),
        };
        let bounds = bounds.map_err(|error| {
            tracing::warn!("the journal could not be read as '{NAME}': {error}");
            TopicError::StorageFailed
        })?;
        let (timestamp, offset) = match spec {
            OffsetSpec::Earliest => (-1, bounds.start.cast_signed()),
            OffsetSpec::Latest => (-1, bounds.end.cast_signed()),
            _ => found.unwrap_or((-1, -1)),
        };
        let leader_epoch = if offset < 0 { -1 } else { LEADER_EPOCH };
        Ok(ListedOffset {
            timestamp,
            offset,
            leader_epoch,
        })
    }
}

/// About what a record adds to a batch.
fn cost(record: &Fed<'_>) -> usize {
    record.key.len() + record.value.map_or(0, <[u8]>::len) + 24
}

/// When that was said, as far as the record knows.
fn time_of(record: &Fed<'_>) -> Option<i64> {
    match schema::decode(record.key, record.value).ok()? {
        Record::Offset { value, .. } => value.map(|value| value.committed_at.0),
        Record::Group { value, .. } => value.and_then(|value| value.phase_since).map(|at| at.0),
        Record::Pending { .. } => None,
    }
}

const NO_TIME: i64 = -1;
