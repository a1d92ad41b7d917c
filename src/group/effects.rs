//! What the state machine wants done outside, as plain data.

use super::reply::{CommittedTopic, DeletedTopic, Reply};
use super::request::{ReplyTo, Request};
use super::{Phase, Record, Records};
use crate::ids::{Generation, GroupId, InstanceId, MemberId, ProducerId};
use crate::time::Tick;

/// A group within its shard: a slot that may be used again, told apart by a serial number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct GroupKey {
    /// The slot.
    pub slot: u32,
    /// The number of the slot's present tenant.
    pub serial: u32,
}

/// A member's (or pending member's) place in its shard; used again after it is given up.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct SeatId(pub u32);

/// A deadline. A timer is never cancelled: each carries the number of its arming, and one that is
/// no longer current is ignored when it fires.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Timer {
    /// A member may have been silent for too long.
    Session {
        /// The member's seat.
        seat: SeatId,
        /// The number of the arming.
        arming: u32,
    },
    /// The join phase has waited long enough.
    Join {
        /// The group.
        group: GroupKey,
        /// The number of the arming.
        arming: u32,
    },
    /// The members had long enough to sync.
    Sync {
        /// The group.
        group: GroupKey,
        /// The number of the arming.
        arming: u32,
    },
    /// Something of the group may have expired (KIP-211).
    Retention {
        /// The group.
        group: GroupKey,
        /// The number of the arming.
        arming: u32,
    },
}

/// How a seat was given up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// The member left or was removed.
    Left,
    /// The member was silent for too long.
    Expired,
    /// Another member took over its instance id.
    Fenced,
}

/// Why a rebalance began.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// A new member joined.
    NewMember,
    /// A member joined again with other metadata, or the leader asked for it.
    Rejoin,
    /// A static member was replaced and that changes the outcome.
    StaticReplaced,
    /// A member left.
    Leave,
    /// A member's session expired.
    SessionExpired,
    /// A member did not sync in time.
    SyncExpired,
    /// The assignment could not be stored.
    AppendFailed,
    /// A loaded group has more members than it may have.
    Oversized,
}

/// Why a member was removed against its will.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// Its session expired.
    Session,
    /// It did not join again in time.
    Join,
    /// It did not sync in time.
    Sync,
    /// The group is full.
    GroupFull,
}

/// What a group has no more room for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Full {
    /// Members (KIP-389).
    Members,
    /// Offsets.
    Offsets,
    /// Requests that wait for its removal.
    Held,
}

/// Something worth counting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub enum Note {
    GroupCreated,
    GroupRemoved {
        phase: Phase,
    },
    PhaseChanged {
        from: Phase,
        to: Phase,
    },
    RebalanceStarted(Cause),
    RebalanceCompleted,
    Expelled(Why),
    Refused(Full),
    OffsetsCommitted(usize),
    /// Committed as they are stored, and not written again.
    OffsetsRepeated(usize),
    OffsetsExpired(usize),
    OffsetsDeleted(usize),
}

/// What follows once an entry's records are durable, or could not be made so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Then {
    /// Nothing.
    Rest,
    /// The commit is answered.
    Committed {
        /// To whom; `None`: it was refused because this took too long.
        to: Option<ReplyTo>,
        /// With what.
        topics: Vec<CommittedTopic>,
        /// How many of the offsets the group had not when this was decided.
        new: usize,
    },
    /// The commit within a transaction is answered.
    Staged {
        /// To whom; `None`: it was refused because this took too long.
        to: Option<ReplyTo>,
        /// With what.
        topics: Vec<CommittedTopic>,
        /// How many of the offsets were not staged by the producer when this was decided.
        new: usize,
        /// Whose transaction it is.
        producer: ProducerId,
    },
    /// The end of a transaction is answered.
    TxnEnded {
        /// To whom; `None`: it was refused because this took too long.
        to: Option<ReplyTo>,
    },
    /// The leader's assignments take effect.
    Assign {
        /// In that generation only.
        generation: Generation,
    },
    /// The static member's new id takes effect (KIP-345, KIP-814).
    Replaced(Box<super::classic::Replacement>),
    /// The offset deletion is answered.
    OffsetsDeleted {
        /// To whom; `None`: it was refused because this took too long.
        to: Option<ReplyTo>,
        /// With what.
        topics: Vec<DeletedTopic>,
    },
    /// The group is gone, and whoever asked for it is told.
    Removed {
        /// `None`: it expired, or whoever asked was refused because this took too long.
        to: Option<ReplyTo>,
    },
    /// Topics went away.
    TopicsDeleted {
        /// Told once, with the last group's entry.
        to: Option<ReplyTo>,
    },
}

