//! The group protocol as a pure state machine.
//!
//! **Same state, same input, same `now`: same effects.** Nothing here reads a clock, draws a
//! random number, starts a thread, touches an atomic, or knows a byte of the wire. What is to
//! happen outside is said in [`Effect`]s, in order.
//!
//! ```text
//!   Request ----> +--------------------------------------------+ ----> Effect::Reply
//!   Timer   ----> | Groups                                     | ----> Effect::Append (records)
//!   settle  ----> |   Group = facts (durable) + classic (live) | ----> Effect::Arm    (a timer)
//!                 +--------------------------------------------+ ----> Effect::Seat, Publish ..
//! ```
//!
//! A group has two halves. Its **facts** (committed offsets, those that open transactions have
//! staged, the last persisted group metadata) change in one place only, [`Groups::apply`], which
//! the live engine, recovery and every test share. Its **classic** half is the live state machine
//! of the members: it never survives a restart by itself, it is revived from the facts.
//!
//! A decision that must outlive us is *decided, appended, then settled*: the verb emits an
//! [`Entry`] with its records and what is to follow, the journal makes it durable, and
//! [`Groups::settle`] applies the records and releases the answer. A failed append leaves no
//! trace in the facts, so there is no rollback anywhere.
//!
//! A group to which nothing happens comes to rest ([`Groups::rest`]): all of it is packed into one
//! small piece of memory until something is to change it, and nobody can tell.
//!
//! The rules are Apache Kafka's (4.4.0); where the origin, Takhin's Go package, differs (its
//! generation counted at the start of a rebalance, joins that never wait, offsets lost with the
//! last member, no leader re-election), Kafka is right.

mod apply;
mod block;
mod classic;
mod committed;
mod describe;
mod effects;
mod facts;
mod groups;
mod listing;
mod offsets;
mod pack;
mod packed;
mod pending;
mod pieces;
mod places;
mod producers;
mod quarantine;
mod record;
mod records;
mod refused;
mod repeats;
mod reply;
mod request;
mod rest;
mod retention;
mod room;
mod row;
mod rules;
mod seats;
mod sessions;
mod settle;
mod sorted;
mod subscription;
mod txn;
mod warm;

pub use classic::{Phase, Replacement};
pub use committed::{GroupOffsets, Rows, Shown, TopicOffsets};
pub use effects::{Cause, Effect, End, Entry, Full, GroupKey, Note, SeatId, Then, Timer, Why};
pub use groups::Groups;
pub use listing::ListSlice;
pub use record::{
    GroupMetadata, MemberMetadata, OffsetMetadata, OffsetValue, PendingValue, Record,
};
pub use records::Records;
pub use reply::{
    CommitResult, CommittedTopic, DeletedTopic, Described, DescribedMember, FetchResult,
    FetchedPartition, FetchedTopic, GroupType, JoinRefused, JoinResult, Joined, JoinedMember,
    LeaveResult, LeftMember, ListPage, Listed, OffsetDeleteResult, Reply, SyncResult, Synced,
};
pub use request::{
    Client, CommitPartition, CommitRequest, CommitTopic, DeleteGroupRequest, DescribeRequest,
    EndTxnRequest, FetchRequest, FetchTopic, HeartbeatRequest, JoinRequest, LeaveRequest, Leaver,
    ListRequest, OffsetDeleteRequest, OffsetDeleteTopic, Producer, Protocol, ReplyTo, Request,
    SyncRequest, TopicDeletion, TxnCommitRequest, TxnGroupsRequest,
};
pub use room::Room;
pub use rules::Rules;
pub use sessions::{Due, Look};
pub use warm::Heard;
