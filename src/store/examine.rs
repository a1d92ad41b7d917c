//! Looking at a journal's directory without touching it: for tools.
//!
//! Nothing is written, made, renamed or locked for writing, and damage does not end the reading:
//! what an opening with [`Repair::Quarantine`](super::Repair) would go past is listed instead. A
//! directory that a process is writing to shows a moment that may never have been: its end may
//! look torn, and a segment that is used again meanwhile may look damaged.

use std::fmt;
use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::config::{OpenError, Quarantined, Repair, at};
use super::disk::{Disk, DiskFile, names_in, read_full};
use super::frame::{Flags, Frame};
use super::index::Keys;
use super::manifest::{self, Manifest};
use super::recovery::{Recovered, recover};
use super::segment::{self, Segment};
use crate::ids::ShardId;

/// A journal as it lies in its directory.
#[derive(Debug)]
pub struct Examined {
    shards: u32,
    found: Recovered,
    /// Held where others were to be kept out.
    _lock: Option<File>,
}

/// A file of the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExaminedSegment {
    /// The file's name within the directory.
    pub file: String,
    /// Its length.
    pub bytes: u64,
    /// The number of the first record in it; `None`: nothing in it counts.
    pub first: Option<u64>,
    /// Where the records in it end, in bytes from the beginning of the file.
    pub end: u64,
}

/// A record as it lies in the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Logged<'a> {
    /// The file's name within the directory.
    pub file: &'a str,
    /// Where in the file, in bytes from its beginning.
    pub offset: u64,
    /// Its number: counts all records of the log, without gaps.
    pub sequence: u64,
    /// Whose it is.
    pub shard: ShardId,
    /// The key, as in `__consumer_offsets`.
    pub key: &'a [u8],
    /// The value; `None`: a tombstone.
    pub value: Option<&'a [u8]>,
    /// A copy of an older record, whose segment was given up.
    pub is_carried: bool,
}

impl Examined {
    /// Looks at the journal in a directory; `None`: there is none.
    ///
    /// Reads the whole log once, at most max(64 MiB, twice the live bytes).
    ///
    /// # Errors
    ///
    /// [`OpenError`] where the manifest is damaged or of another version, without which nothing
    /// can be read, and where the device fails.
    pub fn look(dir: &Path) -> Result<Option<Self>, OpenError> {
        let disk = ReadOnly {
            dir: dir.to_owned(),
        };
        let names = disk.list().map_err(at("listing the directory"))?;
        let Some(manifest) = Manifest::read(&disk, &names)? else {
            return Ok(None);
        };
        let keys = Keys::default();
        let found = recover(&disk, &names, manifest.salt, Repair::Quarantine, &keys)?;
        Ok(Some(Self {
            shards: manifest.shards,
            found,
            _lock: None,
        }))
    }

    /// The same, and keeps every other process out until the answer is dropped.
    ///
    /// # Errors
    ///
    /// As [`Self::look`], and [`OpenError::Locked`] if another process is in.
    pub fn look_alone(dir: &Path) -> Result<Option<Self>, OpenError> {
        let lock = match File::open(dir.join(super::journal::LOCK)) {
            Ok(file) => Some(file),
            // A copy of a directory need not have one.
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(at("locking the directory")(error)),
        };
        if let Some(file) = &lock {
            file.try_lock().map_err(|error| match error {
                TryLockError::WouldBlock => OpenError::Locked,
                TryLockError::Error(error) => at("locking the directory")(error),
            })?;
        }
        let found = Self::look(dir)?;
        Ok(found.map(|found| Self {
            _lock: lock,
            ..found
        }))
    }

    /// Whether the directory is that of a journal.
    pub fn is_journal(dir: &Path) -> bool {
        dir.join(manifest::NAME).is_file()
    }

    /// For how many shards it was made.
    pub fn shards(&self) -> u32 {
        self.shards
    }

    /// The files of the log: oldest first, then those in which nothing counts.
    pub fn segments(&self) -> Vec<ExaminedSegment> {
        let used = self.found.segments.iter().map(|segment| ExaminedSegment {
            file: segment::name(segment.number),
            bytes: segment.len,
            first: Some(segment.header.base),
            end: segment.end(),
        });
        let free = self.found.free.iter().map(|(number, len)| ExaminedSegment {
            file: segment::name(*number),
            bytes: *len,
            first: None,
            end: 0,
        });
        used.chain(free).collect()
    }

    /// What is damaged, headers first, then in the order of the log; empty if nothing is.
    pub fn damage(&self) -> &[Quarantined] {
        &self.found.quarantined
    }

    /// Whether the log ends in a write that was not finished, as after a crash. That is no damage:
    /// nothing of it was ever acknowledged.
    pub fn is_torn(&self) -> bool {
        self.found.is_torn
    }

    /// The number that the next record would have.
    pub fn next(&self) -> u64 {
        self.found.next
    }

    /// Hands out all records that count, in order.
    ///
    /// # Errors
    ///
    /// [`OpenError::Io`] where the device fails, or the files have changed meanwhile.
    pub fn records(&self, mut each: impl FnMut(Logged<'_>)) -> Result<(), OpenError> {
        for segment in &self.found.segments {
            let file = segment::name(segment.number);
            let of_segment = |frame: &Frame<'_>, offset: u64| {
                each(Logged {
                    file: &file,
                    offset,
                    sequence: frame.sequence,
                    shard: ShardId(frame.shard),
                    key: frame.key,
                    value: frame.value(),
                    is_carried: frame.flags.has(Flags::CARRIED),
                });
            };
            records_of(segment, of_segment).map_err(at("reading a segment"))?;
        }
        Ok(())
    }
}

/// The records of one segment; marks are none.
fn records_of(segment: &Segment, mut each: impl FnMut(&Frame<'_>, u64)) -> io::Result<()> {
    for span in &segment.spans {
        let len = usize::try_from(span.to - span.from).map_err(|_| io::ErrorKind::InvalidData)?;
        let mut bytes = vec![0; len];
        let read = read_full(&*segment.file, &mut bytes, span.from)?;
        let mut at = 0;
        while at < len {
            let Some(frame) = Frame::parse(&bytes[at..read], segment.life) else {
                return Err(io::Error::other("the file has changed meanwhile"));
            };
            if !frame.flags.has(Flags::MARK) {
                each(&frame, span.from + at as u64);
            }
            at += frame.len;
        }
    }
    Ok(())
}

/// A directory that cannot be changed through this.
#[derive(Debug)]
struct ReadOnly {
    dir: PathBuf,
}

fn refused<T>() -> io::Result<T> {
    Err(io::ErrorKind::ReadOnlyFilesystem.into())
}

impl Disk for ReadOnly {
    fn lock(&self, _: &str) -> io::Result<Option<Box<dyn fmt::Debug + Send>>> {
        refused()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        names_in(&self.dir)
    }

    fn create(&self, _: &str) -> io::Result<Box<dyn DiskFile>> {
        refused()
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(ReadOnlyFile(File::open(self.dir.join(name))?)))
    }

    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        refused()
    }

    fn remove(&self, _: &str) -> io::Result<()> {
        refused()
    }

    fn sync_dir(&self) -> io::Result<()> {
        refused()
    }
}

#[derive(Debug)]
struct ReadOnlyFile(File);

impl DiskFile for ReadOnlyFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(into, offset)
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<usize> {
        refused()
    }

    fn sync_data(&self) -> io::Result<()> {
        refused()
    }
}
