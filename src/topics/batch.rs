//! The record batch of magic 2 (KIP-98): the one place that knows its layout.
//!
//! ```text
//!   0 base offset i64         21 attributes i16 (codec 3 bits, log-append-time,
//!   8 length i32 (from 12)       transactional, control)
//!  12 leader epoch i32        23 last offset delta i32   43 producer id i64
//!  16 magic i8                27 base timestamp i64      51 producer epoch i16
//!  17 crc32c u32 (from 21)    35 max timestamp i64       53 base sequence i32
//!                                                        57 count i32   61 records
//! ```
//!
//! Base offset and leader epoch stand outside of the checksum, so that the log can assign them.
//! Records inside a compressed batch are never looked at.

use std::cmp::Ordering;

use bytes::{Buf, BufMut, Bytes, TryGetError};

use super::LEADER_EPOCH;
use super::error::TopicError;
use super::producers::ProducerIdentity;
use super::settings::Effective;
use crate::time::WallMs;

/// The fields of a batch that the log acts upon.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Batch {
    pub(super) attributes: i16,
    pub(super) last_offset_delta: i32,
    pub(super) base_timestamp: i64,
    /// Of the records where they can be read, else what the header says.
    pub(super) max_timestamp: i64,
    pub(super) producer_id: i64,
    pub(super) producer_epoch: i16,
    pub(super) base_sequence: i32,
    count: i32,
}

/// Whether a batch is compressed with zstd, which clients and brokers of old do not know (KIP-110).
/// Garbage is not.
pub fn is_zstd(records: &[u8]) -> bool {
    let attributes = records.get(ATTRIBUTES..).and_then(<[u8]>::first_chunk);
    records.get(MAGIC) == Some(&2)
        && attributes.is_some_and(|bits| i16::from_be_bytes(*bits) & CODEC == ZSTD)
}

/// Whose transaction a batch belongs to; `None` for plain batches and garbage.
pub fn transactional_producer(records: &[u8]) -> Option<ProducerIdentity> {
    let mut bits = records.get(ATTRIBUTES..)?;
    let mut producer = records.get(PRODUCER..)?;
    let is_transactional = bits.try_get_i16().ok()? & TRANSACTIONAL != 0;
    let of = ProducerIdentity {
        id: producer.try_get_i64().ok()?,
        epoch: producer.try_get_i16().ok()?,
    };
    (records.get(MAGIC) == Some(&2) && is_transactional).then_some(of)
}

impl Batch {
    /// Reads and checks what a client wants to append: exactly one batch.
    ///
    /// # Errors
    ///
    /// `CorruptMessage` for lengths and checksum, `InvalidRecord` for what contradicts itself,
    /// magic 0 and 1 and a transaction without a producer included, as Kafka answers.
    pub(super) fn check(bytes: &[u8], effective: &Effective) -> Result<Self, TopicError> {
        let (base_offset, mut batch) = Self::frame(bytes)?;
        if bytes.len() > effective.max_message_bytes {
            return Err(TopicError::MessageTooLarge);
        }
        let (crc, covered) = (&bytes[CRC..ATTRIBUTES], &bytes[ATTRIBUTES..]);
        if crc != crc32c::crc32c(covered).to_be_bytes() {
            return Err(TopicError::CorruptMessage);
        }
        if batch.attributes & CODEC > CODEC_MAX {
            return Err(TopicError::UnsupportedCompressionType);
        }
        let counted = batch.last_offset_delta.checked_add(1);
        if base_offset != 0
            || batch.attributes & CONTROL != 0
            || batch.count < 1
            || counted != Some(batch.count)
            || (batch.producer_id >= 0 && (batch.base_sequence < 0 || batch.producer_epoch < 0))
            || (batch.is_transactional() && batch.producer_id < 0)
        {
            return Err(TopicError::InvalidRecord);
        }
        if batch.attributes & LOG_APPEND_TIME != 0 {
            return Err(TopicError::InvalidTimestamp);
        }
        if batch.attributes & CODEC == 0 {
            batch.max_timestamp = batch.check_records(&bytes[RECORDS..], effective.compacts)?;
        }
        Ok(batch)
    }

