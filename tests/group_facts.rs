//! Offsets, their expiry, the removal of groups, failed appends and restarts.

#![allow(
    clippy::unwrap_used,
    clippy::wildcard_imports,
    reason = "a test may trip, and the stage is all its own"
)]

mod stage;

use stage::*;
use takhin_coordinator::error::Refusal;
use takhin_coordinator::group::{
    CommitRequest, ListRequest, ListSlice, Phase, Producer, Record, Reply, Request, Rules,
    TxnGroupsRequest,
};

const CHECK_MS: u64 = 600_000;

#[test]
fn a_retention_of_minus_one_is_none_at_all() {
    let mut stage = Stage::new(Rules::default());
    stage.ask(Request::Commit(CommitRequest {
        retention_ms: Some(-1),
        ..committing("g", &[(0, 1)])
    }));
    let Record::Offset {
        value: Some(value), ..
    } = &stage.log[0]
    else {
        panic!("no offset");
    };
    assert_eq!(value.expires_at, None);
}

#[test]
fn the_longest_retention_never_ends() {
    let mut stage = Stage::new(Rules::default());
    stage.ask(Request::Commit(CommitRequest {
        retention_ms: Some(i64::MAX),
        ..committing("g", &[(0, 1)])
    }));
    stage.advance(100 * 86_400_000);
    assert!(stage.groups.contains(&"g".into()));
}

#[test]
fn an_empty_group_that_loses_its_last_offset_goes_at_the_next_check() {
    let mut stage = Stage::new(Rules::default());
    stage.ask(commit("g", &[(0, 1)]));
    stage.advance(2 * CHECK_MS);
    stage.ask(delete_offsets("g", "t", &[0]));
    stage.advance(CHECK_MS);
    assert!(!stage.groups.contains(&"g".into()));
}

#[test]
fn an_old_commit_ages_from_its_own_time() {
    let mut stage = Stage::new(Rules::default());
    let mut request = committing("g", &[(0, 1)]);
    let retention_ms = Rules::default().offsets_retention_ms;
    let aged = stage.now().wall.0 - (retention_ms - 2 * i64::try_from(CHECK_MS).unwrap());
    request.topics[0].partitions[0].committed_at = Some(takhin_coordinator::time::WallMs(aged));
    // Something else came first, so that the check of the new group has passed.
    stage.ask(commit("g", &[(1, 1)]));
    stage.advance(CHECK_MS);
    stage.ask(Request::Commit(request));
    stage.advance(2 * CHECK_MS);
    assert_eq!(stage.groups.snapshot().len(), 1);
}

#[test]
fn a_full_group_still_takes_commits_of_partitions_that_it_has() {
    let rules = Rules {
        group_offsets_max: 2,
        ..Rules::default()
    };
    let mut stage = Stage::new(rules);
    stage.ask(commit("g", &[(0, 1), (1, 1)]));
    let reply = stage.answer(commit("g", &[(0, 2), (1, 2)]));
    assert!(matches!(reply, Reply::Commit(Ok(_))));
    let reply = stage.answer(commit("g", &[(1, 2), (2, 2)]));
    assert_eq!(reply, Reply::Commit(Err(Refusal::Overloaded)));
}

#[test]
fn a_group_of_very_many_offsets_goes_in_time_in_proportion() {
    let mut stage = Stage::new(Rules::default());
    let backwards: Vec<(i32, i64)> = (0..200_000).rev().map(|it| (it, 1)).collect();
    stage.ask(commit("g", &backwards));
    assert_eq!(stage.answer(delete_group("g")), Reply::DeleteGroup(Ok(())));
    assert_eq!(stage.groups.snapshot(), []);
}

#[test]
fn a_group_with_members_refuses_its_deletion_without_waiting_for_the_journal() {
    let mut stage = stable_group(Rules::default(), 1);
    stage.journal = Journal::OnCommand;
    let to = stage.ask(commit_as("g", &nth(1), 1, &[(0, 5)]));
    let reply = stage.answer(delete_group("g"));
    assert_eq!(reply, Reply::DeleteGroup(Err(Refusal::NonEmptyGroup)));
    let reply = stage.answer(heartbeat("g", &nth(1), 1));
    assert_eq!(reply, Reply::Heartbeat(Ok(())));
    stage.settle_all();
    assert!(matches!(stage.reply(to), Some(Reply::Commit(Ok(_)))));
}

