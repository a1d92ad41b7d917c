//! Writes a batch of records as Kafka keeps it, of records that are in a log already.

use super::segment::{ATTRIBUTES, CRC, LENGTH_FROM, RECORDS};
use crate::wire::Writer;

/// A batch of one partition, being filled; its layout is in `segment`.
#[derive(Debug)]
pub(crate) struct BatchWriter {
    base_offset: i64,
    base_timestamp: i64,
    max_timestamp: i64,
    last_delta: i32,
    count: i32,
    /// The records.
    records: Vec<u8>,
    record: Vec<u8>,
}

impl BatchWriter {
    /// Begins with the first record's offset and time.
    pub(crate) fn new(base_offset: i64, base_timestamp: i64) -> Self {
        Self {
            base_offset,
            base_timestamp,
            max_timestamp: base_timestamp,
            last_delta: 0,
            count: 0,
            records: Vec::new(),
            record: Vec::new(),
        }
    }

    /// Bytes of the batch as it is now.
    pub(crate) fn len(&self) -> usize {
        RECORDS + self.records.len()
    }

    /// Appends a record; `false`, and nothing was appended, where its offset is too far away from
    /// the first one, or it has more bytes than a record may.
    pub(crate) fn push(
        &mut self,
        (offset, timestamp): (i64, i64),
        key: &[u8],
        value: Option<&[u8]>,
    ) -> bool {
        let Ok(delta) = i32::try_from(offset - self.base_offset) else {
            return false;
        };
        let length = |bytes: Option<&[u8]>| match bytes {
            Some(bytes) => i32::try_from(bytes.len()).ok(),
            None => Some(-1),
        };
        let (Some(key_len), Some(value_len)) = (length(Some(key)), length(value)) else {
            return false;
        };
        self.record.clear();
        let mut writer = Writer::new(&mut self.record);
        writer.i8(0);
        writer.varlong(timestamp.saturating_sub(self.base_timestamp));
        writer.varint(delta);
        writer.varint(key_len);
        writer.raw(key);
        writer.varint(value_len);
        writer.raw(value.unwrap_or(&[]));
        writer.varint(0);
        let Ok(len) = i32::try_from(self.record.len()) else {
            return false;
        };
        let mut writer = Writer::new(&mut self.records);
        writer.varint(len);
        writer.raw(&self.record);
        self.last_delta = delta;
        self.count += 1;
        self.max_timestamp = self.max_timestamp.max(timestamp);
        true
    }

    /// The batch; `None` if there is no record in it, or more bytes than a batch may have.
    pub(crate) fn finish(self) -> Option<Vec<u8>> {
        let length = i32::try_from(self.len() - LENGTH_FROM).ok();
        let length = length.filter(|_| self.count > 0)?;
        let mut bytes = Vec::with_capacity(self.len());
        let mut writer = Writer::new(&mut bytes);
        writer.i64(self.base_offset);
        writer.i32(length);
        // Leader epoch, magic, checksum, attributes.
        writer.i32(0);
        writer.i8(2);
        writer.i32(0);
        writer.i16(0);
        writer.i32(self.last_delta);
        writer.i64(self.base_timestamp);
        writer.i64(self.max_timestamp);
        // No producer: its id, epoch and first number.
        writer.i64(-1);
        writer.i16(-1);
        writer.i32(-1);
        writer.i32(self.count);
        writer.raw(&self.records);
        let crc = crc32c::crc32c(&bytes[ATTRIBUTES..]);
        bytes[CRC..ATTRIBUTES].copy_from_slice(&crc.to_be_bytes());
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::super::segment::{Batches, Next};
    use super::*;

    #[test]
    fn a_batch_is_read_as_it_was_written() {
        let mut writer = BatchWriter::new(70, 1_000);
        assert!(writer.push((70, 1_000), b"key", Some(b"value")));
        assert!(writer.push((75, 900), b"key", None));
        assert!(!writer.push((i64::MAX, 900), b"key", None), "too far away");
        let bytes = writer.finish().unwrap();
        let mut batches = Batches::new(&bytes);
        let Ok(Next::Batch(batch)) = batches.next() else {
            panic!("no batch");
        };
        assert_eq!((batch.base_offset, batch.last_offset), (70, 75));
        let mut seen = Vec::new();
        let read = batch.records(|record| {
            seen.push((record.offset, record.value.map(<[u8]>::to_vec)));
            Ok(())
        });
        assert_eq!(read, Ok(()));
        assert_eq!(seen, [(70, Some(b"value".to_vec())), (75, None)]);
        assert!(matches!(batches.next(), Ok(Next::End)));
    }
}
