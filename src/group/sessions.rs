//! Whose silence has lasted too long.

use super::effects::{Effect, SeatId, Timer};
use super::groups::Groups;
use crate::time::{Now, Tick};

/// What a session timer that fired means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Due {
    /// Nothing: the timer was overtaken, or the member's silence is explained.
    Nothing,
    /// The member was heard of; its timer is filed again.
    Later,
    /// The member is to be expired, if no beat comes in between.
    Expire,
}

/// What a look at a seat shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Look {
    /// Nobody's silence is measured there.
    Nothing,
    /// Somebody's is who was heard of; to be looked at again by then.
    Later(Tick),
    /// Somebody's may have lasted too long: that timer is due.
    Due(Timer),
}

impl Groups {
    /// Looks at a seat before its timer fires, or in its place.
    pub fn look(
        &mut self,
        seat: SeatId,
        last_beat: impl FnOnce() -> Option<Tick>,
        now: Tick,
    ) -> Look {
        self.seats.look(seat, last_beat, &self.stalls, now)
    }

    /// Whether a member's time is up, given the last beat that the side door heard.
    ///
    /// On [`Due::Expire`] the caller closes the side door for exactly that beat and calls
    /// [`Self::expire`]; if a newer beat came in between it asks again.
    pub fn session_due(
        &mut self,
        seat: SeatId,
        arming: u32,
        beat: Option<Tick>,
        now: Now,
        fx: &mut Vec<Effect>,
    ) -> Due {
        if !self.seats.is_current(seat, arming) {
            return Due::Nothing;
        }
        let deadline = self.seats.deadline(seat, beat, &self.stalls);
        if deadline > now.tick {
            let (at, timer) = self.seats.refile(seat, (beat, deadline), now.tick);
            fx.push(Effect::Arm { at, timer });
            return Due::Later;
        }
        let Some(slot) = self.seats.slot(seat) else {
            return Due::Nothing;
        };
        // Nobody waits in a group at rest.
        if let Some(member) = self.seats.member(seat).cloned()
            && let Some(key) = self.places.key(slot)
            && self.turn(key, now, fx, |turn| turn.is_waiting(&member)) == Some(true)
        {
            // Armed anew when its request is answered.
            self.seats.disarm(seat);
            return Due::Nothing;
        }
        Due::Expire
    }

    /// Expires the member or pending member of that seat.
    pub fn expire(&mut self, seat: SeatId, now: Now, fx: &mut Vec<Effect>) {
        let slot = self.seats.slot(seat);
        let Some(key) = slot.and_then(|slot| self.places.key(slot)) else {
            return;
        };
        self.keyed_mut(key);
        if let Some(member) = self.seats.member(seat).cloned() {
            self.turn(key, now, fx, |turn| turn.expire(&member));
        }
    }

    /// Nobody was served for `length_ms` until now: deadlines that were running are extended.
    pub fn stalled(&mut self, length_ms: u64, now: Now) {
        self.stalls.note(now.tick, length_ms);
    }

    /// Until when the member of that seat may be silent, given its last beat.
    pub(super) fn deadline(&self, seat: SeatId, beat: Option<Tick>) -> Tick {
        self.seats.deadline(seat, beat, &self.stalls)
    }
}
