//! Topics on a simulated disk, and what is to be found in them.

use std::path::Path;
use std::sync::Arc;

use super::super::{DiskConfig, Examined, OpenError, Repair};
use crate::disk::Disk;
use crate::disk::simulated::SimDisk;
use crate::topics::tests::sample::{NOW, answer, ask, batch, fetch_of, name};
use crate::topics::{OffsetSpec, TopicError, Topics, TopicsConfig};

/// Small enough that a dozen batches fill a file.
pub(super) const SMALL: DiskConfig = DiskConfig {
    segment_bytes: 2 << 10,
    repair: Repair::Refuse,
};

pub(super) fn try_open(disk: &SimDisk, config: DiskConfig) -> Result<Topics, OpenError> {
    try_open_with(disk, TopicsConfig::default(), config)
}

pub(super) fn try_open_with(
    disk: &SimDisk,
    topics: TopicsConfig,
    config: DiskConfig,
) -> Result<Topics, OpenError> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    Examined::look(Path::new("simulated"), Some(disk), topics, config)?.open()
}

pub(super) fn open(disk: &SimDisk) -> Topics {
    try_open(disk, SMALL).unwrap()
}

/// Appends a batch of records with values of that many bytes; its base offset.
pub(super) fn write(
    topics: &Topics,
    topic: &str,
    partition: i32,
    bytes: usize,
) -> Result<i64, TopicError> {
    let bytes = batch(1).value_bytes(bytes).bytes();
    let appended = topics.produce(&name(topic), partition, &bytes, NOW)?;
    Ok(appended.base_offset)
}

/// The first offset of a partition and the one after its last.
pub(super) fn bounds(topics: &Topics, topic: &str, partition: i32) -> (i64, i64) {
    let at = |spec| {
        let listed = topics.list_offset(&name(topic), partition, -1, spec);
        listed.unwrap().offset
    };
    (at(OffsetSpec::Earliest), at(OffsetSpec::Latest))
}

/// The batches of a partition from an offset on, as they are stored.
pub(super) fn read_from(
    topics: &Topics,
    topic: &str,
    partition: i32,
    mut offset: i64,
) -> Vec<Vec<u8>> {
    let mut read = Vec::new();
    loop {
        let request = fetch_of(vec![ask(&name(topic), partition, offset)]);
        let answered = answer(topics, request).partitions.remove(0);
        assert_eq!(answered.error, None, "{topic}-{partition} at {offset}");
        let Some(last) = answered.batches.last() else {
            return read;
        };
        let base = i64::from_be_bytes(last[..8].try_into().unwrap());
        let delta = i32::from_be_bytes(last[23..27].try_into().unwrap());
        offset = base + i64::from(delta) + 1;
        read.extend(answered.batches.iter().map(|bytes| bytes.to_vec()));
    }
}

/// All batches of a partition.
pub(super) fn read(topics: &Topics, topic: &str, partition: i32) -> Vec<Vec<u8>> {
    read_from(topics, topic, partition, bounds(topics, topic, partition).0)
}
