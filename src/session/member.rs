//! The word of a member: when it was last heard of, or how its session ended.

use std::sync::Arc;

use super::beacon::{self, Beacon, Phase};
use crate::atomic::{AtomicU64, Ordering};
use crate::error::Refusal;
use crate::ids::{Generation, GroupId, InstanceId, MemberId};
use crate::time::Tick;

/// How a session ended. None comes back from the end.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Ended {
    /// No heartbeat came within the session timeout.
    Expired = 1,
    /// Another member took over its instance id (KIP-345).
    Fenced = 2,
    /// The member left, was removed, or its group was unloaded.
    Left = 3,
}

/// What the two words say to a heartbeat.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Verdict {
    /// No error; the heartbeat counted.
    Alive,
    /// This refusal. After [`RebalanceInProgress`](Refusal::RebalanceInProgress) the heartbeat
    /// counted all the same; after `UnknownMemberId`, `NotCoordinator` and `NotAvailable` the
    /// handle is worth nothing any more, and the next heartbeat looks up its names again.
    Refused(Refusal),
    /// The words cannot tell, since the request names an instance id and this is not the session
    /// of that instance, or not any more: the shard must be asked, and the handle dropped.
    AskShard,
}

/// One member's session, shared by its shard and every connection that beats for it.
///
/// ```text
///   63     62                    0
///   +-----+-----------------------+
///   |  0  |  tick of last beat    |   written forward by any connection and by the shard
///   |  1  |  Ended                |   written once, by the owning shard only
///   +-----+-----------------------+
/// ```
///
/// Not padded to a cache line: beyond some ten thousand members packing is faster. The order of
/// the fields is fixed, so that the two words that each heartbeat reads lie in one line.
#[derive(Debug)]
#[repr(C)]
pub struct Session {
    word: AtomicU64,
    beacon: Arc<Beacon>,
    group: GroupId,
    member: MemberId,
    instance: Option<InstanceId>,
}

impl Session {
    /// A session that was last heard of at `now`.
    pub fn new(
        group: GroupId,
        member: MemberId,
        instance: Option<InstanceId>,
        beacon: Arc<Beacon>,
        now: Tick,
    ) -> Self {
        Self {
            word: AtomicU64::new(alive(now)),
            beacon,
            group,
            member,
            instance,
        }
    }

    /// The group.
    pub fn group(&self) -> &GroupId {
        &self.group
    }

    /// The member.
    pub fn member(&self) -> &MemberId {
        &self.member
    }

    /// The instance id of a static member.
    pub fn instance(&self) -> Option<&InstanceId> {
        self.instance.as_ref()
    }

    /// The group's beacon.
    pub fn beacon(&self) -> &Arc<Beacon> {
        &self.beacon
    }

    /// Answers a heartbeat of any connection, and counts it where Kafka resets the timer.
    ///
    /// `instance` is what the request names, if it names one. The order of the checks is Kafka's:
    /// the group is here, the member is known, the generation is the group's, the phase.
    pub fn heartbeat(&self, instance: Option<&str>, generation: Generation, now: Tick) -> Verdict {
        let (current, phase) = self.beacon.load();
        match phase {
            Phase::Dead => return Verdict::Refused(Refusal::NotAvailable),
            Phase::Moved => return Verdict::Refused(Refusal::NotCoordinator),
            Phase::Loading => return Verdict::Alive,
            Phase::Empty
            | Phase::PreparingRebalance
            | Phase::CompletingRebalance
            | Phase::Stable => {}
        }
        // Kafka looks for the instance before it looks for the member: another's instance id is
        // fenced, nobody's is unknown, and which it is only the shard knows.
        if let Some(name) = instance
            && self.instance.as_ref().map(InstanceId::as_str) != Some(name)
        {
            return Verdict::AskShard;
        }
        let known = match beacon::answer(current, phase, generation) {
            Ok(()) => self.beat(now).map(|()| Verdict::Alive),
            Err(refusal @ Refusal::RebalanceInProgress) => {
                self.beat(now).map(|()| Verdict::Refused(refusal))
            }
            Err(refusal) => self.last_beat().map(|_| Verdict::Refused(refusal)),
        };
        match known {
            Ok(verdict) => verdict,
            Err(_) if instance.is_none() => Verdict::Refused(Refusal::UnknownMemberId),
            Err(_) => Verdict::AskShard,
        }
    }

