//! `JoinGroup`: specification 2.3, KIP-345, KIP-389, KIP-394, KIP-814.

use std::sync::Arc;

use super::member::Member;
use super::{Classic, Phase, Turn};
use crate::error::Refusal;
use crate::group::effects::{Cause, Effect, End, Full, Note, Then, Why};
use crate::group::record::GroupMetadata;
use crate::group::reply::{JoinRefused, Joined, JoinedMember, Reply};
use crate::group::request::{JoinRequest, Protocol, ReplyTo};
use crate::group::rules::Rules;
use crate::ids::{Generation, InstanceId, MemberId};

/// A join's refusal, with the member id that it echoes.
pub(in crate::group) fn refused(refusal: Refusal, member: impl Into<MemberId>) -> Reply {
    Reply::Join(Err(JoinRefused {
        refusal,
        member: member.into(),
        standing: None,
    }))
}

impl Classic {
    /// Whether there is room for the one that joins (KIP-389): pending members do not count, and
    /// where the limit was lowered the last ones to join again are turned away.
    fn has_room_for(&self, member: &MemberId, rules: &Rules) -> bool {
        let max = rules.group_members_max;
        match self.phase {
            Phase::Empty | Phase::Dead => true,
            Phase::PreparingRebalance => {
                let known = self.roster.get(member.as_str());
                known.is_some_and(|member| member.joining.is_some()) || self.roster.joining() < max
            }
            Phase::CompletingRebalance | Phase::Stable => {
                self.roster.contains(member.as_str()) || self.roster.len() < max
            }
        }
    }

    /// Whether type and protocols fit: any for an empty group, else the group's type and at least
    /// one protocol that every member supports.
    fn is_compatible(&self, protocol_type: &str, protocols: &[Protocol]) -> bool {
        if self.phase == Phase::Empty {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        self.protocol_type.as_deref() == Some(protocol_type) && self.roster.supports_any(protocols)
    }

    /// Everyone, as the leader sees them.
    pub(super) fn joined_members(&self) -> Vec<JoinedMember> {
        let protocol = self.protocol.as_deref().unwrap_or("");
        let joined = |(id, member): (&MemberId, &Member)| JoinedMember {
            member: id.clone(),
            instance: member.instance.clone(),
            metadata: member.metadata(protocol),
        };
        let mut members = Vec::with_capacity(self.roster.len());
        members.extend(self.roster.iter().map(joined));
        members
    }

    /// The present generation, as that member is told of it.
    pub(super) fn joined(&self, member: &MemberId) -> Joined {
        let mut joined = self.joined_as_follower(member.clone());
        if self.leader.as_ref() == Some(member) {
            joined.members = self.joined_members();
        }
        joined
    }

    /// The same for one that does not lead.
    pub(super) fn joined_as_follower(&self, member: MemberId) -> Joined {
        Joined {
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader: self.leader.clone().unwrap_or_default(),
            member,
            skip_assignment: false,
            members: Vec::new(),
        }
    }
}

impl Turn<'_> {
    /// Joins, or asks for an id. `is_new_group`: the request made the group.
    pub(in crate::group) fn join(&mut self, request: JoinRequest, to: ReplyTo, is_new_group: bool) {
        let records_before = self.group.in_flight;
        if !self.group.classic.has_room_for(&request.member, self.rules) {
            self.turn_away(&request.member);
            self.note(Note::Refused(Full::Members));
            self.reply(to, refused(Refusal::GroupMaxSizeReached, ""));
        } else if request.member.is_empty() {
            self.join_as_new(request, to);
        } else {
            self.join_as_known(request, to);
        }
        // A group that holds nothing but a pending member is stored too, so that it is listed
        // and cleaned up after a restart. Whoever joined is no part of a generation yet.
        if is_new_group && self.group.in_flight == records_before {
            let empty = GroupMetadata {
                protocol_type: None,
                generation: Generation(0),
                protocol: None,
                leader: None,
                phase_since: self.group.classic.phase_since,
                members: Vec::new(),
            };
            let record = self.metadata_record(empty);
            self.append(record, Then::Rest);
        }
    }

    /// The group is full: whoever asked does not stay, nor does its claim to an id.
    fn turn_away(&mut self, member: &MemberId) {
        if self.remove_pending(member.as_str(), End::Left) {
            return;
        }
        if self.group.classic.roster.contains(member.as_str()) {
            self.remove_member(member.as_str(), End::Left);
            self.note(Note::Expelled(Why::GroupFull));
        }
    }

