//! Who is in a group: members, static names, pending members, and the counts over them.
//!
//! The counts (who waits in a join, who owes a sync, how many support a protocol) are kept here
//! so that no verb has to walk the members to know them. Iteration is by insertion, disturbed by
//! removals only, and so the same in every run.

use std::sync::Arc;

use bytes::Bytes;
use foldhash::fast::RandomState;
use indexmap::IndexMap;

use super::few::Few;
use super::member::{Member, distinct_names};
use crate::error::Refusal;
use crate::group::effects::SeatId;
use crate::group::request::{Protocol, ReplyTo};
use crate::ids::{InstanceId, MemberId};

/// The members of a group.
#[derive(Debug, Default)]
pub(in crate::group) struct Roster {
    members: Few<MemberId, Member>,
    statics: Few<InstanceId, MemberId>,
    /// Ids handed out with `MEMBER_ID_REQUIRED` and not used yet (KIP-394).
    pending: Few<MemberId, SeatId>,
    /// How many members support a protocol.
    support: Few<Arc<str>, usize>,
    // Of 32 bits, so that a group is no larger than what the allocator would give it anyway.
    joining: u32,
    owing_sync: u32,
}

impl Roster {
    pub(in crate::group) fn len(&self) -> usize {
        self.members.len()
    }

    pub(in crate::group) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(in crate::group) fn contains(&self, member: &str) -> bool {
        self.members.contains(member)
    }

    pub(in crate::group) fn get(&self, member: &str) -> Option<&Member> {
        self.members.get(member)
    }

    pub(in crate::group) fn iter(&self) -> impl Iterator<Item = (&MemberId, &Member)> {
        self.members.iter()
    }

    pub(super) fn ids(&self) -> Vec<MemberId> {
        self.members.keys().cloned().collect()
    }

    pub(super) fn first_id(&self) -> Option<&MemberId> {
        self.members.keys().next()
    }

    pub(super) fn first_joining(&self) -> Option<&MemberId> {
        self.members
            .iter()
            .find(|(_, member)| member.joining.is_some())
            .map(|(id, _)| id)
    }

    pub(in crate::group) fn instance_owner(&self, instance: &str) -> Option<&MemberId> {
        self.statics.get(instance)
    }

    pub(super) fn joining(&self) -> usize {
        self.joining as usize
    }

    pub(super) fn owing_sync(&self) -> usize {
        self.owing_sync as usize
    }

    /// Everyone known waits in a join, and nobody is expected.
    pub(super) fn all_joined(&self) -> bool {
        self.members.len() == self.joining() && self.pending.is_empty()
    }

    /// How long the slowest member may take to join again, in milliseconds.
    pub(super) fn rebalance_timeout_ms_max(&self) -> u64 {
        let max = self
            .members
            .values()
            .map(|member| member.rebalance_timeout_ms)
            .max();
        u64::try_from(max.unwrap_or(0)).unwrap_or(0)
    }

    /// Whether the id, with the static name if one is given, is a member (KIP-345).
    pub(in crate::group) fn validate(
        &self,
        member: &str,
        instance: Option<&InstanceId>,
    ) -> Result<(), Refusal> {
        if let Some(instance) = instance {
            match self.statics.get(instance.as_str()) {
                None => return Err(Refusal::UnknownMemberId),
                Some(owner) if owner.as_str() != member => return Err(Refusal::FencedInstanceId),
                Some(_) => {}
            }
        }
        if self.members.contains(member) {
            Ok(())
        } else {
            Err(Refusal::UnknownMemberId)
        }
    }

    pub(in crate::group) fn add(&mut self, id: MemberId, member: Member) {
        for name in member.protocol_names() {
            count_up(&mut self.support, name);
        }
        if let Some(instance) = &member.instance {
            self.statics.insert(instance.clone(), id.clone());
        }
        self.joining += u32::from(member.joining.is_some());
        self.owing_sync += u32::from(member.owes_sync);
        self.members.insert(id, member);
    }

    pub(super) fn remove(&mut self, id: &str) -> Option<(MemberId, Member)> {
        let (id, member) = self.members.remove(id)?;
        for name in member.protocol_names() {
            self.unsupport(name);
        }
        if let Some(instance) = &member.instance {
            self.statics.remove(instance.as_str());
        }
        self.joining -= u32::from(member.joining.is_some());
        self.owing_sync -= u32::from(member.owes_sync);
        Some((id, member))
    }

    fn unsupport(&mut self, name: &Arc<str>) {
        if let Some(count) = self.support.get_mut(name) {
            *count -= 1;
            if *count == 0 {
                self.support.remove(name);
            }
        }
    }

    /// Replaces what a member offers.
    pub(super) fn set_protocols(&mut self, id: &str, protocols: Box<[Protocol]>) {
        let Some(member) = self.members.get_mut(id) else {
            return;
        };
        let old = std::mem::replace(&mut member.protocols, protocols);
        for name in distinct_names(&member.protocols) {
            count_up(&mut self.support, name);
        }
        for name in distinct_names(&old) {
            self.unsupport(name);
        }
    }

    /// Changes a member without touching what is counted here.
    pub(super) fn update(&mut self, id: &str, change: impl FnOnce(&mut Member)) {
        if let Some(member) = self.members.get_mut(id) {
            change(member);
        }
    }

    /// Parks a join, or takes it back; the one that was parked comes out.
    pub(super) fn set_joining(&mut self, id: &str, to: Option<ReplyTo>) -> Option<ReplyTo> {
        let member = self.members.get_mut(id)?;
        self.joining += u32::from(to.is_some());
        let old = std::mem::replace(&mut member.joining, to);
        self.joining -= u32::from(old.is_some());
        old
    }

