//! The nine tests of the origin's `reset_test.go`, by name, under Kafka's rules.
//!
//! Kafka has no reset of its own: an administrator commits from outside the group protocol, which
//! an empty group takes and any other refuses. Deletion by force is removal of the members first.

#![allow(
    clippy::unwrap_used,
    clippy::wildcard_imports,
    reason = "a test may trip, and the stage is all its own"
)]

mod stage;

use stage::{
    Stage, commit, committing, delete_group, delete_offsets, fetch_all, join_static, leave, leaver,
    stable_group,
};
use takhin_coordinator::error::Refusal;
use takhin_coordinator::group::{Phase, Reply, Request, Rules};
use takhin_coordinator::ids::MemberId;

fn stage() -> Stage {
    Stage::new(Rules::default())
}

/// Everything that is committed, as `topic/partition=offset`.
fn committed(stage: &mut Stage, group: &str) -> Vec<String> {
    let Reply::Fetch(Ok(topics)) = stage.answer(fetch_all(group)) else {
        panic!("not fetched");
    };
    let mut all = Vec::new();
    for topic in topics {
        for row in topic.partitions {
            let offset = row.committed.unwrap().offset;
            all.push(format!("{}/{}={offset}", topic.topic, row.partition));
        }
    }
    all
}

/// A commit from outside, of several topics.
fn reset(group: &str, topics: &[(&str, &[(i32, i64)])]) -> Request {
    let mut request = committing(group, &[]);
    request.topics.clear();
    for (topic, offsets) in topics {
        let mut one = committing(group, offsets).topics.remove(0);
        one.topic = (*topic).into();
        request.topics.push(one);
    }
    Request::Commit(request)
}

/// The reset is a commit from outside; it may bring new topics.
#[test]
fn test_reset_offsets() {
    let mut stage = stage();
    stage.ask(reset("g", &[("t1", &[(0, 100), (1, 200)])]));
    let request = reset("g", &[("t1", &[(0, 50), (1, 150)]), ("t2", &[(0, 0)])]);
    assert!(matches!(stage.answer(request), Reply::Commit(Ok(_))));
    assert_eq!(
        committed(&mut stage, "g"),
        ["t1/0=50", "t1/1=150", "t2/0=0"]
    );
}

/// A group in use refuses whoever is none of its members.
#[test]
fn test_reset_offsets_invalid_state() {
    let mut stage = stable_group(Rules::default(), 1);
    let reply = stage.answer(reset("g", &[("t1", &[(0, 50)])]));
    assert_eq!(reply, Reply::Commit(Err(Refusal::UnknownMemberId)));
    assert_eq!(committed(&mut stage, "g"), Vec::<String>::new());
}

/// The origin clears all offsets with one call; Kafka deletes those that it is told.
#[test]
fn test_delete_group_offsets() {
    let mut stage = stage();
    stage.ask(commit("g", &[(0, 100), (1, 200), (2, 300)]));
    let reply = stage.answer(delete_offsets("g", "t", &[0, 1, 2]));
    let Reply::OffsetDelete(Ok(topics)) = reply else {
        panic!("not deleted");
    };
    assert!(
        topics[0]
            .partitions
            .iter()
            .all(|(_, outcome)| outcome.is_ok())
    );
    assert_eq!(committed(&mut stage, "g"), Vec::<String>::new());
}

/// By force: the members are removed by an administrator, then the group is deleted.
#[test]
fn test_force_delete_group() {
    let mut stage = stage();
    stage.ask(commit("g", &[(0, 100)]));
    stage.ask(join_static("g", "i"));
    stage.advance(3_000);
    let refused = stage.answer(delete_group("g"));
    assert_eq!(refused, Reply::DeleteGroup(Err(Refusal::NonEmptyGroup)));
    stage.ask(leave("g", vec![leaver(&MemberId::default(), Some("i"))]));
    assert_eq!(stage.answer(delete_group("g")), Reply::DeleteGroup(Ok(())));
    assert_eq!(stage.phase("g"), None);
    assert!(stage.groups.is_empty());
}

/// The text "not found" is a refusal.
#[test]
fn test_force_delete_group_not_found() {
    let reply = stage().answer(delete_group("g"));
    assert_eq!(reply, Reply::DeleteGroup(Err(Refusal::GroupIdNotFound)));
}

/// Whether a group can be deleted is asked by deleting it; Kafka has one refusal for both of the
/// origin's reasons, and the origin's "Stable without members" cannot be.
#[test]
fn test_can_delete_group() {
    let mut empty = stage();
    empty.ask(commit("g", &[(0, 1)]));
    assert_eq!(empty.answer(delete_group("g")), Reply::DeleteGroup(Ok(())));

    let non_empty = Reply::DeleteGroup(Err(Refusal::NonEmptyGroup));
    let mut stable = stable_group(Rules::default(), 1);
    assert_eq!(stable.answer(delete_group("g")), non_empty);
    let mut joining = stage();
    joining.ask(stage::join("g"));
    assert_eq!(joining.answer(delete_group("g")), non_empty);

    // The origin's "Dead": the shard was given up, and the group is not here.
    empty.ask(commit("g", &[(0, 1)]));
    empty.act(|groups, now, fx| groups.unload(now, fx));
    assert_eq!(empty.phase("g"), Some(Phase::Dead));
    let reply = empty.answer(delete_group("g"));
    assert_eq!(reply, Reply::DeleteGroup(Err(Refusal::GroupIdNotFound)));
}

/// As above, of a group that never was.
#[test]
fn test_can_delete_group_not_found() {
    let mut stage = stage();
    stage.ask(commit("other", &[(0, 1)]));
    let reply = stage.answer(delete_group("g"));
    assert_eq!(reply, Reply::DeleteGroup(Err(Refusal::GroupIdNotFound)));
}

/// Three topics, six partitions, read back.
#[test]
fn test_reset_offsets_for_multiple_topics() {
    let mut stage = stage();
    let topics: [(&str, &[(i32, i64)]); 3] = [
        ("t1", &[(0, 10), (1, 20)]),
        ("t2", &[(0, 30), (1, 40)]),
        ("t3", &[(0, 50), (1, 60)]),
    ];
    stage.ask(reset("g", &topics));
    let all = [
        "t1/0=10", "t1/1=20", "t2/0=30", "t2/1=40", "t3/0=50", "t3/1=60",
    ];
    assert_eq!(committed(&mut stage, "g"), all);
}

/// What was deleted can be committed again.
#[test]
fn test_delete_group_offsets_then_recommit() {
    let mut stage = stage();
    stage.ask(commit("g", &[(0, 100)]));
    stage.ask(delete_offsets("g", "t", &[0]));
    assert_eq!(committed(&mut stage, "g"), Vec::<String>::new());
    stage.ask(commit("g", &[(0, 50)]));
    assert_eq!(committed(&mut stage, "g"), ["t/0=50"]);
}
