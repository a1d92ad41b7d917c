//! What the tests of the whole engine share: a host, a journal that does as it is told, chance.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::disallowed_types,
    reason = "each test file uses a part of it; helpers of a test may fail it; a lock is cheap here"
)]

pub mod ledger;

use bytes::Bytes;
use takhin_coordinator::config::{Config, ConfigBuilder};
use takhin_coordinator::engine::{Driving, Engine, Heartbeat};
use takhin_coordinator::error::Refusal;
use takhin_coordinator::group::{
    Client, CommitPartition, CommitRequest, CommitTopic, FetchRequest, FetchTopic, JoinRequest,
    JoinResult, Joined, LeaveRequest, Leaver, Protocol, SyncRequest, SyncResult,
};
use takhin_coordinator::ids::{Generation, MemberId, TopicId};
use takhin_coordinator::journal::{Journal, MemoryJournal};
use takhin_coordinator::shard::Answer;
use takhin_coordinator::time::ManualClock;

/// An engine that the test drives, with its clock.
pub struct Host {
    pub engine: Engine,
    pub clock: ManualClock,
}

/// A configuration without the initial delay, and sessions as short as wanted.
pub fn config() -> ConfigBuilder {
    Config::builder()
        .group_initial_rebalance_delay_ms(0)
        .group_min_session_timeout_ms(1)
        .takhin_shards(1)
}

impl Host {
    pub fn new(config: ConfigBuilder) -> Self {
        Self::with_journal(config, MemoryJournal)
    }

    pub fn with_journal(config: ConfigBuilder, journal: impl Journal + 'static) -> Self {
        let clock = ManualClock::new();
        // So that a tick of 0 is never mistaken for none.
        clock.advance_ms(1_000);
        let engine = Engine::builder(config.build().unwrap())
            .clock(clock.clone())
            .driving(Driving::Host)
            .journal(journal)
            .open()
            .unwrap();
        Self { engine, clock }
    }

    /// Lets time pass, a tick of the wheel at a time.
    pub fn pass(&self, ms: u64) {
        for _ in 0..ms / 10 {
            self.clock.advance_ms(10);
            self.engine.run_due();
        }
        self.clock.advance_ms(ms % 10);
        self.engine.run_due();
    }

    /// One member, stable, in the next generation; the journal must settle by itself.
    pub fn alone_in(&self, group: &str, session_ms: i32) -> Joined {
        let joined = alone_in(&self.engine, group, session_ms);
        self.engine.run_due();
        joined
    }
}

/// Joins as the only member, and syncs.
pub fn alone_in(engine: &Engine, group: &str, session_ms: i32) -> Joined {
    let member = MemberId::default();
    let refused = ask_join(engine, group, &member, session_ms).wait();
    let member = refused.unwrap_err().member;
    let joined = ask_join(engine, group, &member, session_ms).wait().unwrap();
    let synced = ask_sync(engine, group, &joined).wait().unwrap();
    assert_eq!(synced.assignment, assignment_of(&joined.member));
    joined
}

pub fn join_request(group: &str, member: &MemberId, session_ms: i32) -> JoinRequest {
    JoinRequest {
        group: group.into(),
        member: member.clone(),
        instance: None,
        client: Client {
            id: "client".into(),
            host: "/127.0.0.1".into(),
        },
        session_timeout_ms: session_ms,
        rebalance_timeout_ms: 60_000,
        protocol_type: "consumer".into(),
        protocols: vec![Protocol {
            name: "range".into(),
            metadata: Bytes::from("m"),
        }],
        reason: None,
        requires_known_member_id: true,
        can_skip_assignment: true,
        fresh: uuid::Uuid::nil(),
    }
}

pub fn ask_join(
    engine: &Engine,
    group: &str,
    member: &MemberId,
    session_ms: i32,
) -> Answer<JoinResult> {
    engine.join(join_request(group, member, session_ms))
}

/// What the leaders of these tests assign to a member.
pub fn assignment_of(member: &MemberId) -> Bytes {
    Bytes::from(format!("for {member}"))
}

/// A sync; the leader's hands in an assignment for everyone.
pub fn ask_sync(engine: &Engine, group: &str, joined: &Joined) -> Answer<SyncResult> {
    let assign = |id: &MemberId| (id.clone(), assignment_of(id));
    engine.sync(SyncRequest {
        group: group.into(),
        member: joined.member.clone(),
        instance: None,
        generation: joined.generation,
        protocol_type: None,
        protocol: None,
        assignments: joined.members.iter().map(|it| assign(&it.member)).collect(),
    })
}

pub fn beat(engine: &Engine, group: &str, joined: &Joined) -> Result<(), Refusal> {
    ask_beat(engine, group, joined).wait()
}

pub fn ask_beat(engine: &Engine, group: &str, joined: &Joined) -> Answer<Result<(), Refusal>> {
    engine.heartbeat(&Heartbeat {
        group,
        member: joined.member.as_str(),
        instance: None,
        generation: joined.generation,
    })
}

pub fn leave(group: &str, member: &MemberId) -> LeaveRequest {
    LeaveRequest {
        group: group.into(),
        leavers: vec![Leaver {
            member: member.clone(),
            instance: None,
            reason: None,
        }],
    }
}

/// A commit of one offset for each of these partitions of one topic.
pub fn commit_of(
    group: &str,
    joined: Option<&Joined>,
    partitions: impl IntoIterator<Item = i32>,
    offset: i64,
) -> CommitRequest {
    let partition = |partition| CommitPartition {
        partition,
        offset,
        leader_epoch: -1,
        metadata: "".into(),
        committed_at: None,
    };
    CommitRequest {
        group: group.into(),
        member: joined.map_or_else(MemberId::default, |joined| joined.member.clone()),
        instance: None,
        generation: joined.map_or(Generation::NONE, |joined| joined.generation),
        retention_ms: None,
        topics: vec![CommitTopic {
            topic: "topic".into(),
            id: TopicId::ZERO,
            partitions: partitions.into_iter().map(partition).collect(),
        }],
    }
}

/// A commit to partition 0.
pub fn commit(group: &str, joined: Option<&Joined>, offset: i64) -> CommitRequest {
    commit_of(group, joined, [0], offset)
}

pub fn fetch(group: &str, partition: i32) -> FetchRequest {
    FetchRequest {
        group: group.into(),
        topics: Some(vec![FetchTopic {
            topic: "topic".into(),
            partitions: vec![partition],
        }]),
        require_stable: false,
    }
}

/// The committed offset; the shard must be free to answer.
pub fn fetched(engine: &Engine, group: &str, partition: i32) -> Option<i64> {
    let answer = engine.fetch(fetch(group, partition)).now();
    let topics = answer.expect("answered at once").unwrap();
    let committed = topics[0].partitions[0].committed.as_ref();
    committed.map(|value| value.offset)
}

/// Real time, for tests of real time and of other threads.
#[expect(
    clippy::disallowed_methods,
    reason = "no virtual clock moves another process or another thread"
)]
pub fn sleep_ms(ms: u64) {
    std::thread::sleep(std::time::Duration::from_millis(ms));
}

/// A small generator of chance, so that a seed tells the whole history.
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x1234_5678_9ABC_DEF0)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[usize::try_from(self.below(of.len() as u64)).unwrap()]
    }
}
