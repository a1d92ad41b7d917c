//! What a group answers.

use std::sync::Arc;

use bytes::Bytes;

use super::Phase;
use super::listing::ListSlice;
use super::record::OffsetValue;
use crate::error::Refusal;
use crate::ids::{Generation, GroupId, InstanceId, MemberId, PartitionIndex, TopicName};

/// A member as the leader sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JoinedMember {
    /// Its id.
    pub member: MemberId,
    /// Its static name.
    pub instance: Option<InstanceId>,
    /// Its metadata under the selected protocol.
    pub metadata: Bytes,
}

/// A completed join.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Joined {
    /// The generation that the member is now part of.
    pub generation: Generation,
    /// The group's kind.
    pub protocol_type: Option<Arc<str>>,
    /// The selected protocol.
    pub protocol: Option<Arc<str>>,
    /// The leader.
    pub leader: MemberId,
    /// The member's own id.
    pub member: MemberId,
    /// Whether the leader may leave the assignment as it is (KIP-814).
    pub skip_assignment: bool,
    /// Everyone, for the leader only; else empty.
    pub members: Vec<JoinedMember>,
}

/// A join that was not accepted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JoinRefused {
    /// Why.
    pub refusal: Refusal,
    /// The member id to answer with; for [`Refusal::MemberIdRequired`] the new one.
    pub member: MemberId,
    /// Filled when the write of a static member's new id failed (KIP-345), else `None`.
    pub standing: Option<Box<Joined>>,
}

/// The outcome of a join.
pub type JoinResult = Result<Joined, JoinRefused>;

/// A completed sync.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Synced {
    /// The group's kind.
    pub protocol_type: Option<Arc<str>>,
    /// The selected protocol.
    pub protocol: Option<Arc<str>>,
    /// What the leader assigned to the member; empty if nothing.
    pub assignment: Bytes,
}

/// The outcome of a sync.
pub type SyncResult = Result<Synced, Refusal>;

/// One leaver's outcome.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LeftMember {
    /// The id as it was asked.
    pub member: MemberId,
    /// The static name as it was asked.
    pub instance: Option<InstanceId>,
    /// Whether it left.
    pub result: Result<(), Refusal>,
}

/// The outcome of a leave: a refusal for all, or one outcome each, in the order asked.
pub type LeaveResult = Result<Vec<LeftMember>, Refusal>;

/// One topic of a commit's outcome.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CommittedTopic {
    /// The topic's name.
    pub topic: TopicName,
    /// Each partition's outcome, in the order asked.
    pub partitions: Vec<(PartitionIndex, Result<(), Refusal>)>,
}

/// The outcome of a commit: a refusal for all partitions, or one outcome each.
pub type CommitResult = Result<Vec<CommittedTopic>, Refusal>;

/// One partition of a fetch's outcome.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FetchedPartition {
    /// The partition.
    pub partition: PartitionIndex,
    /// What is committed; `None`: nothing.
    pub committed: Option<OffsetValue>,
    /// A stable offset was asked for, and a transaction is open that may change it
    /// (`UNSTABLE_OFFSET_COMMIT`); nothing is shown then.
    pub is_unstable: bool,
}

/// One topic of a fetch's outcome.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FetchedTopic {
    /// The topic's name.
    pub topic: TopicName,
    /// Each partition, in the order asked.
    pub partitions: Vec<FetchedPartition>,
}

/// The outcome of a fetch.
pub type FetchResult = Result<Vec<FetchedTopic>, Refusal>;

/// One topic of an offset deletion's outcome.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeletedTopic {
    /// The topic's name.
    pub topic: TopicName,
    /// Each partition's outcome.
    pub partitions: Vec<(PartitionIndex, Result<(), Refusal>)>,
}

/// The outcome of an offset deletion.
pub type OffsetDeleteResult = Result<Vec<DeletedTopic>, Refusal>;

/// One member of a description.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DescribedMember {
    /// Its id.
    pub member: MemberId,
    /// Its static name.
    pub instance: Option<InstanceId>,
    /// The client's name.
    pub client_id: Arc<str>,
    /// Where it connects from.
    pub client_host: Arc<str>,
    /// Its metadata under the selected protocol; empty unless the group is stable.
    pub metadata: Bytes,
    /// What it is assigned.
    pub assignment: Bytes,
}

/// A description of a group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Described {
    /// The group's phase.
    pub phase: Phase,
    /// The group's kind, "" if it has none.
    pub protocol_type: Arc<str>,
    /// The selected protocol; "" unless the group is stable.
    pub protocol: Arc<str>,
    /// The members.
    pub members: Vec<DescribedMember>,
}

/// The kinds of groups that a list shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GroupType {
    /// The classic protocol: join and sync.
    Classic,
}

impl GroupType {
    /// Kafka's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic",
        }
    }
}

/// One row of a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// The group.
    pub group: GroupId,
    /// Its kind, "" if it has none.
    pub protocol_type: Arc<str>,
    /// Its phase.
    pub phase: Phase,
    /// Its type.
    pub group_type: GroupType,
}

/// One slice of a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListPage {
    /// Its rows.
    pub rows: Vec<Listed>,
    /// What is to be asked next; `None`: that was the last.
    pub next: Option<ListSlice>,
    /// Groups that the shard has removed so far: between two pages it tells whether one may have
    /// been met twice.
    pub removals: u64,
}

/// The answer to a [`super::Request`].
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(
    missing_docs,
    reason = "each variant is the outcome of the request of its name"
)]
pub enum Reply {
    Join(JoinResult),
    Sync(SyncResult),
    Heartbeat(Result<(), Refusal>),
    Leave(LeaveResult),
    Commit(CommitResult),
    EndTxn(Result<(), Refusal>),
    Fetch(FetchResult),
    OffsetDelete(OffsetDeleteResult),
    Describe(Result<Described, Refusal>),
    DeleteGroup(Result<(), Refusal>),
    List(Result<ListPage, Refusal>),
    TxnGroups(Result<Vec<GroupId>, Refusal>),
    TopicsDeleted(Result<(), Refusal>),
}