    /// Reads the header and holds it against the length of the bytes.
    fn frame(mut bytes: &[u8]) -> Result<(i64, Self), TopicError> {
        let len = bytes.len();
        let magic = bytes.get(MAGIC).copied();
        if matches!(magic, Some(0 | 1)) {
            return Err(TopicError::InvalidRecord);
        }
        let mut read = || -> Result<(i64, i32, Self), TryGetError> {
            let base_offset = bytes.try_get_i64()?;
            let length = bytes.try_get_i32()?;
            let _leader_epoch = bytes.try_get_i32()?;
            let _magic = bytes.try_get_i8()?;
            let _crc = bytes.try_get_u32()?;
            let batch = Self {
                attributes: bytes.try_get_i16()?,
                last_offset_delta: bytes.try_get_i32()?,
                base_timestamp: bytes.try_get_i64()?,
                max_timestamp: bytes.try_get_i64()?,
                producer_id: bytes.try_get_i64()?,
                producer_epoch: bytes.try_get_i16()?,
                base_sequence: bytes.try_get_i32()?,
                count: bytes.try_get_i32()?,
            };
            Ok((base_offset, length, batch))
        };
        let (base_offset, length, batch) = read().map_err(|_| TopicError::CorruptMessage)?;
        let expected = usize::try_from(length)
            .ok()
            .map(|length| length + LENGTH_FROM);
        match expected {
            // A second batch after the first: one a partition is the rule since produce v3.
            Some(expected) if RECORDS <= expected && expected < len => {
                Err(TopicError::InvalidRecord)
            }
            Some(expected) if expected == len && magic == Some(2) => Ok((base_offset, batch)),
            _ => Err(TopicError::CorruptMessage),
        }
    }

    /// Walks uncompressed records: as many as counted, numbered in order, to the last byte, and
    /// each with a key if the topic is to be compacted. Their largest timestamp.
    fn check_records(&self, records: &[u8], with_keys: bool) -> Result<i64, TopicError> {
        let mut walk = Records { rest: records };
        let mut newest = i64::MIN;
        for expected in 0..self.count {
            let record = walk.next().ok_or(TopicError::InvalidRecord)?;
            if record.offset_delta != i64::from(expected) || (with_keys && !record.has_key) {
                return Err(TopicError::InvalidRecord);
            }
            newest = newest.max(self.base_timestamp.saturating_add(record.timestamp_delta));
        }
        if walk.rest.is_empty() {
            Ok(newest)
        } else {
            Err(TopicError::InvalidRecord)
        }
    }

    /// Whether an idempotent producer wrote it.
    pub(super) fn is_idempotent(&self) -> bool {
        self.producer_id >= 0
    }

    /// The same with the time that the log gives it.
    pub(super) fn stamped(self, now: WallMs) -> Self {
        Self {
            max_timestamp: now.0,
            ..self
        }
    }

    /// Whether another batch of the same producer is this one again.
    pub(super) fn is_repeated_by(&self, other: &Self) -> bool {
        self.producer_epoch == other.producer_epoch
            && self.base_sequence == other.base_sequence
            && self.last_sequence() == other.last_sequence()
    }

    /// Whether another batch of the same producer may come right after this one.
    ///
    /// # Errors
    ///
    /// `InvalidProducerEpoch` from an old epoch, `OutOfOrderSequence` if numbers are missing.
    pub(super) fn is_followed_by(&self, other: &Self) -> Result<(), TopicError> {
        let expected = match other.producer_epoch.cmp(&self.producer_epoch) {
            Ordering::Less => return Err(TopicError::InvalidProducerEpoch),
            Ordering::Equal => self.last_sequence().checked_add(1).unwrap_or_default(),
            Ordering::Greater => 0,
        };
        if other.base_sequence == expected {
            Ok(())
        } else {
            Err(TopicError::OutOfOrderSequence)
        }
    }

