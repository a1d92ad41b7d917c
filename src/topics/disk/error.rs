//! Why topics cannot be opened, and how the disk fails afterwards.

use std::fmt;
use std::io;

/// What to do about damage.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Repair {
    /// Damaged topics are not opened, and nothing on disk is changed.
    #[default]
    Refuse,
    /// Damaged batches are skipped and reported; those behind them keep their offsets. The damage
    /// is found again at every opening until retention has dropped it. A damaged catalog is
    /// refused all the same.
    Quarantine,
}

/// A place that cannot be read, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Damage {
    /// The file's name within the directory.
    pub file: String,
    /// Where in the file, in bytes from its beginning.
    pub offset: u64,
    /// What is wrong there.
    pub reason: String,
}

impl Damage {
    pub(super) fn new(file: &str, offset: u64, reason: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            offset,
            reason: reason.into(),
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}: {}", self.file, self.offset, self.reason)
    }
}

/// Topics that cannot be opened. Nothing on disk was changed.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
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
    /// The directory is damaged, or not one of topics.
    Corrupt(Damage),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { doing, error } => write!(f, "the topics failed at {doing}: {error}"),
            Self::Locked => f.write_str("another process has the topics' directory open"),
            Self::Version(version) => write!(
                f,
                "the topics are of format version {version}, and only {} is known",
                super::catalog::VERSION
            ),
            Self::Corrupt(damage) => write!(f, "the topics are damaged: {damage}"),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { error, .. } => Some(error),
            Self::Locked | Self::Version(_) | Self::Corrupt(_) => None,
        }
    }
}

/// Names what was being done when the device failed.
pub(super) fn at(doing: &'static str) -> impl Fn(io::Error) -> OpenError {
    move |error| OpenError::Io { doing, error }
}

/// Why something was not made durable.
#[derive(Debug)]
pub(super) enum Failed {
    /// There is no room; nothing of it counts, and there may be room later.
    Full(io::Error),
    /// The device failed, and nothing is known of what it holds.
    Broken(String),
}

impl Failed {
    /// Of a write: a full disk is no more than that.
    pub(super) fn of(doing: &str, name: &str, error: io::Error) -> Self {
        let full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
        if full.contains(&error.kind()) {
            Self::Full(error)
        } else {
            Self::Broken(format!("{doing} {name} failed: {error}"))
        }
    }

    /// Of a sync: whatever it was, nothing is known of what it covered.
    pub(super) fn of_sync(name: &str, error: &io::Error) -> Self {
        Self::Broken(format!("syncing {name} failed: {error}"))
    }
}