    /// Parks a sync, or takes it back; the one that was parked comes out.
    pub(super) fn set_syncing(&mut self, id: &str, to: Option<ReplyTo>) -> Option<ReplyTo> {
        let member = self.members.get_mut(id)?;
        std::mem::replace(&mut member.syncing, to)
    }

    pub(super) fn set_owes_sync(&mut self, id: &str, owes: bool) {
        if let Some(member) = self.members.get_mut(id) {
            self.owing_sync += u32::from(owes);
            self.owing_sync -= u32::from(member.owes_sync);
            member.owes_sync = owes;
        }
    }

    pub(super) fn clear_owed_syncs(&mut self) {
        for member in self.members.values_mut() {
            member.owes_sync = false;
        }
        self.owing_sync = 0;
    }

    /// A generation begins: everyone owes a sync, and nobody waits in a join any more. Silent
    /// static members owe a sync too: they are removed if they do not send it.
    ///
    /// Gives each member, in order, with the join that was parked.
    pub(super) fn begin_generation(
        &mut self,
        mut each: impl FnMut(&MemberId, &Member, Option<ReplyTo>),
    ) {
        self.joining = 0;
        let members = u32::try_from(self.members.len());
        self.owing_sync = members.expect("a group has fewer than 2^32 members");
        for (id, member) in self.members.iter_mut() {
            member.is_new = false;
            member.owes_sync = true;
            let to = member.joining.take();
            each(id, member, to);
        }
    }

    /// Takes all parked syncs back, in order.
    pub(super) fn take_syncs(&mut self, mut each: impl FnMut(&Member, ReplyTo)) {
        for member in self.members.values_mut() {
            if let Some(to) = member.syncing.take() {
                each(member, to);
            }
        }
    }

    /// Nobody has anything any more.
    pub(super) fn clear_assignments(&mut self) {
        for member in self.members.values_mut() {
            member.assignment = Bytes::new();
        }
    }

    pub(super) fn is_pending(&self, member: &str) -> bool {
        self.pending.contains(member)
    }

    pub(super) fn add_pending(&mut self, member: MemberId, seat: SeatId) {
        self.pending.insert(member, seat);
    }

    pub(super) fn remove_pending(&mut self, member: &str) -> Option<SeatId> {
        self.pending.remove(member).map(|(_, seat)| seat)
    }

    pub(in crate::group) fn drain_pending(&mut self) -> Vec<SeatId> {
        self.pending.drain().map(|(_, seat)| seat).collect()
    }

    /// Whether nobody waits or is waited for.
    pub(super) fn is_quiet(&self) -> bool {
        self.pending.is_empty()
            && self.joining == 0
            && self.owing_sync == 0
            && !self.iter().any(|(_, it)| it.syncing.is_some() || it.is_new)
    }

    /// Whether the counts are what a walk over the members gives.
    pub(in crate::group) fn is_counted_right(&self) -> bool {
        let members = || self.members.values();
        let mut support: IndexMap<&Arc<str>, usize> = IndexMap::new();
        for name in members().flat_map(Member::protocol_names) {
            *support.entry(name).or_insert(0) += 1;
        }
        let statics = members().filter(|it| it.instance.is_some()).count();
        let owns = |(instance, id): (&InstanceId, &MemberId)| {
            let owner = self.members.get(id.as_str());
            owner.is_some_and(|it| it.instance.as_ref() == Some(instance))
        };
        self.joining() == members().filter(|it| it.joining.is_some()).count()
            && self.owing_sync() == members().filter(|it| it.owes_sync).count()
            && support.len() == self.support.len()
            && support
                .iter()
                .all(|(name, n)| self.support.get(name) == Some(n))
            && statics == self.statics.len()
            && self.statics.iter().all(owns)
            && !self
                .pending
                .keys()
                .any(|id| self.members.contains(id.as_str()))
    }

    /// Whether every member supports one of these; nobody has anything against any.
    pub(super) fn supports_any(&self, protocols: &[Protocol]) -> bool {
        let all = self.members.len();
        protocols
            .iter()
            .any(|protocol| self.support.get(&protocol.name).copied().unwrap_or(0) == all)
    }

    /// The protocol of the next generation: each member votes for the first of its own that all
    /// support; most votes win, and among equals the leader's order decides.
    pub(super) fn vote(&self, leader: Option<&MemberId>) -> Option<Arc<str>> {
        let all = self.members.len();
        let mut votes: IndexMap<&Arc<str>, usize, RandomState> = IndexMap::default();
        let first = leader.and_then(|id| self.members.get(id.as_str()));
        let candidates = first.or_else(|| self.members.values().next())?;
        for name in candidates.protocol_names() {
            if self.support.get(name) == Some(&all) {
                votes.insert(name, 0);
            }
        }
        for member in self.members.values() {
            let choice = member
                .protocols
                .iter()
                .find(|protocol| votes.contains_key(&protocol.name));
            if let Some(choice) = choice {
                *votes.entry(&choice.name).or_insert(0) += 1;
            }
        }
        let most = votes.values().copied().max()?;
        votes
            .into_iter()
            .find(|(_, count)| *count == most)
            .map(|(name, _)| Arc::clone(name))
    }
}

fn count_up(support: &mut Few<Arc<str>, usize>, name: &Arc<str>) {
    match support.get_mut(name) {
        Some(count) => *count += 1,
        None => support.insert(Arc::clone(name), 1),
    }
}