    /// Moves the last beat forward to `now`; an older `now` changes nothing.
    ///
    /// Writes nothing if the word is already there, so a handle that beats more often than once a
    /// millisecond costs its readers nothing.
    ///
    /// # Errors
    ///
    /// How the session ended, if it has.
    pub fn beat(&self, now: Tick) -> Result<(), Ended> {
        let wanted = alive(now);
        // Relaxed, here and in every access of this word: it carries nothing but itself, and the
        // swaps of one word have one order. Partners: `expire` and `end`.
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            if let Some(ended) = end_of(word) {
                return Err(ended);
            }
            if word >= wanted {
                return Ok(());
            }
            // Ends: each failure has seen a later beat, one that ends this loop included, or the
            // end, or is spurious.
            match self.word.compare_exchange_weak(
                word,
                wanted,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Ok(()),
                Err(newer) => word = newer,
            }
        }
    }

    /// The tick of the last beat.
    ///
    /// # Errors
    ///
    /// How the session ended, if it has.
    pub fn last_beat(&self) -> Result<Tick, Ended> {
        let word = self.word.load(Ordering::Relaxed);
        end_of(word).map_or(Ok(Tick(word)), Err)
    }

    /// Ends the session if `observed` is still its last beat; for the owning shard alone.
    ///
    /// # Errors
    ///
    /// The newer beat that came in between: the session lives on.
    pub fn expire(&self, observed: Tick, how: Ended) -> Result<(), Tick> {
        match self.word.compare_exchange(
            alive(observed),
            end_mark(how),
            Ordering::Relaxed,
            Ordering::Relaxed,
        ) {
            Ok(_) => Ok(()),
            // Ended already: only the shard ends sessions, so it asks twice about one end.
            Err(word) if end_of(word).is_some() => Ok(()),
            Err(newer) => Err(Tick(newer)),
        }
    }

    /// Ends the session whatever its last beat; for the owning shard alone. The first end stays.
    pub fn end(&self, how: Ended) {
        let mut word = self.word.load(Ordering::Relaxed);
        while end_of(word).is_none() {
            match self.word.compare_exchange_weak(
                word,
                end_mark(how),
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(newer) => word = newer,
            }
        }
    }
}

const END_BIT: u64 = 1 << 63;

/// The word of a session that was heard of at that tick; ticks beyond 2^63 - 1 are that.
fn alive(tick: Tick) -> u64 {
    tick.0.min(END_BIT - 1)
}

fn end_mark(how: Ended) -> u64 {
    END_BIT | u64::from(how as u8)
}

