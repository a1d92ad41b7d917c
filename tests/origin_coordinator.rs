//! The fifteen tests of the origin's `coordinator_test.go`, by name, under Kafka's rules.
//!
//! Five of them conflict with Kafka and assert what Kafka does instead: joins wait, 0 is no
//! generation to sync with, nothing is synced in an empty group, the generation counts at the end
//! of a rebalance, and a group outlives its last member.

#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    clippy::wildcard_imports,
    reason = "a test may trip, and the stage is all its own"
)]

mod stage;

use stage::{
    Stage, assign, commit, committing, delete_group, fetch, heartbeat, join, join_as, joining,
    leave, leaver, nth, protocol, stable_group, sync,
};
use takhin_coordinator::error::Refusal;
use takhin_coordinator::group::{
    CommitRequest, FetchedPartition, JoinRequest, ListRequest, ListSlice, Phase, Reply, ReplyTo,
    Request, Rules,
};
use takhin_coordinator::ids::Generation;

fn stage() -> Stage {
    Stage::new(Rules::default())
}

/// What is committed of one partition.
fn fetched(stage: &mut Stage, group: &str, topic: &str, partition: i32) -> FetchedPartition {
    let Reply::Fetch(Ok(mut topics)) = stage.answer(fetch(group, topic, &[partition])) else {
        panic!("not fetched");
    };
    topics.remove(0).partitions.remove(0)
}

fn offset(stage: &mut Stage, group: &str, topic: &str, partition: i32) -> Option<i64> {
    let fetched = fetched(stage, group, topic, partition);
    fetched.committed.map(|value| value.offset)
}

fn members(stage: &mut Stage, group: &str) -> usize {
    match stage.answer(stage::describe(group)) {
        Reply::Describe(Ok(described)) => described.members.len(),
        _ => 0,
    }
}

fn refusal(stage: &Stage, to: ReplyTo) -> Option<Refusal> {
    match stage.reply(to) {
        Some(Reply::Join(Err(refused))) => Some(refused.refusal),
        _ => None,
    }
}

fn join_with(protocols: &[&str]) -> Request {
    Request::Join(JoinRequest {
        protocols: protocols.iter().map(|it| protocol(it, "")).collect(),
        ..joining("g")
    })
}

/// A group is made by the first request that needs it; one that only committed shows it new.
#[test]
fn test_new_group() {
    let mut stage = stage();
    stage.ask(commit("test-group", &[(0, 1)]));
    let state = stage.groups.state(&"test-group".into());
    assert_eq!(state, Some((Generation(0), Phase::Empty)));
    assert_eq!(members(&mut stage, "test-group"), 0);
}

/// Adding a member is its join, which waits: the origin's "joining".
#[test]
fn test_group_add_member() {
    let mut stage = stage();
    let to = stage.ask(join("g"));
    assert_eq!(stage.reply(to), None);
    assert_eq!(members(&mut stage, "g"), 1);
    assert_eq!(stage.phase("g"), Some(Phase::PreparingRebalance));
}

/// Kafka asks for the type only while there are members; the error is a refusal.
#[test]
fn test_group_add_member_protocol_mismatch() {
    let mut stage = stable_group(Rules::default(), 1);
    let to = stage.ask(Request::Join(JoinRequest {
        protocol_type: "connect".into(),
        ..joining("g")
    }));
    assert_eq!(
        refusal(&stage, to),
        Some(Refusal::InconsistentGroupProtocol)
    );
}

/// Removing is leaving; the last one leaves the group empty, with its generation counted on.
#[test]
fn test_group_remove_member() {
    let mut stage = stable_group(Rules::default(), 1);
    assert_eq!(members(&mut stage, "g"), 1);
    stage.ask(leave("g", vec![leaver(&nth(1), None)]));
    assert_eq!(members(&mut stage, "g"), 0);
    let state = stage.groups.state(&"g".into());
    assert_eq!(state, Some((Generation(2), Phase::Empty)));
}

