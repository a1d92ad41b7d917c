//! Limits are exact, whoever races for them, and each refusal is counted.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test may fail it as the test itself"
)]

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};

use common::ledger::{Fate, Ledger};
use common::*;
use takhin_coordinator::config::ConfigBuilder;
use takhin_coordinator::engine::Engine;
use takhin_coordinator::error::Refusal;
use takhin_coordinator::group::{FetchTopic, LeaveRequest, Leaver, OffsetDeleteRequest, Protocol};
use takhin_coordinator::group::{OffsetDeleteTopic, Phase};
use takhin_coordinator::ids::MemberId;
use takhin_coordinator::metrics::RefusalCause;

const THREADS: usize = 4;
/// What each thread asks for, so that together they ask for twice what there is.
const EACH: usize = 50;
const MAX: u32 = 100;

fn sharded(config: ConfigBuilder) -> Host {
    Host::new(config.takhin_shards(4))
}

/// Runs the same on every thread at once; each is given its number.
fn race(act: impl Fn(usize) + Sync) {
    let start = std::sync::Barrier::new(THREADS);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (start, act) = (&start, &act);
            scope.spawn(move || {
                start.wait();
                act(thread);
            });
        }
    });
}

fn refusals(engine: &Engine, cause: RefusalCause) -> usize {
    let each = |shard| engine.metrics().shard(shard).refusals(cause).value();
    usize::try_from((0..4).map(each).sum::<u64>()).unwrap()
}

/// Counts those that were accepted; the others must be refused as overload.
fn counted(count: &AtomicUsize, outcome: Result<(), Refusal>) {
    match outcome {
        Ok(()) => {
            count.fetch_add(1, Ordering::Relaxed);
        }
        Err(refusal) => assert_eq!(refusal, Refusal::Overloaded),
    }
}

fn taken(count: &AtomicUsize) -> usize {
    count.load(Ordering::Relaxed)
}

#[test]
fn the_node_takes_exactly_its_most_groups_and_takes_again_what_was_given_back() {
    let host = sharded(config().takhin_groups_max(MAX));
    let engine = &host.engine;
    let create = |count: &AtomicUsize, group: String| {
        let outcome = engine.commit(commit(&group, None, 1)).wait();
        counted(count, outcome.map(|_| ()));
    };
    for round in 0..3 {
        let count = AtomicUsize::new(0);
        race(|thread| (0..EACH).for_each(|n| create(&count, format!("{round}-{thread}-{n}"))));
        assert_eq!(taken(&count), MAX as usize);
        assert_eq!(refusals(engine, RefusalCause::GroupsMax), 100 * (round + 1));
        race(|thread| {
            for n in 0..EACH {
                // Those that were refused do not exist.
                let _ = engine
                    .delete_group(format!("{round}-{thread}-{n}").as_str().into())
                    .wait();
            }
        });
    }
}

#[test]
fn the_node_takes_exactly_its_most_members_and_takes_again_what_was_given_back() {
    let host = sharded(config().takhin_members_max(MAX));
    let engine = &host.engine;
    for round in 0..3 {
        let count = AtomicUsize::new(0);
        race(|thread| {
            for n in 0..EACH {
                let group = format!("{round}-{thread}-{n}");
                let asked = ask_join(engine, &group, &MemberId::default(), 60_000).wait();
                let refusal = asked.unwrap_err().refusal;
                let has_id = refusal == Refusal::MemberIdRequired;
                counted(&count, if has_id { Ok(()) } else { Err(refusal) });
            }
        });
        assert_eq!(taken(&count), MAX as usize);
        assert_eq!(
            refusals(engine, RefusalCause::MembersMax),
            100 * (round + 1)
        );
        // Pending members that never come back give their places up.
        host.pass(60_020);
    }
}

