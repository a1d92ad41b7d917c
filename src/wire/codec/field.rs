use std::ops::RangeInclusive;

use super::{ARRAY_CAPACITY_MAX, DecodeError, EncodeError, Reader, Writer};
use crate::ids::TopicId;

/// The version of a message, and with it the encoding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Version {
    /// The number that the request's header carries.
    pub number: i16,
    /// Whether the message is encoded compactly and with tagged fields (KIP-482).
    pub flexible: bool,
}

/// A type of the protocol.
pub trait Field<'a>: Sized {
    /// The fewest bytes that a value takes.
    fn min_size(version: Version) -> usize;

    /// Reads a value.
    ///
    /// # Errors
    ///
    /// Where the bytes are none.
    fn read(reader: &mut Reader<'a>, version: Version) -> Result<Self, DecodeError>;

    /// Reads so many values, for which there are bytes enough if each takes the fewest.
    ///
    /// # Errors
    ///
    /// Where the bytes are none.
    fn read_each(
        reader: &mut Reader<'a>,
        count: usize,
        version: Version,
    ) -> Result<Vec<Self>, DecodeError> {
        let mut elements = Vec::with_capacity(count.min(ARRAY_CAPACITY_MAX));
        for _ in 0..count {
            if elements.len() == elements.capacity() {
                // Doubled like any vector, yet never beyond the count.
                elements.reserve_exact(elements.len().min(count - elements.len()));
            }
            elements.push(Self::read(reader, version)?);
        }
        Ok(elements)
    }

    /// Appends the value.
    fn write(&self, writer: &mut Writer<'_>, version: Version);
}

/// A type of the protocol that has a null.
pub trait Nullable<'a>: Field<'a> {
    /// Reads a value or null.
    ///
    /// # Errors
    ///
    /// Where the bytes are neither.
    fn read_nullable(
        reader: &mut Reader<'a>,
        version: Version,
    ) -> Result<Option<Self>, DecodeError>;

    /// Appends a value or null.
    fn write_nullable(value: Option<&Self>, writer: &mut Writer<'_>, version: Version);

    /// Appends the value that stands for null in a version without null: the empty one.
    fn write_empty(writer: &mut Writer<'_>, version: Version);
}

/// A message with versions of its own: the body of a request or a response, or a stored record.
pub trait Message<'a>: Field<'a> {
    /// The versions in which the layout is known.
    const VERSIONS: RangeInclusive<i16>;
    /// The first flexible version; [`NEVER`](super::NEVER) if there is none.
    const FLEXIBLE_FROM: i16;

    /// The encoding of a version.
    fn version(number: i16) -> Version {
        Version {
            number,
            flexible: number >= Self::FLEXIBLE_FROM,
        }
    }

    /// Reads a message. Bytes after its end are ignored, as Kafka ignores them.
    ///
    /// # Errors
    ///
    /// Where the version is not known or the bytes are no such message.
    fn decode(body: &'a [u8], version: i16) -> Result<Self, DecodeError> {
        Self::decode_from(&mut Reader::new(body), version)
    }

    /// Reads a message that ends where the bytes end.
    ///
    /// # Errors
    ///
    /// As [`Message::decode`], and [`DecodeError::Trailing`] where bytes are left.
    fn decode_exact(body: &'a [u8], version: i16) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let message = Self::decode_from(&mut reader, version)?;
        match reader.remaining() {
            0 => Ok(message),
            left => Err(DecodeError::Trailing(left)),
        }
    }

    /// Reads a message and leaves the reader behind it.
    ///
    /// # Errors
    ///
    /// As [`Message::decode`].
    fn decode_from(reader: &mut Reader<'a>, version: i16) -> Result<Self, DecodeError> {
        if !Self::VERSIONS.contains(&version) {
            return Err(DecodeError::Version(version));
        }
        Self::read(reader, Self::version(version))
    }

    /// Appends the message; a field that the version does not have is dropped.
    ///
    /// A null in a version that has no null there is written as the empty value. What cannot be
    /// written, an unknown version included, is reported by [`Writer::finish`].
    fn encode(&self, writer: &mut Writer<'_>, version: i16) {
        if !Self::VERSIONS.contains(&version) {
            writer.fail(EncodeError::Version(version));
            return;
        }
        self.write(writer, Self::version(version));
    }
}

macro_rules! fixed {
    ($($ty:ty: $size:literal, $name:ident;)*) => {$(
        impl Field<'_> for $ty {
            #[inline]
            fn min_size(_: Version) -> usize {
                $size
            }

            #[inline]
            fn read(reader: &mut Reader<'_>, _: Version) -> Result<Self, DecodeError> {
                reader.$name()
            }

            #[inline]
            fn write(&self, writer: &mut Writer<'_>, _: Version) {
                writer.$name(*self);
            }
        }
    )*};
}

fixed! {
    bool: 1, bool;
    i8: 1, i8;
    i16: 2, i16;
    u16: 2, u16;
    i64: 8, i64;
    TopicId: 16, topic_id;
}

/// Partitions come by the hundred.
impl Field<'_> for i32 {
    #[inline]
    fn min_size(_: Version) -> usize {
        size_of::<Self>()
    }

    #[inline]
    fn read(reader: &mut Reader<'_>, _: Version) -> Result<Self, DecodeError> {
        reader.i32()
    }

    fn read_each(
        reader: &mut Reader<'_>,
        count: usize,
        _: Version,
    ) -> Result<Vec<Self>, DecodeError> {
        // No more than the frame takes itself.
        let bytes = reader.take(count.saturating_mul(size_of::<Self>()))?;
        let (each, _) = bytes.as_chunks();
        Ok(each.iter().map(|it| Self::from_be_bytes(*it)).collect())
    }

    #[inline]
    fn write(&self, writer: &mut Writer<'_>, _: Version) {
        writer.i32(*self);
    }
}

impl<'a> Field<'a> for &'a str {
    #[inline]
    fn min_size(version: Version) -> usize {
        if version.flexible { 1 } else { 2 }
    }

    #[inline]
    fn read(reader: &mut Reader<'a>, version: Version) -> Result<Self, DecodeError> {
        reader.string(version.flexible)?.ok_or(DecodeError::Null)
    }

    #[inline]
    fn write(&self, writer: &mut Writer<'_>, version: Version) {
        writer.string(Some(self), version.flexible);
    }
}

