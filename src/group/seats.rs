//! Seats: where members and pending members sit in their shard, and when their time is up.
//!
//! A deadline is *lazy*: it is filed once, and only when it fires is it compared with what was
//! heard of the member since. A heartbeat therefore never touches a timer.

use std::collections::HashMap;
use std::num::NonZeroU32;

use foldhash::fast::RandomState;

use super::effects::{Effect, End, GroupKey, SeatId, Timer};
use super::sessions::Look;
use crate::ids::MemberId;
use crate::time::{Stalls, Tick};

/// One member's or pending member's place, in 28 bytes.
#[derive(Debug)]
struct Seat {
    /// The slot of its group, which does not go while somebody sits in it; [`FREE`]: nobody does.
    slot: u32,
    /// When the core itself last heard of the member, or reset its timer: a [`Tick`] in halves,
    /// which need no padding.
    heard_at: [u32; 2],
    /// How long it may be silent from then on, in milliseconds.
    silence_ms: u32,
    /// How long it may be silent after each later beat: its session timeout.
    timeout_ms: u32,
    /// When the filed timer fires, or it is looked at in its place, in milliseconds from `heard_at`
    /// on; 0: then or before.
    filed_after_ms: u32,
    /// The number of the filed timer, if one is filed.
    arming: Option<NonZeroU32>,
}

const FREE: u32 = u32::MAX;

/// All seats of a shard.
#[derive(Debug, Default)]
pub(super) struct Seats {
    places: Vec<Seat>,
    free: Vec<u32>,
    /// Who sits there, as far as the group is awake: one at rest knows it itself.
    members: HashMap<u32, MemberId, RandomState>,
    armings: u32,
}

impl Seats {
    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    fn get(&self, seat: SeatId) -> Option<&Seat> {
        let seat = self.places.get(seat.0 as usize)?;
        (seat.slot != FREE).then_some(seat)
    }

    /// The slot of the group of whoever sits there.
    pub(super) fn slot(&self, seat: SeatId) -> Option<u32> {
        self.get(seat).map(|place| place.slot)
    }

    /// Who sits there; `None`: nobody, or a member of a group at rest.
    pub(super) fn member(&self, seat: SeatId) -> Option<&MemberId> {
        self.members.get(&seat.0)
    }

    /// Takes a seat; its timer is not armed yet.
    pub(super) fn take(&mut self, group: GroupKey, member: MemberId) -> SeatId {
        let seat = Seat {
            slot: group.slot,
            heard_at: [0; 2],
            silence_ms: 0,
            timeout_ms: 0,
            filed_after_ms: 0,
            arming: None,
        };
        let index = if let Some(index) = self.free.pop() {
            self.places[index as usize] = seat;
            index
        } else {
            self.places.push(seat);
            let index = u32::try_from(self.places.len() - 1);
            index.expect("a shard has fewer than 2^32 seats")
        };
        self.members.insert(index, member);
        SeatId(index)
    }

    /// The member's group has come to rest.
    pub(super) fn unname(&mut self, seat: SeatId) {
        self.members.remove(&seat.0);
        if self.members.len() < self.members.capacity() / 8 {
            self.members.shrink_to(2 * self.members.len());
        }
    }

    /// The member's group is awake again.
    pub(super) fn name(&mut self, seat: SeatId, member: &MemberId) {
        self.members.insert(seat.0, member.clone());
    }

