//! A segment: one file of a partition. All numbers are little-endian.
//!
//! ```text
//!     0  "TAKHLOG\n"   8 bytes
//!     8  crc          u32  CRC32C of bytes 12 to 28, begun with the file's seed
//!    12  base         i64  the offset of its first batch
//!    20  start        i64  where the log began when the file was made
//!    28  zeros, up to 512
//!   512  frames, one after the other
//! ```
//!
//! The header is durable before the first frame is written. The next segment's `base` says where
//! this one ends; what lies behind it was refused.

use super::frame::u32_at;
use crate::ids::{PartitionIndex, TopicId};

/// Where frames begin.
pub(super) const HEADER: u32 = 512;
pub(super) const HEADER_BYTES: usize = 512;
const MAGIC: &[u8; 8] = b"TAKHLOG\n";
const ENDING: &str = ".log";

/// Which file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Id {
    pub(super) topic: TopicId,
    pub(super) partition: PartitionIndex,
    pub(super) number: u32,
}

impl Id {
    pub(super) fn name(self) -> String {
        let topic = uuid::Uuid::from_bytes(self.topic.0).simple().to_string();
        format!("{topic}-{}-{:08}{ENDING}", self.partition, self.number)
    }

    /// What a name says; `None`: the file is no segment.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let mut parts = name.strip_suffix(ENDING)?.splitn(3, '-');
        let topic = uuid::Uuid::try_parse(parts.next()?).ok()?;
        let id = Self {
            topic: TopicId(topic.into_bytes()),
            partition: parts.next()?.parse().ok().filter(|index| *index >= 0)?,
            number: parts.next()?.parse().ok()?,
        };
        // One file has one name.
        (id.name() == name).then_some(id)
    }

    /// What the checksums of its frames begin with.
    pub(super) fn seed(self, salt: u64) -> u32 {
        let salted = crc32c::crc32c(&salt.to_le_bytes());
        let topic = crc32c::crc32c_append(salted, &self.topic.0);
        let partition = crc32c::crc32c_append(topic, &self.partition.to_le_bytes());
        crc32c::crc32c_append(partition, &self.number.to_le_bytes())
    }
}

/// What stands at the beginning of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Header {
    pub(super) base: i64,
    pub(super) start: i64,
}

impl Header {
    pub(super) fn encode(self, seed: u32) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&self.base.to_le_bytes());
        bytes.extend_from_slice(&self.start.to_le_bytes());
        let crc = crc32c::crc32c_append(seed, &bytes[12..]);
        bytes[8..12].copy_from_slice(&crc.to_le_bytes());
        bytes.resize(HEADER_BYTES, 0);
        bytes
    }

    pub(super) fn parse(bytes: &[u8], seed: u32) -> Option<Self> {
        let head = bytes.get(..HEADER_BYTES)?;
        let is_whole = head.starts_with(MAGIC)
            && head[28..].iter().all(|byte| *byte == 0)
            && crc32c::crc32c_append(seed, &head[12..28]) == u32_at(head, 8);
        let header = Self {
            base: i64_at(head, 12),
            start: i64_at(head, 20),
        };
        let is_sound = header.base >= 0 && (0..=header.base).contains(&header.start);
        (is_whole && is_sound).then_some(header)
    }
}

pub(super) fn i64_at(bytes: &[u8], at: usize) -> i64 {
    let eight = bytes[at..at + 8].try_into().expect("eight bytes were cut");
    i64::from_le_bytes(eight)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: Id = Id {
        topic: TopicId([7; 16]),
        partition: 3,
        number: 12,
    };

    #[test]
    fn a_name_reads_back_and_no_other_spelling_of_it_does() {
        assert_eq!(Id::parse(&ID.name()), Some(ID));
        let name = ID.name();
        for other in [
            name.replace("-3-", "-03-"),
            name.replace("-3-", "--3-"),
            name.replace("-00000012", "-12"),
            name.to_uppercase(),
            "x.log".to_owned(),
            String::new(),
        ] {
            assert_eq!(Id::parse(&other), None, "{other}");
        }
    }

    #[test]
    fn a_header_is_read_as_it_was_written_and_in_its_own_file_only() {
        let header = Header { base: 9, start: 4 };
        let bytes = header.encode(ID.seed(1));
        assert_eq!(Header::parse(&bytes, ID.seed(1)), Some(header));
        assert_eq!(Header::parse(&bytes, ID.seed(2)), None);
        assert_eq!(Header::parse(&bytes[..100], ID.seed(1)), None);
        for at in 0..bytes.len() {
            let mut rotten = bytes.clone();
            rotten[at] ^= 1;
            assert_eq!(Header::parse(&rotten, ID.seed(1)), None, "byte {at}");
        }
    }
}
