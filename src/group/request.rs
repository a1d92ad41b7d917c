//! What a group can be asked.

use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use super::listing::ListSlice;
use super::record::OffsetMetadata;
use crate::ids::{
    Generation, GroupId, InstanceId, MemberId, PartitionIndex, ProducerEpoch, ProducerId, TopicId,
    TopicName,
};
use crate::time::WallMs;

/// Where the answer to a request goes: a number that the caller chose and will recognise.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ReplyTo(pub u64);

/// Who is behind a member: shown in descriptions, never trusted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Client {
    /// The client's own name (`client.id`).
    pub id: Arc<str>,
    /// Where it connects from, in Kafka's form: `/127.0.0.1`.
    pub host: Arc<str>,
}

/// One protocol (assignment strategy) that a member supports.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Protocol {
    /// Its name, for instance `range`.
    pub name: Arc<str>,
    /// What the member says about itself under that protocol; opaque but for KIP-211.
    pub metadata: Bytes,
}

/// `JoinGroup`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JoinRequest {
    /// The group.
    pub group: GroupId,
    /// The member's id, or "" to be given one.
    pub member: MemberId,
    /// The static member's name, if it has one (KIP-345).
    pub instance: Option<InstanceId>,
    /// Who joins.
    pub client: Client,
    /// How long the member may be silent, in milliseconds.
    pub session_timeout_ms: i32,
    /// How long the others wait for it in a rebalance, in milliseconds.
    pub rebalance_timeout_ms: i32,
    /// The kind of group: `consumer`, `connect` ...
    pub protocol_type: Arc<str>,
    /// The protocols it supports, most wanted first.
    pub protocols: Vec<Protocol>,
    /// Why it joins (KIP-800).
    pub reason: Option<Arc<str>>,
    /// Whether a new dynamic member must come back with the id it is given (KIP-394).
    pub requires_known_member_id: bool,
    /// Whether the client knows `skip_assignment` (KIP-814).
    pub can_skip_assignment: bool,
    /// Randomness for a new member id: the core draws none.
    pub fresh: Uuid,
}

impl JoinRequest {
    /// A join of a new member with Kafka's usual timeouts: 45 s of silence, 5 minutes to join
    /// again. A request that offers no protocol is refused.
    pub fn new(group: impl Into<GroupId>, protocol_type: impl Into<Arc<str>>) -> Self {
        Self {
            group: group.into(),
            member: MemberId::default(),
            instance: None,
            client: Client::default(),
            session_timeout_ms: 45_000,
            rebalance_timeout_ms: 300_000,
            protocol_type: protocol_type.into(),
            protocols: Vec::new(),
            reason: None,
            requires_known_member_id: true,
            can_skip_assignment: true,
            fresh: Uuid::nil(),
        }
    }

    /// As that member.
    #[must_use]
    pub fn member(mut self, member: impl Into<MemberId>) -> Self {
        self.member = member.into();
        self
    }

    /// As a static member (KIP-345).
    #[must_use]
    pub fn instance(mut self, instance: impl Into<InstanceId>) -> Self {
        self.instance = Some(instance.into());
        self
    }

    /// On behalf of that client, from that host.
    #[must_use]
    pub fn client(mut self, id: impl Into<Arc<str>>, host: impl Into<Arc<str>>) -> Self {
        self.client = Client {
            id: id.into(),
            host: host.into(),
        };
        self
    }

    /// Offers one more protocol, less wanted than those before.
    #[must_use]
    pub fn protocol(mut self, name: impl Into<Arc<str>>, metadata: impl Into<Bytes>) -> Self {
        self.protocols.push(Protocol {
            name: name.into(),
            metadata: metadata.into(),
        });
        self
    }
}

/// `SyncGroup`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SyncRequest {
    /// The group.
    pub group: GroupId,
    /// The member.
    pub member: MemberId,
    /// Its static name, if it gives one.
    pub instance: Option<InstanceId>,
    /// The generation that it synchronises with.
    pub generation: Generation,
    /// The group's kind as the member sees it; `None`: not said.
    pub protocol_type: Option<Arc<str>>,
    /// The selected protocol as the member sees it; `None`: not said.
    pub protocol: Option<Arc<str>>,
    /// From the leader: who gets what. Ignored from others.
    pub assignments: Vec<(MemberId, Bytes)>,
}

/// `Heartbeat`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeartbeatRequest {
    /// The group.
    pub group: GroupId,
    /// The member.
    pub member: MemberId,
    /// Its static name, if it gives one.
    pub instance: Option<InstanceId>,
    /// The generation that it believes in.
    pub generation: Generation,
}