#[test]
fn the_node_takes_exactly_its_most_offsets_and_takes_again_what_was_given_back() {
    let host = sharded(config().takhin_offsets_max(u64::from(MAX)));
    let engine = &host.engine;
    for round in 0..3 {
        let count = AtomicUsize::new(0);
        race(|thread| {
            let group = format!("{round}-{thread}");
            for n in 0..i32::try_from(EACH).unwrap() {
                let request = commit_of(&group, None, [n], 1);
                counted(&count, engine.commit(request).wait().map(|_| ()));
                // What is there may be committed again, however full the node is.
                if n == 0 && fetched_or_none(engine, &group).is_some() {
                    for offset in 2..20 {
                        engine.commit(commit(&group, None, offset)).wait().unwrap();
                    }
                }
            }
        });
        assert_eq!(taken(&count), MAX as usize);
        assert_eq!(
            refusals(engine, RefusalCause::OffsetsMax),
            100 * (round + 1)
        );
        for thread in 0..THREADS {
            // A group whose every commit was refused does not exist.
            let _ = engine
                .delete_group(format!("{round}-{thread}").as_str().into())
                .wait();
        }
    }
}

fn fetched_or_none(engine: &Engine, group: &str) -> Option<i64> {
    let topics = engine.fetch(fetch(group, 0)).wait().unwrap();
    let committed = topics[0].partitions[0].committed.as_ref();
    committed.map(|value| value.offset)
}

#[test]
fn a_full_node_takes_commits_of_what_is_there_while_its_journal_is_slow() {
    let ledger = Ledger::new(Fate::AtOnce);
    let host = Host::with_journal(config().takhin_offsets_max(1), ledger.clone());
    host.engine.commit(commit("g", None, 1)).wait().unwrap();
    ledger.set(Fate::OnCommand);
    let again = [2, 3].map(|offset| host.engine.commit(commit("g", None, offset)));
    ledger.settle_all();
    for answer in again {
        answer.wait().unwrap();
    }
    assert_eq!(fetched(&host.engine, "g", 0), Some(3));
}

#[test]
fn an_offset_that_is_being_deleted_is_no_room_for_a_commit_behind_it() {
    let ledger = Ledger::new(Fate::AtOnce);
    let host = Host::with_journal(config().takhin_offsets_max(2), ledger.clone());
    host.engine
        .commit(commit_of("g", None, [0, 1], 1))
        .wait()
        .unwrap();
    ledger.set(Fate::OnCommand);
    let deleted = host.engine.delete_offsets(OffsetDeleteRequest {
        group: "g".into(),
        topics: vec![OffsetDeleteTopic {
            topic: "topic".into(),
            partitions: vec![0],
        }],
    });
    // It would be one too many, should the deletion fail and another take the place.
    let behind = host.engine.commit(commit("g", None, 2)).wait();
    assert_eq!(behind, Err(Refusal::Overloaded));
    ledger.settle_all();
    assert!(deleted.wait().is_ok());
    ledger.set(Fate::AtOnce);
    host.engine.commit(commit("g", None, 2)).wait().unwrap();
}

#[test]
fn a_group_takes_exactly_its_most_offsets_though_none_is_durable_yet() {
    let ledger = Ledger::new(Fate::OnCommand);
    let config = config().takhin_offsets_per_group_max(3);
    let host = Host::with_journal(config, ledger.clone());
    let asked: Vec<_> = (0..6)
        .map(|n| host.engine.commit(commit_of("g", None, [n], 1)))
        .collect();
    ledger.settle_all();
    let accepted = asked.into_iter().map(|it| it.wait().is_ok());
    assert_eq!(accepted.filter(|it| *it).count(), 3);
    assert_eq!(refusals_of_one(&host.engine, RefusalCause::OffsetsMax), 3);
    ledger.set(Fate::AtOnce);
    host.engine
        .commit(commit_of("g", None, [0, 1, 2], 2))
        .wait()
        .unwrap();
    let beyond = host.engine.commit(commit_of("g", None, [2, 3], 2)).wait();
    assert_eq!(beyond, Err(Refusal::Overloaded));
}

fn refusals_of_one(engine: &Engine, cause: RefusalCause) -> u64 {
    engine.metrics().shard(0).refusals(cause).value()
}

