//! Registrar and directory together, as a shard and its connections use them.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test may fail it as the test itself"
)]

use std::sync::Arc;

use super::*;
use crate::error::Refusal;
use crate::ids::{Generation, ShardId};
use crate::time::Tick;

const SHARD: ShardId = ShardId(0);
const GENERATION: Generation = Generation(3);

struct Node {
    directory: Arc<Directory>,
    registrar: Registrar,
    beacon: BeaconId,
}

impl Node {
    fn new(members_max: u32) -> Self {
        let directory = Arc::new(Directory::new(1, members_max));
        let mut registrar = directory.registrar(SHARD).unwrap();
        let beacon = registrar.add_beacon().unwrap();
        registrar.publish(beacon, GENERATION, Phase::Stable);
        Self {
            directory,
            registrar,
            beacon,
        }
    }

    fn open(&mut self, member: &str) -> Result<SessionId, NoSession> {
        let names = ("g", member, None);
        self.registrar.open(self.beacon, names, Tick(10))
    }

    fn handle(&self, member: &str) -> Option<SessionHandle> {
        self.directory.find(SHARD, "g", member)
    }

    fn beat(&self, member: &str, generation: Generation, now: Tick) -> Verdict {
        self.directory
            .heartbeat(SHARD, &beat(member, generation), now)
    }
}

fn beat(member: &str, generation: Generation) -> Heartbeat<'_> {
    Heartbeat {
        group: "g",
        member,
        instance: None,
        generation,
    }
}

#[test]
fn a_session_is_found_by_its_names_and_by_no_others() {
    let mut node = Node::new(10);
    let names = ("a", "bc", None);
    node.registrar.open(node.beacon, names, Tick(0)).unwrap();
    let handle = node.directory.find(SHARD, "a", "bc").unwrap();
    assert!(handle.is_of("a", "bc") && !handle.is_of("a", "b"));
    for (group, member) in [("ab", "c"), ("", "abc"), ("abc", ""), ("a", "bcc")] {
        assert!(node.directory.find(SHARD, group, member).is_none());
    }
    assert!(node.directory.find(ShardId(1), "a", "bc").is_none());
}

#[test]
fn a_heartbeat_counts_while_stable_completing_and_preparing() {
    let rebalance = Verdict::Refused(Refusal::RebalanceInProgress);
    for (phase, verdict, counted) in [
        (Phase::Stable, Verdict::Alive, true),
        (Phase::CompletingRebalance, Verdict::Alive, true),
        (Phase::PreparingRebalance, rebalance, true),
        (Phase::Empty, Verdict::AskShard, false),
        (Phase::Dead, Verdict::AskShard, false),
    ] {
        let mut node = Node::new(1);
        let session = node.open("m").unwrap();
        node.registrar.publish(node.beacon, GENERATION, phase);
        let handle = node.handle("m").unwrap();
        assert_eq!(node.beat("m", GENERATION, Tick(20)), verdict, "{phase:?}");
        let last = if counted { Tick(20) } else { Tick(10) };
        assert_eq!(node.registrar.last_beat(session), Some(last), "{phase:?}");
        assert_eq!(handle.heartbeat(None, GENERATION, Tick(20)), verdict);
    }
}

#[test]
fn a_heartbeat_of_another_generation_is_refused_and_does_not_count() {
    for phase in [Phase::Stable, Phase::PreparingRebalance] {
        let mut node = Node::new(1);
        let session = node.open("m").unwrap();
        node.registrar.publish(node.beacon, GENERATION, phase);
        let verdict = node.beat("m", Generation(2), Tick(20));
        assert_eq!(verdict, Verdict::Refused(Refusal::IllegalGeneration));
        assert_eq!(node.registrar.last_beat(session), Some(Tick(10)));
    }
}

#[test]
fn who_is_gone_is_the_shards_to_tell_whatever_the_generation() {
    let mut node = Node::new(1);
    let session = node.open("m").unwrap();
    let handle = node.handle("m").unwrap();
    assert!(node.registrar.expire(session, Tick(10)));
    for generation in [2, 3] {
        let generation = Generation(generation);
        assert_eq!(node.beat("m", generation, Tick(20)), Verdict::AskShard);
        let verdict = handle.heartbeat(None, generation, Tick(20));
        assert_eq!(verdict, Verdict::AskShard);
    }
    node.registrar.close(session);
    assert!(node.handle("m").is_none() && node.directory.is_empty());
}

#[test]
fn an_instance_is_checked_only_where_the_request_names_one() {
    let mut node = Node::new(2);
    let names = ("g", "m", Some("i"));
    node.registrar.open(node.beacon, names, Tick(0)).unwrap();
    node.open("other").unwrap();
    for (member, instance, verdict) in [
        ("m", None, Verdict::Alive),
        ("m", Some("i"), Verdict::Alive),
        ("m", Some("j"), Verdict::AskShard),
        ("m", Some(""), Verdict::AskShard),
        ("other", Some("i"), Verdict::AskShard),
    ] {
        let handle = node.handle(member).unwrap();
        let by_seat = handle.heartbeat(instance, GENERATION, Tick(20));
        assert_eq!(by_seat, verdict, "{member} {instance:?}");
        let beat = Heartbeat {
            instance,
            ..beat(member, GENERATION)
        };
        assert_eq!(node.directory.heartbeat(SHARD, &beat, Tick(20)), verdict);
    }
}

