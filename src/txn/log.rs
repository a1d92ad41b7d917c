//! The log of transactions: one file of frames, rewritten when it has grown.
//!
//! ```text
//!  file   0 magic "takhintx"   8 version u32   12 salt u32   16 crc32c u32 of these   20 frames
//!  frame  0 number u32, from 0   4 length u32   8 crc32c u32 of the changes
//!         12 crc32c u32 of salt and the three above   16 changes, one after the other
//! ```
//!
//! A frame is one write and one sync, and what it says holds once it is synced. So only the last
//! frame can be torn: one that does not check out is cut off if no later one begins behind it, and
//! is damage if one does. (A last frame that rots cannot be told from one that was torn.) The salt
//! keeps a client from writing the head of a frame into a name.
//!
//! When the file has more than twice the bytes of what is live in it, and 64 KiB, the live part is
//! written to a new file that takes the old one's place by a rename.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use bytes::{Buf, BufMut};

use super::codec;
use super::error::OpenError;
use super::machine::Change;
use crate::disk::{Disk, DiskFile, read_whole, write_all};
use crate::ids::TransactionalId;

/// What is done about a log that is damaged in its middle.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Damage {
    /// It is refused.
    #[default]
    Refuse,
    /// What is before the damage is kept, and what is behind it was never said: transactions that
    /// were decided there may end otherwise.
    CutOff,
}

/// The open file and what is live in it.
#[derive(Debug)]
pub(super) struct Log {
    disk: Box<dyn Disk>,
    file: Box<dyn DiskFile>,
    salt: u32,
    /// The number of the next frame, and where it goes.
    number: u32,
    end: u64,
    /// Each id's latest change, as it is written.
    live: BTreeMap<TransactionalId, Vec<u8>>,
    live_bytes: u64,
    /// The size from which the file is to be rewritten.
    rewrite_at: u64,
    /// A sync or a rename failed: what is on the disk is not known any more.
    is_poisoned: bool,
    /// Keeps other processes out.
    _lock: Box<dyn std::fmt::Debug + Send>,
}

impl Log {
    /// Opens the log in a directory, or makes an empty one; what it holds.
    ///
    /// `salt` is any number that a client cannot guess.
    ///
    /// # Errors
    ///
    /// Says why nothing was opened. An alien or unknown file is refused before anything is
    /// changed.
    pub(super) fn open(
        disk: Box<dyn Disk>,
        dir: &Path,
        (damage, salt): (Damage, u32),
    ) -> Result<(Self, Vec<Change>), OpenError> {
        let path = dir.join(FILE);
        let failed = |error| OpenError::Io(path.clone(), error);
        Self::read(&*disk, dir, damage)?;
        let lock = disk.lock(LOCK).map_err(failed)?;
        let lock = lock.ok_or_else(|| OpenError::Locked(path.clone()))?;
        let mut live = BTreeMap::new();
        for change in &Self::read(&*disk, dir, damage)? {
            note(&mut live, change);
        }
        let changes = changes_of(&live);
        // Always rewritten: so a torn end is gone, and its bytes are never taken for others.
        let (file, number, end) = rewrite(&*disk, &live, salt).map_err(failed)?;
        let live_bytes = live.values().map(|bytes| bytes.len() as u64).sum();
        let log = Self {
            disk,
            file,
            salt,
            number,
            end,
            live,
            live_bytes,
            rewrite_at: REWRITE_BYTES_MIN.max(end.saturating_mul(2)),
            is_poisoned: false,
            _lock: lock,
        };
        Ok((log, changes))
    }

    /// All changes of the log in a directory, which is not touched; none if there is no log.
    pub(super) fn read(
        disk: &dyn Disk,
        dir: &Path,
        damage: Damage,
    ) -> Result<Vec<Change>, OpenError> {
        let path = dir.join(FILE);
        let failed = |error| OpenError::Io(path.clone(), error);
        if !disk.list().map_err(failed)?.iter().any(|name| name == FILE) {
            return Ok(Vec::new());
        }
        let file = disk.open(FILE).map_err(failed)?;
        let bytes = read_whole(&*file, FILE_BYTES_MAX).map_err(failed)?;
        scan(&bytes, &path, damage)
    }

