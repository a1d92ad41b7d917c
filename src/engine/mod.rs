//! The front door: an engine that any host can hold, ask and shut down.
//!
//! An engine is a value. It starts no runtime, opens no socket, installs nothing global, and as
//! many of them as wanted live in one process. Every verb returns an [`Answer`] at once; whoever
//! asks carries out the request itself if the group's shard is idle, so that an uncontended call
//! costs no change of threads. A thread that has carried out what others asked meanwhile gives
//! its core to them once, if they want it. Answers that must wait (a join for the others, a
//! commit for the journal) are futures for any executor.

mod builder;
mod fresh_ids;
mod health;
mod heartbeat;
mod reads;
mod shared_names;

use std::fmt;
use std::sync::Arc;

pub use builder::{Builder, Driving, OpenError};
pub use health::{Loading, ShardStatus};
pub use heartbeat::{Heartbeat, MemberHandle};

pub use crate::group::{
    Client, CommitPartition, CommitRequest, CommitResult, CommitTopic, CommittedTopic,
    DeleteGroupRequest, DeletedTopic, DescribeRequest, Described, DescribedMember, EndTxnRequest,
    FetchRequest, FetchResult, FetchTopic, FetchedPartition, FetchedTopic, GroupOffsets, GroupType,
    HeartbeatRequest, JoinRefused, JoinRequest, JoinResult, Joined, JoinedMember, LeaveRequest,
    LeaveResult, Leaver, LeftMember, ListRequest, Listed, OffsetDeleteRequest, OffsetDeleteResult,
    OffsetDeleteTopic, OffsetValue, Phase, Producer, Protocol, Rows, Shown, SyncRequest,
    SyncResult, Synced, TopicDeletion, TopicOffsets, TxnCommitRequest,
};
pub use crate::journal::Durability;
pub use crate::shard::{Answer, Outcome, ShardPhase};

use fresh_ids::FreshIds;
use shared_names::SharedNames;

use crate::error::Refusal;
use crate::group::{Request, TxnGroupsRequest};
use crate::ids::GroupId;
use crate::journal::Journal;
use crate::metrics::Metrics;
use crate::session::Directory;
use crate::shard::{Shard, shard_of_name};
use crate::time::{Clock, Now, Tick};

/// A group coordinator.
///
/// Clones are handles of the same engine; it is shut down with the last of them, or by
/// [`Engine::shutdown`].
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    shards: Box<[Arc<Shard>]>,
    journal: Arc<dyn Journal>,
    directory: Arc<Directory>,
    names: SharedNames,
    fresh_ids: FreshIds,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    durability: Durability,
}

impl Engine {
    /// What it takes to open an engine, starting from `config`.
    pub fn builder(config: crate::config::Config) -> Builder {
        Builder::new(config)
    }

    /// An engine with the system's clock, threads of its own for the timers, and no durability.
    ///
    /// # Errors
    ///
    /// As [`Builder::open`].
    pub fn open(config: crate::config::Config) -> Result<Self, OpenError> {
        Self::builder(config).open()
    }

    /// Joins a group, or asks for a member id first (KIP-394).
    pub fn join(&self, mut request: JoinRequest) -> Answer<JoinResult> {
        request.fresh = self.inner.fresh_ids.draw();
        self.inner.names.share_in(&mut request);
        self.ask(Request::Join(request))
    }

    /// Hands in the leader's assignments, or asks for one's own.
    pub fn sync(&self, request: SyncRequest) -> Answer<SyncResult> {
        self.ask(Request::Sync(request))
    }

    /// Leaves a group: one member or many.
    pub fn leave(&self, request: LeaveRequest) -> Answer<LeaveResult> {
        self.ask(Request::Leave(request))
    }

    /// Commits offsets; answered when they are as durable as [`Engine::durability`] says.
    pub fn commit(&self, request: CommitRequest) -> Answer<CommitResult> {
        self.commit_at(request, self.now())
    }

    /// The same with a reading of [`Engine::now`] that the caller took for a whole burst.
    pub fn commit_at(&self, request: CommitRequest, now: Now) -> Answer<CommitResult> {
        self.shard(&request.group)
            .ask(Request::Commit(request), now)
    }

    /// Stages offsets in a transaction, for hosts that have a transaction coordinator: they count
    /// once [`Engine::end_txn`] says that it is committed. Answered when that is durable.
    ///
    /// Ask the transaction coordinator first whether the producer has a transaction open to which
    /// the group belongs: what is staged without one keeps its partitions unstable for good.
    pub fn txn_commit(&self, request: TxnCommitRequest) -> Answer<CommitResult> {
        self.ask(Request::TxnCommit(request))
    }

    /// Ends a producer's transaction in one group; answered when that is durable. To be repeated,
    /// with the same outcome, until it is not refused, or refused as of an old epoch.
    pub fn end_txn(&self, request: EndTxnRequest) -> Answer<Result<(), Refusal>> {
        self.ask(Request::EndTxn(request))
    }

