//! The journal seam through the front door: what is answered, when, and what a restart finds.

mod common;

use common::ledger::{Fate, Ledger};
use common::*;
use takhin_coordinator::engine::Engine;
use takhin_coordinator::error::Refusal;
use takhin_coordinator::group::{ListRequest, Phase};
use takhin_coordinator::ids::MemberId;
use takhin_coordinator::journal::Durability;
use takhin_coordinator::metrics::RefusalCause;
use takhin_coordinator::time::Clock;

fn host(ledger: &Ledger) -> Host {
    Host::with_journal(config(), ledger.clone())
}

#[test]
fn a_commit_is_answered_when_its_batch_is_settled_and_not_before() {
    let ledger = Ledger::new(Fate::AtOnce);
    let host = host(&ledger);
    host.engine.commit(commit("g", None, 1)).wait().unwrap();
    ledger.set(Fate::OnCommand);
    let second = host.engine.commit(commit("g", None, 2));
    let second = second.now().expect_err("its batch is on its way");
    assert_eq!(fetched(&host.engine, "g", 0), Some(1));
    host.pass(4_000);
    let second = second.now().expect_err("time makes nothing durable");
    ledger.settle_next(Ok(()));
    assert!(second.now().expect("settled").is_ok());
    assert_eq!(fetched(&host.engine, "g", 0), Some(2));
}

#[test]
fn a_commit_of_what_is_stored_is_written_where_only_others_can_tell_that_it_still_counts() {
    // Another machine may have taken over and stored something else.
    for (durability, batches) in [(Durability::LocalFsync, 1), (Durability::Quorum, 2)] {
        let ledger = Ledger::new(Fate::AtOnce).promising(durability);
        let host = host(&ledger);
        for _ in 0..2 {
            host.engine.commit(commit("g", None, 1)).wait().unwrap();
        }
        assert_eq!(ledger.appended(), batches, "{durability:?}");
    }
}

#[test]
fn commits_on_their_way_are_answered_in_their_order() {
    let ledger = Ledger::new(Fate::OnCommand);
    let host = host(&ledger);
    let first = host.engine.commit(commit("g", None, 1));
    let second = host.engine.commit(commit("g", None, 2));
    let third = host.engine.commit(commit("g", None, 3));
    ledger.settle_next(Ok(()));
    assert!(first.now().expect("settled").is_ok());
    let second = second.now().expect_err("not settled");
    ledger.settle_next(Ok(()));
    assert!(second.now().expect("settled").is_ok());
    let third = third.now().expect_err("not settled");
    ledger.settle_next(Ok(()));
    assert!(third.now().expect("settled").is_ok());
    assert_eq!(fetched(&host.engine, "g", 0), Some(3));
}

#[test]
fn a_commit_that_could_not_be_stored_is_refused_and_leaves_no_trace() {
    let ledger = Ledger::new(Fate::AtOnce);
    let host = host(&ledger);
    host.engine.commit(commit("g", None, 1)).wait().unwrap();
    ledger.set(Fate::Fails(Refusal::NotAvailable));
    let refused = host.engine.commit(commit("g", None, 2)).wait();
    assert_eq!(refused, Err(Refusal::NotAvailable));
    assert_eq!(fetched(&host.engine, "g", 0), Some(1));
}

#[test]
fn an_assignment_that_could_not_be_stored_is_refused_and_begins_a_rebalance() {
    let ledger = Ledger::new(Fate::AtOnce);
    let host = host(&ledger);
    let member = ask_join(&host.engine, "g", &MemberId::default(), 10_000);
    let member = member.wait().unwrap_err().member;
    let joined = ask_join(&host.engine, "g", &member, 10_000).wait().unwrap();
    ledger.set(Fate::Fails(Refusal::NotCoordinator));
    let synced = ask_sync(&host.engine, "g", &joined).wait();
    assert_eq!(synced, Err(Refusal::NotCoordinator));
    assert_eq!(
        beat(&host.engine, "g", &joined),
        Err(Refusal::RebalanceInProgress)
    );
    ledger.set(Fate::AtOnce);
    let again = ask_join(&host.engine, "g", &member, 10_000).wait().unwrap();
    assert_eq!(again.generation.0, joined.generation.0 + 1);
    ask_sync(&host.engine, "g", &again).wait().unwrap();
    assert_eq!(beat(&host.engine, "g", &again), Ok(()));
}

