//! The engine as a guest: in threads without a runtime, under any executor, beside another.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test may fail it as the test itself"
)]

mod common;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use common::ledger::{Fate, Ledger};
use common::*;
use takhin_coordinator::engine::{Driving, Engine};
use takhin_coordinator::error::Refusal;
use takhin_coordinator::group::{Joined, ListRequest, Phase, TopicDeletion};
use takhin_coordinator::ids::{MemberId, TopicId};
use takhin_coordinator::time::{Clock, SystemClock};

fn engine() -> Engine {
    Engine::open(config().takhin_shards(2).build().unwrap()).unwrap()
}

/// Wakes the thread that polls.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The smallest executor: one task, one thread.
fn block_on<T>(task: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut task = pin!(task);
    loop {
        match task.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(outcome) => return outcome,
            Poll::Pending => std::thread::park(),
        }
    }
}

async fn a_life_in(engine: &Engine, group: &str) {
    let new = MemberId::default();
    let refused = ask_join(engine, group, &new, 10_000).await.unwrap_err();
    let joined = ask_join(engine, group, &refused.member, 10_000)
        .await
        .unwrap();
    ask_sync(engine, group, &joined).await.unwrap();
    assert_eq!(ask_beat(engine, group, &joined).await, Ok(()));
    engine
        .commit(commit(group, Some(&joined), 42))
        .await
        .unwrap();
    let fetched = engine.fetch(fetch(group, 0)).await.unwrap();
    let value = fetched[0].partitions[0].committed.as_ref().unwrap();
    assert_eq!(value.offset, 42);
    engine.leave(leave(group, &joined.member)).await.unwrap();
    let listed = engine.list(ListRequest::default()).await.unwrap();
    assert_eq!(listed.len(), 1);
    let topics = [TopicDeletion {
        topic: "topic".into(),
        id: TopicId::ZERO,
    }];
    engine.topics_deleted(&topics).await.unwrap();
    assert_eq!(engine.delete_group(group.into()).await, Ok(()));
}

#[test]
fn the_engine_runs_under_an_executor_of_fifteen_lines() {
    block_on(a_life_in(&engine(), "g"));
}

#[test]
fn the_engine_runs_under_tokio_on_one_thread() {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(a_life_in(&engine(), "g"));
}

#[test]
fn an_answer_that_must_wait_wakes_whoever_polls_it() {
    let engine = engine();
    let joined = alone_in(&engine, "g", 10_000);
    let mut request = join_request("g", &MemberId::default(), 10_000);
    request.requires_known_member_id = false;
    let parked = engine.join(request);
    let rejoin = std::thread::spawn({
        let (engine, member) = (engine, joined.member);
        move || ask_join(&engine, "g", &member, 10_000).wait().unwrap()
    });
    let second = block_on(parked).unwrap();
    assert_eq!(second.generation, rejoin.join().unwrap().generation);
}

#[test]
fn the_engine_runs_in_plain_threads_without_any_runtime() {
    let engine = engine();
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let engine = &engine;
            scope.spawn(move || {
                let group = format!("g{thread}");
                let joined = alone_in(engine, &group, 10_000);
                engine
                    .commit(commit(&group, Some(&joined), 1))
                    .wait()
                    .unwrap();
                assert_eq!(beat(engine, &group, &joined), Ok(()));
            });
        }
    });
    assert_eq!(engine.members(), 3);
}

#[test]
fn an_engine_that_is_dropped_answers_those_who_wait() {
    for driving in [Driving::Threads, Driving::Host] {
        let ledger = Ledger::new(Fate::AtOnce);
        let engine = Engine::builder(config().build().unwrap())
            .driving(driving)
            .journal(ledger.clone())
            .open()
            .unwrap();
        engine.wait_until_loaded().wait().unwrap();
        alone_in(&engine, "g", 10_000);
        let mut request = join_request("g", &MemberId::default(), 10_000);
        request.requires_known_member_id = false;
        let parked = engine.join(request).now().expect_err("waits for the first");
        // A thread of the engine may have been busy: the join is parked when this is answered.
        engine.describe("g".into()).wait().unwrap();
        ledger.set(Fate::OnCommand);
        let commit = engine.commit(commit("other", None, 1));
        drop(engine);
        let refused = parked.wait().unwrap_err().refusal;
        assert_eq!(refused, Refusal::NotCoordinator);
        assert_eq!(commit.wait(), Err(Refusal::NotAvailable));
    }
}

#[test]
fn the_threads_of_an_engine_end_with_its_last_handle() {
    // A clock that every thread of the engine holds as long as it runs.
    #[derive(Clone, Debug)]
    struct Held(Arc<SystemClock>);
    impl Clock for Held {
        fn now(&self) -> takhin_coordinator::time::Now {
            self.0.now()
        }
    }
    let clock = Arc::new(SystemClock::new());
    let engine = Engine::builder(config().takhin_shards(4).build().unwrap())
        .clock(Held(Arc::clone(&clock)))
        .open()
        .unwrap();
    let other = engine.clone();
    alone_in(&engine, "g", 10_000);
    drop(engine);
    assert_eq!(other.members(), 1);
    other.shutdown();
    other.shutdown();
    drop(other);
    for _ in 0..5_000 {
        if Arc::strong_count(&clock) == 1 {
            return;
        }
        sleep_ms(1);
    }
    panic!("a thread of the engine is still there");
}