    /// Ends a producer's transaction in all groups in which it has something staged: what the
    /// markers in all partitions of `__consumer_offsets` are in Kafka.
    ///
    /// # Errors
    ///
    /// The first refusal; other groups may have done their part. To be repeated as
    /// [`Engine::end_txn`].
    pub async fn end_txn_everywhere(
        &self,
        producer: Producer,
        committed: bool,
    ) -> Result<(), Refusal> {
        let ask = |shard: &Arc<Shard>| -> Answer<Result<Vec<GroupId>, Refusal>> {
            let request = TxnGroupsRequest { producer };
            shard.ask(Request::TxnGroups(request), self.now())
        };
        let found: Vec<_> = self.inner.shards.iter().map(ask).collect();
        let mut ends = Vec::new();
        for groups in found {
            let groups = groups.await?.into_iter();
            ends.extend(groups.map(|group| {
                self.end_txn(EndTxnRequest {
                    group,
                    producer,
                    committed,
                })
            }));
        }
        let mut outcome = Ok(());
        for end in ends {
            outcome = outcome.and(end.await);
        }
        outcome
    }

    /// Fetches committed offsets of one group; never older than what was acknowledged before.
    pub fn fetch(&self, request: FetchRequest) -> Answer<FetchResult> {
        self.fetch_at(request, self.now())
    }

    /// The same with a reading of [`Engine::now`] that the caller took for a whole burst.
    pub fn fetch_at(&self, request: FetchRequest, now: Now) -> Answer<FetchResult> {
        self.shard(&request.group).ask(Request::Fetch(request), now)
    }

    /// Deletes offsets of topics that nobody in the group reads (KIP-496).
    pub fn delete_offsets(&self, request: OffsetDeleteRequest) -> Answer<OffsetDeleteResult> {
        self.ask(Request::OffsetDelete(request))
    }

    /// Describes one group.
    pub fn describe(&self, group: GroupId) -> Answer<Result<Described, Refusal>> {
        self.ask(Request::Describe(DescribeRequest { group }))
    }

    /// Removes an empty group with its offsets.
    pub fn delete_group(&self, group: GroupId) -> Answer<Result<(), Refusal>> {
        self.ask(Request::DeleteGroup(DeleteGroupRequest { group }))
    }

    /// Drops what all groups have committed for topics that no longer exist.
    ///
    /// # Errors
    ///
    /// The first shard's refusal; the others may have done their part.
    pub async fn topics_deleted(&self, topics: &[TopicDeletion]) -> Result<(), Refusal> {
        let answers: Vec<Answer<Result<(), Refusal>>> = self
            .inner
            .shards
            .iter()
            .map(|shard| shard.ask(Request::TopicsDeleted(topics.to_vec()), self.now()))
            .collect();
        for answer in answers {
            answer.await?;
        }
        Ok(())
    }

    /// The counters.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.inner.metrics
    }

    /// What an acknowledged commit may be relied on for.
    pub fn durability(&self) -> Durability {
        self.inner.durability
    }

    /// The engine's clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.clock
    }

    /// One reading of the engine's clock, to be used for a burst of requests.
    pub fn now(&self) -> Now {
        self.inner.clock.now()
    }

    /// Members that may beat at the side door.
    pub fn members(&self) -> usize {
        self.inner.directory.len()
    }

    /// Does what is due, for hosts that drive the engine themselves ([`Driving::Host`]); returns
    /// when it should be called again at the latest, `None`: not before something happens. An
    /// engine with threads of its own is only told to look.
    pub fn run_due(&self) -> Option<Tick> {
        self.inner
            .shards
            .iter()
            .filter_map(|shard| shard.run_due())
            .min()
    }

    /// Tells the engine that it was not served for that long, so that nobody is expelled for it:
    /// for hosts that drive the engine themselves.
    pub fn stalled(&self, ms: u64) {
        for shard in &self.inner.shards {
            shard.stalled(ms);
        }
    }

    /// Shuts the engine down: parked joins and syncs are answered that this is no longer the
    /// coordinator, as Kafka does, everything later that it is not available. What is on its way
    /// to the journal is answered by its outcome, or, that it is not available, when the last
    /// handle of the engine goes. Idempotent.
    pub fn shutdown(&self) {
        self.inner.shutdown();
    }

    fn shard(&self, group: &GroupId) -> &Shard {
        self.shard_of_name(group.as_str())
    }

    fn shard_of_name(&self, group: &str) -> &Shard {
        let shards = u32::try_from(self.inner.shards.len()).unwrap_or(u32::MAX);
        &self.inner.shards[shard_of_name(group, shards).0 as usize]
    }

    fn ask<T: Outcome>(&self, request: Request) -> Answer<T> {
        let now = self.now();
        match request.group() {
            Some(group) => self.shard(group).ask(request, now),
            None => Answer::ready(T::refused(Refusal::Failed)),
        }
    }

    fn ask_heartbeat(&self, request: HeartbeatRequest, now: Now) -> Answer<Result<(), Refusal>> {
        self.shard(&request.group)
            .ask(Request::Heartbeat(request), now)
    }
}

impl Inner {
    fn shutdown(&self) {
        for shard in &self.shards {
            shard.close(Refusal::NotAvailable, self.clock.now());
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shutdown();
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("shards", &self.inner.shards.len())
            .field("members", &self.members())
            .field("durability", &self.inner.durability)
            .finish_non_exhaustive()
    }
}
