//! What the engine does at its bounds, and after a panic: loud, clear, and for its part alone.

mod common;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::ledger::{Fate, Ledger};
use common::*;
use takhin_coordinator::config::{Config, ConfigBuilder};
use takhin_coordinator::engine::{Driving, Engine};
use takhin_coordinator::error::Refusal;
use takhin_coordinator::ids::{GroupId, MemberId, ShardId};
use takhin_coordinator::journal::{Batch, Done, Durability, Journal, LoadError, Loaded};
use takhin_coordinator::metrics::RefusalCause;
use takhin_coordinator::shard::{Answer, shard_of};
use takhin_coordinator::time::ManualClock;

/// The smallest mailbox that there is.
const CAPACITY: usize = 16;

fn host(ledger: &Ledger) -> Host {
    Host::with_journal(config().takhin_mailbox_capacity(16), ledger.clone())
}

#[test]
fn behind_two_unsettled_batches_requests_queue_up_to_the_bound_and_the_next_is_refused() {
    let ledger = Ledger::new(Fate::OnCommand);
    let host = host(&ledger);
    let count = CAPACITY + 2;
    let mut asked: Vec<_> = (0..count)
        .map(|n| {
            host.engine
                .commit(commit("g", None, i64::try_from(n).unwrap()))
        })
        .collect();
    assert_eq!(ledger.waiting(), 2);
    for _ in 0..10_000 {
        let refused = host.engine.commit(commit("g", None, -1)).now();
        let refused = refused.expect("refused at once");
        assert_eq!(refused, Err(Refusal::Overloaded));
    }
    let shard = host.engine.metrics().shard(0);
    assert_eq!(shard.refusals(RefusalCause::MailboxFull).value(), 10_000);
    assert_eq!(
        shard.mailbox_depth.value(),
        i64::try_from(CAPACITY).unwrap()
    );
    assert_eq!((ledger.waiting(), ledger.appended()), (2, 2));

    let mut answered = 0;
    while ledger.settle_next(Ok(())) {
        while !asked.is_empty() {
            match asked.remove(0).now() {
                Ok(outcome) => {
                    assert!(outcome.is_ok());
                    answered += 1;
                }
                Err(answer) => {
                    asked.insert(0, answer);
                    break;
                }
            }
        }
        for (at, answer) in std::mem::take(&mut asked).into_iter().enumerate() {
            asked.push(answer.now().expect_err(&format!("{at} overtook the first")));
        }
    }
    assert_eq!(answered, count);
    assert_eq!(
        fetched(&host.engine, "g", 0),
        Some(i64::try_from(count).unwrap() - 1)
    );
}

/// A journal may take a minute.
fn patient() -> ConfigBuilder {
    config().offsets_commit_timeout_ms(60_000)
}

#[test]
fn a_member_whose_request_waits_behind_the_journal_is_heard_before_it_is_expired() {
    let ledger = Ledger::new(Fate::AtOnce);
    let host = Host::with_journal(patient(), ledger.clone());
    let joined = host.alone_in("g", 10_000);
    let silent = host.alone_in("silent", 10_000);
    ledger.set(Fate::OnCommand);
    let first = host.engine.commit(commit("other", None, 1));
    let second = host.engine.commit(commit("other", None, 2));
    host.pass(9_000);
    let queued = host.engine.commit(commit("g", Some(&joined), 3));
    host.pass(21_000);
    ledger.set(Fate::AtOnce);
    ledger.settle_all();
    assert!(first.wait().is_ok() && second.wait().is_ok());
    assert!(queued.wait().is_ok());
    host.pass(10);
    assert_eq!(beat(&host.engine, "g", &joined), Ok(()));
    let unknown = Err(Refusal::UnknownMemberId);
    assert_eq!(beat(&host.engine, "silent", &silent), unknown);
}

#[test]
fn a_member_whose_request_waits_behind_many_others_is_heard_before_it_is_expired() {
    let ledger = Ledger::new(Fate::AtOnce);
    let host = Host::with_journal(patient().takhin_mailbox_capacity(1_024), ledger.clone());
    let joined = host.alone_in("g", 10_000);
    ledger.set(Fate::OnCommand);
    for offset in 0..900 {
        // More than three drains of them.
        drop(host.engine.commit(commit("other", None, offset)));
    }
    let queued = host.engine.commit(commit("g", Some(&joined), 3));
    host.pass(21_000);
    ledger.set(Fate::AtOnce);
    ledger.settle_all();
    host.engine.run_due();
    assert!(queued.wait().is_ok());
    assert_eq!(beat(&host.engine, "g", &joined), Ok(()));
}

