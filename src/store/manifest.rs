//! The manifest: what a directory is, written once. All numbers are little-endian.
//!
//! ```text
//!    0  "TAKHINJ\n"   8 bytes
//!    8  version      u32
//!   12  shards       u32
//!   16  salt         u64  drawn at random
//!   24  crc          u32  CRC32C of all that stands before
//! ```

use std::io;

use super::config::{Damage, OpenError, at};
use super::disk::{Disk, read_whole, write_all};
use super::frame::u32_at;

/// The version of the format; another one is refused.
pub(super) const VERSION: u32 = 2;
pub(super) const NAME: &str = "MANIFEST";
const UNFINISHED: &str = "MANIFEST.new";
const MAGIC: &[u8; 8] = b"TAKHINJ\n";
const LEN: usize = 28;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Manifest {
    pub(super) shards: u32,
    pub(super) salt: u64,
}

impl Manifest {
    fn encode(self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&self.shards.to_le_bytes());
        bytes.extend_from_slice(&self.salt.to_le_bytes());
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Self, OpenError> {
        let damaged = |offset: usize, reason: &str| {
            OpenError::Corrupt(Damage {
                file: NAME.to_owned(),
                offset: offset as u64,
                reason: reason.to_owned(),
            })
        };
        if bytes.len() < 12 || !bytes.starts_with(MAGIC) {
            return Err(damaged(0, "this is not the manifest of a journal"));
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
        if bytes.len() != LEN {
            return Err(damaged(LEN, "the file has another length"));
        }
        let salt = bytes[16..24].try_into().expect("eight bytes were cut");
        Ok(Self {
            shards: u32_at(bytes, 12),
            salt: u64::from_le_bytes(salt),
        })
    }

    /// Reads the manifest; `None` where there is none.
    pub(super) fn read(disk: &dyn Disk, names: &[String]) -> Result<Option<Self>, OpenError> {
        if !names.iter().any(|name| name == NAME) {
            return Ok(None);
        }
        let file = disk.open(NAME).map_err(at("opening the manifest"))?;
        let bytes = read_whole(&*file, 4_096).map_err(at("reading the manifest"))?;
        Self::decode(&bytes).map(Some)
    }

    /// Writes it so that it is there whole or not at all.
    pub(super) fn write(self, disk: &dyn Disk) -> Result<(), OpenError> {
        let write = || -> io::Result<()> {
            let file = disk.create(UNFINISHED)?;
            write_all(&*file, &self.encode(), 0)?;
            file.sync_data()?;
            disk.rename(UNFINISHED, NAME)?;
            disk.sync_dir()
        };
        write().map_err(at("writing the manifest"))
    }
}
