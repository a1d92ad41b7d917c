//! A log with nothing around it: what no journal can be faster than.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use takhin_coordinator::group::{OffsetValue, Record};
use takhin_coordinator::ids::TopicId;
use takhin_coordinator::journal::schema;
use takhin_coordinator::time::WallMs;

use crate::clock;
use crate::failure::Failure;
use crate::report::as_f64;

const SEGMENT_BYTES: usize = 4 << 20;
/// A checksum and a length.
const HEAD: usize = 8;

/// Bytes of the key and the value of one committed offset.
pub(crate) fn payload_of_a_commit(group: &str, topic: &str) -> Result<u64, Failure> {
    let record = Record::Offset {
        group: group.into(),
        topic: topic.into(),
        partition: 0,
        value: Some(OffsetValue {
            offset: 1,
            leader_epoch: -1,
            metadata: "".into(),
            committed_at: WallMs(1),
            expires_at: None,
            topic_id: TopicId::ZERO,
        }),
    };
    let encoded = schema::encode(&record).map_err(|error| Failure::new(error.to_string()))?;
    let value = encoded.value.map_or(0, |value| value.len());
    Ok((encoded.key.len() + value) as u64)
}

/// A preallocated file that is written over and over.
#[derive(Debug)]
pub(crate) struct Bare {
    file: File,
    frame: usize,
    at: usize,
    bytes: Vec<u8>,
}

impl Bare {
    pub(crate) fn new(path: &Path, payload: u64) -> Result<Self, Failure> {
        let file = File::create(path)?;
        file.write_all_at(&vec![0; SEGMENT_BYTES], 0)?;
        file.sync_all()?;
        Ok(Self {
            file,
            frame: HEAD + usize::try_from(payload).unwrap_or(0),
            at: 0,
            bytes: Vec::new(),
        })
    }

    /// Writes that many frames again and again, each time with one write and one sync; frames a
    /// second.
    pub(crate) fn turn(&mut self, count: usize, lasting: Duration) -> Result<f64, Failure> {
        let start = clock::now();
        let mut frames = 0;
        loop {
            self.round(count)?;
            frames += count as u64;
            let lasted = clock::now() - start;
            if lasted >= lasting {
                return Ok(as_f64(frames) / lasted.as_secs_f64());
            }
        }
    }

    /// One write and one sync of so many frames.
    pub(crate) fn round(&mut self, count: usize) -> Result<(), Failure> {
        self.bytes.clear();
        for at in 0..count {
            let from = self.bytes.len();
            self.bytes.extend_from_slice(&[0; 4]);
            self.bytes.resize(from + self.frame, at.to_le_bytes()[0]);
            let crc = crc32c::crc32c(&self.bytes[from + 4..]);
            self.bytes[from..from + 4].copy_from_slice(&crc.to_le_bytes());
        }
        if self.at + self.bytes.len() > SEGMENT_BYTES {
            self.at = 0;
        }
        self.file.write_all_at(&self.bytes, self.at as u64)?;
        self.file.sync_data()?;
        self.at += self.bytes.len();
        Ok(())
    }
}