#[test]
fn a_group_whose_removal_could_not_be_stored_is_still_there() {
    let ledger = Ledger::new(Fate::AtOnce);
    let host = host(&ledger);
    host.engine.commit(commit("g", None, 1)).wait().unwrap();
    ledger.set(Fate::Fails(Refusal::NotAvailable));
    let refused = host.engine.delete_group("g".into()).wait();
    assert_eq!(refused, Err(Refusal::NotAvailable));
    assert_eq!(fetched(&host.engine, "g", 0), Some(1));
    ledger.set(Fate::AtOnce);
    assert_eq!(host.engine.delete_group("g".into()).wait(), Ok(()));
    assert_eq!(fetched(&host.engine, "g", 0), None);
}

#[test]
fn a_batch_that_the_journal_forgets_counts_as_failed() {
    let ledger = Ledger::new(Fate::Forgotten);
    let host = host(&ledger);
    let refused = host.engine.commit(commit("g", None, 1)).wait();
    assert_eq!(refused, Err(Refusal::NotAvailable));
    ledger.set(Fate::AtOnce);
    host.engine.commit(commit("g", None, 2)).wait().unwrap();
    assert_eq!(fetched(&host.engine, "g", 0), Some(2));
}

#[test]
fn outcomes_that_come_out_of_order_are_followed_in_order_and_none_is_lost() {
    let ledger = Ledger::new(Fate::OnCommand);
    let host = host(&ledger);
    let first = host.engine.commit(commit("g", None, 1));
    let second = host.engine.commit(commit("g", None, 2));
    ledger.take_newest().expect("two wait").settle(Ok(()));
    let second = second.now().expect_err("the first is not settled");
    ledger.settle_next(Ok(()));
    assert!(first.now().expect("settled").is_ok());
    assert!(second.now().expect("settled").is_ok());
    ledger.set(Fate::AtOnce);
    host.engine.commit(commit("g", None, 3)).wait().unwrap();
}

#[test]
fn what_is_decided_by_the_way_of_a_settlement_bears_the_time_of_the_day() {
    // The journal's thread has no clock of its own: what it sets going is dated all the same.
    let ledger = Ledger::new(Fate::OnCommand);
    let host = host(&ledger);
    let waiting: Vec<_> = (1..=3)
        .map(|offset| host.engine.commit(commit("g", None, offset)))
        .collect();
    host.clock.advance_ms(4_000);
    ledger.settle_all();
    for answer in waiting {
        answer.wait().unwrap();
    }
    let fetched = host.engine.fetch(fetch("g", 0)).wait().unwrap();
    let value = fetched[0].partitions[0].committed.clone().unwrap();
    assert_eq!(
        (value.offset, value.committed_at),
        (3, host.clock.now().wall)
    );
}

#[test]
fn a_session_that_begins_with_a_settlement_lasts_from_the_settlement_on() {
    let ledger = Ledger::new(Fate::AtOnce);
    let host = host(&ledger);
    let member = ask_join(&host.engine, "g", &MemberId::default(), 10_000);
    let member = member.wait().unwrap_err().member;
    let joined = ask_join(&host.engine, "g", &member, 10_000).wait().unwrap();
    ledger.set(Fate::OnCommand);
    let sync = ask_sync(&host.engine, "g", &joined);
    host.clock.advance_ms(4_000);
    ledger.settle_all();
    sync.wait().unwrap();
    host.pass(9_990);
    assert_eq!(host.engine.members(), 1);
    host.pass(20);
    assert_eq!(host.engine.members(), 0);
}

