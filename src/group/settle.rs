//! What follows when records became durable or could not be made so, and what a restart revives.

use std::sync::Arc;

use super::Phase;
use super::classic::{Classic, Member, Turn};
use super::effects::{Cause, Effect, End, Entry, Note, SeatId, Then};
use super::groups::{Group, Groups};
use super::record::{GroupMetadata, Record};
use super::reply::Reply;
use super::request::{Client, Protocol, ReplyTo, TopicDeletion};
use super::warm::Before;
use crate::error::Refusal;
use crate::ids::MemberId;
use crate::mutation;
use crate::time::{Now, WallMs};

impl Groups {
    /// An entry that was handed over is durable, or was not made so and never will be.
    ///
    /// Entries are settled in the order in which they were handed over.
    pub fn settle(
        &mut self,
        mut entry: Entry,
        outcome: Result<(), Refusal>,
        now: Now,
        fx: &mut Vec<Effect>,
    ) {
        self.settle_in_place(&mut entry, outcome, now, fx);
    }

    /// The same where the entry lies: to move one costs more than to look into it.
    pub(crate) fn settle_in_place(
        &mut self,
        entry: &mut Entry,
        outcome: Result<(), Refusal>,
        now: Now,
        fx: &mut Vec<Effect>,
    ) {
        if outcome.is_ok() || mutation::is("what-failed-is-applied") {
            self.apply_all(entry.group, &entry.records, now);
        }
        if self.in_doubt != outcome.is_err() {
            self.in_doubt = outcome.is_err();
        }
        let key = entry.group;
        let removed = matches!(entry.then, Then::Removed { .. });
        self.turn(key, now, fx, |turn| {
            let records = &*entry.records;
            let then = std::mem::replace(&mut entry.then, Then::Rest);
            turn.group.in_flight -= 1;
            turn.group.promised -= then.new_offsets();
            turn.group.removals -= u32::from(then.removes_offsets(records));
            turn.group.pending_in_flight -= u32::from(then.changes_pending(records));
            turn.follow(then, records, outcome);
        });
        if removed && outcome.is_ok() {
            self.remove(key, now, fx);
        } else {
            self.release_held(key, fx);
        }
    }

    /// An entry takes too long: whoever waits for it, or behind it, is refused. It still has to be
    /// settled, and its records count if they become durable after all.
    pub fn give_up_waiting(&mut self, entry: &mut Entry, now: Now, fx: &mut Vec<Effect>) {
        self.turn(entry.group, now, fx, |turn| {
            turn.give_up_waiting(&mut entry.then);
        });
    }

    /// Topics went away: offsets that were stored for them, or for no topic id in particular, go.
    pub(super) fn topics_deleted(
        &mut self,
        topics: &[TopicDeletion],
        to: ReplyTo,
        now: Now,
        fx: &mut Vec<Effect>,
    ) {
        let mut concerned = Vec::new();
        for key in self.keys() {
            if !self.places.has_offsets(key) {
                continue;
            }
            let records = self
                .keyed(key)
                .map(|group| group.offsets_of_deleted(topics));
            if let Some(records) = records.filter(|records| !records.is_empty()) {
                concerned.push((key, records));
            }
        }
        let last = concerned.len();
        if last == 0 {
            return fx.push(Effect::Reply {
                to,
                reply: Reply::TopicsDeleted(Ok(())),
            });
        }
        for (at, (key, records)) in concerned.into_iter().enumerate() {
            let to = (at + 1 == last).then_some(to);
            let then = Then::TopicsDeleted { to };
            self.turn(key, now, fx, |turn| turn.append(records, then));
        }
    }

    /// Brings the groups to life after their records were replayed: specification 2.12.
    ///
    /// A group with members is Stable with its last assignment, each member with what was left of
    /// its session ([`Self::was_heard`]) or else with a session from now on; any other is Empty.
    pub fn revive(&mut self, now: Now, fx: &mut Vec<Effect>) {
        self.forget_traceless();
        for key in self.keys() {
            fx.push(Effect::Note(Note::GroupCreated));
            self.turn(key, now, fx, |turn| turn.revive());
        }
        self.before = Before::default();
    }
}

