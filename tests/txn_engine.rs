//! Transactions through the front door: many shards, limits, a journal that fails.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test may fail it as the test itself"
)]

mod common;

use common::ledger::{Fate, Ledger};
use common::*;
use takhin_coordinator::engine::{
    CommitResult, EndTxnRequest, Engine, FetchRequest, Producer, TopicDeletion,
};
use takhin_coordinator::error::Refusal;
use takhin_coordinator::group::CommitRequest;
use takhin_coordinator::ids::TopicId;
use takhin_coordinator::metrics::RefusalCause;
use takhin_coordinator::shard::Answer;

fn stage(engine: &Engine, group: &str, producer: Producer, offset: i64) -> Answer<CommitResult> {
    engine.txn_commit(commit(group, None, offset).in_transaction(producer))
}

fn end(group: &str, producer: Producer, committed: bool) -> EndTxnRequest {
    EndTxnRequest {
        group: group.into(),
        producer,
        committed,
    }
}

fn is_unstable(engine: &Engine, group: &str) -> bool {
    let answer = engine.fetch(FetchRequest {
        require_stable: true,
        ..fetch(group, 0)
    });
    answer.wait().unwrap()[0].partitions[0].is_unstable
}

/// Runs a future on a host that is driven by the test: nothing here waits for another thread.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(out) => out,
        std::task::Poll::Pending => panic!("not at once"),
    }
}

#[test]
fn a_producer_ends_in_all_groups_of_all_shards() {
    let host = Host::new(config().takhin_shards(4));
    let (one, two) = (Producer::new(1, 0), Producer::new(2, 0));
    let groups: Vec<String> = (0..20).map(|at| format!("group-{at}")).collect();
    for group in &groups {
        stage(&host.engine, group, one, 10).wait().unwrap();
    }
    stage(&host.engine, &groups[0], two, 20).wait().unwrap();
    assert_eq!(at_once(host.engine.end_txn_everywhere(one, true)), Ok(()));
    for group in &groups {
        assert_eq!(fetched(&host.engine, group, 0), Some(10));
        assert_eq!(is_unstable(&host.engine, group), *group == groups[0]);
    }
    assert_eq!(at_once(host.engine.end_txn_everywhere(two, false)), Ok(()));
    assert_eq!(fetched(&host.engine, &groups[0], 0), Some(10));
    assert!(!is_unstable(&host.engine, &groups[0]));
}

#[test]
fn an_end_everywhere_fences_the_epochs_before_it_in_all_shards() {
    let host = Host::new(config().takhin_shards(4));
    let next = Producer::new(1, 1);
    assert_eq!(at_once(host.engine.end_txn_everywhere(next, false)), Ok(()));
    for at in 0..20 {
        let late = stage(&host.engine, &format!("group-{at}"), Producer::new(1, 0), 1);
        assert_eq!(late.wait(), Err(Refusal::InvalidProducerEpoch));
    }
    let old = host.engine.end_txn_everywhere(Producer::new(1, 0), true);
    assert_eq!(at_once(old), Err(Refusal::InvalidProducerEpoch));
}

#[test]
fn a_group_without_a_name_has_no_transactions() {
    let host = Host::new(config());
    let refused = stage(&host.engine, "", Producer::new(1, 0), 1).wait();
    assert_eq!(refused, Err(Refusal::InvalidGroupId));
}

#[test]
fn staged_offsets_count_for_the_limit_of_a_group() {
    let host = Host::new(config().takhin_offsets_per_group_max(2));
    let (one, two) = (Producer::new(1, 0), Producer::new(2, 0));
    stage(&host.engine, "g", one, 1).wait().unwrap();
    stage(&host.engine, "g", two, 2).wait().unwrap();
    let full = Err(Refusal::Overloaded);
    let metrics = host.engine.metrics().shard(0);
    assert_eq!(
        (metrics.offsets.value(), metrics.offsets_staged.value()),
        (0, 2)
    );
    let third = stage(&host.engine, "g", Producer::new(3, 0), 3).wait();
    assert_eq!(third.map(|_| ()), full);
    let plain = host.engine.commit(commit("g", None, 4)).wait();
    assert_eq!(plain.map(|_| ()), full);
    // What is staged already takes no more room, and an end always has it.
    stage(&host.engine, "g", one, 5).wait().unwrap();
    host.engine.end_txn(end("g", one, true)).wait().unwrap();
    host.engine.end_txn(end("g", two, false)).wait().unwrap();
    assert_eq!(fetched(&host.engine, "g", 0), Some(5));
    host.engine
        .commit(commit_of("g", None, [1], 6))
        .wait()
        .unwrap();
}

#[test]
fn staged_offsets_count_for_the_limit_of_the_node_exactly() {
    let journal = Ledger::new(Fate::OnCommand);
    let host = Host::with_journal(config().takhin_offsets_max(3), journal.clone());
    let refusals = || {
        let shard = host.engine.metrics().shard(0);
        shard.refusals(RefusalCause::OffsetsMax).value()
    };
    let staged: Vec<_> = (1..=4)
        .map(|id| stage(&host.engine, "g", Producer::new(id, 0), 1))
        .collect();
    journal.settle_all();
    assert_eq!(refusals(), 1);
    let outcomes: Vec<_> = staged.into_iter().map(|it| it.wait().is_ok()).collect();
    assert_eq!(outcomes, [true, true, true, false]);
    // The ends of two make room for one: an offset that is committed stays.
    let ends = [(1, true), (2, false)].map(|(id, committed)| {
        host.engine
            .end_txn(end("g", Producer::new(id, 0), committed))
    });
    journal.settle_all();
    for ended in ends {
        ended.wait().unwrap();
    }
    let more = [5, 6].map(|id| stage(&host.engine, "g", Producer::new(id, 0), 1));
    journal.settle_all();
    assert_eq!(more.map(|it| it.wait().is_ok()), [true, false]);
}

