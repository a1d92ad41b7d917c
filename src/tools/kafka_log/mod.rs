//! Takes groups and offsets over from Kafka: reads the raw segment files of a partition of
//! `__consumer_offsets`, as they lie in a broker's data directory.
//!
//! ```text
//!   files --segment--> batches --compression--> records --replay--> groups, offsets
//! ```
//!
//! The files of one folder are one partition. What is read is what Kafka's own coordinator would
//! load: all versions of offsets and of classic groups, tombstones, and transactions by their
//! markers, in which a later plain commit wins. What cannot be held here is counted by its name:
//! members and assignments of consumer, share and streams groups (their offsets are taken), and
//! offsets of transactions that were still open.
//!
//! Nothing is trusted: a batch has a checksum, what it says of its length is held against the
//! bytes that are there, and what it unpacks to has a limit. A file that ends within a batch, or
//! in zeros, was cut off while it was written; that may be where a partition ends, and nowhere else.

mod compression;
mod replay;
mod segment;
mod write;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::error::ToolError;
use super::import::check;
use crate::group::Record;
use replay::Replay;
use segment::{Batches, Next};
pub(crate) use write::BatchWriter;

/// What a log of Kafka's has given.
#[derive(Debug, Default)]
pub struct KafkaLog {
    /// Groups and offsets, sorted by group, topic and partition.
    pub records: Vec<Record>,
    /// What was left out, by its name, and how often.
    pub skipped: BTreeMap<String, u64>,
}

/// Reads segment files of `__consumer_offsets`, in any order, of as many partitions as wanted.
///
/// # Errors
///
/// [`ToolError::Refused`] with file and byte where something is not what Kafka writes;
/// [`ToolError::Io`] where reading fails.
pub fn read_kafka_log(files: &[PathBuf]) -> Result<KafkaLog, ToolError> {
    let mut partitions: BTreeMap<PathBuf, Vec<Segment>> = BTreeMap::new();
    for path in files {
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        let segment = Segment::open(path)?;
        partitions.entry(folder).or_default().push(segment);
    }
    let mut log = KafkaLog::default();
    for segments in partitions.into_values() {
        let replay = partition(segments)?;
        let from = replay.finish();
        for (what, count) in from.skipped {
            *log.skipped.entry(what).or_default() += count;
        }
        log.records.extend(from.records);
    }
    log.records.sort_by(|a, b| order(a).cmp(&order(b)));
    if let Some(twice) = log
        .records
        .windows(2)
        .find(|two| order(&two[0]) == order(&two[1]))
    {
        return Err(ToolError::Refused(format!(
            "group '{}' is in files of two folders, which cannot be partitions of one topic",
            twice[0].group()
        )));
    }
    for record in &log.records {
        check(record)
            .map_err(|what| ToolError::Refused(format!("of group '{}', {what}", record.group())))?;
    }
    Ok(log)
}

/// Groups before their offsets.
fn order(record: &Record) -> (&str, Option<(&str, i32)>, Option<i64>) {
    match record {
        Record::Group { group, .. } => (group.as_str(), None, None),
        Record::Offset {
            group,
            topic,
            partition,
            ..
        } => (group.as_str(), Some((topic.as_str(), *partition)), None),
        Record::Pending {
            group,
            topic,
            partition,
            producer,
            ..
        } => {
            let place = (topic.as_str(), *partition);
            (group.as_str(), Some(place), Some(producer.0))
        }
    }
}

/// A file that is to be read.
struct Segment {
    name: String,
    file: File,
    base_offset: i64,
}

impl Segment {
    fn open(path: &Path) -> Result<Self, ToolError> {
        let name = path.display().to_string();
        let refuse = |error| ToolError::Refused(format!("cannot read '{name}': {error}"));
        let file = File::open(path).map_err(refuse)?;
        let mut first = [0; 8];
        let base_offset = match file.read_exact_at(&mut first, 0) {
            Ok(()) => i64::from_be_bytes(first),
            // Empty or cut off; its reading will tell.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => i64::MAX,
            Err(error) => return Err(refuse(error)),
        };
        Ok(Self {
            name,
            file,
            base_offset,
        })
    }

    fn read(&self) -> Result<Vec<u8>, ToolError> {
        let mut bytes = Vec::new();
        let read = (&self.file)
            .take(FILE_BYTES_MAX + 1)
            .read_to_end(&mut bytes);
        read.map_err(ToolError::io(format!("reading '{}'", self.name)))?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            let name = &self.name;
            let what = format!("'{name}' has more than {FILE_BYTES_MAX} bytes");
            return Err(ToolError::Refused(what));
        }
        Ok(bytes)
    }
}

fn partition(mut segments: Vec<Segment>) -> Result<Replay, ToolError> {
    segments.sort_by_key(|segment| segment.base_offset);
    let mut replay = Replay::default();
    let mut next_offset = 0;
    let last = segments.len().saturating_sub(1);
    for (at, segment) in segments.into_iter().enumerate() {
        let refuse = |offset: usize, what: &str| {
            ToolError::Refused(format!("'{}', byte {offset}: {what}", segment.name))
        };
        let bytes = segment.read()?;
        let mut batches = Batches::new(&bytes);
        loop {
            let position = batches.position();
            let batch = match batches.next().map_err(|what| refuse(position, &what))? {
                Next::Batch(batch) => batch,
                Next::End => break,
                Next::CutOff if at == last => {
                    let what = "bytes of a write that was not finished";
                    let bytes = (bytes.len() - position) as u64;
                    *replay.skipped(what) += bytes;
                    break;
                }
                Next::CutOff => return Err(refuse(position, "the file ends within a batch")),
            };
            if batch.base_offset < next_offset {
                let what = format!(
                    "offset {} comes after offset {}: files are there twice, or are of two \
                     partitions",
                    batch.base_offset,
                    next_offset - 1
                );
                return Err(refuse(position, &what));
            }
            next_offset = batch.last_offset.saturating_add(1);
            replay
                .batch(&batch)
                .map_err(|what| refuse(position, &what))?;
        }
    }
    Ok(replay)
}

/// Kafka's largest segment has 2 GiB.
const FILE_BYTES_MAX: u64 = 1 << 31;
