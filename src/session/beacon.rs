//! The word that a group shows to heartbeats.

use crate::atomic::{AtomicU64, Ordering};
use crate::ids::Generation;

/// The state of a group as far as heartbeats must know it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Phase {
    /// No members; a heartbeat is of an unknown member.
    Empty = 0,
    /// Members are joining: a heartbeat counts, and its sender is told to join again.
    PreparingRebalance = 1,
    /// The leader's assignment is awaited: a heartbeat counts.
    CompletingRebalance = 2,
    /// Every member has its assignment: a heartbeat counts.
    Stable = 3,
    /// The group is gone, or its shard is.
    Dead = 4,
}

impl Phase {
    /// Total, although only [`Beacon::publish`] writes the byte: a byte of no phase is `Dead`.
    fn from_byte(byte: u8) -> Self {
        match byte {
            0 => Self::Empty,
            1 => Self::PreparingRebalance,
            2 => Self::CompletingRebalance,
            3 => Self::Stable,
            _ => Self::Dead,
        }
    }
}

/// Generation and phase of one group in one word.
///
/// Written by the owning shard only, read by any.
///
/// ```text
///   63            32 31      8 7     0
///   +---------------+---------+-------+
///   |  generation   |    0    | phase |
///   +---------------+---------+-------+
/// ```
#[derive(Debug, Default)]
pub(super) struct Beacon(AtomicU64);

impl Beacon {
    /// Shows a new state; for the owner alone.
    pub(super) fn publish(&self, generation: Generation, phase: Phase) {
        // Release: who reads this state sees the sessions that were ended before it. Partner:
        // the acquire in `load`.
        self.0.store(pack(generation, phase), Ordering::Release);
    }

    /// The word as it is, so that its line is on its way.
    #[inline]
    pub(super) fn glance(&self) -> u64 {
        // Relaxed: nothing is concluded from it.
        self.0.load(Ordering::Relaxed)
    }

    /// What was published last.
    #[inline]
    pub(super) fn load(&self) -> Shown {
        // Acquire: pairs with the release in `publish`; the member's word that is read after this
        // is at least as new as the state read here.
        Shown(self.0.load(Ordering::Acquire))
    }
}

/// A reading of a beacon.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Shown(u64);

impl Shown {
    /// Whether the group is stable in that generation, as nearly always: one comparison.
    #[inline]
    pub(super) fn is_stable_in(self, generation: Generation) -> bool {
        self.0 == pack(generation, Phase::Stable)
    }

    pub(super) fn parts(self) -> (Generation, Phase) {
        unpack(self.0)
    }
}

#[inline]
fn pack(generation: Generation, phase: Phase) -> u64 {
    (u64::from(generation.0.cast_unsigned()) << 32) | u64::from(phase as u8)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "each part is cut out of the word at its width"
)]
fn unpack(word: u64) -> (Generation, Phase) {
    let generation = ((word >> 32) as u32).cast_signed();
    (Generation(generation), Phase::from_byte(word as u8))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_is_published_is_what_is_read() {
        let beacon = Beacon::default();
        for phase in [
            Phase::Empty,
            Phase::PreparingRebalance,
            Phase::CompletingRebalance,
            Phase::Stable,
            Phase::Dead,
        ] {
            for generation in [-1, 0, 1, i32::MAX, i32::MIN] {
                beacon.publish(Generation(generation), phase);
                let shown = beacon.load();
                assert_eq!(shown.parts(), (Generation(generation), phase));
                let is_stable = shown.is_stable_in(Generation(generation));
                assert_eq!(is_stable, phase == Phase::Stable);
                assert!(!shown.is_stable_in(Generation(7)));
            }
        }
    }
}
