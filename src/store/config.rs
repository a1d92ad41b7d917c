//! How a journal is opened, and why it may not open.

use std::fmt;
use std::io;

/// What to do about damage.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Repair {
    /// A damaged log is not opened, and nothing on disk is changed.
    #[default]
    Refuse,
    /// What is damaged is skipped, with all records of its entry, and reported.
    ///
    /// Where the last word on a key was lost, an older one may come to light: the groups that are
    /// reported must be looked at by hand. The damage is found again at every opening until what
    /// lives around it was carried along; a segment whose header is damaged is renamed and stays.
    Quarantine,
}

/// The sizes of a journal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StoreConfig {
    /// Bytes of a segment, 2 KiB to 1 GiB; a batch that does not fit gets a segment of its own
    /// size.
    pub segment_bytes: u64,
    /// Bytes that the log may always take, at least 16 segments; beyond that, twice the live
    /// bytes.
    pub log_bytes_min: u64,
    /// What to do about damage.
    pub repair: Repair,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            segment_bytes: 4 << 20,
            log_bytes_min: 64 << 20,
            repair: Repair::Refuse,
        }
    }
}

impl StoreConfig {
    pub(super) fn check(&self) -> Result<(), OpenError> {
        if !(2 << 10..=1 << 30).contains(&self.segment_bytes) {
            return Err(OpenError::Config("segment_bytes must be 2 KiB to 1 GiB"));
        }
        if self.log_bytes_min < 16 * self.segment_bytes {
            return Err(OpenError::Config(
                "log_bytes_min must be at least 16 segments",
            ));
        }
        Ok(())
    }
}

/// A place in the log that cannot be read, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Damage {
    /// The file's name within the directory.
    pub file: String,
    /// Where in the file, in bytes from its beginning.
    pub offset: u64,
    /// What is wrong there.
    pub reason: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}: {}", self.file, self.offset, self.reason)
    }
}

/// What [`Repair::Quarantine`] went past.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Quarantined {
    /// The place.
    pub damage: Damage,
    /// The records that are missing, whole entries counted; 0 if that cannot be known.
    pub records: u64,
    /// The groups that lost records, sorted; incomplete, since a damaged record need not tell.
    pub groups: Vec<String>,
}

/// A journal that cannot be opened. Nothing on disk was changed.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// A size is out of its range.
    Config(&'static str),
    /// The device or the file system failed.
    Io {
        /// What was being done.
        doing: &'static str,
        /// The failure.
        error: io::Error,
    },
    /// Another process has the directory open.
    Locked,
    /// The directory was written by a version of the format that is not known.
    Version(u32),
    /// The directory was made for another number of shards.
    Shards {
        /// The directory's.
        found: u32,
        /// The one asked for.
        asked: u32,
    },
    /// The log is damaged.
    Corrupt(Damage),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(what) => write!(f, "the journal's configuration is not valid: {what}"),
            Self::Io { doing, error } => write!(f, "the journal failed at {doing}: {error}"),
            Self::Locked => f.write_str("another process has the journal's directory open"),
            Self::Version(version) => write!(
                f,
                "the journal is of format version {version}, and only {} is known",
                super::manifest::VERSION
            ),
            Self::Shards { found, asked } => write!(
                f,
                "the journal is of {found} shards and cannot be opened with {asked}"
            ),
            Self::Corrupt(damage) => write!(f, "the journal is damaged: {damage}"),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { error, .. } => Some(error),
            Self::Config(_)
            | Self::Locked
            | Self::Version(_)
            | Self::Shards { .. }
            | Self::Corrupt(_) => None,
        }
    }
}

/// Names what was being done when the device failed.
pub(super) fn at(doing: &'static str) -> impl Fn(io::Error) -> OpenError {
    move |error| OpenError::Io { doing, error }
}
