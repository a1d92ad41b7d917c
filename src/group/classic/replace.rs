//! A static member comes back under a new id: KIP-345, KIP-814, specification 2.7.

use super::{Phase, Turn, join};
use crate::error::Refusal;
use crate::group::effects::{Cause, Effect, End, Then};
use crate::group::reply::{JoinRefused, Joined, Reply};
use crate::group::request::{JoinRequest, Protocol, ReplyTo};
use crate::ids::{Generation, MemberId};

/// A static member's replacement whose record is on its way, with what it takes to undo it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Replacement {
    pub(in crate::group) to: ReplyTo,
    pub(super) old: MemberId,
    pub(super) new: MemberId,
    pub(super) generation: Generation,
    /// The leader before: clients that cannot skip an assignment are told of it, so that a
    /// replaced leader takes itself for a follower and only asks for its assignment.
    pub(super) leader_before: MemberId,
    pub(super) can_skip_assignment: bool,
    pub(super) protocols_before: Box<[Protocol]>,
    pub(super) session_timeout_ms_before: i32,
    pub(super) rebalance_timeout_ms_before: i32,
}

impl Turn<'_> {
    pub(super) fn replace_static(
        &mut self,
        old: &MemberId,
        new: &MemberId,
        request: JoinRequest,
        to: ReplyTo,
    ) {
        let classic = &self.group.classic;
        if matches!(classic.phase, Phase::Empty | Phase::Dead) {
            // Cannot be: an empty group has no static members. Kafka answers so.
            return self.reply(to, join::refused(Refusal::Failed, ""));
        }
        let Some(member) = classic.roster.get(old.as_str()) else {
            return self.reply(to, join::refused(Refusal::UnknownMemberId, ""));
        };
        let replacement = Replacement {
            to,
            old: old.clone(),
            new: new.clone(),
            generation: classic.generation,
            leader_before: classic.leader.clone().unwrap_or_default(),
            can_skip_assignment: request.can_skip_assignment,
            protocols_before: member.protocols.clone(),
            session_timeout_ms_before: member.session_timeout_ms,
            rebalance_timeout_ms_before: member.rebalance_timeout_ms,
        };
        self.swap_ids(old, new);
        // As Kafka: by the session timeout from before.
        self.arm_session(new.as_str());
        self.update_member(new, request, to);
        match self.group.classic.phase {
            Phase::Stable => {
                let classic = &self.group.classic;
                if classic.roster.vote(classic.leader.as_ref()) != classic.protocol {
                    return self.prepare_rebalance(Cause::StaticReplaced);
                }
                let metadata = classic.metadata(|_, member| member.assignment.clone());
                let record = self.metadata_record(metadata);
                self.append(record, Then::Replaced(Box::new(replacement)));
            }
            Phase::CompletingRebalance => self.prepare_rebalance(Cause::StaticReplaced),
            Phase::PreparingRebalance => self.maybe_complete_join(),
            Phase::Empty | Phase::Dead => {}
        }
    }

    /// Puts the new id in the old one's place; whoever waits under the old id is fenced.
    fn swap_ids(&mut self, old: &MemberId, new: &MemberId) {
        let Some((_, mut member)) = self.group.classic.roster.remove(old.as_str()) else {
            return;
        };
        if let Some(to) = member.joining.take() {
            self.reply(to, join::refused(Refusal::FencedInstanceId, old.clone()));
        }
        if let Some(to) = member.syncing.take() {
            self.reply(to, Reply::Sync(Err(Refusal::FencedInstanceId)));
        }
        // Kafka's replacement is a member like any other: its parked join is a sign of life.
        member.is_new = false;
        self.seats.give_up(member.seat, End::Fenced, self.fx);
        member.seat = self.seats.take(self.group.key, new.clone());
        self.fx.push(Effect::Seat {
            seat: member.seat,
            group: self.group.key,
            group_id: self.group.id.clone(),
            member: new.clone(),
            instance: member.instance.clone(),
        });
        let classic = &mut self.group.classic;
        if classic.leader.as_ref() == Some(old) {
            classic.leader = Some(new.clone());
        }
        classic.roster.add(new.clone(), member);
    }

    /// The new id is durable, or could not be stored.
    pub(in crate::group) fn replaced(
        &mut self,
        replacement: Replacement,
        outcome: Result<(), Refusal>,
    ) {
        let classic = &mut self.group.classic;
        let id = replacement.new.as_str();
        let waits = classic
            .roster
            .get(id)
            .is_some_and(|it| it.joining == Some(replacement.to));
        if !waits || classic.phase != Phase::Stable || classic.generation != replacement.generation
        {
            // It asked again, or a rebalance took its request along: that answers.
            return;
        }
        classic.roster.set_joining(id, None);
        match outcome {
            Ok(()) => {
                // Its timer may have fired while it waited; and its timeout may be another now.
                self.arm_session(id);
                self.answer_replaced(&replacement);
            }
            Err(refusal) => self.undo_replacement(replacement, refusal),
        }
    }

    fn answer_replaced(&mut self, replacement: &Replacement) {
        let classic = &self.group.classic;
        let mut joined = classic.joined(&replacement.new);
        if replacement.can_skip_assignment {
            joined.skip_assignment = classic.leader.as_ref() == Some(&replacement.new);
        } else {
            joined.leader = replacement.leader_before.clone();
            joined.members.clear();
        }
        self.reply(replacement.to, Reply::Join(Ok(joined)));
    }

    fn undo_replacement(&mut self, replacement: Replacement, refusal: Refusal) {
        let stored = self.stored_owner(&replacement);
        let old = stored.unwrap_or(replacement.old);
        let roster = &mut self.group.classic.roster;
        let id = replacement.new.as_str();
        roster.set_protocols(id, replacement.protocols_before);
        roster.update(id, |member| {
            member.session_timeout_ms = replacement.session_timeout_ms_before;
            member.rebalance_timeout_ms = replacement.rebalance_timeout_ms_before;
        });
        self.swap_ids(&replacement.new, &old);
        self.arm_session(old.as_str());
        if self.group.in_flight > 0 {
            // A record on its way may name the new id: the last word must not.
            let metadata = self.group.classic.metadata(|_, it| it.assignment.clone());
            let record = self.metadata_record(metadata);
            self.append(record, Then::Rest);
        }
        let standing = Joined {
            member: MemberId::default(),
            members: Vec::new(),
            ..self.group.classic.joined(&old)
        };
        let refused = JoinRefused {
            refusal,
            member: MemberId::default(),
            standing: Some(Box::new(standing)),
        };
        self.reply(replacement.to, Reply::Join(Err(refused)));
    }

    /// The id that is stored for the instance: not the one before where that, too, was a
    /// replacement whose record failed.
    fn stored_owner(&self, replacement: &Replacement) -> Option<MemberId> {
        let roster = &self.group.classic.roster;
        let instance = &roster.get(replacement.new.as_str())?.instance;
        let stored = self.group.facts.metadata.as_ref()?;
        let mut members = stored.members.iter();
        let owner = members.find(|it| it.instance.is_some() && it.instance == *instance)?;
        let is_free = !roster.contains(owner.member.as_str());
        (is_free && stored.generation == replacement.generation).then(|| owner.member.clone())
    }
}
