//! Reading and writing the protocol's types, bounded by the bytes that are there.
//!
//! A [`Reader`] borrows from the frame and never looks past its end; a [`Writer`] appends to one
//! growing buffer. [`Field`] is what both share: one type of the protocol, in both directions and
//! in both encodings (classic, and compact for "flexible" versions, KIP-482).
//!
//! How much memory a hostile frame can ask for: an array's count is refused unless the bytes that
//! remain could hold that many of its smallest elements, and the first allocation of an array is
//! at most [`ARRAY_CAPACITY_MAX`] elements. Growth beyond it follows elements that were read, up to
//! the count. Text and bytes are borrowed and take nothing. What remains is the size of a struct
//! against that of its smallest encoding: some 20 bytes of memory a byte of the frame at worst (a
//! group of `OffsetFetch` 8 takes 64 bytes and can be sent in three).

mod error;
mod field;
mod reader;
mod writer;

pub use error::{DecodeError, EncodeError};
pub(crate) use field::write_present;
pub use field::{Field, Message, Nullable, Version};
pub use reader::{ARRAY_CAPACITY_MAX, Reader};
pub use writer::Writer;

/// The longest string of the protocol, in bytes; Kafka holds compact strings to it as well.
pub const STRING_BYTES_MAX: usize = 32_767;

/// The flexible-from version of a message that never became flexible.
pub const NEVER: i16 = i16::MAX;