impl Turn<'_> {
    fn follow(&mut self, then: Then, records: &[Record], outcome: Result<(), Refusal>) {
        match then {
            Then::Rest => {}
            Then::Committed { to, topics, .. } => {
                if outcome.is_ok() {
                    let offsets = records.iter().filter(|it| it.is_offset()).count();
                    self.note(Note::OffsetsCommitted(offsets));
                    self.arm_retention_after_commit(records);
                }
                if let Some(to) = to {
                    self.reply(to, Reply::Commit(outcome.map(|()| topics)));
                }
            }
            Then::Staged {
                to,
                topics,
                producer,
                ..
            } => {
                self.staged(records.len(), producer, outcome.is_ok());
                if let Some(to) = to {
                    self.reply(to, Reply::Commit(outcome.map(|()| topics)));
                }
            }
            Then::TxnEnded { to } => {
                if outcome.is_ok() {
                    self.txn_ended(records);
                }
                if let Some(to) = to {
                    self.reply(to, Reply::EndTxn(outcome));
                }
            }
            Then::Assign { generation } => {
                let members = records.iter().flat_map(assignments).collect();
                self.assigned(generation, members, outcome);
            }
            Then::Replaced(replacement) => self.replaced(*replacement, outcome),
            Then::OffsetsDeleted { to, topics } => {
                if outcome.is_ok() {
                    self.offsets_deleted(records);
                }
                if let Some(to) = to {
                    self.reply(to, Reply::OffsetDelete(outcome.map(|()| topics)));
                }
            }
            Then::Removed { to } => {
                self.group.is_closing = false;
                if let Some(to) = to {
                    self.reply(to, Reply::DeleteGroup(outcome));
                } else if outcome.is_err() {
                    self.arm_retention();
                }
            }
            Then::TopicsDeleted { to } => {
                if outcome.is_ok() {
                    self.offsets_deleted(records);
                }
                if let Some(to) = to {
                    self.reply(to, Reply::TopicsDeleted(outcome));
                }
            }
        }
    }

    fn give_up_waiting(&mut self, then: &mut Then) {
        let refusal = Refusal::NotAvailable;
        let refused = match then {
            Then::Rest => None,
            Then::Committed { to, .. } | Then::Staged { to, .. } => {
                to.take().map(|to| (to, Reply::Commit(Err(refusal))))
            }
            Then::TxnEnded { to } => to.take().map(|to| (to, Reply::EndTxn(Err(refusal)))),
            Then::OffsetsDeleted { to, .. } => {
                to.take().map(|to| (to, Reply::OffsetDelete(Err(refusal))))
            }
            Then::Removed { to } => to.take().map(|to| (to, Reply::DeleteGroup(Err(refusal)))),
            Then::TopicsDeleted { to } => {
                to.take().map(|to| (to, Reply::TopicsDeleted(Err(refusal))))
            }
            Then::Assign { .. } | Then::Replaced(_) => {
                // The group goes on as after a failed append.
                let then = std::mem::replace(then, Then::Rest);
                self.follow(then, &[], Err(refusal));
                None
            }
        };
        if let Some((to, reply)) = refused {
            self.reply(to, reply);
        }
        for (request, to) in std::mem::take(&mut self.group.held) {
            self.reply(to, request.refused(refusal));
        }
    }

    fn offsets_deleted(&mut self, records: &[Record]) {
        let offsets = records.iter().filter(|it| it.is_offset()).count();
        self.note(Note::OffsetsDeleted(offsets));
        if self.group.facts.sizes() == (0, 0) {
            // Nothing holds an empty group any longer.
            self.arm_retention();
        }
    }

    /// Gives up the seats of pending members: their group goes.
    pub(super) fn drain_pending(&mut self, end: End) {
        for seat in self.group.classic.roster.drain_pending() {
            self.seats.give_up(seat, end, self.fx);
        }
    }

    fn revive(&mut self) {
        let Some(stored) = self.group.facts.metadata.clone() else {
            return self.arm_retention();
        };
        self.group.classic = revived(&stored);
        let (from, to) = (Phase::Empty, self.group.classic.phase);
        if from != to {
            self.note(Note::PhaseChanged { from, to });
        }
        // Before the first seat: its member may beat at once.
        self.publish();
        for member in &stored.members {
            self.revive_member(&stored, member);
        }
        let classic = &mut self.group.classic;
        classic.subscribed = classic.read_subscriptions();
        self.arm_retention();
        if self.group.classic.roster.len() > self.rules.group_members_max {
            self.prepare_rebalance(Cause::Oversized);
        }
    }

    fn revive_member(&mut self, stored: &GroupMetadata, member: &super::MemberMetadata) {
        let roster = &self.group.classic.roster;
        let owner = member.instance.as_ref();
        let owner = owner.and_then(|it| roster.instance_owner(it.as_str()));
        if owner.is_some() || roster.contains(member.member.as_str()) {
            // Not written by us, and not to be believed twice.
            return;
        }
        let seat = self.seats.take(self.group.key, member.member.clone());
        let protocol = Protocol {
            name: stored.protocol.clone().unwrap_or_else(|| "".into()),
            metadata: member.subscription.clone(),
        };
        let rebalance_timeout_ms = match member.rebalance_timeout_ms {
            -1 => member.session_timeout_ms,
            ms => ms,
        };
        let client = Client {
            id: Arc::clone(&member.client_id),
            host: Arc::clone(&member.client_host),
        };
        let revived = Member::stable(
            seat,
            member.instance.clone(),
            client,
            (member.session_timeout_ms, rebalance_timeout_ms),
            Box::new([protocol]),
            member.assignment.clone(),
        );
        self.group
            .classic
            .roster
            .add(member.member.clone(), revived);
        self.fx.push(Effect::Seat {
            seat,
            group: self.group.key,
            group_id: self.group.id.clone(),
            member: member.member.clone(),
            instance: member.instance.clone(),
        });
        self.arm_revived(seat, member);
    }

    fn arm_revived(&mut self, seat: SeatId, member: &super::MemberMetadata) {
        let timeout_ms = u64::try_from(member.session_timeout_ms).unwrap_or(0);
        let known = (&member.member, timeout_ms);
        let left_ms = self
            .before
            .session_left_ms(&self.group.id, known, self.rules, self.now.wall);
        self.seats
            .arm_first(seat, (left_ms, timeout_ms), self.now.tick, self.fx);
    }
}

