//! Commits that say what is stored already: answered, and not written.
//!
//! A consumer that has nothing to read commits the same offsets again and again. Its answer needs
//! no write if what is stored is durable, is what a restart would find, and is young enough:
//!
//! | what could be otherwise | so a repeat is written like any commit |
//! | --- | --- |
//! | an earlier commit is on its way and will take effect later | while the group has anything in flight |
//! | the same commit names the partition before, with another offset | unless all of the commit is a repeat |
//! | a transaction ends and overwrites what was staged before this commit | while anything is staged |
//! | a write failed, but a restart finds it | until a later write of the shard has succeeded |
//! | another machine has taken over and stored something else | where the journal promises a quorum |
//! | the offset ages from its commit | once it was stored for [`offsets_refresh_ms`] |
//!
//! [`offsets_refresh_ms`]: super::Rules::offsets_refresh_ms

use super::classic::Turn;
use super::record::OffsetValue;
use super::row::Stored;
use crate::mutation;

impl Turn<'_> {
    /// Whether what is stored of the group is what a restart would find, and nothing else is about
    /// to take its place.
    pub(super) fn may_repeat(&self) -> bool {
        let nothing_is_on_its_way = self.group.in_flight == 0
            && self.group.facts.pending.is_empty()
            || mutation::is("repeats-forget-what-is-on-its-way");
        let nothing_is_in_doubt = !self.in_doubt || mutation::is("repeats-forget-what-failed");
        nothing_is_on_its_way && nothing_is_in_doubt
    }

    /// Whether the value is stored already, and has not been for too long.
    pub(super) fn is_repeat(&self, stored: Stored, value: &OffsetValue) -> bool {
        let Stored::Same(since) = stored else {
            return false;
        };
        let age_ms = value.committed_at.0.saturating_sub(since.0);
        (0..self.rules.offsets_refresh_ms).contains(&age_ms)
    }
}
