//! `SyncGroup`: specification 1.4, 2.6 and 2.8, KIP-559.

use std::collections::HashMap;

use bytes::Bytes;
use foldhash::fast::RandomState;

use super::{Classic, Phase, Turn};
use crate::error::Refusal;
use crate::group::effects::{Cause, Effect, End, Note, Then, Timer, Why};
use crate::group::reply::{Reply, Synced};
use crate::group::request::{ReplyTo, SyncRequest};
use crate::ids::{Generation, MemberId};

impl Classic {
    /// What a member that is assigned this is told.
    fn synced(&self, assignment: Bytes) -> Synced {
        Synced {
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            assignment,
        }
    }
}

impl Turn<'_> {
    /// Hands in the leader's assignments, or asks for one's own.
    pub(in crate::group) fn sync(&mut self, request: SyncRequest, to: ReplyTo) {
        if let Err(refusal) = self.check_sync(&request) {
            return self.reply(to, Reply::Sync(Err(refusal)));
        }
        let member = request.member.as_str();
        self.group.classic.roster.set_owes_sync(member, false);
        if self.group.classic.roster.owing_sync() == 0 {
            self.group.classic.sync_timer = None;
        }
        if self.group.classic.phase == Phase::Stable {
            let classic = &self.group.classic;
            let assignment = classic.roster.get(member).map(|it| it.assignment.clone());
            let synced = classic.synced(assignment.unwrap_or_default());
            return self.reply(to, Reply::Sync(Ok(synced)));
        }
        if let Some(older) = self.group.classic.roster.set_syncing(member, Some(to)) {
            self.reply(older, Reply::Sync(Err(Refusal::Superseded)));
        }
        let classic = &self.group.classic;
        let is_leader = classic.leader.as_ref() == Some(&request.member);
        if is_leader && classic.assigning != Some(classic.generation) {
            self.store_assignments(request.assignments);
        }
    }

    fn check_sync(&self, request: &SyncRequest) -> Result<(), Refusal> {
        let classic = &self.group.classic;
        match classic.phase {
            Phase::Empty => return Err(Refusal::UnknownMemberId),
            Phase::Dead => return Err(Refusal::NotAvailable),
            Phase::PreparingRebalance | Phase::CompletingRebalance | Phase::Stable => {}
        }
        classic
            .roster
            .validate(request.member.as_str(), request.instance.as_ref())?;
        if request.generation != classic.generation {
            return Err(Refusal::IllegalGeneration);
        }
        let differs = |theirs: &Option<_>, ours: &Option<_>| {
            theirs.is_some() && ours.is_some() && theirs != ours
        };
        if differs(&request.protocol_type, &classic.protocol_type)
            || differs(&request.protocol, &classic.protocol)
        {
            return Err(Refusal::InconsistentGroupProtocol);
        }
        if classic.phase == Phase::PreparingRebalance {
            return Err(Refusal::RebalanceInProgress);
        }
        Ok(())
    }

    /// Stores who gets what; a member that the leader left out gets nothing, and one that is not
    /// a member is left out.
    fn store_assignments(&mut self, assignments: Vec<(MemberId, Bytes)>) {
        let assigned: HashMap<_, _, RandomState> = assignments.into_iter().collect();
        let classic = &mut self.group.classic;
        let generation = classic.generation;
        classic.assigning = Some(generation);
        let metadata = classic.metadata(|id, _| assigned.get(id).cloned().unwrap_or_default());
        let record = self.metadata_record(metadata);
        self.append(record, Then::Assign { generation });
    }

    /// The leader's assignments are durable, or could not be stored.
    pub(in crate::group) fn assigned(
        &mut self,
        generation: Generation,
        members: Vec<(MemberId, Bytes)>,
        outcome: Result<(), Refusal>,
    ) {
        let classic = &mut self.group.classic;
        if classic.assigning == Some(generation) {
            classic.assigning = None;
        }
        if classic.phase != Phase::CompletingRebalance || classic.generation != generation {
            // A rebalance began meanwhile and has answered the syncs.
            return;
        }
        if let Err(refusal) = outcome {
            return self.prepare_rebalance_refusing(Cause::AppendFailed, refusal);
        }
        for (id, assignment) in members {
            let roster = &mut self.group.classic.roster;
            roster.update(id.as_str(), |member| member.assignment = assignment);
        }
        self.step_to(Phase::Stable);
        self.note(Note::RebalanceCompleted);
        let (seats, fx, now) = (&mut *self.seats, &mut *self.fx, self.now.tick);
        let classic = &mut self.group.classic;
        let nothing = classic.synced(Bytes::new());
        classic.roster.take_syncs(|member, to| {
            seats.arm(member.seat, member.session_ms(), now, fx);
            let mut synced = nothing.clone();
            synced.assignment = member.assignment.clone();
            let reply = Reply::Sync(Ok(synced));
            fx.push(Effect::Reply { to, reply });
        });
        self.arm_retention();
    }

    /// The sync timer fired: members that never asked for their assignment are out.
    pub(in crate::group) fn sync_timer_fired(&mut self, arming: u32) {
        let Some(running) = self.group.classic.sync_timer.as_deref().copied() else {
            return;
        };
        if running.arming != arming {
            return;
        }
        let at = running.at + self.stalls.unserved_ms_since(running.since);
        if at > self.now.tick {
            let timer = Timer::Sync {
                group: self.group.key,
                arming,
            };
            return self.fx.push(Effect::Arm { at, timer });
        }
        self.group.classic.sync_timer = None;
        let late: Vec<MemberId> = self
            .group
            .classic
            .roster
            .iter()
            .filter(|(_, member)| member.owes_sync)
            .map(|(id, _)| id.clone())
            .collect();
        let phase = self.group.classic.phase;
        if late.is_empty() || !matches!(phase, Phase::CompletingRebalance | Phase::Stable) {
            return;
        }
        for id in late {
            self.remove_member(id.as_str(), End::Expired);
            self.note(Note::Expelled(Why::Sync));
        }
        self.prepare_rebalance(Cause::SyncExpired);
    }
}
