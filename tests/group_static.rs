//! Static members in every phase (KIP-345, KIP-814).

#![allow(
    clippy::unwrap_used,
    clippy::wildcard_imports,
    reason = "a test may trip, and the stage is all its own"
)]

mod stage;

use stage::*;
use takhin_coordinator::error::Refusal;
use takhin_coordinator::group::{JoinRequest, Phase, Record, Reply, Request, Rules};
use takhin_coordinator::ids::{Generation, MemberId};

/// A stable group of one static member "i", in generation 1, with a journal that waits.
fn stable_static() -> Stage {
    let mut stage = Stage::new(Rules::default());
    stage.ask(join_static("g", "i"));
    stage.advance(3_000);
    let id = nth_static("i", 1);
    stage.ask(assign("g", &id, 1, &[(&id, "a")]));
    assert_eq!(stage.phase("g"), Some(Phase::Stable));
    stage.journal = Journal::OnCommand;
    stage.take_seen();
    stage
}

#[test]
fn a_replaced_member_whose_record_took_long_still_expires_once_answered() {
    let mut stage = stable_static();
    let to = stage.ask(join_static("g", "i"));
    // Its session timer fires while it waits for the journal, and finds it waiting.
    stage.advance(15_000);
    stage.settle_all();
    assert!(matches!(stage.reply(to), Some(Reply::Join(Ok(_)))));
    stage.journal = Journal::AtOnce;
    stage.advance(9_999);
    assert_eq!(stage.phase("g"), Some(Phase::Stable));
    stage.advance(1);
    assert_eq!(stage.phase("g"), Some(Phase::Empty));
}

#[test]
fn a_replaced_member_is_heard_by_the_timeout_of_its_own_request() {
    let mut stage = stable_static();
    stage.journal = Journal::AtOnce;
    let Request::Join(join) = join_static("g", "i") else {
        unreachable!()
    };
    stage.ask(Request::Join(JoinRequest {
        session_timeout_ms: 30_000,
        ..join
    }));
    let id = nth_static("i", 2);
    for _ in 0..4 {
        stage.advance(20_000);
        assert!(stage.beat("g", &id, Generation(1)));
    }
    assert_eq!(stage.phase("g"), Some(Phase::Stable));
}

#[test]
fn a_new_static_member_that_is_replaced_while_it_waits_is_not_expelled_for_silence() {
    let mut stage = stable_group(Rules::default(), 1);
    // A first static member waits for the old dynamic one, then its process is restarted.
    stage.ask(join_static("g", "i"));
    let to = stage.ask(join_static("g", "i"));
    for _ in 0..10 {
        stage.advance(5_000);
        stage.ask(heartbeat("g", &nth(1), 1));
    }
    assert_eq!(stage.reply(to), None);
    stage.ask(join_as("g", &nth(1)));
    assert!(matches!(stage.reply(to), Some(Reply::Join(Ok(_)))));
}

#[test]
fn a_failed_record_of_a_replacement_brings_the_old_member_back() {
    let mut stage = stable_static();
    let to = stage.ask(join_static("g", "i"));
    stage.settle(Err(Refusal::NotAvailable));
    let Some(Reply::Join(Err(refused))) = stage.reply(to) else {
        panic!("not refused");
    };
    assert_eq!(refused.refusal, Refusal::NotAvailable);
    let standing = refused.standing.as_ref().unwrap();
    assert_eq!(standing.generation, Generation(1));
    assert_eq!(standing.leader, nth_static("i", 1));
    let reply = stage.answer(heartbeat("g", &nth_static("i", 1), 1));
    assert_eq!(reply, Reply::Heartbeat(Ok(())));
}

/// The ids of the members of "g" as they are, and as they are stored.
fn members_and_stored(stage: &mut Stage) -> (Vec<MemberId>, Vec<MemberId>) {
    let Reply::Describe(Ok(described)) = stage.answer(describe("g")) else {
        panic!("not described");
    };
    let mut members: Vec<_> = described.members.into_iter().map(|it| it.member).collect();
    let stored = stage.groups.snapshot().into_iter().find_map(|it| match it {
        Record::Group { value, .. } => value,
        Record::Offset { .. } | Record::Pending { .. } => None,
    });
    let stored = stored.expect("the group is stored");
    let mut stored: Vec<_> = stored.members.iter().map(|it| it.member.clone()).collect();
    members.sort();
    stored.sort();
    (members, stored)
}

#[test]
fn two_failed_records_of_replacements_bring_the_member_back_that_is_stored() {
    let mut stage = stable_static();
    stage.ask(join_static("g", "i"));
    stage.ask(join_static("g", "i"));
    stage.settle(Err(Refusal::NotAvailable));
    stage.settle(Err(Refusal::NotAvailable));
    let (members, stored) = members_and_stored(&mut stage);
    assert_eq!(members, [nth_static("i", 1)]);
    assert_eq!(members, stored);
    let reply = stage.answer(heartbeat("g", &nth_static("i", 1), 1));
    assert_eq!(reply, Reply::Heartbeat(Ok(())));
}

#[test]
fn a_record_that_came_after_a_failed_one_does_not_store_what_was_undone() {
    let mut stage = Stage::new(Rules::default());
    stage.ask(join_static("g", "i"));
    stage.ask(join_static("g", "j"));
    stage.advance(6_000);
    let (i, j) = (nth_static("i", 1), nth_static("j", 2));
    stage.ask(assign("g", &i, 1, &[(&i, "a"), (&j, "b")]));
    stage.journal = Journal::OnCommand;
    stage.ask(join_static("g", "i"));
    stage.ask(join_static("g", "j"));
    stage.settle(Err(Refusal::NotAvailable));
    stage.settle_all();
    let (members, stored) = members_and_stored(&mut stage);
    assert_eq!(members, [i, nth_static("j", 4)]);
    assert_eq!(members, stored);
}
