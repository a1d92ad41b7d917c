//! `SyncGroup`: specification 1.4, 2.6 and 2.8, KIP-559.

use std::collections::HashMap;

use bytes::Bytes;

use super::{Phase, Turn};
use crate::error::Refusal;
use crate::group::effects::{Cause, Effect, End, Note, Then, Timer, Why};
use crate::group::reply::{Reply, Synced};
use crate::group::request::{ReplyTo, SyncRequest};
use crate::ids::{Generation, MemberId};

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
            let synced = self.synced(member);
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
        let assigned: HashMap<MemberId, Bytes> = assignments.into_iter().collect();
        let classic = &mut self.group.classic;
        let generation = classic.generation;
        classic.assigning = Some(generation);
        let metadata = classic.metadata(|id, _| assigned.get(id).cloned().unwrap_or_default());
        let record = self.metadata_record(metadata);
        self.append(vec![record], Then::Assign { generation });
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
        for id in self.group.classic.roster.ids() {
            if let Some(to) = self.group.classic.roster.set_syncing(id.as_str(), None) {
                self.arm_session(id.as_str());
                let synced = self.synced(id.as_str());
                self.reply(to, Reply::Sync(Ok(synced)));
            }
        }
        self.arm_retention();
    }

    fn synced(&self, member: &str) -> Synced {
        let classic = &self.group.classic;
        Synced {
            protocol_type: classic.protocol_type.clone(),
            protocol: classic.protocol.clone(),
            assignment: classic
                .roster
                .get(member)
                .map_or_else(Bytes::new, |member| member.assignment.clone()),
        }
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
