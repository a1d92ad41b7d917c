//! The batches of a segment file and the records in them: Kafka's format of magic 2 (KIP-98).
//!
//! ```text
//!   0 base offset i64         21 attributes i16 (codec 3 bits,   43 producer id i64
//!   8 length i32 (from 12)       5th transactional, 6th control) 51 producer epoch i16
//!  12 leader epoch i32        23 last offset delta i32           53 base sequence i32
//!  16 magic i8                27 base timestamp i64              57 count i32
//!  17 crc32c u32 (from 21)    35 max timestamp i64               61 records
//!
//!  record: length, attributes i8, timestamp delta, offset delta, key length, key, value length,
//!          value, headers; all numbers but the attributes are zigzag varints
//! ```

use std::borrow::Cow;

use super::compression;
use crate::wire::{DecodeError, Reader};

/// What comes next in a file.
pub(super) enum Next<'a> {
    Batch(Batch<'a>),
    End,
    /// The rest is part of a batch, or zeros.
    CutOff,
}

/// A walk over the batches of a file.
pub(super) struct Batches<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Batches<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Where the next batch begins.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// The next batch, whole and with the checksum that it should have.
    pub(super) fn next(&mut self) -> Result<Next<'a>, String> {
        let rest = &self.bytes[self.at..];
        if rest.is_empty() {
            return Ok(Next::End);
        }
        // A file that was made longer beforehand.
        if rest.iter().all(|byte| *byte == 0) {
            return Ok(Next::CutOff);
        }
        let Some(head) = rest.first_chunk::<RECORDS>() else {
            return Ok(Next::CutOff);
        };
        let length = i32::from_be_bytes([head[8], head[9], head[10], head[11]]);
        let magic = head[MAGIC];
        if magic != 2 {
            return Err(format!(
                "this is no batch of Kafka's record format 2 (it says {magic})"
            ));
        }
        let len = usize::try_from(length).ok().map(|len| len + LENGTH_FROM);
        let len = len.filter(|len| (RECORDS..=BATCH_BYTES_MAX).contains(len));
        let len = len.ok_or_else(|| format!("a batch cannot have {length} bytes"))?;
        let Some(bytes) = rest.get(..len) else {
            return Ok(Next::CutOff);
        };
        let batch = Batch::parse(bytes)?;
        self.at += len;
        Ok(Next::Batch(batch))
    }
}

/// A batch of records.
#[derive(Debug)]
pub(super) struct Batch<'a> {
    pub(super) base_offset: i64,
    pub(super) last_offset: i64,
    pub(super) producer_id: i64,
    attributes: i16,
    count: i32,
    records: &'a [u8],
}

/// A record of a batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plain<'a> {
    pub(super) offset: i64,
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
}

impl<'a> Batch<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, String> {
        let (crc, covered) = (&bytes[CRC..ATTRIBUTES], &bytes[ATTRIBUTES..]);
        if crc != crc32c::crc32c(covered).to_be_bytes() {
            return Err("the checksum of the batch does not fit".to_owned());
        }
        let parse = || -> Result<Self, DecodeError> {
            let base_offset = Reader::new(bytes).i64()?;
            let mut reader = Reader::new(covered);
            let attributes = reader.i16()?;
            let last_offset_delta = reader.i32()?;
            let (_base_timestamp, _max_timestamp) = (reader.i64()?, reader.i64()?);
            let producer_id = reader.i64()?;
            let (_epoch, _sequence) = (reader.i16()?, reader.i32()?);
            let count = reader.i32()?;
            Ok(Self {
                base_offset,
                last_offset: base_offset.saturating_add(i64::from(last_offset_delta)),
                producer_id,
                attributes,
                count,
                records: reader.rest(),
            })
        };
        let batch = parse().map_err(|error| error.to_string())?;
        let is_sound = batch.base_offset >= 0 && batch.last_offset >= batch.base_offset;
        if !is_sound || batch.count < 0 {
            return Err("the batch contradicts itself".to_owned());
        }
        Ok(batch)
    }

    pub(super) fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    /// Whether it ends a transaction and holds no data.
    pub(super) fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    /// Hands out the records; as many as are counted, to the last byte.
    pub(super) fn records(
        &self,
        mut each: impl FnMut(Plain<'_>) -> Result<(), String>,
    ) -> Result<(), String> {
        let codec = self.attributes & CODEC;
        let bytes: Cow<'_, [u8]> = compression::unpack(codec, self.records)?;
        let mut reader = Reader::new(&bytes);
        for _ in 0..self.count {
            let record = record(&mut reader, self.base_offset);
            let record = record.map_err(|error| format!("a record is damaged: {error}"))?;
            if !(self.base_offset..=self.last_offset).contains(&record.offset) {
                return Err("a record is not where its batch is".to_owned());
            }
            each(record)
                .map_err(|what| format!("the record at offset {}: {what}", record.offset))?;
        }
        if reader.remaining() > 0 {
            return Err("there are bytes behind the last record of the batch".to_owned());
        }
        Ok(())
    }
}

fn record<'a>(reader: &mut Reader<'a>, base_offset: i64) -> Result<Plain<'a>, DecodeError> {
    let length = reader.varint()?;
    let length = usize::try_from(length).map_err(|_| DecodeError::NegativeLength(length))?;
    let mut reader = Reader::new(reader.take(length)?);
    let _attributes = reader.i8()?;
    let _timestamp_delta = reader.varlong()?;
    let offset_delta = reader.varint()?;
    let mut bytes = || -> Result<Option<&'a [u8]>, DecodeError> {
        match usize::try_from(reader.varint()?) {
            Ok(len) => reader.take(len).map(Some),
            // -1 stands for none, and Kafka takes any other negative number for it.
            Err(_) => Ok(None),
        }
    };
    Ok(Plain {
        offset: base_offset.saturating_add(i64::from(offset_delta)),
        key: bytes()?,
        value: bytes()?,
    })
}

pub(super) const LENGTH_FROM: usize = 12;
const MAGIC: usize = 16;
pub(super) const CRC: usize = 17;
pub(super) const ATTRIBUTES: usize = 21;
pub(super) const RECORDS: usize = 61;
/// Far above `message.max.bytes` of any broker.
const BATCH_BYTES_MAX: usize = 256 << 20;
const CODEC: i16 = 0b111;
const TRANSACTIONAL: i16 = 1 << 4;
const CONTROL: i16 = 1 << 5;
