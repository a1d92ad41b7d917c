use super::{EncodeError, STRING_BYTES_MAX};
use crate::ids::TopicId;

/// Appends the protocol's types to a buffer.
///
/// Writing does not fail on its way: the first thing that cannot be sent (a string that is too
/// long) is remembered, written as empty, and reported by [`Writer::finish`], upon which the
/// caller takes back what was appended.
#[derive(Debug)]
pub struct Writer<'b> {
    out: &'b mut Vec<u8>,
    error: Option<EncodeError>,
}

impl<'b> Writer<'b> {
    /// A writer that appends to `out`.
    #[inline]
    pub fn new(out: &'b mut Vec<u8>) -> Self {
        Self { out, error: None }
    }

    /// Whether everything that was written can be sent.
    ///
    /// # Errors
    ///
    /// The first thing that could not be.
    #[inline]
    pub fn finish(self) -> Result<(), EncodeError> {
        self.error.map_or(Ok(()), Err)
    }

    /// Remembers that the message cannot be sent.
    #[cold]
    pub fn fail(&mut self, error: EncodeError) {
        self.error.get_or_insert(error);
    }

    /// Makes room for so many bytes that will follow.
    pub fn reserve(&mut self, bytes: usize) {
        self.out.reserve(bytes);
    }

    /// Appends so many zeros in pieces of `N`, to be filled in place.
    #[inline]
    pub fn pieces<const N: usize>(&mut self, count: usize) -> &mut [[u8; N]] {
        let begin = self.out.len();
        self.out.resize(begin + count * N, 0);
        self.out[begin..].as_chunks_mut().0
    }

    /// Bytes as they are, with no length before them.
    #[inline]
    pub fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// A signed byte.
    #[inline]
    pub fn i8(&mut self, value: i8) {
        self.raw(&value.to_be_bytes());
    }

    /// A 16-bit number, big-endian.
    #[inline]
    pub fn i16(&mut self, value: i16) {
        self.raw(&value.to_be_bytes());
    }

    /// An unsigned 16-bit number, big-endian.
    #[inline]
    pub fn u16(&mut self, value: u16) {
        self.raw(&value.to_be_bytes());
    }

    /// A 32-bit number, big-endian.
    #[inline]
    pub fn i32(&mut self, value: i32) {
        self.raw(&value.to_be_bytes());
    }

    /// A 64-bit number, big-endian.
    #[inline]
    pub fn i64(&mut self, value: i64) {
        self.raw(&value.to_be_bytes());
    }

    /// A truth value, one byte.
    #[inline]
    pub fn bool(&mut self, value: bool) {
        self.raw(&[u8::from(value)]);
    }

    /// The 16 bytes of a topic id.
    #[inline]
    pub fn topic_id(&mut self, id: TopicId) {
        self.raw(&id.0);
    }

    /// An unsigned varint.
    #[inline]
    pub fn uvarint(&mut self, value: u32) {
        self.uvarlong(value.into());
    }

    #[inline]
    fn uvarlong(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.out.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.out.push(value.to_le_bytes()[0]);
    }

    /// A zigzag varint of 32 bits, as records use it.
    pub fn varint(&mut self, value: i32) {
        self.uvarint(((value << 1) ^ (value >> 31)).cast_unsigned());
    }

    /// A zigzag varint of 64 bits, as records use it.
    pub fn varlong(&mut self, value: i64) {
        self.uvarlong(((value << 1) ^ (value >> 63)).cast_unsigned());
    }

    /// A string or null; compact where `flexible`.
    #[inline]
    pub fn string(&mut self, text: Option<&str>, flexible: bool) {
        let mut text = text;
        if let Some(long) = text.filter(|text| text.len() > STRING_BYTES_MAX) {
            self.fail(EncodeError::StringLength(long.len()));
            text = Some("");
        }
        let len = text.map_or(-1, |text| i16::try_from(text.len()).unwrap_or(0));
        if flexible {
            self.uvarint(u32::from((len + 1).cast_unsigned()));
        } else {
            self.i16(len);
        }
        self.raw(text.unwrap_or_default().as_bytes());
    }

    /// Bytes or null; compact where `flexible`.
    #[inline]
    pub fn bytes(&mut self, bytes: Option<&[u8]>, flexible: bool) {
        let written = self.count(bytes.map(<[u8]>::len), flexible);
        self.raw(&bytes.unwrap_or_default()[..written]);
    }

    /// The count of an array, or null; compact where `flexible`. Answers how many elements are to
    /// follow: 0 where that many cannot be announced.
    #[inline]
    pub fn count(&mut self, count: Option<usize>, flexible: bool) -> usize {
        let (announced, written) = match count {
            None => (-1, 0),
            // One less than the type's largest, so that compact lengths fit as Kafka reads them.
            Some(count) => match i32::try_from(count) {
                Ok(announced) if announced != i32::MAX => (announced, count),
                _ => {
                    self.fail(EncodeError::Length(count));
                    (0, 0)
                }
            },
        };
        if flexible {
            self.uvarint((announced + 1).cast_unsigned());
        } else {
            self.i32(announced);
        }
        written
    }

    /// A tagged field: its tag, its size and what `value` writes.
    pub fn tagged(&mut self, tag: u32, value: impl FnOnce(&mut Self)) {
        self.uvarint(tag);
        let start = self.out.len();
        // One byte for the size, which most need; more are made room for below.
        self.out.push(0);
        value(self);
        let size = self.out.len() - start - 1;
        if let Ok(byte @ ..0x80) = u8::try_from(size) {
            self.out[start] = byte;
            return;
        }
        let mut prefix = Vec::with_capacity(5);
        let mut writer = Writer::new(&mut prefix);
        match u32::try_from(size) {
            Ok(size) => writer.uvarint(size),
            Err(_) => self.fail(EncodeError::Length(size)),
        }
        self.out.splice(start..=start, prefix);
    }
}