impl Then {
    /// Offsets for which room was found and is kept until this is settled.
    pub fn new_offsets(&self) -> usize {
        match self {
            Self::Committed { new, .. } | Self::Staged { new, .. } => *new,
            Self::Rest
            | Self::TxnEnded { .. }
            | Self::Assign { .. }
            | Self::Replaced(_)
            | Self::OffsetsDeleted { .. }
            | Self::Removed { .. }
            | Self::TopicsDeleted { .. } => 0,
        }
    }
}

/// Records that are appended together or not at all, and what follows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The group that decided.
    pub group: GroupKey,
    /// What is to be made durable, in order.
    pub records: Records,
    /// What follows.
    pub then: Then,
}

impl Then {
    /// Whether what those records decide takes offsets away, committed or staged.
    pub(super) fn removes_offsets(&self, records: &[Record]) -> bool {
        // A deletion's first record tells it: the others are tombstones too.
        let first = records.first();
        let is_deletion = matches!(
            first,
            Some(Record::Offset { value: None, .. } | Record::Pending { value: None, .. })
        );
        is_deletion || matches!(self, Self::TxnEnded { .. })
    }

    /// Whether what is staged will be another once they are settled. A plain commit only marks.
    pub(super) fn changes_pending(&self, records: &[Record]) -> bool {
        match self {
            Self::Staged { .. } | Self::TxnEnded { .. } => true,
            Self::Committed { .. } | Self::Assign { .. } | Self::Replaced(_) => false,
            Self::Rest
            | Self::OffsetsDeleted { .. }
            | Self::Removed { .. }
            | Self::TopicsDeleted { .. } => {
                let is_pending = |record: &Record| matches!(record, Record::Pending { .. });
                records.iter().any(is_pending)
            }
        }
    }
}

/// One thing to do outside, in the order in which it was decided.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Answer a request.
    Reply {
        /// To whom.
        to: ReplyTo,
        /// With what.
        reply: Reply,
    },
    /// Handle a request again that was held back: at once, before any other.
    Again {
        /// What was asked.
        request: Request,
        /// By whom.
        to: ReplyTo,
    },
    /// Make records durable, then settle.
    Append(Entry),
    /// Wake the group or member at that time.
    Arm {
        /// When.
        at: Tick,
        /// What for.
        timer: Timer,
    },
    /// A member took a seat: from now on its heartbeats are heard at the side door.
    Seat {
        /// The seat.
        seat: SeatId,
        /// The group.
        group: GroupKey,
        /// The group's name.
        group_id: GroupId,
        /// The member.
        member: MemberId,
        /// Its static name.
        instance: Option<InstanceId>,
    },
    /// A seat was given up.
    Unseat {
        /// The seat.
        seat: SeatId,
        /// How.
        end: End,
    },
    /// The group's generation and phase, as heartbeats are to see them.
    Publish {
        /// The group.
        group: GroupKey,
        /// Its generation.
        generation: Generation,
        /// Its phase.
        phase: Phase,
    },
    /// The group's slot is free again.
    Vacate {
        /// The group.
        group: GroupKey,
    },
    /// Count something.
    Note(Note),
}