#[test]
fn a_write_that_takes_too_long_is_refused_and_counts_all_the_same_when_it_succeeds() {
    let ledger = Ledger::new(Fate::OnCommand);
    let host = host(&ledger);
    let first = host.engine.commit(commit("g", None, 1));
    host.pass(4_999);
    let first = first.now().expect_err("there is time left");
    host.pass(1);
    assert_eq!(first.now().expect("refused"), Err(Refusal::NotAvailable));
    // The place of whoever waited is taken by another, whom the late outcome does not concern.
    let second = host.engine.commit(commit("h", None, 2));
    let second = second
        .now()
        .expect("refused at once, as the journal is stuck");
    assert_eq!(second, Err(Refusal::NotAvailable));
    assert_eq!(fetched(&host.engine, "g", 0), None, "reads go on");
    let third = host.engine.fetch(fetch("g", 0));
    assert!(third.now().expect("answered").is_ok());
    ledger.settle_next(Ok(()));
    assert_eq!(fetched(&host.engine, "g", 0), Some(1));
    let fourth = host.engine.commit(commit("g", None, 4));
    let fourth = fourth.now().expect_err("the journal goes on");
    ledger.settle_next(Ok(()));
    assert!(fourth.now().expect("settled").is_ok());
    let stuck = &host
        .engine
        .metrics()
        .shard(0)
        .refusals(RefusalCause::JournalStuck);
    assert_eq!(stuck.value(), 1);
}

#[test]
fn an_engine_with_threads_of_its_own_looks_at_the_time_by_itself() {
    let config = config().offsets_commit_timeout_ms(20).build().unwrap();
    let engine = Engine::builder(config)
        .journal(Ledger::new(Fate::OnCommand))
        .open()
        .unwrap();
    engine.wait_until_loaded().wait().unwrap();
    let refused = engine.commit(commit("g", None, 1)).wait();
    assert_eq!(refused, Err(Refusal::NotAvailable));
}

#[test]
fn what_waits_in_the_mailbox_behind_a_stuck_journal_is_refused_with_it() {
    let ledger = Ledger::new(Fate::OnCommand);
    let host = host(&ledger);
    let first = host.engine.commit(commit("g", None, 1));
    host.pass(1_000);
    let second = host.engine.commit(commit("g", None, 2));
    let queued = host.engine.commit(commit("g", None, 3));
    host.pass(4_000);
    assert_eq!(first.now().expect("refused"), Err(Refusal::NotAvailable));
    assert_eq!(queued.now().expect("refused"), Err(Refusal::NotAvailable));
    let second = second.now().expect_err("it has a second left");
    ledger.settle_next(Ok(()));
    ledger.settle_next(Ok(()));
    assert!(second.now().expect("settled").is_ok());
    assert_eq!(fetched(&host.engine, "g", 0), Some(2));
}

#[test]
fn an_assignment_that_takes_too_long_to_store_is_refused_and_begins_a_rebalance() {
    let ledger = Ledger::new(Fate::AtOnce);
    let host = host(&ledger);
    let member = ask_join(&host.engine, "g", &MemberId::default(), 10_000);
    let member = member.wait().unwrap_err().member;
    let joined = ask_join(&host.engine, "g", &member, 10_000).wait().unwrap();
    ledger.set(Fate::OnCommand);
    let synced = ask_sync(&host.engine, "g", &joined);
    host.pass(5_000);
    assert_eq!(synced.now().expect("refused"), Err(Refusal::NotAvailable));
    let told = beat(&host.engine, "g", &joined);
    assert_eq!(told, Err(Refusal::RebalanceInProgress));
    ledger.settle_next(Ok(()));
    let told = beat(&host.engine, "g", &joined);
    assert_eq!(
        told,
        Err(Refusal::RebalanceInProgress),
        "nobody knows of it"
    );
    ledger.set(Fate::AtOnce);
    let again = ask_join(&host.engine, "g", &member, 10_000).wait().unwrap();
    assert_eq!(again.generation.0, joined.generation.0 + 1);
    ask_sync(&host.engine, "g", &again).wait().unwrap();
    assert_eq!(beat(&host.engine, "g", &again), Ok(()));
}

