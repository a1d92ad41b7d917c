//! From the group's notes to the shard's counters.

use crate::group::{Cause, Full, Note, Phase, Why};
use crate::metrics::{ExpulsionCause, GroupPhase, RebalanceCause, RefusalCause, ShardMetrics};

pub(super) fn count(metrics: &ShardMetrics, note: Note) {
    let many = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    match note {
        Note::GroupCreated => metrics.group_moved(None, Some(GroupPhase::Empty)),
        Note::GroupRemoved { phase } => metrics.group_moved(Some(of(phase)), None),
        Note::PhaseChanged { from, to } => metrics.group_moved(Some(of(from)), Some(of(to))),
        Note::RebalanceStarted(cause) => metrics.rebalances(rebalance(cause)).add(1),
        Note::RebalanceCompleted => metrics.rebalances_completed.add(1),
        Note::Expelled(why) => metrics.expulsions(expulsion(why)).add(1),
        Note::Refused(full) => metrics.refusals(refusal(full)).add(1),
        Note::OffsetsCommitted(n) => metrics.offset_commits.count(many(n)),
        Note::OffsetsRepeated(n) => {
            metrics.offset_commits.count(many(n));
            metrics.offset_commits_repeated.count(many(n));
        }
        Note::OffsetsExpired(n) => metrics.offset_expirations.add(many(n)),
        Note::OffsetsDeleted(n) => metrics.offset_deletions.add(many(n)),
    }
}

fn of(phase: Phase) -> GroupPhase {
    match phase {
        Phase::Empty => GroupPhase::Empty,
        Phase::PreparingRebalance => GroupPhase::PreparingRebalance,
        Phase::CompletingRebalance => GroupPhase::CompletingRebalance,
        Phase::Stable => GroupPhase::Stable,
        Phase::Dead => GroupPhase::Dead,
    }
}

fn rebalance(cause: Cause) -> RebalanceCause {
    match cause {
        Cause::NewMember => RebalanceCause::Join,
        Cause::Rejoin => RebalanceCause::Rejoin,
        Cause::StaticReplaced => RebalanceCause::StaticReplaced,
        Cause::Leave => RebalanceCause::Leave,
        Cause::SessionExpired => RebalanceCause::SessionExpired,
        Cause::SyncExpired => RebalanceCause::SyncTimeout,
        Cause::AppendFailed => RebalanceCause::AssignmentLost,
        Cause::Oversized => RebalanceCause::Oversized,
    }
}

fn expulsion(why: Why) -> ExpulsionCause {
    match why {
        Why::Session => ExpulsionCause::SessionExpired,
        Why::Join => ExpulsionCause::RebalanceTimeout,
        Why::Sync => ExpulsionCause::SyncTimeout,
        Why::GroupFull => ExpulsionCause::GroupFull,
    }
}

fn refusal(full: Full) -> RefusalCause {
    match full {
        Full::Members => RefusalCause::GroupFull,
        Full::Offsets => RefusalCause::OffsetsMax,
        Full::Held => RefusalCause::GroupBusy,
    }
}
