//! How many records of each kind there are.

use std::fmt;

use crate::group::Record;

/// Records by their kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Groups that are stored themselves, not only by their offsets.
    pub groups: u64,
    /// Committed offsets.
    pub offsets: u64,
    /// Offsets of open transactions.
    pub pending: u64,
}

impl Counts {
    pub(super) fn count(&mut self, record: &Record) {
        match record {
            Record::Group { .. } => self.groups += 1,
            Record::Offset { .. } => self.offsets += 1,
            Record::Pending { .. } => self.pending += 1,
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} group records, {} offsets and {} pending offsets",
            self.groups, self.offsets, self.pending
        )
    }
}
