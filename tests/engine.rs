//! The engine through its front door, on a clock that only the test moves.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use takhin_coordinator::config::Config;
use takhin_coordinator::engine::{Driving, Engine, Heartbeat};
use takhin_coordinator::error::Refusal;
use takhin_coordinator::group::{
    Client, CommitPartition, CommitRequest, CommitTopic, FetchRequest, FetchTopic, JoinRequest,
    JoinResult, Joined, LeaveRequest, Leaver, ListRequest, Phase, Protocol, SyncRequest,
};
use takhin_coordinator::ids::{Generation, MemberId, TopicId};
use takhin_coordinator::shard::Answer;
use takhin_coordinator::time::ManualClock;

struct Host {
    engine: Engine,
    clock: ManualClock,
}

impl Host {
    fn new() -> Self {
        let clock = ManualClock::new();
        let config = Config::builder()
            .group_initial_rebalance_delay_ms(0)
            .takhin_shards(4)
            .build()
            .unwrap();
        let engine = Engine::builder(config)
            .clock(clock.clone())
            .driving(Driving::Host)
            .open()
            .unwrap();
        Self { engine, clock }
    }

    /// Lets time pass, a tick of the wheel at a time.
    fn pass(&self, ms: u64) {
        for _ in 0..ms.div_ceil(10) {
            self.clock.advance_ms(10);
            self.engine.run_due();
        }
    }

    fn ask_join(&self, group: &str, member: &MemberId) -> Answer<JoinResult> {
        self.engine.join(JoinRequest {
            group: group.into(),
            member: member.clone(),
            instance: None,
            client: Client {
                id: "client".into(),
                host: "/127.0.0.1".into(),
            },
            session_timeout_ms: 10_000,
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
        })
    }

    fn id_in(&self, group: &str) -> MemberId {
        let refused = self
            .ask_join(group, &MemberId::default())
            .wait()
            .unwrap_err();
        assert_eq!(refused.refusal, Refusal::MemberIdRequired);
        refused.member
    }

    /// One member, stable, generation 1.
    fn alone_in(&self, group: &str) -> Joined {
        let member = self.id_in(group);
        let join = self.ask_join(group, &member);
        self.pass(20);
        let joined = join.wait().unwrap();
        self.sync(group, &joined);
        joined
    }

    fn sync(&self, group: &str, joined: &Joined) {
        let synced = self.engine.sync(SyncRequest {
            group: group.into(),
            member: joined.member.clone(),
            instance: None,
            generation: joined.generation,
            protocol_type: None,
            protocol: None,
            assignments: vec![(joined.member.clone(), Bytes::from("all"))],
        });
        assert_eq!(synced.wait().unwrap().assignment, Bytes::from("all"));
    }

    fn beat(&self, group: &str, joined: &Joined) -> Result<(), Refusal> {
        let member = joined.member.as_str();
        let generation = joined.generation;
        self.engine
            .heartbeat(&Heartbeat {
                group,
                member,
                instance: None,
                generation,
            })
            .wait()
    }
}

fn commit(group: &str, joined: Option<&Joined>, offset: i64) -> CommitRequest {
    CommitRequest {
        group: group.into(),
        member: joined.map_or_else(MemberId::default, |joined| joined.member.clone()),
        instance: None,
        generation: joined.map_or(Generation::NONE, |joined| joined.generation),
        retention_ms: None,
        topics: vec![CommitTopic {
            topic: "topic".into(),
            id: TopicId::ZERO,
            partitions: vec![CommitPartition {
                partition: 0,
                offset,
                leader_epoch: -1,
                metadata: "".into(),
                committed_at: None,
            }],
        }],
    }
}

fn fetch_offset(engine: &Engine, group: &str) -> Option<i64> {
    let topics = Some(vec![FetchTopic {
        topic: "topic".into(),
        partitions: vec![0],
    }]);
    let fetched = engine
        .fetch(FetchRequest {
            group: group.into(),
            topics,
            require_stable: false,
        })
        .wait()
        .unwrap();
    fetched[0].partitions[0]
        .committed
        .as_ref()
        .map(|value| value.offset)
}

#[test]
fn a_first_member_joins_syncs_beats_and_is_expired_when_it_falls_silent() {
    let host = Host::new();
    let joined = host.alone_in("g");
    assert_eq!(joined.generation, Generation(1));
    assert_eq!(joined.leader, joined.member);
    for _ in 0..5 {
        host.pass(9_000);
        assert_eq!(host.beat("g", &joined), Ok(()));
    }
    host.pass(9_990);
    assert_eq!(host.engine.members(), 1);
    host.pass(20);
    assert_eq!(host.engine.members(), 0);
    assert_eq!(host.beat("g", &joined), Err(Refusal::UnknownMemberId));
    let described = host.engine.describe("g".into()).wait().unwrap();
    assert_eq!(
        (described.phase, described.members.len()),
        (Phase::Empty, 0)
    );
}

