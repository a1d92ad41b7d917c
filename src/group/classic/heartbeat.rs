//! `Heartbeat`, for those that the side door could not answer: specification 1.5.

use super::{Phase, Turn};
use crate::error::Refusal;
use crate::group::request::HeartbeatRequest;

impl Turn<'_> {
    /// Hears a member. In `PreparingRebalance` it is told to join again, and still was heard.
    pub(in crate::group) fn heartbeat(
        &mut self,
        request: &HeartbeatRequest,
    ) -> Result<(), Refusal> {
        let classic = &self.group.classic;
        if classic.phase == Phase::Dead {
            return Err(Refusal::NotAvailable);
        }
        classic
            .roster
            .validate(request.member.as_str(), request.instance.as_ref())?;
        if request.generation != classic.generation {
            return Err(Refusal::IllegalGeneration);
        }
        match classic.phase {
            Phase::Empty => Err(Refusal::UnknownMemberId),
            Phase::Dead => Err(Refusal::NotAvailable),
            Phase::PreparingRebalance => {
                self.arm_session(request.member.as_str());
                Err(Refusal::RebalanceInProgress)
            }
            Phase::CompletingRebalance | Phase::Stable => {
                self.arm_session(request.member.as_str());
                Ok(())
            }
        }
    }
}
