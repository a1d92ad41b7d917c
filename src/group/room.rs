//! What a request would take of the limits that all shards share.

use super::effects::GroupKey;
use super::groups::{Group, Groups};
use super::record::Record;
use super::request::{CommitPartition, CommitRequest, CommitTopic, JoinRequest, TxnCommitRequest};
use crate::ids::{InstanceId, ProducerId};

/// Whether there is room for more, within the limits that all shards share.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Room {
    /// For one more group.
    pub group: bool,
    /// For one more member or pending member.
    pub seat: bool,
}

impl Room {
    /// Room for everything.
    pub const PLENTY: Self = Self {
        group: true,
        seat: true,
    };
}

impl Groups {
    /// Whether the join takes a seat that nobody has yet: a static member that comes back takes
    /// its own.
    pub fn takes_seat(&self, request: &JoinRequest) -> bool {
        let owns = |instance: &InstanceId| {
            let group = self.find(&request.group);
            group.is_some_and(|it| {
                let owner = it.classic.roster.instance_owner(instance.as_str());
                owner.is_some()
            })
        };
        request.member.is_empty() && !request.instance.as_ref().is_some_and(owns)
    }

    /// For how many offsets of the commit, to the group in that place, room must be found.
    pub(crate) fn new_offsets(
        &mut self,
        place: Option<GroupKey>,
        request: &CommitRequest,
    ) -> usize {
        place
            .and_then(|place| self.keyed_mut(place))
            .map_or_else(|| asked(request), |group| group.new_offsets(request))
    }

    /// The same for a commit within a transaction.
    pub(crate) fn new_pending(
        &mut self,
        place: Option<GroupKey>,
        request: &TxnCommitRequest,
    ) -> usize {
        let TxnCommitRequest { producer, commit } = request;
        place.and_then(|place| self.keyed_mut(place)).map_or_else(
            || asked(commit),
            |group| group.new_pending(commit, producer.id),
        )
    }
}

impl Group {
    /// The partitions for which the producer has nothing staged yet.
    pub(super) fn new_pending(&self, request: &CommitRequest, producer: ProducerId) -> usize {
        if self.removals > 0 {
            return asked(request);
        }
        let new_of = |topic: &CommitTopic| {
            let has = |at: &&CommitPartition| {
                !self.facts.pending.has(&topic.topic, at.partition, producer)
            };
            topic.partitions.iter().filter(has).count()
        };
        request.topics.iter().map(new_of).sum()
    }

    /// The same for the records of such a commit.
    pub(super) fn new_pending_of(&self, records: &[Record]) -> usize {
        if self.removals > 0 {
            return records.len();
        }
        let is_new = |record: &&Record| match record {
            Record::Pending {
                topic,
                partition,
                producer,
                ..
            } => !self.facts.pending.has(topic, *partition, *producer),
            Record::Offset { .. } | Record::Group { .. } => false,
        };
        records.iter().filter(is_new).count()
    }

    /// The partitions that the group has no offset of. While some are being removed each one
    /// counts: it may be gone when the commit is settled.
    pub(super) fn new_offsets(&self, request: &CommitRequest) -> usize {
        if self.removals > 0 {
            return asked(request);
        }
        let new_of = |topic: &CommitTopic| {
            let row = self.facts.offsets.of_topic(topic.topic.as_str());
            let is_new = |at: &&CommitPartition| row.is_none_or(|it| !it.contains(at.partition));
            topic.partitions.iter().filter(is_new).count()
        };
        request.topics.iter().map(new_of).sum()
    }
}

/// The partitions of a commit.
pub(super) fn asked(request: &CommitRequest) -> usize {
    request.topics.iter().map(|it| it.partitions.len()).sum()
}
