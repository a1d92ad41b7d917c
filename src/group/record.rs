//! The facts that outlive us, as records: the shapes of Kafka's `__consumer_offsets`.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;

use crate::ids::{
    Generation, GroupId, InstanceId, MemberId, PartitionIndex, ProducerEpoch, ProducerId, TopicId,
    TopicName,
};
use crate::time::WallMs;

/// What a consumer keeps beside an offset: a text, nearly always the empty one, which takes no
/// place of its own.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct OffsetMetadata(Option<Arc<str>>);

impl Deref for OffsetMetadata {
    type Target = str;

    fn deref(&self) -> &str {
        self.0.as_deref().unwrap_or("")
    }
}

impl From<&str> for OffsetMetadata {
    fn from(text: &str) -> Self {
        Self((!text.is_empty()).then(|| text.into()))
    }
}

impl From<String> for OffsetMetadata {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl fmt::Display for OffsetMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl fmt::Debug for OffsetMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

/// A committed offset (`OffsetCommitValue`).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct OffsetValue {
    /// The next offset to read.
    pub offset: i64,
    /// The leader epoch of the last record read (KIP-320), -1: unknown.
    pub leader_epoch: i32,
    /// Whatever the consumer keeps beside the offset.
    pub metadata: OffsetMetadata,
    /// When it was committed.
    pub committed_at: WallMs,
    /// When it expires, if a client before KIP-211 said so.
    pub expires_at: Option<WallMs>,
    /// The topic's id where it is known, else [`TopicId::ZERO`].
    pub topic_id: TopicId,
}

/// An offset that counts once its producer's transaction commits.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct PendingValue {
    /// The epoch that staged it.
    pub epoch: ProducerEpoch,
    /// Its place among all that was staged in the shard: of two commits of one partition the one
    /// that was staged later wins, whichever ends first.
    pub order: u64,
    /// A commit of a later place has become durable meanwhile, so this one will not count. Until
    /// its transaction ends the partition is unstable all the same.
    pub is_overtaken: bool,
    /// What would be committed.
    pub offset: OffsetValue,
}

/// A member as it is stored.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct MemberMetadata {
    /// Its id.
    pub member: MemberId,
    /// Its static name.
    pub instance: Option<InstanceId>,
    /// The client's name.
    pub client_id: Arc<str>,
    /// Where it connects from.
    pub client_host: Arc<str>,
    /// How long the others wait for it in a rebalance, in milliseconds.
    pub rebalance_timeout_ms: i32,
    /// How long it may be silent, in milliseconds.
    pub session_timeout_ms: i32,
    /// Its metadata under the selected protocol.
    pub subscription: Bytes,
    /// What it is assigned.
    pub assignment: Bytes,
}

/// A group as it is stored (`GroupMetadataValue`).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct GroupMetadata {
    /// The group's kind; `None` is stored as "".
    pub protocol_type: Option<Arc<str>>,
    /// The generation.
    pub generation: Generation,
    /// The selected protocol.
    pub protocol: Option<Arc<str>>,
    /// The leader.
    pub leader: Option<MemberId>,
    /// When the group came into its present phase.
    pub phase_since: Option<WallMs>,
    /// The members with their assignments; empty: the group is empty.
    pub members: Vec<MemberMetadata>,
}

/// One change of the facts. `None` as the value is a tombstone.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Record {
    /// A committed offset, or its removal.
    Offset {
        /// The group.
        group: GroupId,
        /// The topic's name.
        topic: TopicName,
        /// The partition.
        partition: PartitionIndex,
        /// What is committed.
        value: Option<OffsetValue>,
    },
    /// An offset of an open transaction, or its end. Each producer has its own for a partition.
    Pending {
        /// The group.
        group: GroupId,
        /// The topic's name.
        topic: TopicName,
        /// The partition.
        partition: PartitionIndex,
        /// Whose transaction it is.
        producer: ProducerId,
        /// What is staged.
        value: Option<PendingValue>,
    },
    /// A group's metadata, or the group's removal.
    Group {
        /// The group.
        group: GroupId,
        /// What is stored of it.
        value: Option<Arc<GroupMetadata>>,
    },
}

impl Record {
    /// Whether it speaks of a committed offset.
    pub(super) fn is_offset(&self) -> bool {
        matches!(self, Self::Offset { .. })
    }

    /// What it sets, if it sets an offset of that group.
    pub(super) fn sets_in(
        &self,
        of: &GroupId,
    ) -> Option<(&TopicName, PartitionIndex, &OffsetValue)> {
        match self {
            Self::Offset {
                group,
                topic,
                partition,
                value: Some(value),
            } if group == of => Some((topic, *partition, value)),
            Self::Offset { .. } | Self::Pending { .. } | Self::Group { .. } => None,
        }
    }

    /// The group that the record speaks of.
    pub fn group(&self) -> &GroupId {
        match self {
            Self::Offset { group, .. }
            | Self::Pending { group, .. }
            | Self::Group { group, .. } => group,
        }
    }
}