/// The selection shows in the answers to the joins.
#[test]
fn test_group_select_protocol() {
    let mut stage = stage();
    let to = stage.ask(join_with(&["range", "roundrobin"]));
    stage.ask(join_with(&["range"]));
    stage.advance(6_000);
    let Some(Reply::Join(Ok(joined))) = stage.reply(to) else {
        panic!("not joined");
    };
    assert_eq!(joined.protocol.as_deref(), Some("range"));
}

/// Kafka never gets so far: the member without a common protocol is not let in.
#[test]
fn test_group_select_protocol_no_common() {
    let mut stage = stage();
    stage.ask(join_with(&["range"]));
    let to = stage.ask(join_with(&["roundrobin"]));
    assert_eq!(
        refusal(&stage, to),
        Some(Refusal::InconsistentGroupProtocol)
    );
}

/// As in the origin; the metadata and the time come along.
#[test]
fn test_group_commit_and_fetch_offset() {
    let mut stage = stage();
    let mut request = committing("g", &[(0, 100)]);
    request.topics[0].partitions[0].metadata = "metadata1".into();
    stage.ask(Request::Commit(request));
    let value = fetched(&mut stage, "g", "t", 0).committed.unwrap();
    assert_eq!((value.offset, &*value.metadata), (100, "metadata1"));
    assert_eq!(value.committed_at, stage.now().wall);
    assert_eq!(offset(&mut stage, "g", "t", 1), None);
    assert_eq!(offset(&mut stage, "g", "other-topic", 0), None);
}

/// Conflict: the origin counts the generation at the start of a rebalance, Kafka at its end.
#[test]
fn test_group_rebalance() {
    let mut stage = stable_group(Rules::default(), 1);
    stage.ask(join("g"));
    let state = stage.groups.state(&"g".into());
    assert_eq!(state, Some((Generation(1), Phase::PreparingRebalance)));
    stage.ask(join_as("g", &nth(1)));
    let state = stage.groups.state(&"g".into());
    assert_eq!(state, Some((Generation(2), Phase::CompletingRebalance)));
    stage.ask(assign("g", &nth(1), 2, &[(&nth(1), "a"), (&nth(2), "b")]));
    assert_eq!(stage.phase("g"), Some(Phase::Stable));
    assert_eq!(members(&mut stage, "g"), 2);
}

/// The need is the phase: none in peace, one with a joiner, one with a silent member.
#[test]
fn test_group_needs_rebalance() {
    let mut stage = stable_group(Rules::default(), 2);
    stage.advance(5_000);
    assert_eq!(stage.phase("g"), Some(Phase::Stable));
    stage.ask(heartbeat("g", &nth(1), 1));
    stage.advance(5_000);
    assert_eq!(
        stage.phase("g"),
        Some(Phase::PreparingRebalance),
        "a silent member"
    );
    stage.ask(join_as("g", &nth(1)));
    stage.ask(assign("g", &nth(1), 2, &[(&nth(1), "a")]));
    assert_eq!(stage.phase("g"), Some(Phase::Stable));
    stage.ask(join("g"));
    assert_eq!(
        stage.phase("g"),
        Some(Phase::PreparingRebalance),
        "a joiner"
    );
}

/// Asking again finds the group that is there, and the list shows it once.
#[test]
fn test_coordinator() {
    let mut stage = stage();
    stage.ask(commit("g", &[(0, 1)]));
    stage.ask(commit("g", &[(1, 1)]));
    assert_eq!(stage.groups.len(), 1);
    let list = ListSlice::first(&ListRequest::default());
    let Reply::List(Ok(page)) = stage.answer(Request::List(list)) else {
        panic!("not listed");
    };
    let ids: Vec<&str> = page.rows.iter().map(|row| row.group.as_str()).collect();
    assert_eq!(ids, ["g"]);
}

