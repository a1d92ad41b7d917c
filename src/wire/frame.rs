//! Frames: a length of four bytes, then that many bytes.

use std::fmt;

use super::api::ApiKey;
use super::codec::{EncodeError, Message, Writer};
use super::header::{RequestHeader, ResponseHeader};

/// Bytes of the length before a frame.
pub const LENGTH_BYTES: usize = 4;

/// Why the bytes of a connection are no frames. Nothing after it can be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum FrameError {
    /// A negative length.
    Negative(i32),
    /// A length beyond the limit.
    TooLong {
        /// Bytes announced.
        len: usize,
        /// Bytes allowed.
        max: usize,
    },
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Negative(len) => write!(f, "a frame of {len} bytes"),
            Self::TooLong { len, max } => {
                write!(f, "a frame of {len} bytes where {max} bytes are allowed")
            }
        }
    }
}

impl std::error::Error for FrameError {}

/// Finds the first frame in `bytes`: how many bytes it takes with its length, and its content.
/// `None` while it is not complete.
///
/// The length is judged as soon as it is there, before the content has come.
///
/// # Errors
///
/// Where the length is negative or above `max` bytes.
pub fn split(bytes: &[u8], max: usize) -> Result<Option<(usize, &[u8])>, FrameError> {
    let Some(len) = content_length(bytes, max)? else {
        return Ok(None);
    };
    let content = bytes.get(LENGTH_BYTES..).and_then(|rest| rest.get(..len));
    Ok(content.map(|content| (LENGTH_BYTES + len, content)))
}

/// The length of the content of the first frame in `bytes`; `None` while that is not there.
///
/// # Errors
///
/// As [`split`].
pub fn content_length(bytes: &[u8], max: usize) -> Result<Option<usize>, FrameError> {
    let Some(length) = bytes.first_chunk::<LENGTH_BYTES>() else {
        return Ok(None);
    };
    let length = i32::from_be_bytes(*length);
    let len = usize::try_from(length).map_err(|_| FrameError::Negative(length))?;
    if len > max {
        return Err(FrameError::TooLong { len, max });
    }
    Ok(Some(len))
}

/// Appends a frame with what `content` writes.
///
/// # Errors
///
/// Where the content cannot be sent; `out` is then as it was.
#[inline]
pub fn append(out: &mut Vec<u8>, content: impl FnOnce(&mut Writer<'_>)) -> Result<(), EncodeError> {
    let start = out.len();
    out.extend_from_slice(&[0; LENGTH_BYTES]);
    let mut writer = Writer::new(out);
    content(&mut writer);
    let written = writer.finish().and_then(|()| {
        let len = out.len() - start - LENGTH_BYTES;
        let length = i32::try_from(len).map_err(|_| EncodeError::Length(len))?;
        out[start..start + LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
        Ok(())
    });
    if written.is_err() {
        out.truncate(start);
    }
    written
}

/// Appends a response: length, header, body.
///
/// # Errors
///
/// Where the body cannot be sent; `out` is then as it was.
pub fn append_response<'a, M: Message<'a>>(
    out: &mut Vec<u8>,
    api: ApiKey,
    version: i16,
    correlation_id: i32,
    body: &M,
) -> Result<(), EncodeError> {
    append(out, |writer| {
        ResponseHeader { correlation_id }.encode(writer, api, version);
        body.encode(writer, version);
    })
}

/// Appends a request, as a client does: length, header, body.
///
/// # Errors
///
/// Where header or body cannot be sent; `out` is then as it was.
pub fn append_request<'a, M: Message<'a>>(
    out: &mut Vec<u8>,
    header: &RequestHeader<'_>,
    body: &M,
) -> Result<(), EncodeError> {
    append(out, |writer| {
        header.encode(writer);
        body.encode(writer, header.version);
    })
}
