//! Groups to which nothing happens come to rest, and nobody can tell.

mod common;

use common::{Host, alone_in, beat, commit, config, fetched};
use takhin_coordinator::group::{Joined, Phase};

const SESSION_MS: i32 = 10_000;

fn at_rest(host: &Host) -> i64 {
    host.engine.metrics().shard(0).groups_at_rest.value()
}

/// Half a minute in which the member does nothing but beat.
fn beat_on(host: &Host, joined: &Joined) {
    for _ in 0..6 {
        host.pass(5_000);
        assert_eq!(beat(&host.engine, "group", joined), Ok(()));
    }
}

#[test]
fn a_group_rests_when_its_member_only_beats_and_wakes_for_what_changes_it() {
    let host = Host::new(config());
    let joined = host.alone_in("group", SESSION_MS);
    let committed = host.engine.commit(commit("group", Some(&joined), 7));
    assert!(committed.wait().is_ok());
    assert_eq!(at_rest(&host), 0);

    beat_on(&host, &joined);
    assert_eq!(at_rest(&host), 1);

    // A look does not wake it, a second one soon after does.
    assert_eq!(fetched(&host.engine, "group", 0), Some(7));
    assert_eq!(at_rest(&host), 1);
    let described = host.engine.describe("group".into()).wait().unwrap();
    assert_eq!(described.phase, Phase::Stable);
    assert_eq!(described.members[0].member, joined.member);
    assert_eq!(at_rest(&host), 0);

    beat_on(&host, &joined);
    assert_eq!(at_rest(&host), 1);
    let committed = host.engine.commit(commit("group", Some(&joined), 8));
    assert!(committed.wait().is_ok());
    assert_eq!(at_rest(&host), 0);
    assert_eq!(fetched(&host.engine, "group", 0), Some(8));
}

#[test]
fn a_member_of_a_group_at_rest_expires_when_its_time_is_up() {
    let host = Host::new(config());
    let joined = host.alone_in("group", SESSION_MS);
    beat_on(&host, &joined);
    assert_eq!(at_rest(&host), 1);
    host.pass(9_990);
    assert_eq!((at_rest(&host), host.engine.members()), (1, 1));
    host.pass(20);
    assert_eq!((at_rest(&host), host.engine.members()), (0, 0));
    let again = alone_in(&host.engine, "group", SESSION_MS);
    assert_ne!(again.member, joined.member);
    assert!(again.generation > joined.generation);
}

#[test]
fn a_look_at_what_has_expired_wakes_a_group_for_no_more_than_that() {
    let config = config().offsets_retention_check_interval_ms(60_000);
    let host = Host::new(config);
    let joined = host.alone_in("group", SESSION_MS);
    beat_on(&host, &joined);
    for _ in 0..12 {
        assert_eq!(at_rest(&host), 1);
        host.pass(5_000);
        assert_eq!(beat(&host.engine, "group", &joined), Ok(()));
    }
}

#[test]
fn a_group_that_commits_now_and_then_does_not_rest() {
    let host = Host::new(config());
    let joined = host.alone_in("group", SESSION_MS);
    for offset in 0..12 {
        host.pass(5_000);
        let committed = host.engine.commit(commit("group", Some(&joined), offset));
        assert!(committed.wait().is_ok());
        assert_eq!(beat(&host.engine, "group", &joined), Ok(()));
        assert_eq!(at_rest(&host), 0);
    }
}

#[test]
fn who_asks_while_many_groups_come_to_rest_lays_none_of_them_down() {
    let host = Host::new(config().takhin_shards(1));
    let groups = 0..100;
    let formed = groups.map(|it| {
        (
            format!("g-{it}"),
            host.alone_in(&format!("g-{it}"), 1_800_000),
        )
    });
    let formed: Vec<(String, Joined)> = formed.collect();
    host.pass(20_000);
    for (group, joined) in &formed {
        let committed = host.engine.commit(commit(group, Some(joined), 7));
        assert!(committed.wait().is_ok());
    }
    host.pass(7_500);
    assert_eq!(at_rest(&host), 0, "they were touched before the round");
    host.clock.advance_ms(8_000);
    for _ in 0..3 {
        let committed = host.engine.commit(commit("other", None, 7)).wait();
        assert_eq!(committed.map(|it| it.len()), Ok(1));
        assert_eq!(at_rest(&host), 0);
    }
    host.engine.run_due();
    assert_eq!(at_rest(&host), 100);
}
