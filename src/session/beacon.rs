//! The word that a group shows to heartbeats.

use crate::atomic::{AtomicU64, Ordering};
use crate::error::Refusal;
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
    /// The group is being unloaded: `COORDINATOR_NOT_AVAILABLE`.
    Dead = 4,
    /// The group lives elsewhere by now: `NOT_COORDINATOR`.
    Moved = 5,
    /// The group's shard is being loaded: Kafka answers a heartbeat with "alive", and looks at
    /// nothing.
    Loading = 6,
}

impl Phase {
    /// Total, although only [`Beacon::publish`] writes the byte: a byte of no phase is `Dead`.
    fn from_byte(byte: u8) -> Self {
        match byte {
            0 => Self::Empty,
            1 => Self::PreparingRebalance,
            2 => Self::CompletingRebalance,
            3 => Self::Stable,
            5 => Self::Moved,
            6 => Self::Loading,
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
#[derive(Debug)]
pub struct Beacon {
    word: AtomicU64,
}

impl Beacon {
    /// A beacon that shows this.
    pub fn new(generation: Generation, phase: Phase) -> Self {
        Self {
            word: AtomicU64::new(pack(generation, phase)),
        }
    }

    /// Shows a new state; for the owning shard alone.
    ///
    /// The order counts: first end the sessions of removed members, then publish, then release
    /// replies that speak of this generation.
    pub fn publish(&self, generation: Generation, phase: Phase) {
        // Release: who reads this state sees the sessions that were ended before it. Partner:
        // the acquire in `load`.
        self.word.store(pack(generation, phase), Ordering::Release);
    }

    /// Generation and phase as last published.
    pub fn load(&self) -> (Generation, Phase) {
        // Acquire: pairs with the release in `publish`; the session word that is read after this
        // is at least as new as the state read here.
        unpack(self.word.load(Ordering::Acquire))
    }

    /// Kafka's answer to a request of that generation, by a member that the group knows.
    ///
    /// # Errors
    ///
    /// In this order: [`NotAvailable`](Refusal::NotAvailable) when dead,
    /// [`NotCoordinator`](Refusal::NotCoordinator) when moved,
    /// [`IllegalGeneration`](Refusal::IllegalGeneration) if it is not the group's,
    /// [`UnknownMemberId`](Refusal::UnknownMemberId) when empty,
    /// [`RebalanceInProgress`](Refusal::RebalanceInProgress) while members are joining.
    pub fn check(&self, generation: Generation) -> Result<(), Refusal> {
        let (current, phase) = self.load();
        answer(current, phase, generation)
    }
}

/// The rule of [`Beacon::check`], for a word that was read already.
pub(super) fn answer(
    current: Generation,
    phase: Phase,
    generation: Generation,
) -> Result<(), Refusal> {
    match phase {
        Phase::Dead => Err(Refusal::NotAvailable),
        Phase::Moved => Err(Refusal::NotCoordinator),
        Phase::Empty | Phase::PreparingRebalance | Phase::CompletingRebalance | Phase::Stable
            if current != generation =>
        {
            Err(Refusal::IllegalGeneration)
        }
        Phase::Empty => Err(Refusal::UnknownMemberId),
        Phase::PreparingRebalance => Err(Refusal::RebalanceInProgress),
        Phase::CompletingRebalance | Phase::Stable | Phase::Loading => Ok(()),
    }
}

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

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    const PHASES: [Phase; 7] = [
        Phase::Empty,
        Phase::PreparingRebalance,
        Phase::CompletingRebalance,
        Phase::Stable,
        Phase::Dead,
        Phase::Moved,
        Phase::Loading,
    ];

    #[test]
    fn what_is_published_is_what_is_read() {
        let beacon = Beacon::new(Generation(0), Phase::Empty);
        for phase in PHASES {
            for generation in [-1, 0, 1, i32::MAX, i32::MIN] {
                beacon.publish(Generation(generation), phase);
                assert_eq!(beacon.load(), (Generation(generation), phase));
            }
        }
    }

    #[test]
    fn each_phase_has_kafkas_answer_for_the_right_and_a_wrong_generation() {
        let answers = PHASES.map(|phase| {
            let beacon = Beacon::new(Generation(3), phase);
            (
                phase,
                beacon.check(Generation(3)),
                beacon.check(Generation(2)),
            )
        });
        let wrong = Err(Refusal::IllegalGeneration);
        let expected = [
            (Phase::Empty, Err(Refusal::UnknownMemberId), wrong),
            (
                Phase::PreparingRebalance,
                Err(Refusal::RebalanceInProgress),
                wrong,
            ),
            (Phase::CompletingRebalance, Ok(()), wrong),
            (Phase::Stable, Ok(()), wrong),
            (
                Phase::Dead,
                Err(Refusal::NotAvailable),
                Err(Refusal::NotAvailable),
            ),
            (
                Phase::Moved,
                Err(Refusal::NotCoordinator),
                Err(Refusal::NotCoordinator),
            ),
            (Phase::Loading, Ok(()), Ok(())),
        ];
        assert_eq!(answers, expected);
    }
}