#[test]
fn the_engine_touches_nothing_global() {
    let (one, other) = (engine(), engine());
    block_on(a_life_in(&one, "g"));
    one.shutdown();
    block_on(a_life_in(&other, "g"));
    assert!(!tracing::dispatcher::has_been_set());
    assert!(tokio::runtime::Handle::try_current().is_err());
}

/// Many threads, short sessions, the real clock: what each of them does for its own member.
struct Crowd {
    engine: Engine,
    clock: SystemClock,
    slowest_ms: AtomicUsize,
    rounds: AtomicUsize,
}

const GROUPS: usize = 3;
const SESSION_MS: i32 = 1_000;
const RUN_MS: u64 = 2_500;
/// Beyond this an answer counts as lost.
const ANSWER_MS_MAX: usize = 5_000;

impl Crowd {
    fn elapsed_ms(&self) -> u64 {
        self.clock.now().tick.0
    }

    /// Waits for an answer, and remembers how long the slowest took.
    fn timed<T>(&self, ask: impl FnOnce() -> T) -> T {
        let before = self.elapsed_ms();
        let outcome = ask();
        let took_ms = usize::try_from(self.elapsed_ms() - before).unwrap();
        self.slowest_ms.fetch_max(took_ms, Ordering::Relaxed);
        outcome
    }

    fn join(&self, group: &str, member: &mut MemberId) -> Option<Joined> {
        match self.timed(|| ask_join(&self.engine, group, member, SESSION_MS).wait()) {
            Ok(joined) => Some(joined),
            Err(refused) => {
                // Any other refusal has no business here, and tells no id to go on with.
                let is_expected = [Refusal::MemberIdRequired, Refusal::UnknownMemberId]
                    .contains(&refused.refusal);
                assert!(is_expected, "{}", refused.refusal);
                let has_id = refused.refusal == Refusal::MemberIdRequired;
                *member = if has_id {
                    refused.member
                } else {
                    MemberId::default()
                };
                None
            }
        }
    }

    /// One round of a member in its group; whether it is still in its generation.
    fn live(&self, group: &str, joined: &Joined, chance: &mut Chance) -> bool {
        let offset = i64::from(joined.generation.0);
        for _ in 0..chance.below(20) {
            let commit = commit(group, Some(joined), offset);
            let committed = self.timed(|| self.engine.commit(commit).wait());
            let beaten = self.timed(|| beat(&self.engine, group, joined));
            self.rounds.fetch_add(1, Ordering::Relaxed);
            if committed.is_err() || beaten.is_err() {
                return false;
            }
        }
        true
    }

    /// A member's life until the time is over; the id that it ends with, unless it left.
    fn stay(&self, thread: usize) -> (String, Option<MemberId>) {
        let group = format!("g{}", thread % GROUPS);
        let mut chance = Chance::new(u64::try_from(thread).unwrap());
        let mut member = MemberId::default();
        while self.elapsed_ms() < RUN_MS {
            let Some(joined) = self.join(&group, &mut member) else {
                continue;
            };
            if self
                .timed(|| ask_sync(&self.engine, &group, &joined).wait())
                .is_err()
            {
                continue;
            }
            while self.elapsed_ms() < RUN_MS && self.live(&group, &joined, &mut chance) {
                if chance.below(30) == 0 {
                    let request = leave(&group, &member);
                    self.timed(|| self.engine.leave(request).wait()).unwrap();
                    member = MemberId::default();
                    break;
                }
            }
        }
        if thread.is_multiple_of(2) && !member.is_empty() {
            let _ = self.timed(|| self.engine.leave(leave(&group, &member)).wait());
            return (group, None);
        }
        (group, (!member.is_empty()).then_some(member))
    }
}

fn crowd_on(shards: u32) {
    let crowd = Crowd {
        engine: Engine::open(config().takhin_shards(shards).build().unwrap()).unwrap(),
        clock: SystemClock::new(),
        slowest_ms: AtomicUsize::new(0),
        rounds: AtomicUsize::new(0),
    };
    let ends: Vec<_> = std::thread::scope(|scope| {
        let crowd = &crowd;
        let threads = (0..9).map(|thread| scope.spawn(move || crowd.stay(thread)));
        let threads: Vec<_> = threads.collect();
        threads.into_iter().map(|it| it.join().unwrap()).collect()
    });
    assert!(crowd.slowest_ms.into_inner() < ANSWER_MS_MAX);
    assert!(crowd.rounds.into_inner() > 100);
    // Nobody is there who left; who is there did not leave.
    for group in (0..GROUPS).map(|n| format!("g{n}")) {
        let described = crowd.engine.describe(group.as_str().into()).wait().unwrap();
        let stayed = ends.iter().filter(|(at, _)| *at == group);
        let stayed: Vec<_> = stayed.filter_map(|(_, member)| member.clone()).collect();
        for it in &described.members {
            assert!(stayed.contains(&it.member), "{} left", it.member);
        }
    }
    // Who stays and is silent is gone after its session, or the rebalance that awaits it.
    for _ in 0..8_000 {
        let is_empty = |group: String| {
            let described = crowd.engine.describe(group.as_str().into()).wait().unwrap();
            described.phase == Phase::Empty
        };
        if crowd.engine.members() == 0 && (0..GROUPS).all(|n| is_empty(format!("g{n}"))) {
            return;
        }
        sleep_ms(1);
    }
    panic!("{} silent members are still there", crowd.engine.members());
}

#[test]
fn a_crowd_on_one_shard_is_answered_and_leaves_a_true_description() {
    crowd_on(1);
}

#[test]
fn a_crowd_on_four_shards_is_answered_and_leaves_a_true_description() {
    crowd_on(4);
}