    /// Makes changes durable, all or none; whether they are.
    ///
    /// After a failed write the next one may succeed, for there may be room again; after a failed
    /// sync nothing does.
    pub(super) fn append(&mut self, changes: &[Change]) -> io::Result<()> {
        if self.is_poisoned {
            return Err(io::Error::other("an earlier sync failed"));
        }
        let mut body = Vec::new();
        for change in changes {
            codec::write(change, &mut body);
        }
        let frame = frame(self.salt, self.number, &body)?;
        write_all(&*self.file, &frame, self.end)?;
        if let Err(error) = self.file.sync_data() {
            self.is_poisoned = true;
            return Err(error);
        }
        self.number += 1;
        self.end += frame.len() as u64;
        for change in changes {
            self.live_bytes -= self.live.get(&change.id).map_or(0, |old| old.len() as u64);
            note(&mut self.live, change);
            self.live_bytes += self.live.get(&change.id).map_or(0, |new| new.len() as u64);
        }
        self.shrink();
        Ok(())
    }

    /// Rewrites the file if it has grown too much. A failure leaves the old one, which is whole;
    /// it is tried again when that has grown by half.
    fn shrink(&mut self) {
        if self.end < self.rewrite_at || self.end / 2 < self.live_bytes {
            return;
        }
        match rewrite(&*self.disk, &self.live, self.salt.wrapping_add(1)) {
            Ok((file, number, end)) => {
                self.salt = self.salt.wrapping_add(1);
                (self.file, self.number, self.end) = (file, number, end);
                self.rewrite_at = REWRITE_BYTES_MIN.max(end.saturating_mul(2));
            }
            Err(error) => {
                tracing::warn!("the log of transactions could not be rewritten: {error}");
                self.rewrite_at = self.end.saturating_add(self.end / 2);
                // If the rename is what failed, either file may be there after a crash, and only
                // the old one would be written to.
                self.is_poisoned = self
                    .disk
                    .list()
                    .map_or(true, |names| !names.iter().any(|name| name == FRESH));
            }
        }
    }

    /// The size of the file, and of what is live in it.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> (u64, u64) {
        (self.end, self.live_bytes)
    }
}

fn note(live: &mut BTreeMap<TransactionalId, Vec<u8>>, change: &Change) {
    if change.facts.is_none() {
        live.remove(&change.id);
        return;
    }
    let mut bytes = Vec::new();
    codec::write(change, &mut bytes);
    live.insert(change.id.clone(), bytes);
}

fn changes_of(live: &BTreeMap<TransactionalId, Vec<u8>>) -> Vec<Change> {
    let read = |bytes: &Vec<u8>| codec::read(&mut bytes.as_slice());
    live.values().filter_map(read).collect()
}

/// Writes what is live to a new file and puts it into the old one's place: the file, the number of
/// its next frame and its size.
fn rewrite(
    disk: &dyn Disk,
    live: &BTreeMap<TransactionalId, Vec<u8>>,
    salt: u32,
) -> io::Result<(Box<dyn DiskFile>, u32, u64)> {
    let file = disk.create(FRESH)?;
    let head = head(salt);
    write_all(&*file, &head, 0)?;
    let mut end = head.len() as u64;
    let mut number = 0;
    let mut body = Vec::new();
    let mut live = live.values().peekable();
    while let Some(bytes) = live.next() {
        body.extend(bytes);
        if body.len() >= FRAME_BYTES || live.peek().is_none() {
            let frame = frame(salt, number, &body)?;
            write_all(&*file, &frame, end)?;
            end += frame.len() as u64;
            number += 1;
            body.clear();
        }
    }
    file.sync_data()?;
    disk.rename(FRESH, FILE)?;
    disk.sync_dir()?;
    Ok((file, number, end))
}

fn head(salt: u32) -> Vec<u8> {
    let mut head = MAGIC.to_vec();
    head.put_u32_le(VERSION);
    head.put_u32_le(salt);
    head.put_u32_le(crc32c::crc32c(&head));
    head
}

