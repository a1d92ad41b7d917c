//! What one shard counts.

use super::cell::{Counter, Gauge};
use super::kinds::{ExpulsionCause, GroupPhase, RebalanceCause, RefusalCause};

/// The numbers of one shard; written by the shard's owner, but for refusals, which any submitter
/// counts.
///
/// In the order of its fields: what each commit counts comes first, in one line of memory.
#[derive(Debug, Default)]
#[repr(C)]
pub struct ShardMetrics {
    /// Events taken from the mailbox.
    pub events: Counter,
    /// Partitions whose offset was committed.
    pub offset_commits: Counter,
    /// Those of them that said what was stored already, and were not written.
    pub offset_commits_repeated: Counter,
    groups: [Gauge; GroupPhase::ALL.len()],
    rebalances: [Counter; RebalanceCause::ALL.len()],
    expulsions: [Counter; ExpulsionCause::ALL.len()],
    refusals: [Counter; RefusalCause::ALL.len()],
    /// Members of all groups.
    pub members: Gauge,
    /// Groups of which nothing is kept but one small piece of memory, as nothing happens to them.
    pub groups_at_rest: Gauge,
    /// Committed offsets of all groups.
    pub offsets: Gauge,
    /// Offsets that open transactions have staged.
    pub offsets_staged: Gauge,
    /// Joins and syncs that wait for their answer.
    pub parked: Gauge,
    /// Rebalances that ended with a new generation.
    pub rebalances_completed: Counter,
    /// Offsets that expired (KIP-211).
    pub offset_expirations: Counter,
    /// Offsets that were deleted by request or with their group.
    pub offset_deletions: Counter,
    /// How long the load took, in milliseconds; 0 until it is done.
    pub load_ms: Gauge,
    /// Records that the load applied; 0 until it is done.
    pub load_records: Gauge,
    /// Groups of which a record could not be read when the shard was loaded.
    pub groups_quarantined: Gauge,
    /// Events in the mailbox when it was last looked at.
    pub mailbox_depth: Gauge,
    /// Times that the loop was not served for so long that deadlines were extended.
    pub loop_stalls: Counter,
    /// Milliseconds of all such stalls.
    pub loop_stalled_ms: Counter,
}

impl ShardMetrics {
    /// Groups in that state.
    pub fn groups(&self, phase: GroupPhase) -> &Gauge {
        &self.groups[phase.index()]
    }

    /// Moves one group from a state to another; `None` is before its creation and after its end.
    pub fn group_moved(&self, from: Option<GroupPhase>, to: Option<GroupPhase>) {
        if from == to {
            return;
        }
        if let Some(from) = from {
            self.groups(from).add(-1);
        }
        if let Some(to) = to {
            self.groups(to).add(1);
        }
    }

    /// Rebalances that began for that cause.
    pub fn rebalances(&self, cause: RebalanceCause) -> &Counter {
        &self.rebalances[cause.index()]
    }

    /// Members that were removed for that cause.
    pub fn expulsions(&self, cause: ExpulsionCause) -> &Counter {
        &self.expulsions[cause.index()]
    }

    /// Requests that were refused for that cause.
    pub fn refusals(&self, cause: RefusalCause) -> &Counter {
        &self.refusals[cause.index()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_counted_in_one_state_at_a_time() {
        let shard = ShardMetrics::default();
        shard.group_moved(None, Some(GroupPhase::Empty));
        shard.group_moved(
            Some(GroupPhase::Empty),
            Some(GroupPhase::PreparingRebalance),
        );
        shard.group_moved(Some(GroupPhase::Stable), Some(GroupPhase::Stable));
        assert_eq!(shard.groups(GroupPhase::Empty).value(), 0);
        assert_eq!(shard.groups(GroupPhase::PreparingRebalance).value(), 1);
        shard.group_moved(Some(GroupPhase::PreparingRebalance), None);
        let all: i64 = GroupPhase::ALL
            .iter()
            .map(|p| shard.groups(*p).value())
            .sum();
        assert_eq!(all, 0);
    }
}