impl Group {
    fn offsets_of_deleted(&self, topics: &[TopicDeletion]) -> Vec<Record> {
        if self.is_closing {
            return Vec::new();
        }
        let deleted = topics.iter();
        deleted
            .flat_map(|topic| self.of_deleted_topic(topic))
            .collect()
    }
}

fn revived(stored: &GroupMetadata) -> Classic {
    let mut classic = Classic::new(WallMs(0));
    classic.phase = if stored.members.is_empty() {
        Phase::Empty
    } else {
        Phase::Stable
    };
    classic.phase_since = stored.phase_since;
    classic.protocol_type = stored.protocol_type.clone().filter(|it| !it.is_empty());
    classic.protocol.clone_from(&stored.protocol);
    classic.generation = stored.generation;
    classic.leader.clone_from(&stored.leader);
    classic.subscribed = Some(Box::default());
    classic
}

/// Who was assigned what, as it was stored.
fn assignments(record: &Record) -> Vec<(MemberId, bytes::Bytes)> {
    match record {
        Record::Group {
            value: Some(stored),
            ..
        } => stored
            .members
            .iter()
            .map(|member| (member.member.clone(), member.assignment.clone()))
            .collect(),
        Record::Group { value: None, .. } | Record::Offset { .. } | Record::Pending { .. } => {
            Vec::new()
        }
    }
}
