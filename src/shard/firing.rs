//! Timers of a shard: how they are filed, and what is done when they fire.

use super::filed::Filed;
use super::state::ShardState;
use crate::group::{Due, SeatId, Timer};
use crate::time::{Now, Tick};

/// Timers of one turn at most that were armed for no later than now.
const DUE_MAX: usize = 256;

/// For how much any other timer counts, where that of a section counts 1: somebody is expired, or a
/// phase of a group ends. Two of them end the driver's turn: they cost a microsecond each while
/// their memory is at hand, but nobody has touched it for a session's length, and each page of it
/// that the system has taken back in the meantime costs a hundred.
const COUNTS: usize = 16;

/// A moment, and how many of the requests that waited then wait still.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backlog {
    since: Tick,
    ahead: usize,
}

impl ShardState {
    /// Fires what is due, about `max` timers; whether more is due.
    ///
    /// Whoever was heard must be heard before anyone is expired for silence. So timers wait until
    /// the mailbox is drained, or, where it never is, fire up to the last moment of which all
    /// requests were taken: `taken` of them in this turn, `left` are waiting. And while the
    /// journal has enough to do nothing is decided at all.
    pub(crate) fn fire_due(
        &mut self,
        is_drained: bool,
        taken: usize,
        left: usize,
        now: Now,
        max: usize,
    ) -> bool {
        let mut more = false;
        if !self.fires() {
            return more;
        }
        if let Some(heard_until) = self.heard_until(is_drained, taken, left, now.tick) {
            more = self.fire_some(heard_until, now, max);
        }
        // What is armed for no later than now needs no wheel: a join without delay is complete
        // before its request returns. Each may arm another, hence the bound.
        for _ in 0..DUE_MAX {
            let Some(timer) = self.due.pop_front() else {
                return more;
            };
            self.fire(timer, now.tick, now);
        }
        more || !self.due.is_empty()
    }

    /// Fires timers of the wheel until those of `max` sections have fired, or fewer of others;
    /// whether more is due.
    fn fire_some(&mut self, heard_until: Tick, now: Now, max: usize) -> bool {
        // Those first that were left over the last time.
        let mut more = true;
        if self.fired.is_empty() {
            more = self.wheel.advance(heard_until, max, &mut self.fired);
        }
        if self.fired.is_empty() {
            return more;
        }
        let mut fired = std::mem::take(&mut self.fired);
        let (mut done, mut left) = (0, max);
        while left > 0 && done < fired.len() {
            if let Some(timer) = fired[done].section() {
                self.look_at_section(timer, heard_until, &mut fired);
                left -= 1;
            } else {
                self.fire(fired[done].into(), heard_until, now);
                left = left.saturating_sub(COUNTS);
            }
            done += 1;
        }
        fired.drain(..done);
        more |= !fired.is_empty();
        self.fired = fired;
        more
    }

    /// The last moment of which every request was taken.
    fn heard_until(
        &mut self,
        is_drained: bool,
        taken: usize,
        left: usize,
        now: Tick,
    ) -> Option<Tick> {
        if is_drained {
            if self.backlog.is_some() {
                self.backlog = None;
            }
            return Some(now);
        }
        let next = Backlog {
            since: now,
            ahead: left,
        };
        let Some(backlog) = &mut self.backlog else {
            self.backlog = Some(next);
            return None;
        };
        backlog.ahead = backlog.ahead.saturating_sub(taken);
        if backlog.ahead > 0 {
            return None;
        }
        let heard_until = backlog.since;
        self.backlog = Some(next);
        Some(heard_until)
    }

    fn fire(&mut self, timer: Timer, heard_until: Tick, now: Now) {
        match timer {
            Timer::Session { seat, arming } => self.session_due(seat, arming, heard_until, now),
            Timer::Join { .. } | Timer::Sync { .. } | Timer::Retention { .. } => {
                let mut fx = std::mem::take(&mut self.desk.fx);
                self.groups.fire(timer, now, &mut fx);
                self.carry_out(fx, now);
            }
        }
        self.account();
        self.ask_again(now);
    }

    /// A member may have been silent for too long. The side door decides: it is closed for the
    /// very beat that was looked at, or a newer beat wins and its deadline is looked at instead.
    fn session_due(&mut self, seat: SeatId, arming: u32, heard_until: Tick, now: Now) {
        // What came later may lie in the mailbox.
        let judged_at = Now {
            tick: heard_until,
            ..now
        };
        loop {
            let beat = self.doors.last_beat(seat);
            let mut fx = std::mem::take(&mut self.desk.fx);
            let due = self
                .groups
                .session_due(seat, arming, beat, judged_at, &mut fx);
            self.carry_out(fx, judged_at);
            if due != Due::Expire {
                return;
            }
            if self.doors.close_if_silent(seat, beat) {
                let mut fx = std::mem::take(&mut self.desk.fx);
                self.groups.expire(seat, now, &mut fx);
                return self.carry_out(fx, now);
            }
        }
    }

    pub(super) fn arm(&mut self, at: Tick, timer: Timer, now: Tick) {
        if at <= now {
            self.due.push_back(timer);
            return;
        }
        match timer {
            Timer::Session { seat, .. } => self.watch(seat, at),
            Timer::Join { .. } | Timer::Sync { .. } | Timer::Retention { .. } => {
                self.file(at, timer.into());
            }
        }
    }

    pub(super) fn file(&mut self, at: Tick, timer: Filed) {
        // Overtaken timers stay filed until they fire; when they outnumber the living, they go.
        let living = self.sections.len() + 3 * self.groups.len();
        if self.wheel.len() > 2 * living + 1_024 {
            let (groups, sections) = (&self.groups, &self.sections);
            self.wheel
                .retain(|timer| timer.is_current(groups, sections));
        }
        if self.wheel.insert(at, timer).is_err() {
            tracing::error!(shard = self.id.0, "the wheel is full");
        }
    }
}