#[test]
fn what_is_staged_anew_while_its_transaction_ends_takes_room_of_its_own() {
    let journal = Ledger::new(Fate::OnCommand);
    let host = Host::with_journal(config().takhin_offsets_max(1), journal.clone());
    let producer = Producer::new(1, 0);
    let staged = stage(&host.engine, "g", producer, 1);
    journal.settle_all();
    staged.wait().unwrap();
    let ended = host.engine.end_txn(end("g", producer, true));
    let anew = stage(&host.engine, "g", producer, 2);
    journal.settle_all();
    ended.wait().unwrap();
    assert_eq!(anew.wait(), Err(Refusal::Overloaded));
}

#[test]
fn a_topic_that_is_gone_takes_along_what_was_staged_for_its_id() {
    let host = Host::new(config());
    let (old, new) = (TopicId([1; 16]), TopicId([2; 16]));
    let staged = |producer, id| {
        let mut request: CommitRequest = commit("g", None, 1);
        request.topics[0].id = id;
        host.engine.txn_commit(request.in_transaction(producer))
    };
    staged(Producer::new(1, 0), old).wait().unwrap();
    staged(Producer::new(2, 0), new).wait().unwrap();
    let gone = [TopicDeletion {
        topic: "topic".into(),
        id: old,
    }];
    assert_eq!(at_once(host.engine.topics_deleted(&gone)), Ok(()));
    let ends = [1, 2].map(|id| host.engine.end_txn(end("g", Producer::new(id, 0), true)));
    for ended in ends {
        ended.wait().unwrap();
    }
    let all = host.engine.fetch(FetchRequest::all("g")).wait().unwrap();
    let committed = all[0].partitions[0].committed.as_ref().unwrap();
    assert_eq!(committed.topic_id, new);
}

#[test]
fn an_end_that_could_not_be_written_is_refused_and_may_be_repeated() {
    let journal = Ledger::new(Fate::AtOnce);
    let host = Host::with_journal(config(), journal.clone());
    let producer = Producer::new(1, 0);
    stage(&host.engine, "g", producer, 7).wait().unwrap();
    journal.set(Fate::Fails(Refusal::NotAvailable));
    let refused = host.engine.end_txn_everywhere(producer, true);
    assert_eq!(at_once(refused), Err(Refusal::NotAvailable));
    assert_eq!(fetched(&host.engine, "g", 0), None);
    assert!(is_unstable(&host.engine, "g"));
    journal.set(Fate::AtOnce);
    let repeated = host.engine.end_txn_everywhere(producer, true);
    assert_eq!(at_once(repeated), Ok(()));
    assert_eq!(fetched(&host.engine, "g", 0), Some(7));
}

#[test]
fn a_stuck_journal_refuses_stable_reads_and_ends_but_no_other_reads() {
    let journal = Ledger::new(Fate::OnCommand);
    let host = Host::with_journal(config(), journal.clone());
    let producer = Producer::new(1, 0);
    let staged = stage(&host.engine, "g", producer, 7);
    let held = host.engine.fetch(FetchRequest::all("g").stable());
    let timeout_ms = u64::try_from(config().build().unwrap().offsets_commit_timeout_ms).unwrap();
    host.pass(timeout_ms + 10);
    assert_eq!(staged.wait(), Err(Refusal::NotAvailable));
    assert_eq!(held.wait(), Err(Refusal::NotAvailable));
    let stable = host.engine.fetch(FetchRequest::all("g").stable());
    assert_eq!(stable.wait(), Err(Refusal::NotAvailable));
    let ended = host.engine.end_txn(end("g", producer, true));
    assert_eq!(ended.wait(), Err(Refusal::NotAvailable));
    assert_eq!(fetched(&host.engine, "g", 0), None);
    // It was staged all the same, and can be ended.
    assert!(journal.settle_next(Ok(())));
    let ended = host.engine.end_txn(end("g", producer, true));
    assert!(journal.settle_next(Ok(())));
    assert_eq!(ended.wait(), Ok(()));
    assert_eq!(fetched(&host.engine, "g", 0), Some(7));
}

#[test]
fn a_rebalance_does_not_keep_a_transaction_from_ending() {
    let host = Host::new(config());
    let joined = host.alone_in("g", 10_000);
    let producer = Producer::new(1, 0);
    let request = commit("g", Some(&joined), 7).in_transaction(producer);
    host.engine.txn_commit(request).wait().unwrap();
    let second = ask_join(&host.engine, "g", &"".into(), 10_000).wait();
    let second = second.unwrap_err().member;
    let waiting = ask_join(&host.engine, "g", &second, 10_000);
    assert_eq!(
        beat(&host.engine, "g", &joined),
        Err(Refusal::RebalanceInProgress)
    );
    assert_eq!(host.engine.end_txn(end("g", producer, true)).wait(), Ok(()));
    assert_eq!(fetched(&host.engine, "g", 0), Some(7));
    drop(waiting);
}
