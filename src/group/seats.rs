//! Seats: where members and pending members sit in their shard, and when their time is up.
//!
//! A deadline is *lazy*: it is filed once, and only when it fires is it compared with what was
//! heard of the member since. A heartbeat therefore never touches a timer.

use std::num::NonZeroU32;

use super::effects::{Effect, End, GroupKey, SeatId, Timer};
use crate::ids::MemberId;
use crate::time::{Stalls, Tick};

/// One member's or pending member's place, in 48 bytes.
#[derive(Debug)]
pub(super) struct Seat {
    /// The slot of its group, which does not go while somebody sits in it; [`FREE`]: nobody does.
    pub(super) slot: u32,
    /// Empty: the group is at rest, and knows.
    pub(super) member: MemberId,
    /// When the core itself last heard of the member, or reset its timer.
    heard_at: Tick,
    /// How long it may be silent from then on, in milliseconds.
    silence_ms: u32,
    /// How long it may be silent after each later beat: its session timeout.
    timeout_ms: u32,
    /// When the filed timer fires.
    filed_at: Tick,
    /// The number of the filed timer, if one is filed.
    arming: Option<NonZeroU32>,
}

const FREE: u32 = u32::MAX;

/// All seats of a shard.
#[derive(Debug, Default)]
pub(super) struct Seats {
    places: Vec<Seat>,
    free: Vec<u32>,
    armings: u32,
}

impl Seats {
    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    pub(super) fn get(&self, seat: SeatId) -> Option<&Seat> {
        let seat = self.places.get(seat.0 as usize)?;
        (seat.slot != FREE).then_some(seat)
    }

    /// Reads a seat, so that its lines are on their way.
    pub(super) fn glance(&self, seat: SeatId) -> u64 {
        let place = self.places.get(seat.0 as usize);
        place.map_or(0, |it| it.heard_at.0 ^ it.filed_at.0 ^ u64::from(it.slot))
    }

    /// Takes a seat; its timer is not armed yet.
    pub(super) fn take(&mut self, group: GroupKey, member: MemberId) -> SeatId {
        let seat = Seat {
            slot: group.slot,
            member,
            heard_at: Tick(0),
            silence_ms: 0,
            timeout_ms: 0,
            filed_at: Tick(0),
            arming: None,
        };
        if let Some(index) = self.free.pop() {
            self.places[index as usize] = seat;
            return SeatId(index);
        }
        self.places.push(seat);
        let index = u32::try_from(self.places.len() - 1);
        SeatId(index.expect("a shard has fewer than 2^32 seats"))
    }

    /// The member's group has come to rest.
    pub(super) fn unname(&mut self, seat: SeatId) {
        self.places[seat.0 as usize].member = MemberId::default();
    }

    /// The member's group is awake again.
    pub(super) fn name(&mut self, seat: SeatId, member: &MemberId) {
        self.places[seat.0 as usize].member = member.clone();
    }

    /// Gives a seat up; its filed timer will find nobody.
    pub(super) fn give_up(&mut self, seat: SeatId, end: End, fx: &mut Vec<Effect>) {
        let place = &mut self.places[seat.0 as usize];
        place.slot = FREE;
        place.member = MemberId::default();
        self.free.push(seat.0);
        fx.push(Effect::Unseat { seat, end });
    }

    /// Grants the seat that much silence from now on.
    pub(super) fn arm(&mut self, seat: SeatId, timeout_ms: u64, now: Tick, fx: &mut Vec<Effect>) {
        self.arm_first(seat, (timeout_ms, timeout_ms), now, fx);
    }

    /// Grants the seat another silence at first than after every later beat.
    pub(super) fn arm_first(
        &mut self,
        seat: SeatId,
        (silence_ms, timeout_ms): (u64, u64),
        now: Tick,
        fx: &mut Vec<Effect>,
    ) {
        let bounded = |ms| u32::try_from(ms).unwrap_or(u32::MAX);
        let place = &mut self.places[seat.0 as usize];
        place.heard_at = now;
        place.silence_ms = bounded(silence_ms);
        place.timeout_ms = bounded(timeout_ms);
        // A beat may come in at once, and be the last one.
        let deadline = now + silence_ms.min(timeout_ms);
        // A timer that fires earlier will look again by itself.
        if place.arming.is_none() || place.filed_at > deadline {
            let timer = self.file(seat, deadline);
            fx.push(Effect::Arm {
                at: deadline,
                timer,
            });
        }
    }

    fn file(&mut self, seat: SeatId, deadline: Tick) -> Timer {
        let arming = NonZeroU32::new(self.armings.wrapping_add(1)).unwrap_or(NonZeroU32::MIN);
        self.armings = arming.get();
        let place = &mut self.places[seat.0 as usize];
        place.filed_at = deadline;
        place.arming = Some(arming);
        Timer::Session {
            seat,
            arming: self.armings,
        }
    }

    /// Whether that timer is the one that the seat waits for.
    pub(super) fn is_current(&self, seat: SeatId, arming: u32) -> bool {
        let filed = self.get(seat).and_then(|place| place.arming);
        filed.is_some_and(|filed| filed.get() == arming)
    }

    /// The deadline of the seat, given the last beat at the side door and the stalls in which
    /// nobody could be heard.
    pub(super) fn deadline(&self, seat: SeatId, beat: Option<Tick>, stalls: &Stalls) -> Tick {
        let place = &self.places[seat.0 as usize];
        let (heard_at, silence_ms) = match beat {
            Some(beat) if beat > place.heard_at => (beat, place.timeout_ms),
            Some(_) | None => (place.heard_at, place.silence_ms),
        };
        heard_at + u64::from(silence_ms) + stalls.unserved_ms_since(heard_at)
    }

    /// Files the timer again, later: when, and which one it is.
    pub(super) fn refile(&mut self, seat: SeatId, deadline: Tick, now: Tick) -> (Tick, Timer) {
        // No later than a beat that comes in at once would want it.
        let timeout_ms = u64::from(self.places[seat.0 as usize].timeout_ms);
        let at = deadline.min(now + timeout_ms);
        (at, self.file(seat, at))
    }

    /// The filed timer has fired and is not to be filed again.
    pub(super) fn disarm(&mut self, seat: SeatId) {
        self.places[seat.0 as usize].arming = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seat_takes_48_bytes() {
        assert_eq!(size_of::<Seat>(), 48);
    }
}
