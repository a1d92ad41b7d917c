//! Commits of members at rest.

use takhin_coordinator::group::{CommitPartition, CommitRequest, CommitTopic};
use takhin_coordinator::ids::{PartitionIndex, TopicId};

use super::steady::Member;

/// A commit of the same offset for that many partitions.
pub(crate) fn commit(member: &Member, partitions: PartitionIndex, offset: i64) -> CommitRequest {
    let partition = |partition| CommitPartition {
        partition,
        offset,
        leader_epoch: -1,
        metadata: "".into(),
        committed_at: None,
    };
    CommitRequest {
        group: member.group.clone(),
        member: member.id.clone(),
        instance: None,
        generation: member.generation,
        retention_ms: None,
        topics: vec![CommitTopic {
            topic: "orders".into(),
            id: TopicId::ZERO,
            partitions: (0..partitions).map(partition).collect(),
        }],
    }
}