#[test]
fn a_removed_group_ends_what_was_staged_in_it_though_the_log_has_no_other_word_on_it() {
    let mut stage = Stage::new(Rules::default());
    let producer = Producer::new(1, 0);
    let staged = committing("g", &[(0, 1)]).in_transaction(producer);
    stage.ask(Request::TxnCommit(staged));
    stage.log.push(Record::Group {
        group: "g".into(),
        value: None,
    });
    let mut stage = stage.restart(Rules::default());
    assert_eq!(stage.groups.pending(), 0);
    let open = stage.answer(Request::TxnGroups(TxnGroupsRequest { producer }));
    assert_eq!(open, Reply::TxnGroups(Ok(Vec::new())));
}

#[test]
fn a_deleted_group_stays_deleted_over_a_restart() {
    let mut stage = Stage::new(Rules::default());
    stage.ask(commit("g", &[(0, 1)]));
    stage.ask(delete_group("g"));
    let stage = stage.restart(Rules::default());
    assert!(stage.groups.is_empty());
}

#[test]
fn a_restarted_group_without_a_stored_leader_elects_one() {
    let mut stage = stable_group(Rules::default(), 1);
    let last = stage.log.len() - 1;
    let Record::Group {
        value: Some(stored),
        ..
    } = &mut stage.log[last]
    else {
        panic!("no group");
    };
    std::sync::Arc::make_mut(stored).leader = None;
    let mut stage = stage.restart(Rules::default());
    let Request::Join(mut again) = join_as("g", &nth(1)) else {
        unreachable!()
    };
    again.protocols.push(protocol("other", ""));
    let to = stage.ask(Request::Join(again));
    assert!(matches!(stage.reply(to), Some(Reply::Join(Ok(_)))));
    assert_eq!(stage.phase("g"), Some(Phase::CompletingRebalance));
}

#[test]
fn a_member_that_is_stored_twice_is_revived_once() {
    let mut stage = stable_group(Rules::default(), 1);
    let last = stage.log.len() - 1;
    let Record::Group {
        value: Some(stored),
        ..
    } = &mut stage.log[last]
    else {
        panic!("no group");
    };
    let stored = std::sync::Arc::make_mut(stored);
    stored.members.push(stored.members[0].clone());
    let stage = stage.restart(Rules::default());
    assert_eq!(stage.groups.seats(), 1);
}

#[test]
fn a_revived_group_above_the_limit_turns_the_last_ones_away() {
    let stage = stable_group(Rules::default(), 3);
    let rules = Rules {
        group_members_max: 2,
        ..Rules::default()
    };
    let mut stage = stage.restart(rules);
    assert_eq!(stage.phase("g"), Some(Phase::PreparingRebalance));
    stage.ask(join_as("g", &nth(1)));
    stage.ask(join_as("g", &nth(2)));
    let Reply::Join(Err(refused)) = stage.answer(join_as("g", &nth(3))) else {
        panic!("not refused");
    };
    assert_eq!(refused.refusal, Refusal::GroupMaxSizeReached);
    // As in Kafka that alone completes nothing; one that asks again does.
    assert_eq!(stage.phase("g"), Some(Phase::PreparingRebalance));
    stage.ask(join_as("g", &nth(1)));
    assert_eq!(stage.phase("g"), Some(Phase::CompletingRebalance));
}

#[test]
fn lists_are_filtered_by_state_and_type_without_case() {
    let mut stage = stable_group(Rules::default(), 1);
    stage.ask(commit("simple", &[(0, 1)]));
    let mut list = |states: &[&str], types: &[&str]| {
        let owned = |all: &[&str]| all.iter().map(|it| (*it).to_owned()).collect();
        let request = ListRequest {
            states: owned(states),
            types: owned(types),
        };
        let request = Request::List(ListSlice::first(&request));
        let Reply::List(Ok(page)) = stage.answer(request) else {
            panic!("not listed");
        };
        let ids: Vec<String> = page.rows.iter().map(|it| it.group.to_string()).collect();
        ids.join(" ")
    };
    assert_eq!(list(&[], &[]), "g simple");
    assert_eq!(list(&[" STABLE "], &[]), "g");
    assert_eq!(list(&["empty", "Dead"], &["Classic"]), "simple");
    assert_eq!(list(&["Foo"], &[]), "");
    assert_eq!(list(&["stable"], &["consumer"]), "");
}