#[test]
fn a_removal_that_takes_too_long_is_refused_with_all_that_waits_for_it() {
    let ledger = Ledger::new(Fate::AtOnce);
    let host = host(&ledger);
    host.engine.commit(commit("g", None, 1)).wait().unwrap();
    ledger.set(Fate::OnCommand);
    let removal = host.engine.delete_group("g".into());
    let held = host.engine.fetch(fetch("g", 0));
    host.pass(5_000);
    assert_eq!(removal.now().expect("refused"), Err(Refusal::NotAvailable));
    assert_eq!(held.now().expect("refused"), Err(Refusal::NotAvailable));
    ledger.settle_next(Ok(()));
    assert_eq!(fetched(&host.engine, "g", 0), None, "it succeeded late");
}

#[test]
fn shutting_down_answers_what_waits_behind_a_journal_that_says_nothing() {
    let ledger = Ledger::new(Fate::OnCommand);
    let host = host(&ledger);
    let on_their_way = [1, 2].map(|offset| host.engine.commit(commit("g", None, offset)));
    let queued = host.engine.commit(commit("g", None, 3));
    host.engine.shutdown();
    let queued = queued.now().expect("refused at the shutdown");
    assert_eq!(queued, Err(Refusal::NotAvailable));
    // What is on its way may still become durable: the journal has the word.
    let [first, second] = on_their_way.map(|answer| answer.now().expect_err("on its way"));
    ledger.settle_next(Ok(()));
    assert!(first.now().expect("settled").is_ok());
    // Without the engine nobody can be told any more.
    drop(host);
    let second = second.now().expect("answered with the engine's end");
    assert_eq!(second, Err(Refusal::NotAvailable));
    assert!(ledger.settle_next(Ok(())), "a late outcome disturbs nobody");
}

#[test]
fn an_engine_that_is_opened_on_a_journal_lists_what_is_in_it() {
    let ledger = Ledger::new(Fate::AtOnce);
    let first = host(&ledger);
    first.alone_in("stable", 10_000);
    first
        .engine
        .commit(commit("offsets", None, 1))
        .wait()
        .unwrap();
    first.engine.commit(commit("gone", None, 1)).wait().unwrap();
    first.engine.delete_group("gone".into()).wait().unwrap();
    let second = host(&ledger);
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let listed = runtime
        .unwrap()
        .block_on(second.engine.list(ListRequest::default()));
    let mut rows: Vec<_> = listed
        .unwrap()
        .into_iter()
        .map(|row| (row.group.to_string(), row.phase))
        .collect();
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    let expected = [("offsets", Phase::Empty), ("stable", Phase::Stable)];
    assert_eq!(rows, expected.map(|(name, phase)| (name.to_owned(), phase)));
}

#[test]
fn revived_members_are_expired_a_session_after_the_restart_unless_they_beat() {
    let ledger = Ledger::new(Fate::AtOnce);
    let first = host(&ledger);
    let (beats, silent) = (first.alone_in("b", 10_000), first.alone_in("s", 10_000));
    first.pass(9_000);
    let second = Host::with_journal(config(), ledger);
    second.pass(9_000);
    assert_eq!(beat(&second.engine, "b", &beats), Ok(()));
    second.pass(1_020);
    assert_eq!(beat(&second.engine, "b", &beats), Ok(()));
    let unknown = Err(Refusal::UnknownMemberId);
    assert_eq!(beat(&second.engine, "s", &silent), unknown);
}