    /// Reads a batch as the log stored it: its first offset, its fields, and the time that the log
    /// gave it. `None`: it is none. The checksum is not looked at.
    pub(super) fn stored(bytes: &[u8]) -> Option<(i64, Self, Option<WallMs>)> {
        let (base_offset, mut batch) = Self::frame(bytes).ok()?;
        let is_sound = base_offset >= 0 && batch.last_offset_delta >= 0;
        let stamp = batch.attributes & LOG_APPEND_TIME != 0;
        if batch.attributes & (CODEC | LOG_APPEND_TIME) == 0
            && let Ok(newest) = batch.check_records(&bytes[RECORDS..], false)
        {
            batch.max_timestamp = newest;
        }
        let stamp = stamp.then_some(WallMs(batch.max_timestamp));
        is_sound.then_some((base_offset, batch, stamp))
    }

    /// Whether it belongs to a transaction.
    pub(super) fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    /// Whether it holds a control record, no data.
    pub(super) fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    /// A batch that ends a transaction of a producer, still without its place: one control record
    /// whose key says how and whose value names the coordinator's epoch, as Kafka writes it.
    ///
    /// ```text
    ///  key    0 version i16 (0)   2 type i16 (0 abort, 1 commit)
    ///  value  0 version i16 (0)   2 coordinator epoch i32 (0)
    /// ```
    pub(super) fn marker(of: ProducerIdentity, committed: bool, now: WallMs) -> (Self, Vec<u8>) {
        let batch = Self {
            attributes: TRANSACTIONAL | CONTROL,
            last_offset_delta: 0,
            base_timestamp: now.0,
            max_timestamp: now.0,
            producer_id: of.id,
            producer_epoch: of.epoch,
            base_sequence: -1,
            count: 1,
        };
        // Its length, doubled as a varint does it; attributes and both deltas; key; value; no
        // headers.
        let record = [
            [32, 0, 0, 0, 8].as_slice(),
            &[0, 0, 0, u8::from(committed)],
            &[12, 0, 0, 0, 0, 0, 0, 0],
        ];
        let record = record.concat();
        let mut bytes = Vec::with_capacity(RECORDS + record.len());
        bytes.put_i64(0);
        let length = RECORDS - LENGTH_FROM + record.len();
        bytes.put_i32(i32::try_from(length).expect("a marker has 78 bytes"));
        bytes.put_i32(LEADER_EPOCH);
        bytes.put_i8(2);
        bytes.put_u32(0);
        bytes.put_i16(batch.attributes);
        bytes.put_i32(batch.last_offset_delta);
        bytes.put_i64(batch.base_timestamp);
        bytes.put_i64(batch.max_timestamp);
        bytes.put_i64(batch.producer_id);
        bytes.put_i16(batch.producer_epoch);
        bytes.put_i32(batch.base_sequence);
        bytes.put_i32(batch.count);
        bytes.extend(record);
        let crc = crc32c::crc32c(&bytes[ATTRIBUTES..]);
        bytes[CRC..ATTRIBUTES].copy_from_slice(&crc.to_be_bytes());
        (batch, bytes)
    }

    /// The number of the last record in the producer's own count, which wraps to 0.
    pub(super) fn last_sequence(&self) -> i32 {
        let sum = i64::from(self.base_sequence) + i64::from(self.last_offset_delta);
        let wrapped = sum % (i64::from(i32::MAX) + 1);
        i32::try_from(wrapped).expect("a remainder of 2^31 fits")
    }
}