    /// Gives a seat up; its filed timer will find nobody.
    pub(super) fn give_up(&mut self, seat: SeatId, end: End, fx: &mut Vec<Effect>) {
        self.places[seat.0 as usize].slot = FREE;
        self.unname(seat);
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
        place.hear(now);
        place.silence_ms = bounded(silence_ms);
        place.timeout_ms = bounded(timeout_ms);
        // A beat may come in at once, and be the last one.
        let deadline = now + silence_ms.min(timeout_ms);
        // A timer that fires earlier will look again by itself.
        if place.arming.is_none() || place.filed_at() > deadline {
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
        place.file_at(deadline);
        place.arming = Some(arming);
        Timer::Session {
            seat,
            arming: self.armings,
        }
    }

    /// The number of the timer that the seat waits for, if it waits for one.
    pub(super) fn arming(&self, seat: SeatId) -> Option<u32> {
        self.get(seat)?.arming.map(NonZeroU32::get)
    }

    /// Whether that timer is the one that the seat waits for.
    pub(super) fn is_current(&self, seat: SeatId, arming: u32) -> bool {
        self.arming(seat) == Some(arming)
    }

    /// The deadline of the seat, given the last beat at the side door and the stalls in which
    /// nobody could be heard.
    pub(super) fn deadline(&self, seat: SeatId, beat: Option<Tick>, stalls: &Stalls) -> Tick {
        self.places[seat.0 as usize].deadline(beat, stalls)
    }

    /// Looks at a seat before its timer fires, or in its place: who is not due is to be looked at
    /// again by the time that it answers with.
    pub(super) fn look(
        &mut self,
        seat: SeatId,
        last_beat: impl FnOnce() -> Option<Tick>,
        stalls: &Stalls,
        now: Tick,
    ) -> Look {
        let place = self.places.get_mut(seat.0 as usize);
        let Some(place) = place.filter(|place| place.slot != FREE) else {
            return Look::Nothing;
        };
        let Some(arming) = place.arming else {
            return Look::Nothing;
        };
        let beat = last_beat();
        let deadline = place.deadline(beat, stalls);
        if deadline > now {
            return Look::Later(place.put_off(beat, deadline, now));
        }
        Look::Due(Timer::Session {
            seat,
            arming: arming.get(),
        })
    }

    /// Files the timer again, later, after that last beat: when, and which one it is.
    pub(super) fn refile(
        &mut self,
        seat: SeatId,
        (beat, deadline): (Option<Tick>, Tick),
        now: Tick,
    ) -> (Tick, Timer) {
        let at = self.places[seat.0 as usize].put_off(beat, deadline, now);
        (at, self.file(seat, at))
    }

    /// The filed timer has fired and is not to be filed again.
    pub(super) fn disarm(&mut self, seat: SeatId) {
        self.places[seat.0 as usize].arming = None;
    }
}

impl Seat {
    fn deadline(&self, beat: Option<Tick>, stalls: &Stalls) -> Tick {
        let (heard_at, silence_ms) = match beat {
            Some(beat) if beat > self.heard_at() => (beat, self.timeout_ms),
            Some(_) | None => (self.heard_at(), self.silence_ms),
        };
        heard_at + u64::from(silence_ms) + stalls.unserved_ms_since(heard_at)
    }

    /// Its timer is to fire later, after that last beat: when.
    fn put_off(&mut self, beat: Option<Tick>, deadline: Tick, now: Tick) -> Tick {
        if let Some(beat) = beat.filter(|beat| *beat > self.heard_at()) {
            // The same deadline, counted from near by.
            self.count_from(beat);
            self.silence_ms = self.timeout_ms;
        }
        // No later than a beat that comes in at once would want it.
        let at = deadline.min(now + u64::from(self.timeout_ms));
        self.file_at(at);
        at
    }

    fn heard_at(&self) -> Tick {
        let [high, low] = self.heard_at;
        Tick(u64::from(high) << 32 | u64::from(low))
    }

    fn filed_at(&self) -> Tick {
        self.heard_at() + u64::from(self.filed_after_ms)
    }

    /// Moves the time from which all others count; the filed timer stays where it is.
    fn hear(&mut self, at: Tick) {
        let filed_at = self.filed_at();
        self.count_from(at);
        self.file_at(filed_at);
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "each half is cut out at its width"
    )]
    fn count_from(&mut self, at: Tick) {
        self.heard_at = [(at.0 >> 32) as u32, at.0 as u32];
    }

    /// A timer that is filed for a time before is one that fires as soon as can be; none is for
    /// more than a timeout and a stall after.
    fn file_at(&mut self, at: Tick) {
        let after_ms = at.since_ms(self.heard_at());
        self.filed_after_ms = u32::try_from(after_ms).unwrap_or(u32::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seat_takes_28_bytes() {
        assert_eq!(size_of::<Seat>(), 28);
    }
}
