//! Joining, syncing, beating, leaving and expiring: build, one verb, look at what follows.

#![allow(
    clippy::unwrap_used,
    clippy::wildcard_imports,
    reason = "a test may trip, and the stage is all its own"
)]

mod stage;

use stage::*;
use takhin_coordinator::error::Refusal;
use takhin_coordinator::group::{
    Effect, GroupMetadata, JoinRequest, Phase, Record, Reply, Request, Rules,
};
use takhin_coordinator::ids::{Generation, MemberId};

#[test]
fn a_group_that_was_just_made_is_stored_without_members() {
    let mut stage = Stage::new(Rules::default());
    stage.ask(join("g"));
    let [
        Record::Group {
            value: Some(stored),
            ..
        },
    ] = &stage.log[..]
    else {
        panic!("one record: {:?}", stage.log);
    };
    let empty = GroupMetadata {
        protocol_type: None,
        generation: Generation(0),
        protocol: None,
        leader: None,
        phase_since: Some(stage.now().wall),
        members: Vec::new(),
    };
    assert_eq!(**stored, empty);
}

#[test]
fn a_group_that_lost_its_only_member_in_the_initial_delay_takes_the_next() {
    let mut stage = Stage::new(Rules::default());
    stage.ask(join("g"));
    stage.ask(leave("g", vec![leaver(&nth(1), None)]));
    assert_eq!(stage.phase("g"), Some(Phase::PreparingRebalance));
    let to = stage.ask(join("g"));
    assert_eq!(stage.reply(to), None, "parked");
    stage.advance(6_000);
    assert!(matches!(stage.reply(to), Some(Reply::Join(Ok(_)))));
}

#[test]
fn another_type_is_refused_even_while_the_group_has_lost_everyone() {
    let mut stage = Stage::new(Rules::default());
    stage.ask(join("g"));
    stage.ask(leave("g", vec![leaver(&nth(1), None)]));
    let reply = stage.answer(Request::Join(JoinRequest {
        protocol_type: "connect".into(),
        ..joining("g")
    }));
    let Reply::Join(Err(refused)) = reply else {
        panic!("not refused");
    };
    assert_eq!(refused.refusal, Refusal::InconsistentGroupProtocol);
}

#[test]
fn the_group_without_a_name_may_hold_offsets_and_nothing_else() {
    let mut stage = Stage::new(Rules::default());
    assert!(matches!(
        stage.answer(commit("", &[(0, 1)])),
        Reply::Commit(Ok(_))
    ));
    let refusal = Refusal::InvalidGroupId;
    let nobody = MemberId::default();
    let reply = stage.answer(heartbeat("", &nobody, 0));
    assert_eq!(reply, Reply::Heartbeat(Err(refusal)));
    assert_eq!(
        stage.answer(sync("", &nobody, 0)),
        Reply::Sync(Err(refusal))
    );
    assert_eq!(stage.answer(leave("", vec![])), Reply::Leave(Err(refusal)));
    let reply = stage.answer(delete_offsets("", "t", &[0]));
    assert_eq!(reply, Reply::OffsetDelete(Err(refusal)));
    assert!(matches!(stage.answer(fetch_all("")), Reply::Fetch(Ok(_))));
    assert!(matches!(stage.answer(describe("")), Reply::Describe(Ok(_))));
}

#[test]
fn a_rebalance_is_published_before_the_syncs_that_it_ends_are_answered() {
    let mut stage = Stage::new(Rules::default());
    stage.ask(join("g"));
    stage.ask(join("g"));
    stage.advance(6_000);
    let to = stage.ask(sync("g", &nth(2), 1));
    stage.take_seen();
    stage.ask(join("g"));
    let seen = stage.take_seen();
    let at = |wanted: &dyn Fn(&Effect) -> bool| seen.iter().position(wanted).unwrap();
    let published = at(&|it| {
        matches!(
            it,
            Effect::Publish {
                phase: Phase::PreparingRebalance,
                ..
            }
        )
    });
    let replied = at(&|it| matches!(it, Effect::Reply { to: it, .. } if *it == to));
    assert!(published < replied, "{seen:?}");
}

#[test]
fn a_protocol_that_is_listed_twice_counts_once() {
    let mut stage = Stage::new(Rules::default());
    let range = protocol("range", subscription(&["t"]));
    let to = stage.ask(Request::Join(JoinRequest {
        protocols: vec![range.clone(), range],
        ..joining("g")
    }));
    stage.ask(join("g"));
    stage.advance(6_000);
    let Some(Reply::Join(Ok(joined))) = stage.reply(to) else {
        panic!("not joined");
    };
    assert_eq!(joined.protocol.as_deref(), Some("range"));
}

#[test]
fn very_many_protocols_cost_no_square() {
    let mut stage = Stage::new(Rules::default());
    let many = (0..100_000).map(|at| protocol(&format!("p{at}"), ""));
    let to = stage.ask(Request::Join(JoinRequest {
        protocols: many.collect(),
        ..joining("g")
    }));
    stage.advance(3_000);
    assert!(matches!(stage.reply(to), Some(Reply::Join(Ok(_)))));
}

#[test]
fn unloading_twice_is_unloading_once() {
    let mut stage = stable_group(Rules::default(), 2);
    let to = stage.ask(join_as("g", &nth(1)));
    stage.act(|groups, now, fx| groups.unload(now, fx));
    let Some(Reply::Join(Err(refused))) = stage.reply(to) else {
        panic!("not refused");
    };
    assert_eq!(refused.refusal, Refusal::NotCoordinator);
    stage.take_seen();
    stage.act(|groups, now, fx| groups.unload(now, fx));
    assert_eq!(stage.take_seen(), []);
    assert_eq!(stage.groups.seats(), 0);
    let reply = stage.answer(heartbeat("g", &nth(1), 1));
    assert_eq!(reply, Reply::Heartbeat(Err(Refusal::NotAvailable)));
}

#[test]
fn a_group_of_very_many_members_forms_rebalances_and_goes() {
    const MEMBERS: u128 = 5_000;
    let mut stage = stable_group(Rules::default(), MEMBERS);
    stage.ask(join("g"));
    for n in 1..=MEMBERS {
        stage.ask(join_as("g", &nth(n)));
    }
    let state = stage.groups.state(&"g".into());
    assert_eq!(state, Some((Generation(2), Phase::CompletingRebalance)));
    // Nobody syncs, and nobody beats.
    stage.advance(60_000);
    let state = stage.groups.state(&"g".into());
    assert_eq!(state, Some((Generation(3), Phase::Empty)));
    assert_eq!(stage.groups.seats(), 0);
}