impl<'a> Nullable<'a> for &'a str {
    #[inline]
    fn read_nullable(
        reader: &mut Reader<'a>,
        version: Version,
    ) -> Result<Option<Self>, DecodeError> {
        reader.string(version.flexible)
    }

    #[inline]
    fn write_nullable(value: Option<&Self>, writer: &mut Writer<'_>, version: Version) {
        writer.string(value.copied(), version.flexible);
    }

    #[inline]
    fn write_empty(writer: &mut Writer<'_>, version: Version) {
        writer.string(Some(""), version.flexible);
    }
}

impl<'a> Field<'a> for &'a [u8] {
    #[inline]
    fn min_size(version: Version) -> usize {
        if version.flexible { 1 } else { 4 }
    }

    #[inline]
    fn read(reader: &mut Reader<'a>, version: Version) -> Result<Self, DecodeError> {
        reader.bytes(version.flexible)?.ok_or(DecodeError::Null)
    }

    #[inline]
    fn write(&self, writer: &mut Writer<'_>, version: Version) {
        writer.bytes(Some(self), version.flexible);
    }
}

impl<'a> Nullable<'a> for &'a [u8] {
    #[inline]
    fn read_nullable(
        reader: &mut Reader<'a>,
        version: Version,
    ) -> Result<Option<Self>, DecodeError> {
        reader.bytes(version.flexible)
    }

    #[inline]
    fn write_nullable(value: Option<&Self>, writer: &mut Writer<'_>, version: Version) {
        writer.bytes(value.copied(), version.flexible);
    }

    #[inline]
    fn write_empty(writer: &mut Writer<'_>, version: Version) {
        writer.bytes(Some(&[]), version.flexible);
    }
}

impl<'a, T: Field<'a>> Field<'a> for Vec<T> {
    #[inline]
    fn min_size(version: Version) -> usize {
        if version.flexible { 1 } else { 4 }
    }

    #[inline]
    fn read(reader: &mut Reader<'a>, version: Version) -> Result<Self, DecodeError> {
        Self::read_nullable(reader, version)?.ok_or(DecodeError::Null)
    }

    #[inline]
    fn write(&self, writer: &mut Writer<'_>, version: Version) {
        Self::write_nullable(Some(self), writer, version);
    }
}

impl<'a, T: Field<'a>> Nullable<'a> for Vec<T> {
    fn read_nullable(
        reader: &mut Reader<'a>,
        version: Version,
    ) -> Result<Option<Self>, DecodeError> {
        let Some(count) = reader.count(version.flexible, T::min_size(version))? else {
            return Ok(None);
        };
        T::read_each(reader, count, version).map(Some)
    }

    fn write_nullable(value: Option<&Self>, writer: &mut Writer<'_>, version: Version) {
        let written = writer.count(value.map(Self::len), version.flexible);
        for element in value.into_iter().flatten().take(written) {
            element.write(writer, version);
        }
    }

    #[inline]
    fn write_empty(writer: &mut Writer<'_>, version: Version) {
        writer.count(Some(0), version.flexible);
    }
}

impl<'a, T: Nullable<'a>> Field<'a> for Option<T> {
    /// Null takes no more than the empty value; of a struct it is one byte.
    #[inline]
    fn min_size(version: Version) -> usize {
        T::min_size(version).min(if version.flexible { 1 } else { 4 })
    }

    #[inline]
    fn read(reader: &mut Reader<'a>, version: Version) -> Result<Self, DecodeError> {
        T::read_nullable(reader, version)
    }

    #[inline]
    fn write(&self, writer: &mut Writer<'_>, version: Version) {
        T::write_nullable(self.as_ref(), writer, version);
    }
}

/// Appends an option in a version in which null is allowed (`nullable`) or not.
#[inline]
pub(crate) fn write_present<'a, T: Nullable<'a>>(
    value: Option<&T>,
    nullable: bool,
    writer: &mut Writer<'_>,
    version: Version,
) {
    match value {
        Some(value) if !nullable => value.write(writer, version),
        None if !nullable => T::write_empty(writer, version),
        value => T::write_nullable(value, writer, version),
    }
}
