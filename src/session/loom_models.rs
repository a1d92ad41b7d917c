//! The races of the two words, under loom.
//!
//! Each promise has a model in which it holds, and one in which the code is wrong on purpose, to
//! show that the model would see it.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --target-dir target/loom --no-default-features --lib loom`

use std::sync::Arc;

use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

use super::{Beacon, Ended, Phase, Session, Verdict};
use crate::error::Refusal;
use crate::ids::Generation;
use crate::time::Tick;

const OLD: Generation = Generation(1);
const NEW: Generation = Generation(2);

fn session(phase: Phase) -> Arc<Session> {
    let beacon = Arc::new(Beacon::new(OLD, phase));
    Arc::new(Session::new("g".into(), "m".into(), None, beacon, Tick(1)))
}

/// A beat, a later beat and an expiry by the tick that was seen before; `expire` is how.
fn beat_against_expiry(expire: fn(&Session, Tick) -> bool) {
    loom::model(move || {
        let session = session(Phase::Stable);
        let beats: Vec<_> = [Tick(5), Tick(6)]
            .map(|tick| {
                let session = Arc::clone(&session);
                thread::spawn(move || session.beat(tick).is_ok())
            })
            .into();
        let observed = session.last_beat().expect("only this thread ends it");
        let expired = expire(&session, observed);
        let accepted: Vec<_> = beats.into_iter().map(|b| b.join().expect("ends")).collect();
        for (tick, accepted) in [Tick(5), Tick(6)].into_iter().zip(accepted) {
            // A beat that was observed may expire; one that is newer may not be lost.
            assert!(!(accepted && expired && tick > observed));
            // Nobody is told of an end that was not.
            assert!(accepted || expired);
        }
        assert_eq!(session.last_beat().is_err(), expired);
    });
}

#[test]
fn an_accepted_beat_is_never_ended_by_an_older_observation() {
    beat_against_expiry(|session, observed| session.expire(observed, Ended::Expired).is_ok());
}

#[test]
#[should_panic(expected = "accepted && expired")]
fn an_end_without_a_look_at_the_beat_would_be_seen() {
    beat_against_expiry(|session, _| {
        session.end(Ended::Expired);
        true
    });
}

/// The shard completes a join: the beacon, then the reply, after which the member beats.
fn heartbeat_after_the_join_reply(publish_first: bool) {
    loom::model(move || {
        let session = session(Phase::PreparingRebalance);
        let replied = Arc::new(AtomicBool::new(false));
        let shard = {
            let (session, replied) = (Arc::clone(&session), Arc::clone(&replied));
            thread::spawn(move || {
                if publish_first {
                    session.beacon().publish(NEW, Phase::CompletingRebalance);
                }
                // As a reply channel does it.
                replied.store(true, Ordering::Release);
                if !publish_first {
                    session.beacon().publish(NEW, Phase::CompletingRebalance);
                }
            })
        };
        if replied.load(Ordering::Acquire) {
            let verdict = session.heartbeat(None, NEW, Tick(2));
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
        let session = session(Phase::Stable);
        let shard = {
            let session = Arc::clone(&session);
            thread::spawn(move || {
                if end_first {
                    session.end(Ended::Left);
                }
                session.beacon().publish(OLD, Phase::PreparingRebalance);
                if !end_first {
                    session.end(Ended::Left);
                }
            })
        };
        // At the tick that the word has already: no swap, so only the beacon's order helps.
        let verdict = session.heartbeat(None, OLD, Tick(1));
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
