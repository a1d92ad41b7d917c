//! A timer as the wheel keeps it.

use crate::group::{GroupKey, SeatId, Timer};

/// A timer in 12 bytes: most members have one, and so do most groups.
///
/// ```text
///   place    30 bits of the seat or slot, and 2 for the kind
///   serial   the slot's tenant; 0 for a seat
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

impl From<Timer> for Filed {
    /// # Panics
    ///
    /// From the 2^30th group or member of one shard on, some 400 GB after the first.
    fn from(timer: Timer) -> Self {
        let (kind, slot, serial, arming) = match timer {
            Timer::Session { seat, arming } => (SESSION, seat.0, 0, arming),
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

impl Filed {
    /// Whose session it is the timer of, if it is one.
    pub(super) fn seat(self) -> Option<SeatId> {
        let is_session = self.place & ((1 << KIND_BITS) - 1) == SESSION;
        is_session.then_some(SeatId(self.place >> KIND_BITS))
    }
}

impl From<Filed> for Timer {
    fn from(filed: Filed) -> Self {
        let Filed { serial, arming, .. } = filed;
        let slot = filed.place >> KIND_BITS;
        let group = GroupKey { slot, serial };
        match filed.place & ((1 << KIND_BITS) - 1) {
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
            assert_eq!(Timer::from(Filed::from(timer)), timer);
        }
        assert_eq!(size_of::<Filed>(), 12);
    }
}