/// Whether a control batch commits its transaction; `None` if it is none that ends one.
pub(super) fn commits(control: &[u8]) -> Option<bool> {
    let mut record = control.get(RECORDS..)?;
    let _length = varint(&mut record)?;
    let _attributes = record.try_get_i8().ok()?;
    let (_timestamp, _offset) = (varint(&mut record)?, varint(&mut record)?);
    let _key_length = varint(&mut record)?;
    let _version = record.try_get_i16().ok()?;
    match record.try_get_i16().ok()? {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

/// A copy of a checked batch that is ready to be stored, but for its offset.
pub(super) struct Unplaced(Vec<u8>);

impl Unplaced {
    /// Copies the batch, with the leader epoch and, if the log gives the time, the stamp.
    pub(super) fn copy(bytes: &[u8], stamp: Option<WallMs>) -> Self {
        let mut copy = bytes.to_vec();
        copy[LEADER..MAGIC].copy_from_slice(&LEADER_EPOCH.to_be_bytes());
        if let Some(WallMs(now)) = stamp {
            copy[ATTRIBUTES + 1] |= LOG_APPEND_TIME.to_be_bytes()[1];
            copy[MAX_TIMESTAMP..PRODUCER].copy_from_slice(&now.to_be_bytes());
            let crc = crc32c::crc32c(&copy[ATTRIBUTES..]);
            copy[CRC..ATTRIBUTES].copy_from_slice(&crc.to_be_bytes());
        }
        Self(copy)
    }

    /// Gives it its place in the log.
    pub(super) fn at(mut self, base_offset: i64) -> Bytes {
        self.0[..LENGTH].copy_from_slice(&base_offset.to_be_bytes());
        Bytes::from(self.0)
    }
}

/// Finds the first record of a stored batch, at or after `from`, whose timestamp is at least
/// `timestamp`: its offset and timestamp.
///
/// A compressed batch answers with its first offset (or `from`) and its largest timestamp: at or
/// before the exact record, so that a consumer that starts there misses nothing.
pub(super) fn find_timestamp(
    stored: &[u8],
    base_offset: i64,
    from: i64,
    timestamp: i64,
) -> Option<(i64, i64)> {
    let (_, batch) = Batch::frame(stored).ok()?;
    if batch.attributes & (CODEC | LOG_APPEND_TIME) != 0 {
        let found = (base_offset.max(from), batch.max_timestamp);
        return (batch.max_timestamp >= timestamp).then_some(found);
    }
    Records::of(stored)
        .map(|record| {
            let at = batch.base_timestamp.saturating_add(record.timestamp_delta);
            (base_offset.saturating_add(record.offset_delta), at)
        })
        .find(|(offset, at)| *offset >= from && *at >= timestamp)
}

/// What is read of an uncompressed record.
struct Record {
    timestamp_delta: i64,
    offset_delta: i64,
    has_key: bool,
}

/// A walk over uncompressed records; ends at the first that does not fit.
struct Records<'a> {
    rest: &'a [u8],
}

impl<'a> Records<'a> {
    fn of(batch: &'a [u8]) -> Self {
        Self {
            rest: batch.get(RECORDS..).unwrap_or_default(),
        }
    }
}

impl Iterator for Records<'_> {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        let mut ahead = self.rest;
        let length = usize::try_from(varint(&mut ahead)?).ok()?;
        let (mut record, rest) = ahead.split_at_checked(length)?;
        let _attributes = record.try_get_i8().ok()?;
        let found = Record {
            timestamp_delta: varint(&mut record)?,
            offset_delta: varint(&mut record)?,
            has_key: varint(&mut record)? >= 0,
        };
        self.rest = rest;
        Some(found)
    }
}

/// A zigzag number of up to ten bytes.
fn varint(bytes: &mut &[u8]) -> Option<i64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = bytes.try_get_u8().ok()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed());
        }
    }
    None
}

const LENGTH: usize = 8;
/// What the length does not count: base offset and the length itself.
const LENGTH_FROM: usize = 12;
const LEADER: usize = 12;
const MAGIC: usize = 16;
const CRC: usize = 17;
const ATTRIBUTES: usize = 21;
const MAX_TIMESTAMP: usize = 35;
const PRODUCER: usize = 43;
const RECORDS: usize = 61;

const CODEC: i16 = 0b111;
/// None, gzip, snappy, lz4, zstd.
const ZSTD: i16 = 4;
const CODEC_MAX: i16 = ZSTD;
const LOG_APPEND_TIME: i16 = 1 << 3;
const TRANSACTIONAL: i16 = 1 << 4;
const CONTROL: i16 = 1 << 5;
