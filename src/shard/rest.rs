//! When groups come to rest.

use super::state::ShardState;
use crate::time::Tick;

/// From one round over the groups that are awake to the next, in milliseconds: a group that was
/// not touched for one to two of these rests. Members that commit do so every 5 s, as a rule.
const ROUND_MS: u64 = 7_500;

/// From one part of a round to the next, in milliseconds: a part takes a third of one at most.
const PART_MS: u64 = 10;

impl ShardState {
    /// Lets groups rest, if it is time for that; a part of a round at most.
    pub(crate) fn rest(&mut self, now: Tick) {
        if now < self.rests_at {
            return;
        }
        let is_over = self.groups.rest();
        self.rests_at = now + if is_over { ROUND_MS } else { PART_MS };
    }

    /// When it is. Nobody wakes for it where the host drives the shard: its next turn will do.
    pub(super) fn rest_at(&self) -> Option<Tick> {
        let is_anybody_awake = self.groups.at_rest() < self.groups.len();
        (self.shared.has_drivers && is_anybody_awake).then_some(self.rests_at)
    }
}
