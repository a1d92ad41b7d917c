//! Static members in every phase (KIP-345, KIP-814).

#![allow(
    clippy::unwrap_used,
    clippy::wildcard_imports,
    reason = "a test may trip, and the stage is all its own"
)]

mod stage;

use stage::*;
use takhin_coordinator::error::Refusal;
use takhin_coordinator::group::{JoinRequest, Phase, Reply, Request, Rules};
use takhin_coordinator::ids::Generation;

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
