//! The classic protocol (`JoinGroup`, `SyncGroup`, `Heartbeat`, `LeaveGroup`), a file a verb.
//!
//! ```text
//!            first join                all joined, or time is up
//!   Empty ---------------> Preparing -----------------------------> Completing
//!     ^                     ^  |  ^                                  |      |
//!     |   nobody joined     |  |  |  join, leave, expiry             |      | leader's assignment
//!     +---------------------|--+  +----------------------------------+      | is durable
//!                           |                                               v
//!                           +--------------------------------------------- Stable
//!                              leader rejoins, changed metadata, leave, expiry
//! ```
//!
//! Order matters twice: a phase and generation are published before a reply that speaks of them
//! is released, so that a heartbeat which follows a join or sync sees at least that generation;
//! and an assignment is durable before anyone gets it.

mod expire;
mod few;
mod heartbeat;
mod join;
mod leave;
mod member;
mod packed;
mod phase;
mod rebalance;
mod replace;
mod roster;
mod sync;

use std::collections::BTreeSet;
use std::sync::Arc;

pub(super) use join::refused;
pub(super) use member::Member;
pub(super) use packed::unpack_phase;
pub use phase::Phase;
pub use replace::Replacement;
pub(super) use roster::Roster;

use super::effects::{Cause, Effect, End, Entry, Note, Then, Timer};
use super::groups::Group;
use super::producers::Producers;
use super::record::{GroupMetadata, MemberMetadata, Record};
use super::records::Records;
use super::reply::Reply;
use super::request::ReplyTo;
use super::rules::Rules;
use super::seats::Seats;
use super::warm::Before;
use crate::error::Refusal;
use crate::ids::{Generation, MemberId, TopicName};
use crate::time::{Now, Stalls, Tick, WallMs};

/// A timer of the group that is running.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Running {
    arming: u32,
    since: Tick,
    at: Tick,
}

/// What is to happen when the join timer fires.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum JoinEnd {
    /// The initial delay, which joiners extend while something remains (Kafka's delayed join).
    Initial { delay_ms: u64, remaining_ms: u64 },
    /// The rebalance timeout.
    Timeout,
}

/// The live half of a group.
#[derive(Debug)]
pub(super) struct Classic {
    pub(super) phase: Phase,
    pub(super) previous: Phase,
    pub(super) phase_since: Option<WallMs>,
    pub(super) protocol_type: Option<Arc<str>>,
    pub(super) protocol: Option<Arc<str>>,
    pub(super) generation: Generation,
    pub(super) leader: Option<MemberId>,
    pub(super) roster: Roster,
    /// The topics of all members, in order; `None`: not known.
    pub(super) subscribed: Option<Box<[TopicName]>>,
    /// Someone joined during the initial delay, which extends it.
    joined_meanwhile: bool,
    // Boxed, as most groups have neither.
    join_timer: Option<Box<(Running, JoinEnd)>>,
    sync_timer: Option<Box<Running>>,
    armings: u32,
    /// The generation whose assignment is on its way to the journal.
    assigning: Option<Generation>,
}

impl Classic {
    pub(super) fn new(now: WallMs) -> Self {
        Self {
            phase: Phase::Empty,
            previous: Phase::Dead,
            phase_since: Some(now),
            protocol_type: None,
            protocol: None,
            generation: Generation(0),
            leader: None,
            roster: Roster::default(),
            subscribed: None,
            joined_meanwhile: false,
            join_timer: None,
            sync_timer: None,
            armings: 0,
            assigning: None,
        }
    }

    pub(super) fn awaits_join_timer(&self, arming: u32) -> bool {
        self.join_timer
            .as_ref()
            .is_some_and(|it| it.0.arming == arming)
    }

    pub(super) fn awaits_sync_timer(&self, arming: u32) -> bool {
        self.sync_timer
            .as_ref()
            .is_some_and(|running| running.arming == arming)
    }

    /// Whether the members are consumers, whose metadata names topics.
    pub(super) fn is_consumer(&self) -> bool {
        self.protocol_type.as_deref() == Some("consumer")
    }

    /// Whether a member reads the topic, as far as is known (KIP-211, KIP-496).
    pub(super) fn is_subscribed(&self, topic: &str) -> bool {
        match &self.subscribed {
            Some(topics) => topics.binary_search_by(|it| it.as_str().cmp(topic)).is_ok(),
            None => self.is_consumer(),
        }
    }

    /// The topics of all members, where they are consumers and all of them can be read.
    pub(super) fn read_subscriptions(&self) -> Option<Box<[TopicName]>> {
        if !self.is_consumer() {
            return None;
        }
        if self.roster.is_empty() {
            return Some(Box::default());
        }
        let protocol = self.protocol.as_ref()?;
        let mut all = BTreeSet::new();
        for (_, member) in self.roster.iter() {
            super::subscription::add_topics(member.metadata_bytes(protocol), &mut all)?;
        }
        Some(all.into_iter().map(TopicName::from).collect())
    }

    /// What is stored of the group, with these assignments or the present ones.
    pub(super) fn metadata(
        &self,
        assign: impl Fn(&MemberId, &Member) -> bytes::Bytes,
    ) -> GroupMetadata {
        let protocol = self.protocol.as_deref().unwrap_or("");
        let stored = |(id, member): (&MemberId, &Member)| MemberMetadata {
            member: id.clone(),
            instance: member.instance.clone(),
            client_id: Arc::clone(&member.client.id),
            client_host: Arc::clone(&member.client.host),
            rebalance_timeout_ms: member.rebalance_timeout_ms,
            session_timeout_ms: member.session_timeout_ms,
            subscription: member.metadata(protocol),
            assignment: assign(id, member),
        };
        // Kept for good, so no larger than it must be.
        let mut members = Vec::with_capacity(self.roster.len());
        members.extend(self.roster.iter().map(stored));
        GroupMetadata {
            protocol_type: self.protocol_type.clone(),
            generation: self.generation,
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            phase_since: self.phase_since,
            members,
        }
    }
}

