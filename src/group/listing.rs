//! Lists in slices, so that a list of a million groups is many short turns and not a long one.
//!
//! A slice looks at [`ListSlice::PLACES`] places of the shard and says which slice is next. A
//! group stays at its place as long as it lives, so one that is there from the first slice to the
//! last is listed exactly once, as it was at the moment of its slice; Kafka's own list is of many
//! moments as well, one a partition. One that was removed and made anew in between may be met
//! again at a place further on. That groups were removed shows in [`ListPage::removals`]: whoever
//! puts the pages together then keeps one row a name.

use super::Phase;
use super::groups::Groups;
use super::reply::{ListPage, Listed};
use super::request::ListRequest;

/// A part of a list within one shard. Asked once a slice, so it is small, and the filter is read
/// once a list, however long it is. The default asks for nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ListSlice {
    phases: Phases,
    from: usize,
}

impl ListSlice {
    /// Places that one slice looks at; at some 50 ns each they are a turn of 3 microseconds, so
    /// that whoever comes meanwhile waits no longer than for a few commits.
    pub const PLACES: usize = 64;

    /// The first slice of a list.
    pub fn first(request: &ListRequest) -> Self {
        let phases = if request.wants_classic() {
            request.phases()
        } else {
            Vec::new()
        };
        Self {
            phases: phases.into_iter().fold(Phases::default(), Phases::with),
            from: 0,
        }
    }
}

impl Groups {
    /// One slice of a list.
    pub(super) fn list(&self, slice: ListSlice) -> ListPage {
        let ends_at = if slice.phases == Phases::default() {
            0
        } else {
            self.places.slots()
        };
        let until = slice.from.saturating_add(ListSlice::PLACES).min(ends_at);
        let is_wanted = |phase| slice.phases.contains(phase);
        let rows: Vec<Listed> = (slice.from..until)
            .filter_map(|slot| self.places.listed(slot, is_wanted))
            .collect();
        ListPage {
            rows,
            next: (until < ends_at).then_some(ListSlice {
                from: until,
                ..slice
            }),
            removals: self.removals,
        }
    }
}

/// Some of the phases, a bit each.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Phases(u8);

impl Phases {
    fn with(self, phase: Phase) -> Self {
        Self(self.0 | 1 << phase as u8)
    }

    fn contains(self, phase: Phase) -> bool {
        self.0 & 1 << phase as u8 != 0
    }
}