#[test]
fn what_was_refused_by_the_journal_is_no_longer_counted() {
    let ledger = Ledger::new(Fate::Fails(Refusal::NotAvailable));
    let host = Host::with_journal(config().takhin_offsets_max(2), ledger.clone());
    for offset in 0..10 {
        let request = commit_of("g", None, [1, 2], offset);
        let refused = host.engine.commit(request).wait();
        assert_eq!(refused, Err(Refusal::NotAvailable));
    }
    ledger.set(Fate::AtOnce);
    host.engine
        .commit(commit_of("g", None, [3, 4], 1))
        .wait()
        .unwrap();
}

#[test]
fn requests_held_behind_a_removal_keep_the_limits_too() {
    let ledger = Ledger::new(Fate::AtOnce);
    let config = config().takhin_groups_max(1).takhin_members_max(1);
    let host = Host::with_journal(config.takhin_offsets_max(2), ledger.clone());
    host.engine.commit(commit("g", None, 1)).wait().unwrap();
    ledger.set(Fate::OnCommand);
    let removed = host.engine.delete_group("g".into());
    let joins: Vec<_> = (0..4)
        .map(|_| ask_join(&host.engine, "g", &MemberId::default(), 60_000))
        .collect();
    let commits: Vec<_> = (0..4)
        .map(|n| host.engine.commit(commit_of("g", None, [n], 1)))
        .collect();
    ledger.set(Fate::AtOnce);
    ledger.settle_all();
    assert_eq!(removed.wait(), Ok(()));
    let joined = joins.into_iter().map(|it| it.wait().unwrap_err().refusal);
    let joined: Vec<_> = joined.collect();
    assert_eq!(joined[0], Refusal::MemberIdRequired);
    assert_eq!(joined[1..], [Refusal::Overloaded; 3]);
    let committed: Vec<_> = commits.into_iter().map(|it| it.wait().is_ok()).collect();
    assert_eq!(committed, [true, true, false, false]);
    let shard = host.engine.metrics().shard(0);
    assert_eq!((shard.members.value(), shard.offsets.value()), (1, 2));
}

#[test]
fn a_static_member_comes_back_to_its_own_place_on_a_full_node() {
    let host = Host::new(config().takhin_members_max(1));
    let mut request = join_request("g", &MemberId::default(), 60_000);
    request.instance = Some("static".into());
    let joined = host.engine.join(request.clone()).wait().unwrap();
    ask_sync(&host.engine, "g", &joined).wait().unwrap();
    let again = host.engine.join(request.clone()).wait().unwrap();
    assert_ne!(again.member, joined.member);
    assert_eq!(again.generation, joined.generation);
    request.instance = Some("another".into());
    let refused = host.engine.join(request).wait().unwrap_err();
    assert_eq!(refused.refusal, Refusal::Overloaded);
}