/// The salt of a file that is ours.
fn check_head(head: &[u8], path: &Path) -> Result<u32, OpenError> {
    let alien = || OpenError::Alien(path.to_owned());
    let mut rest = head.strip_prefix(MAGIC).ok_or_else(alien)?;
    let damaged = |reason| OpenError::Damaged {
        file: path.to_owned(),
        offset: 0,
        reason,
    };
    let mut next = || {
        rest.try_get_u32_le()
            .map_err(|_| damaged("the head is cut off"))
    };
    let (version, salt, crc) = (next()?, next()?, next()?);
    if crc32c::crc32c(&head[..HEAD - 4]) != crc {
        return Err(damaged("the checksum of the head does not fit"));
    }
    if version != VERSION {
        return Err(OpenError::Version(path.to_owned(), version));
    }
    Ok(salt)
}

fn frame(salt: u32, number: u32, body: &[u8]) -> io::Result<Vec<u8>> {
    let too_long = |_| io::Error::from(io::ErrorKind::FileTooLarge);
    let length = u32::try_from(body.len()).map_err(too_long)?;
    let mut frame = Vec::with_capacity(FRAME_HEAD + body.len());
    frame.put_u32_le(number);
    frame.put_u32_le(length);
    frame.put_u32_le(crc32c::crc32c(body));
    frame.put_u32_le(head_crc(salt, &frame));
    frame.extend(body);
    Ok(frame)
}

fn head_crc(salt: u32, head: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&salt.to_le_bytes()), head)
}

/// Reads all frames up to a torn end.
fn scan(bytes: &[u8], path: &Path, damage: Damage) -> Result<Vec<Change>, OpenError> {
    let salt = check_head(bytes.get(..HEAD).unwrap_or(bytes), path)?;
    let mut changes = Vec::new();
    let (mut at, mut number) = (HEAD, 0);
    while at < bytes.len() {
        let damaged = |reason| OpenError::Damaged {
            file: path.to_owned(),
            offset: at as u64,
            reason,
        };
        let Some(body) = body_at(bytes, at, salt, number) else {
            if damage == Damage::Refuse && begins_later(&bytes[at..], salt, number) {
                return Err(damaged("a frame does not check out, and others follow it"));
            }
            break;
        };
        let mut rest = body;
        while !rest.is_empty() {
            let change = codec::read(&mut rest);
            changes.push(change.ok_or_else(|| damaged("a change cannot be read"))?);
        }
        at += FRAME_HEAD + body.len();
        number += 1;
    }
    Ok(changes)
}

/// The changes in the frame of that number, if it is whole.
fn body_at(bytes: &[u8], at: usize, salt: u32, number: u32) -> Option<&[u8]> {
    let (found, length, crc) = frame_head(&bytes[at..], salt)?;
    let body = bytes.get(at + FRAME_HEAD..)?.get(..length)?;
    (found == number && crc32c::crc32c(body) == crc).then_some(body)
}

/// Number, length and checksum, if there is the head of a frame.
fn frame_head(bytes: &[u8], salt: u32) -> Option<(u32, usize, u32)> {
    let head: &[u8; FRAME_HEAD] = bytes.first_chunk()?;
    let mut rest = &head[..];
    let (number, length) = (rest.get_u32_le(), rest.get_u32_le());
    let (crc, own_crc) = (rest.get_u32_le(), rest.get_u32_le());
    let fits = head_crc(salt, &head[..FRAME_HEAD - 4]) == own_crc;
    let length = usize::try_from(length).ok()?;
    fits.then_some((number, length, crc))
}

/// Whether a frame of a later number begins anywhere in the bytes.
fn begins_later(bytes: &[u8], salt: u32, number: u32) -> bool {
    let heads = (1..bytes.len()).filter_map(|at| frame_head(&bytes[at..], salt));
    heads.into_iter().any(|(found, _, _)| found > number)
}

/// Where the log of a data directory is.
pub(super) fn path_in(dir: &Path) -> PathBuf {
    dir.join(FILE)
}

const FILE: &str = "transactions.log";
/// The file that is to take its place.
const FRESH: &str = "transactions.new";
const LOCK: &str = "lock";

const MAGIC: &[u8] = b"takhintx";
const VERSION: u32 = 1;
const HEAD: usize = 20;
const FRAME_HEAD: usize = 16;

/// Below that no file is rewritten.
const REWRITE_BYTES_MIN: u64 = 64 * 1024;
/// The size of a frame in a rewritten file, about.
const FRAME_BYTES: usize = 1 << 20;
/// What no log of ours reaches.
const FILE_BYTES_MAX: u64 = 1 << 34;