/// One member that leaves, by id or by static name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Leaver {
    /// The member's id; "" to remove by instance id.
    pub member: MemberId,
    /// The static name.
    pub instance: Option<InstanceId>,
    /// Why (KIP-800).
    pub reason: Option<Arc<str>>,
}

/// `LeaveGroup`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LeaveRequest {
    /// The group.
    pub group: GroupId,
    /// Who leaves.
    pub leavers: Vec<Leaver>,
}

/// One partition of a commit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CommitPartition {
    /// The partition.
    pub partition: PartitionIndex,
    /// The next offset to read.
    pub offset: i64,
    /// The leader epoch of the last record read (KIP-320), -1: unknown.
    pub leader_epoch: i32,
    /// Whatever the consumer wants to keep beside the offset.
    pub metadata: OffsetMetadata,
    /// The commit's own time, where an old client sends one.
    pub committed_at: Option<WallMs>,
}

/// One topic of a commit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CommitTopic {
    /// The topic's name.
    pub topic: TopicName,
    /// Its id where the host knows it, else [`TopicId::ZERO`].
    pub id: TopicId,
    /// The partitions.
    pub partitions: Vec<CommitPartition>,
}

/// `OffsetCommit`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CommitRequest {
    /// The group.
    pub group: GroupId,
    /// The member, "" for a consumer outside the group protocol.
    pub member: MemberId,
    /// Its static name, if it gives one.
    pub instance: Option<InstanceId>,
    /// The generation, -1 for a consumer outside the group protocol.
    pub generation: Generation,
    /// An explicit retention in milliseconds, as clients before KIP-211 send it.
    pub retention_ms: Option<i64>,
    /// What is committed.
    pub topics: Vec<CommitTopic>,
}

impl CommitRequest {
    /// A commit of a consumer outside the group protocol; of a member with
    /// [`CommitRequest::of_member`].
    pub fn new(group: impl Into<GroupId>) -> Self {
        Self {
            group: group.into(),
            member: MemberId::default(),
            instance: None,
            generation: Generation::NONE,
            retention_ms: None,
            topics: Vec::new(),
        }
    }

    /// As that member of that generation.
    #[must_use]
    pub fn of_member(mut self, member: impl Into<MemberId>, generation: Generation) -> Self {
        self.member = member.into();
        self.generation = generation;
        self
    }

    /// As part of that producer's transaction.
    #[must_use]
    pub fn in_transaction(self, producer: Producer) -> TxnCommitRequest {
        TxnCommitRequest {
            producer,
            commit: self,
        }
    }

    /// Commits one more offset.
    #[must_use]
    pub fn offset(
        mut self,
        topic: impl Into<TopicName>,
        partition: PartitionIndex,
        offset: i64,
    ) -> Self {
        let topic = topic.into();
        let partition = CommitPartition {
            partition,
            offset,
            leader_epoch: -1,
            metadata: "".into(),
            committed_at: None,
        };
        if let Some(known) = self.topics.iter_mut().find(|known| known.topic == topic) {
            known.partitions.push(partition);
        } else {
            let (id, partitions) = (TopicId::ZERO, vec![partition]);
            self.topics.push(CommitTopic {
                topic,
                id,
                partitions,
            });
        }
        self
    }
}

/// A producer with its epoch.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Producer {
    /// Its number.
    pub id: ProducerId,
    /// Its epoch.
    pub epoch: ProducerEpoch,
}

impl Producer {
    /// That producer in that epoch.
    pub fn new(id: i64, epoch: i16) -> Self {
        let (id, epoch) = (ProducerId(id), ProducerEpoch(epoch));
        Self { id, epoch }
    }
}

/// `TxnOffsetCommit`: offsets that count once the producer's transaction commits.
///
/// Whether the producer has a transaction open, and whether the group is part of it, is for the
/// transaction coordinator to say before this is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TxnCommitRequest {
    /// Whose transaction it is.
    pub producer: Producer,
    /// What is committed with it, and by whom of the group.
    pub commit: CommitRequest,
}

/// The end of a producer's transaction, for one group: what a marker in the group's partition of
/// `__consumer_offsets` is in Kafka.
///
/// It ends everything that the producer has staged in the group, of whatever epoch, and is
/// refused only if the group has seen a newer epoch. It may be repeated: a group in which the
/// producer has nothing staged, or that does not exist, accepts it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EndTxnRequest {
    /// The group.
    pub group: GroupId,
    /// Whose transaction, and with which epoch the marker is written.
    pub producer: Producer,
    /// Whether what was staged counts now; `false`: it is dropped.
    pub committed: bool,
}

