//! Why a tool did not do what it was asked for.

use std::fmt;
use std::io;
use std::path::Path;

use crate::store::OpenError;

/// A tool's failure: a sentence for whoever called it.
#[derive(Debug)]
#[non_exhaustive]
pub enum ToolError {
    /// What was named cannot be used; nothing was changed.
    Refused(String),
    /// The directory is damaged; nothing was changed.
    Damaged(String),
    /// A device, a file or a pipe failed.
    Io {
        /// What was being done.
        doing: String,
        /// The failure.
        error: io::Error,
    },
}

impl ToolError {
    pub(super) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |error| Self::Io { doing, error }
    }

    /// Says which directory it was.
    pub(super) fn open(dir: &Path) -> impl Fn(OpenError) -> Self {
        let dir = dir.display().to_string();
        move |error| match error {
            OpenError::Io { doing, error } => Self::Io {
                doing: format!("{doing} of '{dir}'"),
                error,
            },
            OpenError::Corrupt(_) => Self::Damaged(format!("in '{dir}', {error}")),
            OpenError::Config(_)
            | OpenError::Locked
            | OpenError::Version(_)
            | OpenError::Shards { .. } => Self::Refused(format!("in '{dir}', {error}")),
        }
    }

    /// Whether nobody reads any more what is written: no failure worth a sentence.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Io { error, .. } if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

impl fmt::Display for ToolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(sentence) | Self::Damaged(sentence) => f.write_str(sentence),
            Self::Io { doing, error } => write!(f, "{doing} failed: {error}"),
        }
    }
}

impl std::error::Error for ToolError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { error, .. } => Some(error),
            Self::Refused(_) | Self::Damaged(_) => None,
        }
    }
}
