//! The five phases of a classic group, and the steps between them.
//!
//! | phase | join | sync | heartbeat | leave | commit | ways out |
//! | --- | --- | --- | --- | --- | --- | --- |
//! | Empty | accepted, starts the initial delay | unknown member | unknown member | nobody to leave | outside the protocol | first member: `PreparingRebalance` |
//! | `PreparingRebalance` | parked until all joined or the time is up | join again | join again | may complete the join | the old generation's | join complete: `CompletingRebalance`, with nobody: Empty |
//! | `CompletingRebalance` | unchanged: answered at once; else a rebalance | parked until the leader's | ok | a rebalance | rebalance in progress | leader's assignment stored: Stable |
//! | Stable | leader or changed: a rebalance; else answered at once | answered at once | ok | a rebalance | accepted | `PreparingRebalance` |
//! | Dead | not available | not available | not available | not available | not available | none |

/// The phase of a group; Kafka's `ClassicGroupState`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Phase {
    /// No members; perhaps offsets, perhaps pending members.
    Empty,
    /// Waiting for everyone to join again.
    PreparingRebalance,
    /// Everyone joined; waiting for the leader's assignment.
    CompletingRebalance,
    /// Everyone has an assignment.
    Stable,
    /// The group is not here any more: its shard was unloaded.
    Dead,
}

impl Phase {
    /// Every phase.
    pub const ALL: [Self; 5] = [
        Self::Empty,
        Self::PreparingRebalance,
        Self::CompletingRebalance,
        Self::Stable,
        Self::Dead,
    ];

    /// The legal steps, `(from, to)`; anything else is a bug.
    pub const STEPS: [(Self, Self); 11] = [
        (Self::Empty, Self::PreparingRebalance),
        (Self::Empty, Self::Dead),
        (Self::PreparingRebalance, Self::CompletingRebalance),
        (Self::PreparingRebalance, Self::Empty),
        (Self::PreparingRebalance, Self::Dead),
        (Self::CompletingRebalance, Self::Stable),
        (Self::CompletingRebalance, Self::PreparingRebalance),
        (Self::CompletingRebalance, Self::Dead),
        (Self::Stable, Self::PreparingRebalance),
        (Self::Stable, Self::Dead),
        (Self::Dead, Self::Dead),
    ];

    /// Whether a group may step from here to `to`.
    pub fn may_become(self, to: Self) -> bool {
        Self::STEPS.contains(&(self, to))
    }

    /// Whether a rebalance may start from here.
    pub fn can_rebalance(self) -> bool {
        self.may_become(Self::PreparingRebalance)
    }

    /// Kafka's name for it, as lists and descriptions show it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
            Self::Dead => "Dead",
        }
    }
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The drawing of the machine, one line a phase.
    fn drawing() -> String {
        let line = |from: Phase| {
            let to = Phase::ALL
                .into_iter()
                .filter(|to| from.may_become(*to))
                .map(Phase::name);
            format!(
                "{:<20} -> {}\n",
                from.name(),
                to.collect::<Vec<_>>().join(" | ")
            )
        };
        Phase::ALL.into_iter().map(line).collect()
    }

    #[test]
    fn the_steps_are_those_of_the_golden_drawing() {
        assert_eq!(drawing(), include_str!("phases.golden"));
    }
}