fn end_of(word: u64) -> Option<Ended> {
    if word & END_BIT == 0 {
        return None;
    }
    Some(match word & !END_BIT {
        1 => Ended::Expired,
        2 => Ended::Fenced,
        _ => Ended::Left,
    })
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    fn session(instance: Option<&str>, phase: Phase) -> Session {
        Session::new(
            "g".into(),
            "m".into(),
            instance.map(InstanceId::from),
            Arc::new(Beacon::new(Generation(3), phase)),
            Tick(10),
        )
    }

    const ENDS: [Ended; 3] = [Ended::Expired, Ended::Fenced, Ended::Left];

    #[test]
    fn a_beat_moves_forward_and_never_back() {
        let session = session(None, Phase::Stable);
        assert_eq!(session.last_beat(), Ok(Tick(10)));
        assert_eq!(session.beat(Tick(12)), Ok(()));
        assert_eq!(session.beat(Tick(11)), Ok(()));
        assert_eq!(session.last_beat(), Ok(Tick(12)));
    }

    #[test]
    fn an_end_is_the_end() {
        for how in ENDS {
            let session = session(None, Phase::Stable);
            session.end(how);
            session.end(Ended::Left);
            assert_eq!(session.beat(Tick(99)), Err(how));
            assert_eq!(session.last_beat(), Err(how));
            assert_eq!(session.expire(Tick(10), Ended::Expired), Ok(()));
            assert_eq!(session.last_beat(), Err(how));
        }
    }

    #[test]
    fn an_expiry_by_an_old_observation_fails_with_the_newer_beat() {
        let session = session(None, Phase::Stable);
        session.beat(Tick(20)).unwrap();
        assert_eq!(session.expire(Tick(10), Ended::Expired), Err(Tick(20)));
        assert_eq!(session.expire(Tick(20), Ended::Expired), Ok(()));
        assert_eq!(session.beat(Tick(21)), Err(Ended::Expired));
    }

    #[test]
    fn the_last_tick_of_all_is_not_taken_for_an_end() {
        let session = session(None, Phase::Stable);
        session.beat(Tick(u64::MAX)).unwrap();
        let last = session.last_beat().unwrap();
        assert_eq!(session.expire(last, Ended::Expired), Ok(()));
    }

    #[test]
    fn a_heartbeat_counts_while_stable_completing_and_preparing() {
        let refused = Verdict::Refused;
        for (phase, verdict, counted) in [
            (Phase::Stable, Verdict::Alive, true),
            (Phase::CompletingRebalance, Verdict::Alive, true),
            (
                Phase::PreparingRebalance,
                refused(Refusal::RebalanceInProgress),
                true,
            ),
            (Phase::Empty, refused(Refusal::UnknownMemberId), false),
            (Phase::Dead, refused(Refusal::NotAvailable), false),
            (Phase::Moved, refused(Refusal::NotCoordinator), false),
            (Phase::Loading, Verdict::Alive, false),
        ] {
            let session = session(None, phase);
            assert_eq!(session.heartbeat(None, Generation(3), Tick(20)), verdict);
            let last = if counted { Tick(20) } else { Tick(10) };
            assert_eq!(session.last_beat(), Ok(last), "{phase:?}");
        }
    }

    #[test]
    fn a_heartbeat_of_another_generation_is_refused_and_does_not_count() {
        let session = session(None, Phase::PreparingRebalance);
        assert_eq!(
            session.heartbeat(None, Generation(2), Tick(20)),
            Verdict::Refused(Refusal::IllegalGeneration)
        );
        assert_eq!(session.last_beat(), Ok(Tick(10)));
    }

    #[test]
    fn an_ended_member_is_unknown_whatever_its_generation() {
        for how in ENDS {
            let session = session(None, Phase::Stable);
            session.end(how);
            for generation in [2, 3] {
                assert_eq!(
                    session.heartbeat(None, Generation(generation), Tick(20)),
                    Verdict::Refused(Refusal::UnknownMemberId)
                );
            }
        }
    }

    #[test]
    fn a_dead_or_moved_group_is_told_before_the_end_of_the_member() {
        let session = session(None, Phase::Moved);
        session.end(Ended::Left);
        assert_eq!(
            session.heartbeat(None, Generation(3), Tick(20)),
            Verdict::Refused(Refusal::NotCoordinator)
        );
    }

    #[test]
    fn an_instance_is_checked_only_where_the_request_names_one() {
        let session = session(Some("i"), Phase::Stable);
        let generation = Generation(3);
        assert_eq!(
            session.heartbeat(None, generation, Tick(20)),
            Verdict::Alive
        );
        assert_eq!(
            session.heartbeat(Some("i"), generation, Tick(20)),
            Verdict::Alive
        );
        assert_eq!(
            session.heartbeat(Some("j"), generation, Tick(20)),
            Verdict::AskShard
        );
        session.end(Ended::Fenced);
        assert_eq!(
            session.heartbeat(Some("i"), generation, Tick(20)),
            Verdict::AskShard
        );
    }
}
