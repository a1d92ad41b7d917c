//! Heartbeats: at the side door if possible, through the mailbox if not.

use std::sync::Arc;

use super::Engine;
use crate::error::Refusal;
use crate::group::HeartbeatRequest;
use crate::ids::Generation;
use crate::session::{Session, Verdict};
use crate::shard::Answer;
use crate::time::Now;

/// A heartbeat by names, borrowed from wherever they are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Heartbeat<'a> {
    /// The group.
    pub group: &'a str,
    /// The member.
    pub member: &'a str,
    /// Its static name, if the request gives one.
    pub instance: Option<&'a str>,
    /// The generation that it believes in.
    pub generation: Generation,
}

/// A member in the hand: its heartbeats need no look-up.
#[derive(Clone, Debug)]
pub struct MemberHandle {
    session: Arc<Session>,
}

impl MemberHandle {
    /// Whether this is the member of those names.
    pub fn is(&self, group: &str, member: &str) -> bool {
        self.session.member().as_str() == member && self.session.group().as_str() == group
    }

    /// Beats: one atomic read of the group's word, one swap of the member's. `None`: these two
    /// cannot tell (the handle is of a member that is gone, or of another instance), drop the
    /// handle and ask by names.
    pub fn heartbeat(
        &self,
        generation: Generation,
        instance: Option<&str>,
        now: Now,
    ) -> Option<Result<(), Refusal>> {
        match self.session.heartbeat(instance, generation, now.tick) {
            Verdict::Alive => Some(Ok(())),
            Verdict::Refused(
                refusal @ (Refusal::RebalanceInProgress | Refusal::IllegalGeneration),
            ) => Some(Err(refusal)),
            // Final answers are the shard's to give: it knows what has become of the names.
            Verdict::Refused(_) | Verdict::AskShard => None,
        }
    }
}

impl Engine {
    /// The member of these names, if it is one now.
    pub fn member(&self, group: &str, member: &str) -> Option<MemberHandle> {
        let session = self.inner.directory.find(group, member)?;
        Some(MemberHandle { session })
    }

    /// Hears a member.
    pub fn heartbeat(&self, beat: &Heartbeat<'_>) -> Answer<Result<(), Refusal>> {
        self.heartbeat_at(beat, self.now())
    }

    /// The same with a reading of [`Engine::now`] that the caller took for a whole burst.
    pub fn heartbeat_at(&self, beat: &Heartbeat<'_>, now: Now) -> Answer<Result<(), Refusal>> {
        let heard = self
            .member(beat.group, beat.member)
            .and_then(|member| member.heartbeat(beat.generation, beat.instance, now));
        match heard {
            Some(outcome) => Answer::ready(outcome),
            None => self.ask_heartbeat(beat.to_request(), now),
        }
    }
}

impl<'a> Heartbeat<'a> {
    /// A heartbeat that names no instance.
    pub fn new(group: &'a str, member: &'a str, generation: Generation) -> Self {
        Self {
            group,
            member,
            instance: None,
            generation,
        }
    }
}

impl Heartbeat<'_> {
    fn to_request(self) -> HeartbeatRequest {
        HeartbeatRequest {
            group: self.group.into(),
            member: self.member.into(),
            instance: self.instance.map(Into::into),
            generation: self.generation,
        }
    }
}
