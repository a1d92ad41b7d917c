//! `LeaveGroup`, one member or many: specification 1.6 and 2.10, KIP-345.

use super::{Phase, Turn};
use crate::error::Refusal;
use crate::group::effects::{Cause, End};
use crate::group::reply::{LeaveResult, LeftMember};
use crate::group::request::{LeaveRequest, Leaver};

impl Turn<'_> {
    /// Lets each leaver go, then sees once what that means for the group.
    pub(in crate::group) fn leave(&mut self, request: LeaveRequest) -> LeaveResult {
        if self.group.classic.phase == Phase::Dead {
            return Err(Refusal::NotAvailable);
        }
        let left: Vec<LeftMember> = request
            .leavers
            .into_iter()
            .map(|leaver| LeftMember {
                result: self.let_go(&leaver),
                member: leaver.member,
                instance: leaver.instance,
            })
            .collect();
        if left.iter().any(|member| member.result.is_ok()) {
            match self.group.classic.phase {
                Phase::Stable | Phase::CompletingRebalance => {
                    self.rebalance_or_complete(Cause::Leave);
                }
                Phase::PreparingRebalance => self.maybe_complete_join(),
                Phase::Empty | Phase::Dead => {}
            }
        }
        Ok(left)
    }

    fn let_go(&mut self, leaver: &Leaver) -> Result<(), Refusal> {
        let roster = &self.group.classic.roster;
        // An administrator removes a static member by its instance id alone.
        if leaver.member.is_empty() {
            let owner = leaver
                .instance
                .as_ref()
                .and_then(|id| roster.instance_owner(id.as_str()));
            let Some(owner) = owner.cloned() else {
                return Err(Refusal::UnknownMemberId);
            };
            self.remove_member(owner.as_str(), End::Left);
            return Ok(());
        }
        if self.remove_pending(leaver.member.as_str(), End::Left) {
            return Ok(());
        }
        let roster = &self.group.classic.roster;
        roster.validate(leaver.member.as_str(), leaver.instance.as_ref())?;
        self.remove_member(leaver.member.as_str(), End::Left);
        Ok(())
    }
}