#[test]
fn a_second_member_makes_the_first_join_again() {
    let host = Host::new();
    let first = host.alone_in("g");
    let second = host.id_in("g");
    assert_eq!(host.beat("g", &first), Ok(()));
    let second_join = host.ask_join("g", &second);
    assert_eq!(host.beat("g", &first), Err(Refusal::RebalanceInProgress));
    let again = host.ask_join("g", &first.member).wait().unwrap();
    let second = second_join.wait().unwrap();
    assert_eq!(
        (again.generation, second.generation),
        (Generation(2), Generation(2))
    );
    assert_eq!((again.members.len(), second.members.len()), (2, 0));
    assert_eq!(host.beat("g", &first), Err(Refusal::IllegalGeneration));
    assert_eq!(host.beat("g", &second), Ok(()));
}

#[test]
fn of_many_who_fall_silent_at_one_time_all_are_gone_in_the_same_step_and_nobody_else() {
    let host = Host::new();
    let name = |n: usize| format!("g-{n}");
    let members: Vec<Joined> = (0..300).map(|n| host.alone_in(&name(n))).collect();
    let beat = |n: usize| host.beat(&name(n), &members[n]);
    assert!((0..300).all(|n| beat(n).is_ok()));
    host.pass(5_000);
    // One of three lives.
    assert!((0..300).step_by(3).all(|n| beat(n).is_ok()));
    host.pass(4_990);
    assert_eq!(host.engine.members(), 300);
    host.pass(20);
    assert_eq!(host.engine.members(), 100);
    for n in 0..300 {
        let lives = n % 3 == 0;
        assert_eq!(beat(n).is_ok(), lives, "{n}");
    }
}

#[test]
fn commits_are_fenced_by_generation_and_fetched_by_anyone() {
    let host = Host::new();
    let joined = host.alone_in("g");
    assert!(
        host.engine
            .commit(commit("g", Some(&joined), 42))
            .wait()
            .is_ok()
    );
    assert_eq!(fetch_offset(&host.engine, "g"), Some(42));
    let stale = Joined {
        generation: Generation(7),
        ..joined
    };
    let refused = host.engine.commit(commit("g", Some(&stale), 1)).wait();
    assert_eq!(refused, Err(Refusal::IllegalGeneration));
    assert_eq!(fetch_offset(&host.engine, "g"), Some(42));
    assert_eq!(fetch_offset(&host.engine, "another"), None);
}

#[test]
fn offsets_outlive_the_last_member_and_go_with_the_group() {
    let host = Host::new();
    let joined = host.alone_in("g");
    assert!(
        host.engine
            .commit(commit("g", Some(&joined), 42))
            .wait()
            .is_ok()
    );
    let leaver = Leaver {
        member: joined.member,
        instance: None,
        reason: None,
    };
    let left = LeaveRequest {
        group: "g".into(),
        leavers: vec![leaver],
    };
    assert_eq!(host.engine.leave(left).wait().unwrap()[0].result, Ok(()));
    host.pass(60_000);
    assert_eq!(fetch_offset(&host.engine, "g"), Some(42));
    assert_eq!(host.engine.delete_group("g".into()).wait(), Ok(()));
    assert_eq!(fetch_offset(&host.engine, "g"), None);
    assert_eq!(
        host.engine.delete_group("g".into()).wait(),
        Err(Refusal::GroupIdNotFound)
    );
}

#[test]
fn a_look_at_offsets_sees_what_a_fetch_answers_and_harms_nobody_if_it_panics() {
    let host = Host::new();
    let engine = &host.engine;
    let committed = engine.commit(commit("orders", None, 42)).wait();
    assert!(committed.is_ok());
    let look = |group: &str| engine.look_at_offsets(group, true, engine.now(), |it| it.len());
    assert_eq!((look("orders"), look("nowhere")), (Some(1), Some(0)));
    let look = std::panic::AssertUnwindSafe(|| {
        engine.look_at_offsets("orders", false, engine.now(), |_| {
            panic!("a host's mistake")
        })
    });
    assert!(std::panic::catch_unwind(look).is_err());
    assert_eq!(fetch_offset(engine, "orders"), Some(42));
}

