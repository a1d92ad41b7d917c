//! Where in a directory the journal is.

use std::path::{Path, PathBuf};

use super::error::ToolError;
use crate::store::Examined;

/// The journal's place in a data directory.
pub(super) const GROUPS: &str = "groups";

/// The journal's directory, if there is one: the directory itself or the one in it.
pub(super) fn journal_of(dir: &Path) -> Option<PathBuf> {
    let within = dir.join(GROUPS);
    [dir.to_owned(), within]
        .into_iter()
        .find(|place| Examined::is_journal(place))
}

/// The same where there has to be one.
pub(super) fn journal_in(dir: &Path) -> Result<PathBuf, ToolError> {
    journal_of(dir).ok_or_else(|| {
        let dir = dir.display();
        ToolError::Refused(format!(
            "there is no journal in '{dir}': neither '{dir}/MANIFEST' nor '{dir}/{GROUPS}/MANIFEST'"
        ))
    })
}
