use super::{DecodeError, STRING_BYTES_MAX};
use crate::ids::TopicId;

/// The most elements for which an array reserves memory before it has read any.
pub const ARRAY_CAPACITY_MAX: usize = 1024;

/// A cursor over the bytes of one message; every read checks what remains.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident: $ty:ty) => {
        $(#[$doc])*
        ///
        /// # Errors
        ///
        /// [`DecodeError::Short`] where the bytes end before it.
        #[inline]
        pub fn $name(&mut self) -> Result<$ty, DecodeError> {
            Ok(<$ty>::from_be_bytes(self.chunk()?))
        }
    };
}

impl<'a> Reader<'a> {
    /// A cursor at the first of `bytes`.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Bytes not read yet.
    #[inline]
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// All that was not read yet.
    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Takes the next `len` bytes.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Short`] where fewer remain.
    #[inline]
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or_else(|| self.short(len))?;
        self.rest = rest;
        Ok(taken)
    }

    #[inline]
    fn chunk<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or_else(|| self.short(N))?;
        self.rest = rest;
        Ok(*taken)
    }

    #[inline]
    fn short(&self, needed: usize) -> DecodeError {
        DecodeError::Short {
            needed,
            left: self.rest.len(),
        }
    }

    number! {
        /// An unsigned byte.
        u8: u8
    }
    number! {
        /// A signed byte.
        i8: i8
    }
    number! {
        /// A 16-bit number, big-endian.
        i16: i16
    }
    number! {
        /// An unsigned 16-bit number, big-endian.
        u16: u16
    }
    number! {
        /// A 32-bit number, big-endian.
        i32: i32
    }
    number! {
        /// An unsigned 32-bit number, big-endian.
        u32: u32
    }
    number! {
        /// A 64-bit number, big-endian.
        i64: i64
    }

    /// A truth value; every byte but 0 is true, as Kafka reads it.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Short`] at the end of the bytes.
    #[inline]
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        Ok(self.u8()? != 0)
    }

    /// The 16 bytes of a topic id.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Short`] where fewer remain.
    #[inline]
    pub fn topic_id(&mut self) -> Result<TopicId, DecodeError> {
        Ok(TopicId(self.chunk()?))
    }

    /// An unsigned varint of at most 32 bits.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Varint`] where it has more, [`DecodeError::Short`] at the end of the bytes.
    #[inline]
    pub fn uvarint(&mut self) -> Result<u32, DecodeError> {
        if let Some((&first, rest)) = self.rest.split_first()
            && first < 0x80
        {
            self.rest = rest;
            return Ok(u32::from(first));
        }
        u32::try_from(self.uvarint_long(5)?).map_err(|_| DecodeError::Varint)
    }

    fn uvarint_long(&mut self, bytes_max: u32) -> Result<u64, DecodeError> {
        let mut value = 0_u64;
        for index in 0..bytes_max {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            let shift = 7 * index;
            if shift == 63 && bits > 1 {
                return Err(DecodeError::Varint);
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(DecodeError::Varint)
    }

    /// A zigzag varint of at most 32 bits, as records use it.
    ///
    /// # Errors
    ///
    /// As [`Reader::uvarint`].
    pub fn varint(&mut self) -> Result<i32, DecodeError> {
        let raw = self.uvarint()?;
        Ok((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed())
    }

    /// A zigzag varint of at most 64 bits, as records use it.
    ///
    /// # Errors
    ///
    /// As [`Reader::uvarint`], with 64 bits.
    pub fn varlong(&mut self) -> Result<i64, DecodeError> {
        let raw = self.uvarint_long(10)?;
        Ok((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed())
    }

    /// A string or null; compact where `flexible`.
    ///
    /// # Errors
    ///
    /// Where the length is negative, above 32,767 or beyond the bytes, or the text is not UTF-8.
    #[inline]
    pub fn string(&mut self, flexible: bool) -> Result<Option<&'a str>, DecodeError> {
        let len = if flexible {
            self.compact_length()?
        } else {
            length(self.i16()?.into())?
        };
        let Some(len) = len else { return Ok(None) };
        if len > STRING_BYTES_MAX {
            return Err(DecodeError::StringLength(len));
        }
        if len == 0 {
            return Ok(Some(""));
        }
        let bytes = self.take(len)?;
        std::str::from_utf8(bytes)
            .map(Some)
            .map_err(|_| DecodeError::Utf8)
    }

    /// Bytes or null; compact where `flexible`.
    ///
    /// # Errors
    ///
    /// Where the length is below -1 or beyond the bytes.
    #[inline]
    pub fn bytes(&mut self, flexible: bool) -> Result<Option<&'a [u8]>, DecodeError> {
        let len = if flexible {
            self.compact_length()?
        } else {
            length(self.i32()?)?
        };
        len.map(|len| self.take(len)).transpose()
    }

    /// The count of an array or null, of elements of at least `element_bytes_min` bytes each.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Count`] where the bytes that remain cannot hold that many.
    #[inline]
    pub fn count(
        &mut self,
        flexible: bool,
        element_bytes_min: usize,
    ) -> Result<Option<usize>, DecodeError> {
        let count = if flexible {
            self.compact_length()?
        } else {
            length(self.i32()?)?
        };
        let left = self.rest.len();
        match count {
            Some(count) if count > left / element_bytes_min.max(1) => {
                Err(DecodeError::Count { count, left })
            }
            count => Ok(count),
        }
    }

    /// A length plus one, 0 for null.
    #[inline]
    fn compact_length(&mut self) -> Result<Option<usize>, DecodeError> {
        Ok((self.uvarint()? as usize).checked_sub(1))
    }

    /// Reads a section of tagged fields and hands each to `known`, which answers whether it read
    /// it; what it does not know is skipped.
    ///
    /// As Kafka does, order is not checked, and of a tag that comes twice the last one counts.
    ///
    /// # Errors
    ///
    /// Where a size is beyond the bytes, a known field does not fill its size, or `known` fails.
    #[inline]
    pub fn tagged_fields(
        &mut self,
        known: impl FnMut(u32, &mut Self) -> Result<bool, DecodeError>,
    ) -> Result<(), DecodeError> {
        match self.uvarint()? {
            0 => Ok(()),
            count => self.some_tagged_fields(count as usize, known),
        }
    }

    /// Out of line: hardly any struct has one.
    #[cold]
    fn some_tagged_fields(
        &mut self,
        count: usize,
        mut known: impl FnMut(u32, &mut Self) -> Result<bool, DecodeError>,
    ) -> Result<(), DecodeError> {
        // A tag and its size take a byte each at least.
        if count > self.rest.len() / 2 {
            return Err(DecodeError::Count {
                count,
                left: self.rest.len(),
            });
        }
        for _ in 0..count {
            let tag = self.uvarint()?;
            let size = self.uvarint()? as usize;
            let mut field = Self::new(self.take(size)?);
            if known(tag, &mut field)? && field.remaining() != 0 {
                return Err(DecodeError::TagSize {
                    tag,
                    left: field.remaining(),
                });
            }
        }
        Ok(())
    }

    /// Skips a section of tagged fields.
    ///
    /// # Errors
    ///
    /// Where a size is beyond the bytes.
    #[inline]
    pub fn skip_tagged_fields(&mut self) -> Result<(), DecodeError> {
        self.tagged_fields(|_, _| Ok(false))
    }
}

/// -1 is null, less is an error.
#[inline]
fn length(len: i32) -> Result<Option<usize>, DecodeError> {
    match usize::try_from(len) {
        Ok(len) => Ok(Some(len)),
        Err(_) if len == -1 => Ok(None),
        Err(_) => Err(DecodeError::NegativeLength(len)),
    }
}
