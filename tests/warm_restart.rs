//! What members keep over a restart: their place, their generation, and what was left of their
//! sessions.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test may fail it as the test itself"
)]

mod common;

use common::ledger::{Fate, Ledger};
use common::*;
use takhin_coordinator::engine::{Driving, Engine};
use takhin_coordinator::error::Refusal;
use takhin_coordinator::group::Joined;
use takhin_coordinator::ids::MemberId;
use takhin_coordinator::time::{Clock, ManualClock};

const GRACE_MS: i32 = 5_000;
const UNKNOWN: Result<(), Refusal> = Err(Refusal::UnknownMemberId);

/// An engine on that ledger, opened at that time after the tests' beginning.
fn open_at(ledger: &Ledger, ms: u64) -> Host {
    let clock = ManualClock::new();
    clock.advance_ms(ms);
    let config = config().session_grace_after_load_ms(GRACE_MS).build();
    let engine = Engine::builder(config.unwrap())
        .clock(clock.clone())
        .driving(Driving::Host)
        .journal(ledger.clone())
        .open()
        .unwrap();
    Host { engine, clock }
}

/// A stop in order, and another engine that many milliseconds later.
fn restart(host: Host, ledger: &Ledger, down_ms: u64) -> Host {
    let at = host.clock.now().tick.0 + down_ms;
    drop(host);
    open_at(ledger, at)
}

/// When the member is expelled, in milliseconds from now, given that it says nothing.
fn expelled_after_ms(host: &Host) -> u64 {
    let members = host.engine.members();
    assert!(members > 0, "somebody is there");
    for ms in (10..60_000).step_by(10) {
        host.pass(10);
        if host.engine.members() < members {
            return ms;
        }
    }
    panic!("it stays for ever");
}

/// A member heard of at the time of the return, in a session of that length.
fn host_of_one(ledger: &Ledger, session_ms: i32) -> (Host, Joined) {
    let host = open_at(ledger, 1_000);
    let joined = host.alone_in("g", session_ms);
    (host, joined)
}

#[track_caller]
fn assert_about(ms: u64, expected: u64) {
    assert!(ms.abs_diff(expected) <= 10, "{ms} and not {expected}");
}

#[test]
fn a_restart_within_the_session_is_no_rebalance() {
    let ledger = Ledger::new(Fate::AtOnce);
    let (host, joined) = host_of_one(&ledger, 30_000);
    host.pass(3_000);
    assert_eq!(beat(&host.engine, "g", &joined), Ok(()));
    let written = ledger.appended();
    let host = restart(host, &ledger, 2_000);
    let described = host.engine.describe("g".into()).wait().unwrap();
    assert_eq!(
        described.members[0].assignment,
        assignment_of(&joined.member)
    );
    for _ in 0..20 {
        assert_eq!(beat(&host.engine, "g", &joined), Ok(()));
        host.pass(3_000);
    }
    assert_eq!(ledger.appended(), written, "nothing had to be decided");
}

#[test]
fn a_member_that_went_silent_before_the_stop_is_expelled_when_its_session_is_over() {
    let ledger = Ledger::new(Fate::AtOnce);
    let (host, joined) = host_of_one(&ledger, 30_000);
    host.pass(12_000);
    let host = restart(host, &ledger, 3_000);
    assert_about(expelled_after_ms(&host), 15_000);
    assert_eq!(beat(&host.engine, "g", &joined), UNKNOWN);
}

#[test]
fn each_member_has_what_was_left_of_its_own_session() {
    let ledger = Ledger::new(Fate::AtOnce);
    let host = open_at(&ledger, 1_000);
    let early = host.alone_in("a", 30_000);
    host.pass(10_000);
    let late = host.alone_in("b", 30_000);
    let host = restart(host, &ledger, 0);
    assert_about(expelled_after_ms(&host), 20_000);
    assert_eq!(beat(&host.engine, "a", &early), UNKNOWN);
    assert_about(expelled_after_ms(&host), 10_000);
    assert_eq!(beat(&host.engine, "b", &late), UNKNOWN);
}

#[test]
fn a_member_has_the_grace_even_if_nothing_is_left_of_its_session() {
    for (silent_ms, down_ms) in [(28_000, 1_000), (10_000, 3_600_000)] {
        let ledger = Ledger::new(Fate::AtOnce);
        let (host, _) = host_of_one(&ledger, 30_000);
        host.pass(silent_ms);
        let host = restart(host, &ledger, down_ms);
        assert_about(expelled_after_ms(&host), 5_000);
    }
}

