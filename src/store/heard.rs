//! When members were last heard of, in a file a shard: written at an orderly stop, taken by the
//! next load. All numbers are little-endian.
//!
//! ```text
//!    0  "TAKHINH\n"   8 bytes
//!    8  entries       at i64 | group length u16 | member length u16 | group | member
//!  end  crc           u32  CRC32C of all that stands before
//! ```
//!
//! Best effort: no sync is spent on writing it, and a file that is damaged or cut counts as none.
//! What it says holds for one life only, since the members go on beating: it is removed, and the
//! removal synced, before anything of it is used, so that no later crash can bring it back.

use std::io;

use super::disk::{Disk, read_whole, write_all};
use crate::group::Heard;
use crate::ids::ShardId;
use crate::time::WallMs;

const MAGIC: &[u8; 8] = b"TAKHINH\n";
/// Before the names of an entry.
const HEAD_BYTES: usize = 12;
/// The longest file; members that it has no room for have their whole session after the load.
const FILE_BYTES_MAX: usize = 1 << 30;

fn name(shard: ShardId) -> String {
    format!("heard-{:05}", shard.0)
}

/// Writes what is known of a shard's members.
///
/// # Errors
///
/// The disk's; what was written until then counts as nothing.
pub(super) fn keep(disk: &dyn Disk, shard: ShardId, heard: &[Heard]) -> io::Result<()> {
    if heard.is_empty() {
        return Ok(());
    }
    let mut bytes = MAGIC.to_vec();
    for heard in heard {
        let (group, member) = (heard.group.as_str(), heard.member.as_str());
        let lengths = (u16::try_from(group.len()), u16::try_from(member.len()));
        let (Ok(group_len), Ok(member_len)) = lengths else {
            continue;
        };
        if bytes.len() + HEAD_BYTES + group.len() + member.len() + 4 > FILE_BYTES_MAX {
            break;
        }
        bytes.extend_from_slice(&heard.at.0.to_le_bytes());
        bytes.extend_from_slice(&group_len.to_le_bytes());
        bytes.extend_from_slice(&member_len.to_le_bytes());
        bytes.extend_from_slice(group.as_bytes());
        bytes.extend_from_slice(member.as_bytes());
    }
    bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
    write_all(&*disk.create(&name(shard))?, &bytes, 0)
}

/// Takes what was kept of a shard's members; nothing if there is no file, or none that is whole.
///
/// # Errors
///
/// The disk's: then nothing of it may be used.
pub(super) fn take(disk: &dyn Disk, shard: ShardId) -> io::Result<Vec<Heard>> {
    let name = name(shard);
    let file = match disk.open(&name) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let bytes = read_whole(&*file, FILE_BYTES_MAX as u64);
    disk.remove(&name)?;
    disk.sync_dir()?;
    Ok(parse(&bytes?).unwrap_or_default())
}

fn parse(bytes: &[u8]) -> Option<Vec<Heard>> {
    let (body, crc) = bytes.split_last_chunk::<4>()?;
    if crc32c::crc32c(body) != u32::from_le_bytes(*crc) {
        return None;
    }
    let mut rest = body.strip_prefix(MAGIC.as_slice())?;
    let mut heard = Vec::new();
    while !rest.is_empty() {
        let (at, after) = rest.split_first_chunk::<8>()?;
        let (group_len, after) = after.split_first_chunk::<2>()?;
        let (member_len, after) = after.split_first_chunk::<2>()?;
        let (group, after) = after.split_at_checked(u16::from_le_bytes(*group_len).into())?;
        let (member, after) = after.split_at_checked(u16::from_le_bytes(*member_len).into())?;
        heard.push(Heard {
            group: std::str::from_utf8(group).ok()?.into(),
            member: std::str::from_utf8(member).ok()?.into(),
            at: WallMs(i64::from_le_bytes(*at)),
        });
        rest = after;
    }
    Some(heard)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::simulated::SimDisk;

    const SHARD: ShardId = ShardId(3);

    fn heard() -> Vec<Heard> {
        let of = |group: &str, member: &str, at| Heard {
            group: group.into(),
            member: member.into(),
            at: WallMs(at),
        };
        vec![of("g", "m", 1_700_000_000_000), of("", "other", -1)]
    }

    fn file_of(disk: &SimDisk) -> Vec<u8> {
        read_whole(&*disk.open("heard-00003").unwrap(), 1_000).unwrap()
    }

    #[test]
    fn what_is_kept_is_taken_once_and_for_its_shard_alone() {
        let disk = SimDisk::default();
        keep(&disk, SHARD, &heard()).unwrap();
        assert_eq!(take(&disk, ShardId(1)).unwrap(), []);
        assert_eq!(take(&disk, SHARD).unwrap(), heard());
        assert_eq!(take(&disk, SHARD).unwrap(), []);
    }

    #[test]
    fn a_file_that_is_cut_or_changed_anywhere_counts_as_none() {
        let disk = SimDisk::default();
        keep(&disk, SHARD, &heard()).unwrap();
        let whole = file_of(&disk);
        assert!(parse(&whole).is_some());
        for at in 0..whole.len() {
            assert_eq!(parse(&whole[..at]), None);
            let mut changed = whole.clone();
            changed[at] ^= 1;
            assert_eq!(parse(&changed), None);
        }
    }

    #[test]
    fn lengths_that_lead_beyond_the_end_are_refused() {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(&[255; 4]);
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        assert_eq!(parse(&bytes), None);
    }
}