#[test]
fn a_place_that_had_an_instance_has_none_for_the_next_tenant() {
    let mut node = Node::new(1);
    let names = ("g", "m", Some("i"));
    let session = node.registrar.open(node.beacon, names, Tick(0)).unwrap();
    node.registrar.close(session);
    node.open("n").unwrap();
    let handle = node.handle("n").unwrap();
    let verdict = handle.heartbeat(Some("i"), GENERATION, Tick(20));
    assert_eq!(verdict, Verdict::AskShard);
}

#[test]
fn a_handle_that_was_kept_too_long_does_not_touch_the_next_tenant() {
    let mut node = Node::new(1);
    let first = node.open("m").unwrap();
    let handle = node.handle("m").unwrap();
    node.registrar.close(first);
    let second = node.open("n").unwrap();
    assert_eq!(first, second, "the same place");
    for _ in 0..2 {
        let verdict = handle.heartbeat(None, GENERATION, Tick(99));
        assert_eq!(verdict, Verdict::AskShard);
        assert_eq!(node.registrar.last_beat(second), Some(Tick(10)));
    }
    // Not even a member of the same names that came back.
    node.registrar.close(second);
    node.open("m").unwrap();
    assert_eq!(
        handle.heartbeat(None, GENERATION, Tick(99)),
        Verdict::AskShard
    );
    assert_eq!(node.beat("m", GENERATION, Tick(99)), Verdict::Alive);
}

#[test]
fn a_beacon_is_another_groups_only_after_the_last_session_of_the_first_is_over() {
    let mut node = Node::new(2);
    let session = node.open("m").unwrap();
    node.registrar.remove_beacon(node.beacon);
    node.registrar.remove_beacon(node.beacon);
    let second = node.registrar.add_beacon().unwrap();
    assert_ne!(second, node.beacon);
    assert_eq!(node.beat("m", GENERATION, Tick(20)), Verdict::AskShard);
    node.registrar.close(session);
    assert_eq!(node.registrar.add_beacon(), Some(node.beacon));
    assert_ne!(node.registrar.add_beacon(), Some(node.beacon));
}

#[test]
fn a_full_shard_refuses_a_newcomer_until_somebody_leaves() {
    let mut node = Node::new(1);
    let session = node.open("m").unwrap();
    assert_eq!(node.open("n"), Err(NoSession::Full));
    node.registrar.close(session);
    assert!(node.open("n").is_ok());
    assert_eq!(node.directory.len(), 1);
}

#[test]
fn names_beyond_the_limit_have_no_session() {
    let mut node = Node::new(1);
    let long = "x".repeat(1_100);
    assert_eq!(node.open(&long), Err(NoSession::LongNames));
    let names = ("g", "m", Some(long.as_str()));
    let refused = node.registrar.open(node.beacon, names, Tick(0));
    assert_eq!(refused, Err(NoSession::LongNames));
    assert_eq!(node.beat(&long, GENERATION, Tick(20)), Verdict::AskShard);
    assert!(node.open("m").is_ok(), "nothing was taken");
}

#[test]
fn a_successor_of_the_same_names_is_found_and_not_the_one_before() {
    let mut node = Node::new(2);
    let first = node.open("m").unwrap();
    let second = node.open("m").unwrap();
    node.registrar.close(first);
    assert_eq!(node.beat("m", GENERATION, Tick(20)), Verdict::Alive);
    assert_eq!(node.registrar.last_beat(second), Some(Tick(20)));
}

#[test]
fn a_shard_has_one_registrar_at_a_time_and_the_next_finds_the_sessions() {
    let mut node = Node::new(2);
    assert!(node.directory.registrar(SHARD).is_none());
    assert!(node.directory.registrar(ShardId(1)).is_none());
    let session = node.open("m").unwrap();
    drop(node.registrar);
    let mut next = node.directory.registrar(SHARD).unwrap();
    assert_eq!(next.last_beat(session), Some(Tick(10)));
    next.close(session);
    assert!(node.directory.is_empty());
}

#[test]
fn many_heartbeats_at_once_are_told_what_each_would_be_told() {
    let mut node = Node::new(100);
    let names: Vec<String> = (0..50).map(|n| format!("member-{n}")).collect();
    for name in names.iter().step_by(2) {
        node.open(name).unwrap();
    }
    let beats: Vec<Heartbeat<'_>> = names
        .iter()
        .zip((2..=3).cycle())
        .map(|(name, generation)| beat(name, Generation(generation)))
        .collect();
    let mut told = Vec::new();
    let directory = &node.directory;
    directory.heartbeats(
        &beats,
        |_| SHARD,
        Tick(20),
        |at, verdict| {
            assert_eq!(at, told.len());
            told.push(verdict);
        },
    );
    let alone = beats
        .iter()
        .map(|it| directory.heartbeat(SHARD, it, Tick(20)));
    assert_eq!(told, alone.collect::<Vec<_>>());
    assert!(told.contains(&Verdict::AskShard));
}

#[test]
fn churn_takes_no_more_places_than_were_ever_in_use_together() {
    let mut node = Node::new(1_000);
    let name = |n: u32| format!("member-{n}");
    let mut living: Vec<SessionId> = (0..1_000).map(|n| node.open(&name(n)).unwrap()).collect();
    for n in 0..20_000_u32 {
        let at = n as usize * 7 % living.len();
        node.registrar.close(living[at]);
        living[at] = node.open(&name(n + 1_000)).unwrap();
    }
    assert_eq!(node.directory.len(), 1_000);
    assert_eq!(node.open("one more"), Err(NoSession::Full));
}
