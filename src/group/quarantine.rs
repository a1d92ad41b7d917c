//! Groups of which the journal holds a record that cannot be read.
//!
//! What is known of such a group may be wrong, so nothing is: every request to it is refused as
//! not available, no list shows it, nothing is written for it, and its records stay where they
//! are, for whoever repairs them. All other groups serve.

use std::collections::BTreeSet;

use super::request::Request;
use super::{Groups, Record};
use crate::error::Refusal;
use crate::ids::GroupId;
use crate::time::Now;

/// The names of the groups; as many as the journal holds at most.
#[derive(Debug, Default)]
pub(super) struct Quarantine {
    groups: BTreeSet<GroupId>,
}

impl Quarantine {
    /// What the request is refused with, if its group is here.
    pub(super) fn refusal(&self, request: &Request) -> Option<Refusal> {
        let is_here = self.holds(request.group()?.as_str());
        is_here.then_some(Refusal::NotAvailable)
    }

    /// Whether that group is here.
    pub(super) fn holds(&self, group: &str) -> bool {
        // As good as always there is nobody.
        !self.groups.is_empty() && self.groups.contains(group)
    }
}

impl Groups {
    /// Takes a group out of service for good; between the last record that is replayed and
    /// [`Groups::revive`].
    pub fn quarantine(&mut self, id: &GroupId, now: Now) {
        // As if it had been removed, in what is remembered and not in what is durable.
        let tombstone = Record::Group {
            group: id.clone(),
            value: None,
        };
        self.apply(&tombstone, now);
        self.quarantine.groups.insert(id.clone());
    }

    /// How many groups are quarantined.
    pub fn quarantined(&self) -> usize {
        self.quarantine.groups.len()
    }
}