/// In which groups of a shard a producer has something staged or on its way to the journal.
///
/// It raises the producer's epoch: from then on what an older epoch stages is refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TxnGroupsRequest {
    /// The producer.
    pub producer: Producer,
}

/// One topic of a fetch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FetchTopic {
    /// The topic's name.
    pub topic: TopicName,
    /// The partitions.
    pub partitions: Vec<PartitionIndex>,
}

/// `OffsetFetch` for one group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FetchRequest {
    /// The group.
    pub group: GroupId,
    /// What is asked for; `None`: everything.
    pub topics: Option<Vec<FetchTopic>>,
    /// Whether offsets with an open transaction are held back (KIP-447), and everything that was
    /// asked before must be settled before this is answered.
    pub require_stable: bool,
}

impl FetchRequest {
    /// Everything that the group has committed.
    pub fn all(group: impl Into<GroupId>) -> Self {
        Self {
            group: group.into(),
            topics: None,
            require_stable: false,
        }
    }

    /// The same, of what is stable only.
    #[must_use]
    pub fn stable(mut self) -> Self {
        self.require_stable = true;
        self
    }
}

/// One topic of an `OffsetDelete`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OffsetDeleteTopic {
    /// The topic's name.
    pub topic: TopicName,
    /// The partitions.
    pub partitions: Vec<PartitionIndex>,
}

/// `OffsetDelete` (KIP-496).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OffsetDeleteRequest {
    /// The group.
    pub group: GroupId,
    /// What to delete.
    pub topics: Vec<OffsetDeleteTopic>,
}

/// `DescribeGroups` for one group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DescribeRequest {
    /// The group.
    pub group: GroupId,
}

/// `DeleteGroups` for one group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeleteGroupRequest {
    /// The group.
    pub group: GroupId,
}

/// `ListGroups`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ListRequest {
    /// State names, compared without case; empty: all (KIP-518).
    pub states: Vec<String>,
    /// Type names, compared without case; empty: all (KIP-848).
    pub types: Vec<String>,
}

/// A topic went away: its offsets go too.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TopicDeletion {
    /// The topic's name.
    pub topic: TopicName,
    /// Its id: offsets of a re-created topic of that name stay.
    pub id: TopicId,
}

/// Anything that a group, or a shard's groups together, can be asked.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "each variant is the request that it holds")]
pub enum Request {
    Join(JoinRequest),
    Sync(SyncRequest),
    Heartbeat(HeartbeatRequest),
    Leave(LeaveRequest),
    Commit(CommitRequest),
    TxnCommit(TxnCommitRequest),
    EndTxn(EndTxnRequest),
    Fetch(FetchRequest),
    OffsetDelete(OffsetDeleteRequest),
    Describe(DescribeRequest),
    DeleteGroup(DeleteGroupRequest),
    List(ListSlice),
    TxnGroups(TxnGroupsRequest),
    TopicsDeleted(Vec<TopicDeletion>),
}

impl Request {
    /// The group that is asked; `None`: all of the shard's.
    pub fn group(&self) -> Option<&GroupId> {
        match self {
            Self::Join(r) => Some(&r.group),
            Self::Sync(r) => Some(&r.group),
            Self::Heartbeat(r) => Some(&r.group),
            Self::Leave(r) => Some(&r.group),
            Self::Commit(r) => Some(&r.group),
            Self::TxnCommit(r) => Some(&r.commit.group),
            Self::EndTxn(r) => Some(&r.group),
            Self::Fetch(r) => Some(&r.group),
            Self::OffsetDelete(r) => Some(&r.group),
            Self::Describe(r) => Some(&r.group),
            Self::DeleteGroup(r) => Some(&r.group),
            Self::List(_) | Self::TxnGroups(_) | Self::TopicsDeleted(_) => None,
        }
    }

    /// Whether it decides nothing that may have to outlive us, and waits for nothing that does.
    pub fn only_reads(&self) -> bool {
        match self {
            Self::Fetch(request) => !request.require_stable,
            Self::Heartbeat(_) | Self::Describe(_) | Self::List(_) | Self::TxnGroups(_) => true,
            Self::Join(_)
            | Self::Sync(_)
            | Self::Leave(_)
            | Self::Commit(_)
            | Self::TxnCommit(_)
            | Self::EndTxn(_)
            | Self::OffsetDelete(_)
            | Self::DeleteGroup(_)
            | Self::TopicsDeleted(_) => false,
        }
    }
}