/// Conflict: the origin answers at once with members still pending; Kafka's joins wait.
#[test]
fn test_coordinator_join_group() {
    let mut stage = stage();
    let first = stage.ask(join("g"));
    let second = stage.ask(join("g"));
    assert_eq!((stage.reply(first), stage.reply(second)), (None, None));
    stage.advance(6_000);
    for to in [first, second] {
        let Some(Reply::Join(Ok(joined))) = stage.reply(to) else {
            panic!("not joined");
        };
        assert_eq!(joined.leader, nth(1));
        assert_eq!(joined.generation, Generation(1));
    }
    assert_eq!(members(&mut stage, "g"), 2);
}

/// Conflict: the origin syncs generation 0 of an empty group; Kafka refuses until the join is
/// complete, and lets the follower wait for the leader.
#[test]
fn test_coordinator_sync_group() {
    let mut stage = stage();
    stage.ask(join("g"));
    stage.ask(join("g"));
    let early = stage.answer(sync("g", &nth(1), 0));
    assert_eq!(early, Reply::Sync(Err(Refusal::RebalanceInProgress)));
    stage.advance(6_000);
    let follower = stage.ask(sync("g", &nth(2), 1));
    assert_eq!(stage.reply(follower), None);
    let all = [(&nth(1), "assignment1"), (&nth(2), "assignment2")];
    let leader = stage.ask(assign("g", &nth(1), 1, &all));
    for (to, assignment) in [(leader, "assignment1"), (follower, "assignment2")] {
        let Some(Reply::Sync(Ok(synced))) = stage.reply(to) else {
            panic!("not synced");
        };
        assert_eq!(synced.assignment, assignment);
    }
}

/// Conflict: generation 0 never beats; the rest is as in the origin, with Kafka's refusals.
#[test]
fn test_coordinator_heartbeat() {
    let mut stage = stable_group(Rules::default(), 1);
    let mut beat = |member, generation| {
        let Reply::Heartbeat(reply) = stage.answer(heartbeat("g", &member, generation)) else {
            panic!("not a heartbeat's");
        };
        reply
    };
    assert_eq!(beat(nth(1), 1), Ok(()));
    assert_eq!(beat(nth(1), 0), Err(Refusal::IllegalGeneration));
    assert_eq!(beat(nth(1), 999), Err(Refusal::IllegalGeneration));
    assert_eq!(beat("member999".into(), 1), Err(Refusal::UnknownMemberId));
}

/// Conflict: the origin drops the group, offsets and all, with its last member; Kafka keeps it
/// until it is deleted or its offsets expire.
#[test]
fn test_coordinator_leave_group() {
    let mut stage = stable_group(Rules::default(), 1);
    stage.ask(stage::commit_as("g", &nth(1), 1, &[(0, 5)]));
    let left = stage.answer(leave("g", vec![leaver(&nth(1), None)]));
    assert!(matches!(left, Reply::Leave(Ok(left)) if left[0].result.is_ok()));
    assert_eq!(stage.phase("g"), Some(Phase::Empty));
    assert_eq!(offset(&mut stage, "g", "t", 0), Some(5));
    assert_eq!(stage.answer(delete_group("g")), Reply::DeleteGroup(Ok(())));
    assert_eq!(stage.phase("g"), None);
}

/// As in the origin: a commit to no group makes one.
#[test]
fn test_coordinator_offset_commit_and_fetch() {
    let mut stage = stage();
    let mut request = committing("g", &[(0, 100)]);
    request.topics[0].partitions[0].metadata = "meta".into();
    let reply = stage.answer(Request::Commit(CommitRequest { ..request }));
    assert!(matches!(reply, Reply::Commit(Ok(_))));
    let value = fetched(&mut stage, "g", "t", 0).committed.unwrap();
    assert_eq!((value.offset, &*value.metadata), (100, "meta"));
    assert_eq!(offset(&mut stage, "g", "t", 1), None);
    assert_eq!(offset(&mut stage, "other-group", "t", 0), None);
}
