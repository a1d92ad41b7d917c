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

impl Groups {
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
        if let Some((at, timer)) = self.later(seat, arming, beat, now.tick) {
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

    /// The case of [`Due::Later`] alone, which nearly every one is: when the timer is filed again,
    /// and which one it is. `None`: it is another case, and nothing was done.
    pub fn later(
        &mut self,
        seat: SeatId,
        arming: u32,
        beat: Option<Tick>,
        now: Tick,
    ) -> Option<(Tick, Timer)> {
        if !self.seats.is_current(seat, arming) {
            return None;
        }
        let deadline = self.seats.deadline(seat, beat, &self.stalls);
        (deadline > now).then(|| self.seats.refile(seat, (beat, deadline), now))
    }

    /// Reads what [`Self::session_due`] will look at, so that it is on its way from memory; what
    /// it gives means nothing.
    pub fn glance(&self, seat: SeatId) -> u64 {
        self.seats.glance(seat)
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