/// Fills the mailbox again whenever the shard is about to have emptied it.
#[derive(Debug, Default)]
struct Feeder {
    engine: std::sync::OnceLock<Engine>,
    clock: std::sync::OnceLock<ManualClock>,
    rounds: AtomicUsize,
    members_left_at: AtomicUsize,
}

const ROUNDS_MAX: usize = 100;

#[derive(Clone, Debug, Default)]
struct FeedingJournal(Arc<Feeder>);

impl Journal for FeedingJournal {
    fn append(&self, _batch: Batch<'_>, done: Done) {
        done.settle(Ok(()));
        let Some(engine) = self.0.engine.get() else {
            return;
        };
        let round = self.0.rounds.fetch_add(1, Ordering::Relaxed);
        if round == 3
            && let Some(clock) = self.0.clock.get()
        {
            clock.advance_ms(10_010);
        }
        if engine.members() == 0 {
            self.0.members_left_at.store(round, Ordering::Relaxed);
            return;
        }
        if round < ROUNDS_MAX {
            for offset in 0..600 {
                // Nobody looks at the answer.
                drop(engine.commit(commit("other", None, offset)));
            }
        }
    }

    fn load(
        &self,
        _shard: ShardId,
        _each: &mut dyn FnMut(Loaded) -> ControlFlow<()>,
    ) -> Result<(), LoadError> {
        Ok(())
    }

    fn durability(&self) -> Durability {
        Durability::Memory
    }
}

#[test]
fn a_mailbox_that_is_never_empty_does_not_keep_the_timers_from_firing() {
    let journal = FeedingJournal::default();
    let host = Host::with_journal(config().takhin_mailbox_capacity(1_024), journal.clone());
    host.alone_in("g", 10_000);
    assert!(journal.0.engine.set(host.engine.clone()).is_ok());
    assert!(journal.0.clock.set(host.clock.clone()).is_ok());
    drop(host.engine.commit(commit("other", None, 0)));
    while journal.0.rounds.load(Ordering::Relaxed) < ROUNDS_MAX {
        if journal.0.members_left_at.load(Ordering::Relaxed) > 0 {
            break;
        }
        host.engine.run_due();
    }
    let left_at = journal.0.members_left_at.load(Ordering::Relaxed);
    assert!(left_at > 0 && left_at < 20, "{left_at}");
}

#[test]
fn a_crowd_is_answered_as_it_takes_its_answers() {
    let host = Host::new(config().group_initial_rebalance_delay_ms(100));
    let joins = (0..300).map(|_| {
        let refused = ask_join(&host.engine, "g", &MemberId::default(), 60_000).wait();
        ask_join(&host.engine, "g", &refused.unwrap_err().member, 60_000)
    });
    let mut joins: Vec<_> = joins.collect();
    let mut answered = Vec::new();
    while !joins.is_empty() {
        if answered.is_empty() {
            host.clock.advance_ms(10);
        }
        host.engine.run_due();
        let before = joins.len();
        let taken = joins.into_iter().map(Answer::now);
        joins = taken.filter_map(Result::err).collect();
        answered.extend(Some(before - joins.len()).filter(|it| *it > 0));
    }
    assert_eq!(answered, [128, 128, 44]);
}

/// Two groups that live on that shard of two.
fn names_on(shard: u32) -> [String; 2] {
    let is_there = |it: &String| shard_of(&GroupId::from(it.as_str()), 2).0 == shard;
    let mut names = (0..).map(|n| format!("g{n}")).filter(is_there);
    std::array::from_fn(|_| names.next().expect("they never end"))
}