/// One turn of one group: what a verb may see and change.
#[derive(Debug)]
pub(super) struct Turn<'t> {
    pub(super) group: &'t mut Group,
    pub(super) seats: &'t mut Seats,
    pub(super) producers: &'t mut Producers,
    pub(super) rules: &'t Rules,
    pub(super) stalls: &'t Stalls,
    pub(super) before: &'t Before,
    /// A write of the shard failed, and a restart may find it after all.
    pub(super) in_doubt: bool,
    pub(super) now: Now,
    pub(super) fx: &'t mut Vec<Effect>,
}

impl Turn<'_> {
    /// Ends it, and sees to it in tests that the group's members are counted right.
    pub(super) fn end(self) {
        let roster = &self.group.classic.roster;
        // In small groups only: a walk a turn would make tests of large ones quadratic.
        debug_assert!(roster.len() > 32 || roster.is_counted_right());
    }

    pub(super) fn reply(&mut self, to: ReplyTo, reply: Reply) {
        self.fx.push(Effect::Reply { to, reply });
    }

    pub(super) fn note(&mut self, note: Note) {
        self.fx.push(Effect::Note(note));
    }

    /// Hands records over; the group counts what is on its way.
    pub(super) fn append(&mut self, records: impl Into<Records>, then: Then) {
        let records = records.into();
        self.group.in_flight += 1;
        self.group.promised += then.new_offsets();
        self.group.removals += u32::from(then.removes_offsets(&records));
        self.group.pending_in_flight += u32::from(then.changes_pending(&records));
        self.fx.push(Effect::Append(Entry {
            group: self.group.key,
            records,
            then,
        }));
    }

    /// The record of the group's metadata.
    fn metadata_record(&self, metadata: GroupMetadata) -> Record {
        Record::Group {
            group: self.group.id.clone(),
            value: Some(Arc::new(metadata)),
        }
    }

    /// Steps to another phase and tells the side door.
    ///
    /// # Panics
    ///
    /// If the step is not one of [`Phase::STEPS`]: a bug, and the shard must not go on.
    fn step_to(&mut self, to: Phase) {
        let classic = &mut self.group.classic;
        let from = classic.phase;
        assert!(from.may_become(to), "no step from {from} to {to}");
        classic.previous = from;
        classic.phase = to;
        classic.phase_since = Some(self.now.wall);
        self.note(Note::PhaseChanged { from, to });
        self.publish();
    }

    pub(super) fn publish(&mut self) {
        let classic = &self.group.classic;
        let (generation, phase) = (classic.generation, classic.phase);
        self.fx.push(Effect::Publish {
            group: self.group.key,
            generation,
            phase,
        });
    }

    fn next_arming(&mut self) -> u32 {
        let classic = &mut self.group.classic;
        classic.armings = classic.armings.wrapping_add(1);
        classic.armings
    }

    fn arm_join(&mut self, delay_ms: u64, end: JoinEnd) {
        let arming = self.next_arming();
        let at = self.now.tick + delay_ms;
        let running = Running {
            arming,
            since: self.now.tick,
            at,
        };
        self.group.classic.join_timer = Some(Box::new((running, end)));
        self.fx.push(Effect::Arm {
            at,
            timer: Timer::Join {
                group: self.group.key,
                arming,
            },
        });
    }

    fn arm_sync(&mut self, delay_ms: u64) {
        let arming = self.next_arming();
        let at = self.now.tick + delay_ms;
        self.group.classic.sync_timer = Some(Box::new(Running {
            arming,
            since: self.now.tick,
            at,
        }));
        self.fx.push(Effect::Arm {
            at,
            timer: Timer::Sync {
                group: self.group.key,
                arming,
            },
        });
    }

    /// Grants a member its session timeout from now on.
    pub(super) fn arm_session(&mut self, member: &str) {
        if let Some(member) = self.group.classic.roster.get(member) {
            self.seats
                .arm(member.seat, member.session_ms(), self.now.tick, self.fx);
        }
    }

    /// Removes a member; its parked join is answered as unknown and its parked sync is left without
    /// an answer, as Kafka does.
    fn remove_member(&mut self, id: &str, end: End) {
        let Some((id, member)) = self.group.classic.roster.remove(id) else {
            return;
        };
        if let Some(to) = member.joining {
            self.reply(to, refused(Refusal::UnknownMemberId, ""));
        }
        if let Some(to) = member.syncing {
            self.reply(to, Reply::Sync(Err(Refusal::Superseded)));
        }
        self.seats.give_up(member.seat, end, self.fx);
        let classic = &mut self.group.classic;
        if classic.leader.as_ref() == Some(&id) {
            classic.leader = classic.roster.first_id().cloned();
        }
    }

    fn remove_pending(&mut self, id: &str, end: End) -> bool {
        let Some(seat) = self.group.classic.roster.remove_pending(id) else {
            return false;
        };
        self.seats.give_up(seat, end, self.fx);
        true
    }

    /// A member went or came: start a rebalance, or see whether the present one is complete.
    fn rebalance_or_complete(&mut self, cause: Cause) {
        if self.group.classic.phase.can_rebalance() {
            self.prepare_rebalance(cause);
        } else {
            self.maybe_complete_join();
        }
    }
}
