use std::fmt;

/// Why bytes are not the message that they were taken for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end before the field does.
    Short {
        /// Bytes that the field needs.
        needed: usize,
        /// Bytes that remain.
        left: usize,
    },
    /// A count of elements that the remaining bytes cannot hold.
    Count {
        /// Elements announced.
        count: usize,
        /// Bytes that remain.
        left: usize,
    },
    /// A string longer than [`STRING_BYTES_MAX`](super::STRING_BYTES_MAX).
    StringLength(usize),
    /// A length below -1.
    NegativeLength(i32),
    /// A null where the version allows none.
    Null,
    /// A string that is not UTF-8.
    Utf8,
    /// A varint of more bits than its type.
    Varint,
    /// A tagged field that its value does not fill.
    TagSize {
        /// The number of the tag.
        tag: u32,
        /// Bytes of the field that its value left unread.
        left: usize,
    },
    /// Bytes after the end of the message, where none may be.
    Trailing(usize),
    /// A version in which the message is not defined.
    Version(i16),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short { needed, left } => {
                write!(f, "a field of {needed} bytes where {left} bytes remain")
            }
            Self::Count { count, left } => {
                write!(f, "an array of {count} elements where {left} bytes remain")
            }
            Self::StringLength(len) => write!(f, "a string of {len} bytes"),
            Self::NegativeLength(len) => write!(f, "a length of {len}"),
            Self::Null => f.write_str("a null where none is allowed"),
            Self::Utf8 => f.write_str("a string that is not UTF-8"),
            Self::Varint => f.write_str("a varint that is too long"),
            Self::TagSize { tag, left } => {
                write!(
                    f,
                    "tagged field {tag} is {left} bytes longer than its value"
                )
            }
            Self::Trailing(left) => write!(f, "{left} bytes after the end of the message"),
            Self::Version(version) => write!(f, "version {version} is not defined"),
        }
    }
}

impl std::error::Error for DecodeError {}

/// Why a message could not be put into bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum EncodeError {
    /// A string longer than [`STRING_BYTES_MAX`](super::STRING_BYTES_MAX).
    StringLength(usize),
    /// Bytes, an array or a frame longer than 2,147,483,646.
    Length(usize),
    /// A version in which the message is not defined.
    Version(i16),
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StringLength(len) => write!(f, "a string of {len} bytes cannot be sent"),
            Self::Length(len) => write!(f, "a length of {len} cannot be sent"),
            Self::Version(version) => write!(f, "version {version} is not defined"),
        }
    }
}

impl std::error::Error for EncodeError {}