    fn join_as_new(&mut self, request: JoinRequest, to: ReplyTo) {
        let classic = &self.group.classic;
        if classic.phase == Phase::Dead {
            return self.reply(to, refused(Refusal::NotAvailable, ""));
        }
        if !classic.is_compatible(&request.protocol_type, &request.protocols) {
            return self.reply(to, refused(Refusal::InconsistentGroupProtocol, ""));
        }
        let stem = request
            .instance
            .as_ref()
            .map_or(&*request.client.id, InstanceId::as_str);
        let id = MemberId::from(format!("{stem}-{}", request.fresh));
        match &request.instance {
            Some(instance) => match classic.roster.instance_owner(instance.as_str()).cloned() {
                Some(old) => self.replace_static(&old, &id, request, to),
                None => self.add_member(id, request, to),
            },
            None if request.requires_known_member_id => {
                let seat = self.seats.take(self.group.key, id.clone());
                self.group.classic.roster.add_pending(id.clone(), seat);
                let session_ms = u64::try_from(request.session_timeout_ms).unwrap_or(0);
                self.seats.arm(seat, session_ms, self.now.tick, self.fx);
                self.reply(to, refused(Refusal::MemberIdRequired, id));
            }
            None => self.add_member(id, request, to),
        }
    }

    fn join_as_known(&mut self, request: JoinRequest, to: ReplyTo) {
        let classic = &self.group.classic;
        let id = request.member.clone();
        if classic.phase == Phase::Dead {
            return self.reply(to, refused(Refusal::NotAvailable, id));
        }
        if !classic.is_compatible(&request.protocol_type, &request.protocols) {
            return self.reply(to, refused(Refusal::InconsistentGroupProtocol, id));
        }
        if classic.roster.is_pending(id.as_str()) {
            if request.instance.is_some() {
                // Kafka trips here: a pending member never has an instance id.
                return self.reply(to, refused(Refusal::Failed, ""));
            }
            return self.add_member(id, request, to);
        }
        if let Err(refusal) = classic
            .roster
            .validate(id.as_str(), request.instance.as_ref())
        {
            return self.reply(to, refused(refusal, id));
        }
        let is_leader = classic.leader.as_ref() == Some(&id);
        let member = classic
            .roster
            .get(id.as_str())
            .expect("validated just above");
        let is_changed = *member.protocols != *request.protocols;
        match classic.phase {
            Phase::PreparingRebalance => {
                self.update_member(&id, request, to);
                self.maybe_complete_join();
            }
            Phase::CompletingRebalance if is_changed => {
                self.update_member(&id, request, to);
                self.prepare_rebalance(Cause::Rejoin);
            }
            Phase::Stable if is_changed || is_leader => {
                self.update_member(&id, request, to);
                self.prepare_rebalance(Cause::Rejoin);
            }
            // The answer got lost, or the client only wants to be sure.
            Phase::CompletingRebalance | Phase::Stable => {
                let joined = classic.joined(&id);
                self.reply(to, Reply::Join(Ok(joined)));
            }
            Phase::Empty | Phase::Dead => self.reply(to, refused(Refusal::UnknownMemberId, id)),
        }
    }

    fn add_member(&mut self, id: MemberId, request: JoinRequest, to: ReplyTo) {
        // A pending member keeps its place; its timer is armed anew below.
        let seat = match self.group.classic.roster.remove_pending(id.as_str()) {
            Some(seat) => seat,
            None => self.seats.take(self.group.key, id.clone()),
        };
        let classic = &mut self.group.classic;
        if classic.phase == Phase::PreparingRebalance && classic.previous == Phase::Empty {
            classic.joined_meanwhile = true;
        }
        if classic.roster.is_empty() {
            classic.protocol_type = Some(Arc::clone(&request.protocol_type));
        }
        classic.leader.get_or_insert_with(|| id.clone());
        let instance = request.instance.clone();
        classic.roster.add(
            id.clone(),
            Member {
                seat,
                instance: request.instance,
                client: request.client,
                session_timeout_ms: request.session_timeout_ms,
                rebalance_timeout_ms: request.rebalance_timeout_ms,
                protocols: request.protocols.into(),
                assignment: bytes::Bytes::new(),
                joining: Some(to),
                syncing: None,
                owes_sync: false,
                is_new: true,
            },
        );
        self.fx.push(Effect::Seat {
            seat,
            group: self.group.key,
            group_id: self.group.id.clone(),
            member: id,
            instance,
        });
        self.seats
            .arm(seat, Rules::NEW_MEMBER_TIMEOUT_MS, self.now.tick, self.fx);
        self.rebalance_or_complete(Cause::NewMember);
    }

    /// Takes over what a member offers now, and parks its join in place of an older one.
    pub(super) fn update_member(&mut self, id: &MemberId, request: JoinRequest, to: ReplyTo) {
        let roster = &mut self.group.classic.roster;
        roster.set_protocols(id.as_str(), request.protocols.into());
        roster.update(id.as_str(), |member| {
            member.rebalance_timeout_ms = request.rebalance_timeout_ms;
            member.session_timeout_ms = request.session_timeout_ms;
        });
        if let Some(older) = roster.set_joining(id.as_str(), Some(to)) {
            self.reply(older, refused(Refusal::Superseded, id.clone()));
        }
    }
}