#[test]
fn a_beat_after_the_restart_grants_the_whole_session_again() {
    let ledger = Ledger::new(Fate::AtOnce);
    let (host, joined) = host_of_one(&ledger, 30_000);
    host.pass(28_000);
    let host = restart(host, &ledger, 0);
    // In the very tick of the load.
    assert_eq!(beat(&host.engine, "g", &joined), Ok(()));
    assert_about(expelled_after_ms(&host), 30_000);
    let (host, joined) = host_of_one(&Ledger::new(Fate::AtOnce), 30_000);
    host.pass(4_990);
    assert_eq!(beat(&host.engine, "g", &joined), Ok(()));
    assert_about(expelled_after_ms(&host), 30_000);
}

#[test]
fn a_grace_longer_than_the_session_does_not_outlive_the_next_beat() {
    let ledger = Ledger::new(Fate::AtOnce);
    let (host, joined) = host_of_one(&ledger, 2_000);
    let host = restart(host, &ledger, 60_000);
    host.pass(2_500);
    assert_eq!(beat(&host.engine, "g", &joined), Ok(()));
    assert_about(expelled_after_ms(&host), 2_000);
    let host = restart_of_silent(&ledger);
    assert_about(expelled_after_ms(&host), 5_000);
}

/// A member with a session of two seconds that says nothing after a restart.
fn restart_of_silent(ledger: &Ledger) -> Host {
    let host = open_at(ledger, 100_000);
    host.alone_in("silent", 2_000);
    restart(host, ledger, 0)
}

#[test]
fn after_a_crash_each_member_has_its_whole_session() {
    let ledger = Ledger::new(Fate::AtOnce);
    let (host, _) = host_of_one(&ledger, 30_000);
    host.pass(12_000);
    // The first engine is still there, so that nothing was told in order.
    let second = open_at(&ledger, 14_000);
    assert_about(expelled_after_ms(&second), 30_000);
    drop(host);
}

#[test]
fn what_was_known_at_a_stop_holds_for_one_restart_only() {
    let ledger = Ledger::new(Fate::AtOnce);
    let (host, joined) = host_of_one(&ledger, 30_000);
    host.pass(20_000);
    let second = restart(host, &ledger, 0);
    assert_eq!(beat(&second.engine, "g", &joined), Ok(()));
    // It crashes: what the first one knew is out of date by now.
    let third = open_at(&ledger, 21_000);
    assert_about(expelled_after_ms(&third), 30_000);
    drop(second);
}

#[test]
fn a_member_that_lives_on_its_grace_does_not_have_it_for_ever() {
    let ledger = Ledger::new(Fate::AtOnce);
    let (host, _) = host_of_one(&ledger, 30_000);
    host.pass(15_000);
    let mut host = restart(host, &ledger, 1_000);
    host.pass(4_000);
    host = restart(host, &ledger, 1_000);
    // 21 s of silence.
    assert_about(expelled_after_ms(&host), 9_000);
}

#[test]
fn who_waits_in_a_join_at_the_stop_counts_as_heard() {
    let ledger = Ledger::new(Fate::AtOnce);
    let (host, first) = host_of_one(&ledger, 30_000);
    let engine = &host.engine;
    let mut request = join_request("g", &MemberId::default(), 30_000);
    request.requires_known_member_id = false;
    let second = engine.join(request).now().expect_err("waits for the first");
    let first = ask_join(engine, "g", &first.member, 30_000).wait().unwrap();
    let second = second.wait().unwrap();
    for joined in [&first, &second] {
        ask_sync(engine, "g", joined).wait().unwrap();
    }
    // The leader wants another rebalance, for which the other one does not come.
    let parked = ask_join(engine, "g", &first.member, 30_000);
    let parked = parked.now().expect_err("waits for the second");
    host.pass(15_000);
    let told = beat(engine, "g", &second);
    assert_eq!(told, Err(Refusal::RebalanceInProgress));
    host.pass(20_000);
    drop(parked);
    let host = restart(host, &ledger, 0);
    assert_about(expelled_after_ms(&host), 10_000);
    // That was a rebalance: what the first is told is no matter of silence.
    let told = beat(&host.engine, "g", &first);
    assert_eq!(told, Err(Refusal::RebalanceInProgress));
    assert_eq!(beat(&host.engine, "g", &second), UNKNOWN);
}