#[test]
fn a_group_takes_exactly_its_most_members_whoever_races() {
    let config = config()
        .group_max_size(10)
        .group_initial_rebalance_delay_ms(3_000);
    let host = Host::new(config.takhin_shards(4));
    let (engine, refused) = (&host.engine, AtomicUsize::new(0));
    race(|_| {
        for _ in 0..5 {
            let mut request = join_request("g", &MemberId::default(), 60_000);
            request.requires_known_member_id = false;
            // Parked, or refused at once.
            if let Ok(outcome) = engine.join(request).now() {
                assert_eq!(outcome.unwrap_err().refusal, Refusal::GroupMaxSizeReached);
                refused.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    host.pass(10_000);
    // One whose turn another thread took may be told so a moment later: the counters are final.
    assert_eq!(refusals(engine, RefusalCause::GroupFull), 10);
    assert!(taken(&refused) <= 10);
    let described = engine.describe("g".into()).wait().unwrap();
    assert_eq!(described.members.len(), 10);
    assert_eq!(described.phase, Phase::CompletingRebalance);
}

#[test]
fn who_asks_while_many_die_carries_one_of_them_at_most() {
    let host = Host::new(config().takhin_shards(1));
    for group in 0..100 {
        host.alone_in(&format!("g-{group}"), 30_000);
    }
    host.clock.advance_ms(60_000);
    for asked in 1..=3 {
        let committed = host.engine.commit(commit("other", None, 7)).wait();
        assert_eq!(committed.map(|it| it.len()), Ok(1));
        assert!(host.engine.members() >= 100 - asked);
    }
    host.engine.run_due();
    assert_eq!(host.engine.members(), 0);
}

#[test]
fn who_settles_while_many_die_carries_one_of_them_at_most() {
    let ledger = Ledger::new(Fate::AtOnce);
    let host = Host::with_journal(config().takhin_shards(1), ledger.clone());
    for group in 0..100 {
        host.alone_in(&format!("g-{group}"), 30_000);
    }
    ledger.set(Fate::OnCommand);
    let committed = host.engine.commit(commit("other", None, 7));
    host.clock.advance_ms(60_000);
    assert!(ledger.settle_next(Ok(())));
    assert_eq!(committed.wait().map(|it| it.len()), Ok(1));
    assert!(host.engine.members() >= 99);
    ledger.set(Fate::AtOnce);
    ledger.settle_all();
    host.engine.run_due();
    assert_eq!(host.engine.members(), 0);
}

#[test]
fn a_request_of_any_size_is_answered() {
    const MANY: i32 = 100_000;
    let host = Host::new(config());
    let engine = &host.engine;
    let mut request = join_request("g", &MemberId::default(), 60_000);
    request.requires_known_member_id = false;
    let protocol = |n: i32| Protocol {
        name: format!("p{}", n % 70_000).into(),
        metadata: bytes::Bytes::new(),
    };
    request.protocols = (0..MANY).map(protocol).collect();
    let joined = engine.join(request.clone()).wait().unwrap();
    request.group = "another".into();
    request.protocols.truncate(1_000);
    for timeout_ms in [i32::MIN, -1, 0, i32::MAX] {
        request.rebalance_timeout_ms = timeout_ms;
        // Answered now, or when the others have come, or when it is expelled.
        drop(engine.join(request.clone()));
    }
    ask_sync(engine, "g", &joined).wait().unwrap();
    let request = commit_of(
        "g",
        Some(&joined),
        (0..MANY).map(|n| n % 70_000 - 5_000),
        i64::MIN,
    );
    assert_eq!(
        engine.commit(request).wait().unwrap()[0].partitions.len(),
        100_000
    );
    let mut request = commit_of("g", Some(&joined), [i32::MIN, -1, i32::MAX], i64::MAX);
    request.retention_ms = Some(i64::MAX);
    engine.commit(request.clone()).wait().unwrap();
    request.retention_ms = Some(i64::MIN);
    engine.commit(request).wait().unwrap();
    let mut request = fetch("g", 0);
    let topic = |n: i32| FetchTopic {
        topic: format!("t{n}").as_str().into(),
        partitions: vec![n, n],
    };
    request.topics = Some((0..MANY).map(topic).collect());
    assert_eq!(engine.fetch(request).wait().unwrap().len(), 100_000);
    let leaver = |n: i32| Leaver {
        member: format!("m{}", n / 2).as_str().into(),
        instance: (n % 2 == 0).then(|| "i".into()),
        reason: None,
    };
    let mut leavers: Vec<_> = (0..MANY).map(leaver).collect();
    leavers.extend(leave("g", &joined.member).leavers);
    let group = "g".into();
    let left = engine
        .leave(LeaveRequest { group, leavers })
        .wait()
        .unwrap();
    assert_eq!(left.iter().filter(|it| it.result.is_ok()).count(), 1);
    assert!(engine.member("g", joined.member.as_str()).is_none());
    let topics = vec![OffsetDeleteTopic {
        topic: "topic".into(),
        partitions: (0..MANY).chain(0..MANY).collect(),
    }];
    let group = "g".into();
    let deleted = engine
        .delete_offsets(OffsetDeleteRequest { group, topics })
        .wait();
    assert!(deleted.is_ok());
    assert_eq!(engine.delete_group("g".into()).wait(), Ok(()));
    assert_eq!(engine.metrics().shard(0).offsets.value(), 0);
}
