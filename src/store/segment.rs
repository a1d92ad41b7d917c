//! A segment: a file of a fixed size that is filled from its beginning, and used again when
//! nothing in it is needed any more. All numbers are little-endian.
//!
//! ```text
//!     0  "TAKHSEG\n"   8 bytes
//!     8  crc          u32  CRC32C of bytes 12 to 36, begun with the salt
//!    12  activation   u64  counts the lives of segments over the whole log
//!    20  base         u64  the sequence number of the first frame
//!    28  start        u64  the log's first sequence number when this life began
//!    36  zeros, up to 512
//!   512  frames, one after the other, then zeros or what is left of an earlier life
//! ```
//!
//! The header is durable before the first frame of a life is written. What the segment was before
//! ends there: every checksum of a frame begins with the activation, so that no frame of an
//! earlier life is ever valid again, whatever its place. The newest header's `start` says which
//! segments are still part of the log, and the next header's `base` where a segment ends.

use std::sync::Arc;

use super::disk::DiskFile;
use super::frame::{Life, NUMBER_MAX, u32_at};
use crate::mutation;

/// Where frames begin.
pub(super) const HEADER: u64 = 512;
const MAGIC: &[u8; 8] = b"TAKHSEG\n";
const HEADER_LEN: usize = 36;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Header {
    pub(super) activation: u64,
    pub(super) base: u64,
    pub(super) start: u64,
}

/// What stands at the beginning of a segment's file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Found {
    /// Nothing: it was never used.
    Blank,
    Header(Header),
    /// Neither.
    Damaged,
}

impl Header {
    pub(super) fn encode(self, salt: u64) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&self.activation.to_le_bytes());
        bytes.extend_from_slice(&self.base.to_le_bytes());
        bytes.extend_from_slice(&self.start.to_le_bytes());
        let crc = crc32c::crc32c_append(seed(salt, 0), &bytes[12..]);
        bytes[8..12].copy_from_slice(&crc.to_le_bytes());
        bytes.resize(512, 0);
        bytes
    }

    pub(super) fn find(bytes: &[u8], salt: u64) -> Found {
        if bytes.iter().all(|byte| *byte == 0) {
            return Found::Blank;
        }
        let is_whole = bytes.len() == 512
            && bytes.starts_with(MAGIC)
            && bytes[HEADER_LEN..].iter().all(|byte| *byte == 0);
        if !is_whole
            || crc32c::crc32c_append(seed(salt, 0), &bytes[12..HEADER_LEN]) != u32_at(bytes, 8)
        {
            return Found::Damaged;
        }
        let number = |at: usize| {
            let eight = bytes[at..at + 8].try_into().expect("eight bytes were cut");
            u64::from_le_bytes(eight)
        };
        let header = Self {
            activation: number(12),
            base: number(20),
            start: number(28),
        };
        let is_sound = header.start <= header.base
            && header.base <= NUMBER_MAX
            && header.activation <= NUMBER_MAX;
        if is_sound {
            Found::Header(header)
        } else {
            Found::Damaged
        }
    }
}

/// What checksums begin with in one life of a segment; activations count from 1.
fn seed(salt: u64, activation: u64) -> u32 {
    let salted = crc32c::crc32c(&salt.to_le_bytes());
    let activation = if mutation::is("an-earlier-life-counts") {
        0
    } else {
        activation
    };
    crc32c::crc32c_append(salted, &activation.to_le_bytes())
}

impl Header {
    /// The life that begins with this header.
    pub(super) fn life(self, salt: u64) -> Life {
        Life {
            seed: seed(salt, self.activation),
            base: self.base,
        }
    }
}

pub(super) fn name(number: u64) -> String {
    format!("log-{number:08}")
}

/// The number of a segment's file; `None`: the file is none.
pub(super) fn number(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("log-")?;
    let is_number = digits.len() >= 8 && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| is_number)
}

/// Bytes of a segment that hold whole frames, one after the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Span {
    pub(super) from: u64,
    pub(super) to: u64,
}

/// A segment that is part of the log.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) file: Arc<dyn DiskFile>,
    /// Bytes of the file.
    pub(super) len: u64,
    pub(super) header: Header,
    pub(super) life: Life,
    /// One, but for what was quarantined.
    pub(super) spans: Vec<Span>,
    /// For how much of it the index knows it, at most: once it is nothing, nothing in it counts.
    /// `None`: that was not counted, because it was there when the log was opened.
    pub(super) known: Option<u64>,
}

impl Segment {
    /// Where the next frame goes.
    pub(super) fn end(&self) -> u64 {
        self.spans.last().map_or(HEADER, |span| span.to)
    }

    /// Whether nothing in it counts any more, as far as that is known.
    pub(super) fn is_dead(&self) -> bool {
        self.known == Some(0)
    }

    pub(super) fn room(&self) -> u64 {
        self.len.saturating_sub(self.end())
    }

    /// Counts frames in that were written at the end.
    pub(super) fn extend(&mut self, bytes: u64) {
        match self.spans.last_mut() {
            Some(span) => span.to += bytes,
            None => self.spans.push(Span {
                from: HEADER,
                to: HEADER + bytes,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: Header = Header {
        activation: 3,
        base: 20,
        start: 10,
    };

    #[test]
    fn a_header_is_read_as_it_was_written_and_in_its_own_directory_only() {
        let bytes = SOUND.encode(7);
        assert_eq!(Header::find(&bytes, 7), Found::Header(SOUND));
        assert_eq!(Header::find(&bytes, 8), Found::Damaged);
        assert_eq!(Header::find(&bytes[..100], 7), Found::Damaged);
        assert_eq!(Header::find(&[0; 512], 7), Found::Blank);
        assert_eq!(Header::find(&[], 7), Found::Blank);
    }

    #[test]
    fn numbers_that_nobody_can_have_counted_to_are_damage() {
        for header in [
            Header { base: 9, ..SOUND },
            Header {
                base: u64::MAX,
                ..SOUND
            },
            Header {
                activation: u64::MAX,
                ..SOUND
            },
        ] {
            assert_eq!(Header::find(&header.encode(7), 7), Found::Damaged);
        }
    }

    #[test]
    fn only_the_names_of_segments_have_numbers() {
        assert_eq!(number(&name(12)), Some(12));
        assert_eq!(number(&name(1_234_567_890)), Some(1_234_567_890));
        for other in ["log-", "log-1", "log-0000000x", "log-+0000001", "LOCK"] {
            assert_eq!(number(other), None);
        }
    }
}