#[test]
fn groups_of_all_shards_are_listed() {
    let host = Host::new();
    for group in ["a", "b", "c", "d", "e"] {
        assert!(host.engine.commit(commit(group, None, 1)).wait().is_ok());
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let listed = runtime
        .block_on(host.engine.list(ListRequest::default()))
        .unwrap();
    let mut names: Vec<String> = listed.iter().map(|row| row.group.to_string()).collect();
    names.sort();
    assert_eq!(names, ["a", "b", "c", "d", "e"]);
}

#[test]
fn a_long_list_shows_each_group_once_whatever_happens_meanwhile() {
    let host = Host::new();
    let name = |n: u32| format!("g{n}");
    let make = |n| assert!(host.engine.commit(commit(&name(n), None, 1)).wait().is_ok());
    let remove = |n: u32| host.engine.delete_group(name(n).as_str().into()).wait();
    (0..4_000).for_each(make);
    let mut list = std::pin::pin!(host.engine.list(ListRequest::default()));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(list.as_mut().poll(&mut cx).is_pending(), "all in one turn");
    for n in 0..200 {
        // Where both are of one shard they change places.
        let far = 3_999 - n;
        assert_eq!((remove(n), remove(far)), (Ok(()), Ok(())));
        make(n);
        make(far);
    }
    let listed = loop {
        if let Poll::Ready(listed) = list.as_mut().poll(&mut cx) {
            break listed.unwrap();
        }
    };
    let names: Vec<String> = listed.iter().map(|row| row.group.to_string()).collect();
    let distinct: HashSet<&String> = names.iter().collect();
    assert_eq!(distinct.len(), names.len(), "a group is listed twice");
    for n in 200..3_800 {
        assert!(distinct.contains(&name(n)), "{n} is missing");
    }
}

#[test]
fn a_stall_longer_than_the_session_expels_nobody() {
    let host = Host::new();
    let joined = host.alone_in("g");
    host.pass(5_000);
    assert_eq!(host.beat("g", &joined), Ok(()));
    // The process is stopped: nothing runs, and what it learns first is for how long.
    host.clock.advance_ms(60_000);
    host.engine.stalled(60_000);
    host.pass(9_900);
    assert_eq!(host.beat("g", &joined), Ok(()));
    host.pass(10_020);
    assert_eq!(host.beat("g", &joined), Err(Refusal::UnknownMemberId));
}

#[test]
fn shutting_down_releases_parked_joins_and_refuses_what_comes_after() {
    let host = Host::new();
    let first = host.alone_in("g");
    let second = host.id_in("g");
    let parked = host.ask_join("g", &second);
    host.engine.shutdown();
    assert_eq!(parked.wait().unwrap_err().refusal, Refusal::NotCoordinator);
    assert_eq!(host.beat("g", &first), Err(Refusal::NotAvailable));
    let late = host.ask_join("g", &first.member).wait().unwrap_err();
    assert_eq!(late.refusal, Refusal::NotAvailable);
}

#[test]
fn two_engines_live_in_one_process_and_know_nothing_of_each_other() {
    let (one, other) = (Host::new(), Host::new());
    assert!(one.engine.commit(commit("g", None, 1)).wait().is_ok());
    assert!(other.engine.commit(commit("g", None, 2)).wait().is_ok());
    assert_eq!(fetch_offset(&one.engine, "g"), Some(1));
    assert_eq!(fetch_offset(&other.engine, "g"), Some(2));
    one.engine.shutdown();
    assert_eq!(fetch_offset(&other.engine, "g"), Some(2));
}

#[test]
fn an_engine_with_threads_of_its_own_completes_a_join_by_itself() {
    let config = Config::builder()
        .group_initial_rebalance_delay_ms(10)
        .build()
        .unwrap();
    let host = Host {
        engine: Engine::open(config).unwrap(),
        clock: ManualClock::new(),
    };
    let member = host.id_in("g");
    let joined = host.ask_join("g", &member).wait().unwrap();
    host.sync("g", &joined);
    assert_eq!(host.beat("g", &joined), Ok(()));
}

#[test]
fn many_threads_ask_one_shard_and_every_commit_is_there() {
    let config = Config::builder().takhin_shards(1).build().unwrap();
    let engine = Arc::new(Engine::open(config).unwrap());
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let engine = Arc::clone(&engine);
            scope.spawn(move || {
                for offset in 0..500 {
                    let group = format!("group-{thread}");
                    assert!(engine.commit(commit(&group, None, offset)).wait().is_ok());
                }
            });
        }
    });
    for thread in 0..4 {
        assert_eq!(fetch_offset(&engine, &format!("group-{thread}")), Some(499));
    }
}
