//! The races of the words, under loom.
//!
//! Each promise has a model in which it holds, and one in which the code is wrong on purpose, to
//! show that the model would see it. The race of a look-up and a split is in `index`.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --target-dir target/loom --no-default-features --lib loom`

use std::sync::Arc;

use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

use super::word::{MemberWord, Tenancy};
use super::*;
use crate::error::Refusal;
use crate::ids::{Generation, ShardId};
use crate::time::Tick;

const OLD: Generation = Generation(1);
const NEW: Generation = Generation(2);
const SHARD: ShardId = ShardId(0);

/// A shard with one member "m" of a group "g" in generation `OLD`, heard of at tick 1.
struct Node {
    directory: Arc<Directory>,
    registrar: Registrar,
    beacon: BeaconId,
    session: SessionId,
    handle: SessionHandle,
}

impl Node {
    fn new(phase: Phase) -> Self {
        let directory = Arc::new(Directory::new(1, 1));
        let mut registrar = directory.registrar(SHARD).expect("nobody has it");
        let beacon = registrar.add_beacon().expect("the first");
        registrar.publish(beacon, OLD, phase);
        let session = registrar.open(beacon, ("g", "m", None), Tick(1));
        let handle = directory.find(SHARD, "g", "m").expect("just opened");
        Self {
            session: session.expect("the first"),
            directory,
            registrar,
            beacon,
            handle,
        }
    }
}

fn by_names(directory: &Directory, generation: Generation, now: Tick) -> Verdict {
    let beat = Heartbeat {
        group: "g",
        member: "m",
        instance: None,
        generation,
    };
    directory.heartbeat(SHARD, &beat, now)
}

fn first() -> Tenancy {
    Tenancy::LAST.next()
}

/// A beat, a later beat and an expiry by the tick that was seen before; `expire` is how.
fn beat_against_expiry(expire: fn(&MemberWord, Tick) -> bool) {
    loom::model(move || {
        let word = Arc::new(MemberWord::default());
        word.begin(first(), Tick(1));
        let beats: Vec<_> = [Tick(5), Tick(6)]
            .map(|tick| {
                let word = Arc::clone(&word);
                thread::spawn(move || word.beat(first(), tick).is_ok())
            })
            .into();
        let observed = word.heard().expect("only this thread ends it");
        let expired = expire(&word, observed);
        let accepted: Vec<_> = beats.into_iter().map(|b| b.join().expect("ends")).collect();
        for (tick, accepted) in [Tick(5), Tick(6)].into_iter().zip(accepted) {
            // A beat that was observed may expire; one that is newer may not be lost.
            assert!(!(accepted && expired && tick > observed));
            // Nobody is told of an end that was not.
            assert!(accepted || expired);
        }
        assert_eq!(word.heard().is_none(), expired);
    });
}

#[test]
fn an_accepted_beat_is_never_ended_by_an_older_observation() {
    beat_against_expiry(MemberWord::expire);
}

#[test]
#[should_panic(expected = "accepted && expired")]
fn an_end_without_a_look_at_the_beat_would_be_seen() {
    beat_against_expiry(|word, _| {
        word.end();
        true
    });
}

/// The shard completes a join: the beacon, then the reply, after which the member beats.
fn heartbeat_after_the_join_reply(publish_first: bool) {
    loom::model(move || {
        let node = Node::new(Phase::PreparingRebalance);
        let replied = Arc::new(AtomicBool::new(false));
        let handle = node.handle.clone();
        let shard = {
            let replied = Arc::clone(&replied);
            thread::spawn(move || {
                let publish = || {
                    let phase = Phase::CompletingRebalance;
                    node.registrar.publish(node.beacon, NEW, phase);
                };
                if publish_first {
                    publish();
                }
                // As a reply channel does it.
                replied.store(true, Ordering::Release);
                if !publish_first {
                    publish();
                }
            })
        };
        if replied.load(Ordering::Acquire) {
            let verdict = handle.heartbeat(None, NEW, Tick(2));
            assert_eq!(verdict, Verdict::Alive, "the generation of the reply");
        }
        shard.join().expect("ends");
    });
}

#[test]
fn a_heartbeat_after_a_join_reply_finds_its_generation() {
    heartbeat_after_the_join_reply(true);
}

#[test]
#[should_panic(expected = "the generation of the reply")]
fn a_reply_before_the_publication_would_be_seen() {
    heartbeat_after_the_join_reply(false);
}

