//! A timer as the wheel keeps it.

use super::sections::{SectionTimer, Sections};
use crate::group::{GroupKey, Groups, SeatId, Timer};

/// A timer in 12 bytes: most groups have one, and so does each section of seats.
///
/// ```text
///   place    30 bits of the slot, seat or section, and 2 for the kind
///   serial   the slot's tenant; 0 for a seat, 1 for a section
///   arming
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Filed {
    place: u32,
    serial: u32,
    arming: u32,
}

const KIND_BITS: u32 = 2;
const SESSION: u32 = 0;
const JOIN: u32 = 1;
const SYNC: u32 = 2;
const RETENTION: u32 = 3;

/// In the place of the serial number.
const SEAT: u32 = 0;
const SECTION: u32 = 1;

impl From<Timer> for Filed {
    /// # Panics
    ///
    /// From the 2^30th group or member of one shard on, some 400 GB after the first.
    fn from(timer: Timer) -> Self {
        let (kind, slot, serial, arming) = match timer {
            Timer::Session { seat, arming } => (SESSION, seat.0, SEAT, arming),
            Timer::Join { group, arming } => (JOIN, group.slot, group.serial, arming),
            Timer::Sync { group, arming } => (SYNC, group.slot, group.serial, arming),
            Timer::Retention { group, arming } => (RETENTION, group.slot, group.serial, arming),
        };
        assert!(
            slot < 1 << (u32::BITS - KIND_BITS),
            "a shard has fewer than 2^30 groups and members"
        );
        Self {
            place: slot << KIND_BITS | kind,
            serial,
            arming,
        }
    }
}

impl From<SectionTimer> for Filed {
    fn from(timer: SectionTimer) -> Self {
        // There are fewer sections than seats.
        Self {
            place: timer.section << KIND_BITS | SESSION,
            serial: SECTION,
            arming: timer.arming,
        }
    }
}

impl Filed {
    fn kind(self) -> u32 {
        self.place & ((1 << KIND_BITS) - 1)
    }

    /// The section that it is the timer of, if it is one's.
    pub(super) fn section(self) -> Option<SectionTimer> {
        let is_section = self.kind() == SESSION && self.serial == SECTION;
        is_section.then_some(SectionTimer {
            section: self.place >> KIND_BITS,
            arming: self.arming,
        })
    }

    /// Whether it is still waited for.
    pub(super) fn is_current(self, groups: &Groups, sections: &Sections) -> bool {
        match self.section() {
            Some(timer) => sections.is_current(timer),
            None => groups.is_current(self.into()),
        }
    }
}

impl From<Filed> for Timer {
    fn from(filed: Filed) -> Self {
        let Filed { serial, arming, .. } = filed;
        let slot = filed.place >> KIND_BITS;
        let group = GroupKey { slot, serial };
        match filed.kind() {
            JOIN => Self::Join { group, arming },
            SYNC => Self::Sync { group, arming },
            RETENTION => Self::Retention { group, arming },
            _ => Self::Session {
                seat: SeatId(slot),
                arming,
            },
        }
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    #[test]
    fn every_timer_comes_back_as_it_was() {
        let (slot, arming) = ((1 << 30) - 1, u32::MAX);
        let group = GroupKey {
            slot,
            serial: u32::MAX - 1,
        };
        let seat = SeatId(slot);
        for timer in [
            Timer::Session { seat, arming },
            Timer::Join { group, arming },
            Timer::Sync { group, arming },
            Timer::Retention { group, arming },
        ] {
            let filed = Filed::from(timer);
            assert_eq!((Timer::from(filed), filed.section()), (timer, None));
        }
        let section = SectionTimer {
            section: slot / 64,
            arming,
        };
        let filed = Filed::from(section);
        assert_eq!(filed.section(), Some(section));
        assert_eq!(size_of::<Filed>(), 12);
    }
}
