//! A member's time is up: specification 2.9.

use super::{Phase, Turn};
use crate::group::effects::{Cause, End, Note, Why};
use crate::ids::MemberId;

impl Turn<'_> {
    /// Whether the silence of that member is explained by a request that waits for an answer.
    pub(in crate::group) fn is_waiting(&self, member: &MemberId) -> bool {
        self.group
            .classic
            .roster
            .get(member.as_str())
            .is_some_and(|member| member.is_waiting())
    }

    /// Removes a member, or a pending one, that was silent for too long.
    pub(in crate::group) fn expire(&mut self, member: &MemberId) {
        if self.remove_pending(member.as_str(), End::Expired) {
            // As Kafka: even within the initial delay, which ends here early.
            let classic = &self.group.classic;
            if classic.phase == Phase::PreparingRebalance && classic.roster.all_joined() {
                self.complete_join();
            }
            return;
        }
        if !self.group.classic.roster.contains(member.as_str()) {
            return;
        }
        self.remove_member(member.as_str(), End::Expired);
        self.note(Note::Expelled(Why::Session));
        match self.group.classic.phase {
            Phase::Stable | Phase::CompletingRebalance => {
                self.rebalance_or_complete(Cause::SessionExpired);
            }
            Phase::PreparingRebalance if self.group.classic.roster.all_joined() => {
                self.complete_join();
            }
            Phase::PreparingRebalance | Phase::Empty | Phase::Dead => {}
        }
    }
}
