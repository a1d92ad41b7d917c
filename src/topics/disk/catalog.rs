//! The catalog: which topics there are. Written whole beside the old one and renamed over it. All
//! numbers are little-endian.
//!
//! ```text
//!    0  "TAKHTOP\n"      8 bytes
//!    8  version         u32
//!   12  salt            u64  drawn at random when the directory was made
//!   20  producer ids    i64  the first that was never given
//!   28  topics          u32
//!   32  for each topic: id 16 bytes, name, partitions u32, settings u32,
//!       for each setting: key, value
//!    n  crc             u32  CRC32C of all that stands before
//! ```
//!
//! A name, key or value is its length as u32 and its bytes.

use bytes::Buf;

use super::error::{Damage, Failed, OpenError, at};
use super::frame::u32_at;
use crate::disk::{Disk, read_whole, write_all};
use crate::ids::{TopicId, TopicName};

/// The version of the format; another one is refused.
pub(super) const VERSION: u32 = 1;
pub(super) const NAME: &str = "CATALOG";
pub(super) const UNFINISHED: &str = "CATALOG.new";
const MAGIC: &[u8; 8] = b"TAKHTOP\n";
/// The longest catalog that is written or read.
const BYTES_MAX: u64 = 1 << 30;

/// One topic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::topics) struct Line {
    pub(in crate::topics) name: TopicName,
    pub(in crate::topics) id: TopicId,
    pub(in crate::topics) partitions: usize,
    pub(in crate::topics) settings: Vec<(String, String)>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Catalog {
    pub(super) salt: u64,
    /// Producer ids below that may have been given.
    pub(super) producer_ids_end: i64,
    /// In the order of their names.
    pub(super) lines: Vec<Line>,
}

impl Catalog {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&self.salt.to_le_bytes());
        bytes.extend_from_slice(&self.producer_ids_end.to_le_bytes());
        put_count(&mut bytes, self.lines.len());
        for line in &self.lines {
            bytes.extend_from_slice(&line.id.0);
            put_text(&mut bytes, line.name.as_str());
            put_count(&mut bytes, line.partitions);
            put_count(&mut bytes, line.settings.len());
            for (key, value) in &line.settings {
                put_text(&mut bytes, key);
                put_text(&mut bytes, value);
            }
        }
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Self, OpenError> {
        let damaged =
            |at: usize, reason: &str| OpenError::Corrupt(Damage::new(NAME, at as u64, reason));
        if bytes.len() < 16 || !bytes.starts_with(MAGIC) {
            return Err(damaged(0, "this is not a catalog of topics"));
        }
        // Another version may have another layout, but its checksum ends the file, too.
        let (body, crc) = bytes.split_at(bytes.len() - 4);
        if crc32c::crc32c(body) != u32_at(crc, 0) {
            return Err(damaged(0, "the checksum does not fit"));
        }
        let version = u32_at(bytes, 8);
        if version != VERSION {
            return Err(OpenError::Version(version));
        }
        let mut rest = &body[12..];
        let catalog = Self::read_body(&mut rest).filter(|_| rest.is_empty());
        catalog.ok_or_else(|| damaged(body.len() - rest.len(), "a topic's line does not read"))
    }

    fn read_body(rest: &mut &[u8]) -> Option<Self> {
        let salt = rest.try_get_u64_le().ok()?;
        let producer_ids_end = rest.try_get_i64_le().ok().filter(|end| *end >= 0)?;
        let count = rest.try_get_u32_le().ok()?;
        let mut lines = Vec::new();
        for _ in 0..count {
            let mut id = [0; 16];
            rest.try_copy_to_slice(&mut id).ok()?;
            let name = take_text(rest)?;
            let partitions = usize::try_from(rest.try_get_u32_le().ok()?).ok()?;
            let settings = rest.try_get_u32_le().ok()?;
            let settings = (0..settings).map(|_| Some((take_text(rest)?, take_text(rest)?)));
            let settings = settings.collect::<Option<_>>()?;
            lines.push(Line {
                name: name.into(),
                id: TopicId(id),
                partitions,
                settings,
            });
        }
        Some(Self {
            salt,
            producer_ids_end,
            lines,
        })
    }

    /// Reads the catalog.
    pub(super) fn read(disk: &dyn Disk) -> Result<Self, OpenError> {
        let file = disk.open(NAME).map_err(at("opening the catalog"))?;
        let bytes = read_whole(&*file, BYTES_MAX).map_err(at("reading the catalog"))?;
        Self::decode(&bytes)
    }

    /// Writes it so that it is there whole or the old one still is.
    pub(super) fn write(&self, disk: &dyn Disk) -> Result<(), Failed> {
        let bytes = self.encode();
        if bytes.len() as u64 > BYTES_MAX {
            let error = std::io::Error::other("the catalog of topics is too long");
            return Err(Failed::Full(error));
        }
        // A new file that is not in use: whatever happens to it, nothing durable is at stake.
        let write = || {
            let file = disk.create(UNFINISHED)?;
            write_all(&*file, &bytes, 0)?;
            file.sync_data()?;
            disk.rename(UNFINISHED, NAME)
        };
        if let Err(error) = write() {
            let _ = disk.remove(UNFINISHED);
            return Err(Failed::of("writing", NAME, error));
        }
        let synced = disk.sync_dir();
        synced.map_err(|error| Failed::of_sync("the directory", &error))
    }
}

fn put_count(bytes: &mut Vec<u8>, count: usize) {
    let count = u32::try_from(count).expect("counts and lengths are bounded far below 2^32");
    bytes.extend_from_slice(&count.to_le_bytes());
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    put_count(bytes, text.len());
    bytes.extend_from_slice(text.as_bytes());
}

fn take_text(rest: &mut &[u8]) -> Option<String> {
    let len = usize::try_from(rest.try_get_u32_le().ok()?).ok()?;
    let (text, after) = rest.split_at_checked(len)?;
    *rest = after;
    String::from_utf8(text.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Catalog {
        Catalog {
            salt: 7,
            producer_ids_end: 3_000,
            lines: vec![
                Line {
                    name: "a".into(),
                    id: TopicId([1; 16]),
                    partitions: 3,
                    settings: vec![("cleanup.policy".to_owned(), "compact".to_owned())],
                },
                Line {
                    name: "b".into(),
                    id: TopicId([2; 16]),
                    partitions: 1,
                    settings: Vec::new(),
                },
            ],
        }
    }

    #[test]
    fn a_catalog_reads_back_and_no_flipped_byte_goes_unnoticed() {
        let bytes = sample().encode();
        assert_eq!(Catalog::decode(&bytes).unwrap(), sample());
        for at in 0..bytes.len() {
            let mut rotten = bytes.clone();
            rotten[at] ^= 0x40;
            assert!(Catalog::decode(&rotten).is_err(), "byte {at}");
            assert!(Catalog::decode(&bytes[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn a_sound_checksum_does_not_make_nonsense_a_catalog() {
        let mut bytes = sample().encode();
        bytes.truncate(bytes.len() - 4);
        // More topics than there are bytes for.
        bytes[28..32].copy_from_slice(&u32::MAX.to_le_bytes());
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        let error = Catalog::decode(&bytes).unwrap_err();
        assert!(error.to_string().contains("does not read"), "{error}");
    }

    #[test]
    fn another_version_is_named() {
        let mut bytes = sample().encode();
        bytes.truncate(bytes.len() - 4);
        bytes[8] = 9;
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        let error = Catalog::decode(&bytes).unwrap_err();
        assert!(matches!(error, OpenError::Version(9)), "{error}");
    }
}
