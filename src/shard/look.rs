//! A look at what a shard holds, within a turn of the thread that looks.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::worker::{Own, Shard};
use crate::group::GroupOffsets;
use crate::time::Now;

/// A look at what a group has committed.
pub(super) struct OffsetsLook<'l> {
    pub(super) group: &'l str,
    pub(super) is_stable_required: bool,
    pub(super) look: &'l mut dyn FnMut(&GroupOffsets<'_>),
}

impl Shard {
    /// Looks at what a group has committed, where a fetch would be answered at once and well.
    /// `None`: that is not so, or somebody else has the turn; then [`Shard::ask`], which knows
    /// what to answer.
    ///
    /// Others wait until it has looked: it must not wait for anything.
    ///
    /// # Panics
    ///
    /// If `look` does, when the turn is over: it changes nothing that others see.
    pub(crate) fn look_at_offsets<T>(
        &self,
        group: &str,
        is_stable_required: bool,
        now: Now,
        look: impl FnOnce(&GroupOffsets<'_>) -> T,
    ) -> Option<T> {
        if !self.is_open() {
            return None;
        }
        let (mut look, mut seen) = (Some(look), None);
        let mut own = Own::Looks(OffsetsLook {
            group,
            is_stable_required,
            look: &mut |offsets| {
                let look = look.take();
                seen = look.map(|look| catch_unwind(AssertUnwindSafe(|| look(offsets))));
            },
        });
        self.run_own(now, &mut own);
        seen.map(|seen| seen.unwrap_or_else(|panic| resume_unwind(panic)))
    }
}