/// The shard removes a member, and rebalances the others.
fn heartbeat_of_a_removed_member(end_first: bool) {
    loom::model(move || {
        let mut node = Node::new(Phase::Stable);
        let handle = node.handle.clone();
        let shard = thread::spawn(move || {
            if end_first {
                node.registrar.close(node.session);
            }
            let phase = Phase::PreparingRebalance;
            node.registrar.publish(node.beacon, OLD, phase);
            if !end_first {
                node.registrar.close(node.session);
            }
        });
        // At the tick that the word has already: no swap, so only the beacon's order helps.
        let verdict = handle.heartbeat(None, OLD, Tick(1));
        assert!(
            verdict != Verdict::Refused(Refusal::RebalanceInProgress),
            "a removed member is asked to rejoin"
        );
        shard.join().expect("ends");
    });
}

#[test]
fn a_removed_member_is_never_asked_to_rejoin() {
    heartbeat_of_a_removed_member(true);
}

#[test]
#[should_panic(expected = "a removed member is asked to rejoin")]
fn a_publication_before_the_end_would_be_seen() {
    heartbeat_of_a_removed_member(false);
}

/// A word is given to the next tenant while somebody still beats for the former; `next` is the
/// number of the next tenancy.
fn beat_for_the_former_tenant(next: Tenancy) {
    loom::model(move || {
        let word = Arc::new(MemberWord::default());
        word.begin(first(), Tick(1));
        let late = {
            let word = Arc::clone(&word);
            thread::spawn(move || word.beat(first(), Tick(9)))
        };
        word.end();
        word.begin(next, Tick(3));
        let _ = late.join().expect("ends");
        assert_eq!(word.heard(), Some(Tick(3)), "another's beat");
    });
}

#[test]
fn a_word_that_is_another_members_by_now_is_not_beaten() {
    beat_for_the_former_tenant(first().next());
}

#[test]
#[should_panic(expected = "another's beat")]
fn a_tenancy_without_a_number_of_its_own_would_be_seen() {
    beat_for_the_former_tenant(first());
}

#[test]
fn a_look_up_that_is_overtaken_beats_for_nobody_else() {
    loom::model(|| {
        let Node {
            directory,
            mut registrar,
            beacon,
            session,
            ..
        } = Node::new(Phase::Stable);
        let late = {
            let directory = Arc::clone(&directory);
            thread::spawn(move || by_names(&directory, OLD, Tick(9)))
        };
        registrar.close(session);
        let next = registrar.open(beacon, ("g", "n", None), Tick(3));
        let next = next.expect("one has just left");
        let _ = late.join().expect("ends");
        assert_eq!(registrar.last_beat(next), Some(Tick(3)));
    });
}

#[test]
fn a_member_that_is_opened_before_the_reply_is_found_after_it() {
    loom::model(|| {
        let mut node = Node::new(Phase::Stable);
        node.registrar.close(node.session);
        let replied = Arc::new(AtomicBool::new(false));
        let shard = {
            let replied = Arc::clone(&replied);
            thread::spawn(move || {
                let opened = node.registrar.open(node.beacon, ("g", "m", None), Tick(3));
                replied.store(true, Ordering::Release);
                opened
            })
        };
        let is_replied = replied.load(Ordering::Acquire);
        let verdict = by_names(&node.directory, OLD, Tick(9));
        assert!(!is_replied || verdict == Verdict::Alive);
        shard.join().expect("ends").expect("one has just left");
    });
}

/// The last member of a group goes, and its beacon is shown for another group.
fn heartbeat_while_the_beacon_is_shown_anew(end_first: bool) {
    loom::model(move || {
        let mut node = Node::new(Phase::Stable);
        let handle = node.handle.clone();
        let shard = thread::spawn(move || {
            if end_first {
                node.registrar.close(node.session);
                node.registrar.remove_beacon(node.beacon);
                assert_eq!(node.registrar.add_beacon(), Some(node.beacon));
            }
            node.registrar.publish(node.beacon, NEW, Phase::Stable);
            if !end_first {
                node.registrar.close(node.session);
            }
        });
        // Wrong in its own group, right in the other.
        let verdict = handle.heartbeat(None, NEW, Tick(9));
        assert_ne!(verdict, Verdict::Alive, "another group's generation");
        shard.join().expect("ends");
    });
}

#[test]
fn a_heartbeat_is_never_judged_by_another_groups_beacon() {
    heartbeat_while_the_beacon_is_shown_anew(true);
}

#[test]
#[should_panic(expected = "another group's generation")]
fn a_beacon_that_is_shown_anew_too_early_would_be_seen() {
    heartbeat_while_the_beacon_is_shown_anew(false);
}
