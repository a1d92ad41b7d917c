//! Sections: neighbouring seats that share one timer, which fires when the first of them may have
//! been silent for too long.
//!
//! A timer a member would fire for each that lives, once a session, and wait each time for memory
//! that nobody has touched since. When a section's timer fires all of its seats are looked at, one
//! after the other in memory, and all are heard of as of then: so it fires again only when the
//! first of them may have been silent for its whole session since.

use std::ops::Range;

use super::filed::Filed;
use super::state::ShardState;
use crate::group::{Look, SeatId};
use crate::time::Tick;

/// A section's timer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct SectionTimer {
    pub(super) section: u32,
    pub(super) arming: u32,
}

/// Which sections have a timer filed.
#[derive(Debug, Default)]
pub(super) struct Sections {
    filed: Vec<Filing>,
}

#[derive(Clone, Copy, Debug)]
struct Filing {
    /// When the timer fires that is filed; [`Filing::NEVER`]: none is.
    at: Tick,
    arming: u32,
}

impl Filing {
    const NEVER: Tick = Tick(u64::MAX);
    const NONE: Self = Self {
        at: Self::NEVER,
        arming: 0,
    };
}

impl SectionTimer {
    /// Seats of a section. With fewer more timers fire; with more a turn is longer, and the one
    /// that has the shortest session has more others looked at.
    const SEATS: u32 = 64;

    fn seats(self) -> Range<u32> {
        let first = self.section * Self::SEATS;
        first..first.saturating_add(Self::SEATS)
    }
}

impl Sections {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.filed.len()
    }

    /// That seat is to be looked at by then; which timer is to be filed for that. `None`: one is
    /// that fires by then.
    pub(super) fn watch(&mut self, seat: SeatId, at: Tick) -> Option<SectionTimer> {
        let section = seat.0 / SectionTimer::SEATS;
        let nth = section as usize;
        if self.filed.len() <= nth {
            self.filed.resize(nth + 1, Filing::NONE);
        }
        let filing = &mut self.filed[nth];
        if filing.at <= at {
            return None;
        }
        filing.at = at;
        filing.arming = filing.arming.wrapping_add(1);
        Some(SectionTimer {
            section,
            arming: filing.arming,
        })
    }

    /// Whether that timer is the one that the section waits for.
    pub(super) fn is_current(&self, timer: SectionTimer) -> bool {
        let filing = self.filed.get(timer.section as usize);
        filing.is_some_and(|it| it.at != Filing::NEVER && it.arming == timer.arming)
    }

    /// The timer has fired, and none is filed any more; whether it was the one.
    fn fire(&mut self, timer: SectionTimer) -> bool {
        let is_current = self.is_current(timer);
        if is_current {
            self.filed[timer.section as usize].at = Filing::NEVER;
        }
        is_current
    }
}

impl ShardState {
    /// Looks at all seats of a section: those whose time is up come to those that have fired.
    pub(super) fn look_at_section(
        &mut self,
        timer: SectionTimer,
        heard_until: Tick,
        fired: &mut Vec<Filed>,
    ) {
        if !self.sections.fire(timer) {
            return;
        }
        let mut next: Option<(Tick, SeatId)> = None;
        for seat in timer.seats().map(SeatId) {
            let doors = &self.doors;
            let last_beat = || doors.last_beat(seat);
            match self.groups.look(seat, last_beat, heard_until) {
                Look::Nothing => {}
                Look::Later(at) => next = Some(next.map_or((at, seat), |it| it.min((at, seat)))),
                Look::Due(timer) => fired.push(timer.into()),
            }
        }
        if let Some((at, seat)) = next {
            self.watch(seat, at);
        }
    }

    /// Has a seat looked at by then.
    pub(super) fn watch(&mut self, seat: SeatId, at: Tick) {
        if let Some(timer) = self.sections.watch(seat, at) {
            self.file(at, timer.into());
        }
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    #[test]
    fn a_section_has_one_timer_for_the_first_of_its_seats() {
        let mut sections = Sections::default();
        let first = sections.watch(SeatId(3), Tick(50)).unwrap();
        assert_eq!(sections.watch(SeatId(4), Tick(50)), None);
        assert_eq!(sections.watch(SeatId(63), Tick(70)), None);
        let earlier = sections.watch(SeatId(5), Tick(40)).unwrap();
        assert!(!sections.is_current(first) && sections.is_current(earlier));
        assert!(!sections.fire(first) && sections.fire(earlier));
        assert!(!sections.fire(earlier), "none is filed");
        assert!(sections.watch(SeatId(4), Tick(90)).is_some());
        let other = sections.watch(SeatId(64), Tick(95)).unwrap();
        assert_eq!(other.seats(), 64..128);
        assert_eq!(sections.len(), 2);
    }
}