#[test]
fn a_panic_in_a_step_poisons_its_shard_and_no_other() {
    let ledger = Ledger::new(Fate::AtOnce);
    let host = Host::with_journal(config().takhin_shards(2), ledger.clone());
    let [ill, ill_too] = names_on(0);
    let [well, _] = names_on(1);
    let joined = host.alone_in(&ill, 10_000);
    let healthy = host.alone_in(&well, 10_000);
    let handle = host.engine.member(&ill, joined.member.as_str()).unwrap();
    ledger.set(Fate::OnCommand);
    let on_its_way = host.engine.commit(commit(&ill, Some(&joined), 1));
    let on_its_way = on_its_way.now().expect_err("on its way");
    let newcomer = MemberId::default();
    let mut request = join_request(&ill, &newcomer, 10_000);
    request.requires_known_member_id = false;
    let parked = host
        .engine
        .join(request)
        .now()
        .expect_err("waits for the first");

    ledger.set(Fate::Panics);
    let struck = host.engine.commit(commit(&ill_too, None, 1)).now();
    assert_eq!(struck.expect("answered"), Err(Refusal::NotAvailable));
    ledger.set(Fate::AtOnce);

    let on_its_way = on_its_way.now().expect("answered");
    assert_eq!(on_its_way, Err(Refusal::NotAvailable));
    let parked = parked.now().expect("answered").unwrap_err();
    assert_eq!(parked.refusal, Refusal::NotAvailable);
    let later = host.engine.commit(commit(&ill, None, 1)).now();
    assert_eq!(later.expect("answered"), Err(Refusal::NotAvailable));
    let unheard = beat(&host.engine, &ill, &joined);
    assert_eq!(unheard, Err(Refusal::NotAvailable));
    assert_eq!(
        handle.heartbeat(joined.generation, None, host.engine.now()),
        None
    );
    let shard = |n| host.engine.metrics().shard(n);
    assert!(shard(0).refusals(RefusalCause::ShardFailed).value() > 0);
    assert_eq!(shard(0).members.value(), 0);
    assert_eq!(host.engine.failed_shards(), [ShardId(0)]);

    assert_eq!(beat(&host.engine, &well, &healthy), Ok(()));
    host.engine
        .commit(commit(&well, Some(&healthy), 7))
        .wait()
        .unwrap();
    assert_eq!(fetched(&host.engine, &well, 0), Some(7));
    assert_eq!(host.engine.members(), 1);
    // A late outcome of the shard that is no more.
    assert!(ledger.settle_next(Ok(())));
    host.engine.shutdown();
}

#[test]
fn what_a_failed_shard_had_taken_of_the_limits_is_free_again() {
    let ledger = Ledger::new(Fate::AtOnce);
    let config = config()
        .takhin_shards(2)
        .takhin_members_max(1)
        .takhin_groups_max(1);
    let host = Host::with_journal(config.takhin_offsets_max(1), ledger.clone());
    let [ill, _] = names_on(0);
    let [well, _] = names_on(1);
    let joined = host.alone_in(&ill, 10_000);
    let refused = host.engine.commit(commit(&well, None, 1)).wait();
    assert_eq!(refused, Err(Refusal::Overloaded));
    ledger.set(Fate::Panics);
    let struck = host.engine.commit(commit(&ill, Some(&joined), 1)).wait();
    assert_eq!(struck, Err(Refusal::NotAvailable));
    ledger.set(Fate::AtOnce);
    let joined = host.alone_in(&well, 10_000);
    host.engine
        .commit(commit(&well, Some(&joined), 1))
        .wait()
        .unwrap();
}

#[test]
fn many_events_that_wait_at_the_shutdown_are_all_answered() {
    let ledger = Ledger::new(Fate::OnCommand);
    let clock = ManualClock::new();
    let engine = Engine::builder(Config::builder().takhin_shards(1).build().unwrap())
        .clock(clock)
        .driving(Driving::Threads)
        .journal(ledger.clone())
        .open()
        .unwrap();
    engine.wait_until_loaded().wait().unwrap();
    let on_their_way = [1, 2].map(|offset| {
        let answer = engine.commit(commit("g", None, offset));
        // The shard's own thread may be at it: each is to be a batch of its own.
        while ledger.appended() < usize::try_from(offset).unwrap() {
            std::thread::yield_now();
        }
        answer
    });
    let queued: Vec<_> = (0..4_000)
        .map(|_| engine.commit(commit("g", None, 3)))
        .collect();
    engine.shutdown();
    engine.shutdown();
    for answer in queued {
        assert_eq!(answer.wait(), Err(Refusal::NotAvailable));
    }
    ledger.settle_all();
    for answer in on_their_way {
        assert!(answer.wait().is_ok());
    }
}
