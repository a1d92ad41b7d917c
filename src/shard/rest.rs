//! When groups come to rest, and what they leave behind is tidied up.

use std::hint::black_box;

use super::filed::Filed;
use super::state::ShardState;
use crate::time::Tick;

/// From one round over the groups that are awake to the next, in milliseconds: a group that was
/// not touched for one to two of these rests. Members that commit do so every 5 s, as a rule.
const ROUND_MS: u64 = 7_500;

/// From one part of a round to the next, in milliseconds: a part takes a third of one at most.
const PART_MS: u64 = 10;

/// Turns that share a part: whoever asks meanwhile waits for one of them, of some 20 microseconds.
const TURNS_MAX: usize = 16;

/// Timers that a turn looks at, more or less: another 30 microseconds.
const LOOKS_MAX: usize = 512;

/// Memory that is asked for and given back at once: as much as no allocator has at hand.
const NUDGE_BYTES: usize = 1 << 20;

/// What is to be tidied up in the wheel.
///
/// To form a group overtakes more timers than it leaves, and those would stay filed for as long
/// as the longest session lasts. So the wheel is walked when it has grown by a quarter since the
/// last time, or less and no more. A crowd that only beats files a timer for each that fires: its
/// wheel does not grow, and is left alone.
#[derive(Debug, Default)]
pub(super) struct Tidying {
    /// The slot of the wheel to go on with.
    at: Option<usize>,
    /// How long the wheel was when it had been tidied up, or since.
    kept: usize,
    /// How long it was at the last round.
    seen: usize,
    /// Turns that the part has had.
    turns: usize,
    /// The round is over.
    is_over: bool,
    /// Memory was freed in it, or so far.
    has_freed: bool,
}

impl ShardState {
    /// Lets groups rest, if it is time for that: a turn's share of a part of a round. Whether the
    /// part goes on at once.
    pub(crate) fn rest(&mut self, now: Tick) -> bool {
        if now < self.rests_at {
            return false;
        }
        if std::mem::take(&mut self.tidying.is_over) {
            self.nudge();
        }
        // First the groups, then the wheel.
        let at_rest = self.groups.at_rest();
        let is_over = if self.tidying.at.is_some() {
            self.tidy()
        } else {
            self.groups.rest() && !self.tidying.begins(self.wheel.len())
        };
        self.tidying.has_freed |= self.tidying.at.is_some() || self.groups.at_rest() > at_rest;
        self.tidying.is_over = is_over;
        self.tidying.turns += 1;
        let goes_on = !is_over && self.tidying.turns < TURNS_MAX;
        if !goes_on {
            self.tidying.turns = 0;
            self.rests_at = now + if is_over { ROUND_MS } else { PART_MS };
        }
        goes_on
    }

    /// Asks the allocator for some memory, if some was freed in the round before.
    ///
    /// An allocator keeps what is freed for a moment, and looks what it can give back to the
    /// system when it is asked for the next piece. A crowd that has come to rest asks for none.
    fn nudge(&mut self) {
        if std::mem::take(&mut self.tidying.has_freed) {
            drop(black_box(Vec::<u8>::with_capacity(NUDGE_BYTES)));
        }
    }

    /// Goes on with tidying up the wheel; whether it is done.
    fn tidy(&mut self) -> bool {
        let Some(at) = self.tidying.at else {
            return true;
        };
        let (groups, sections) = (&self.groups, &self.sections);
        let keep = |timer: &Filed| timer.is_current(groups, sections);
        self.tidying.at = self.wheel.tidy(at, LOOKS_MAX, keep);
        self.tidying.kept = self.wheel.len();
        self.tidying.at.is_none()
    }

    /// When it is. Nobody wakes for it where the host drives the shard: its next turn will do.
    pub(super) fn rest_at(&self) -> Option<Tick> {
        let is_anybody_awake = self.groups.at_rest() < self.groups.len();
        let is_due = is_anybody_awake || self.tidying.at.is_some() || self.tidying.has_freed;
        (self.shared.has_drivers && is_due).then_some(self.rests_at)
    }
}

impl Tidying {
    /// Whether the wheel is to be walked now, which is that long; asked once a round.
    fn begins(&mut self, len: usize) -> bool {
        let is_growing = len > self.seen;
        self.seen = len;
        self.kept = self.kept.min(len);
        let grown = len - self.kept;
        let is_due = grown > len / 4 || (!is_growing && grown > len / 16);
        self.at = is_due.then_some(0);
        is_due
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    /// A round at which the wheel is that long, and is left at `kept` if it is walked.
    fn round(tidying: &mut Tidying, len: usize, kept: usize) -> bool {
        let begins = tidying.begins(len);
        if begins {
            (tidying.at, tidying.kept) = (None, kept);
        }
        begins
    }

    #[test]
    fn the_wheel_is_walked_when_it_has_grown_and_not_while_it_only_turns() {
        let mut tidying = Tidying::default();
        assert!(!round(&mut tidying, 0, 0));
        assert!(round(&mut tidying, 4_000, 1_000), "a crowd was formed");
        for len in [1_000, 1_010, 990, 1_020] {
            assert!(!round(&mut tidying, len, 0), "it beats, and no more");
        }
        assert!(!round(&mut tidying, 1_200, 0), "some more came");
        assert!(round(&mut tidying, 1_200, 1_050), "and that was all");
        assert!(!round(&mut tidying, 500, 0), "half of them left");
        assert!(round(&mut tidying, 700, 600), "as many came");
    }
}
