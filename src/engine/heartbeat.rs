//! Heartbeats: at the side door if possible, through the mailbox if not.

use super::Engine;
use crate::error::Refusal;
use crate::group::HeartbeatRequest;
use crate::ids::{Generation, ShardId};
pub use crate::session::Heartbeat;
use crate::session::{SessionHandle, Verdict};
use crate::shard::{Answer, shard_of_name};
use crate::time::Now;

/// A member in the hand: its heartbeats need no look-up.
#[derive(Clone, Debug)]
pub struct MemberHandle {
    handle: SessionHandle,
}

impl MemberHandle {
    /// Whether this is the member of those names.
    #[inline]
    pub fn is(&self, group: &str, member: &str) -> bool {
        self.handle.is_of(group, member)
    }

    /// Beats: one atomic read of the group's word, one swap of the member's. `None`: these two
    /// cannot tell (the handle is of a member that is gone, or of another instance), drop the
    /// handle and ask by names.
    #[inline]
    pub fn heartbeat(
        &self,
        generation: Generation,
        instance: Option<&str>,
        now: Now,
    ) -> Option<Result<(), Refusal>> {
        outcome_of(self.handle.heartbeat(instance, generation, now.tick))
    }
}

/// `None`: the shard must be asked.
#[inline]
fn outcome_of(verdict: Verdict) -> Option<Result<(), Refusal>> {
    match verdict {
        Verdict::Alive => Some(Ok(())),
        Verdict::Refused(refusal) => Some(Err(refusal)),
        Verdict::AskShard => None,
    }
}

impl Engine {
    /// The member of these names, if it is one now.
    pub fn member(&self, group: &str, member: &str) -> Option<MemberHandle> {
        let shard = self.shard_of(group);
        let handle = self.inner.directory.find(shard, group, member)?;
        Some(MemberHandle { handle })
    }

    /// Hears a member.
    pub fn heartbeat(&self, beat: &Heartbeat<'_>) -> Answer<Result<(), Refusal>> {
        self.heartbeat_at(beat, self.now())
    }

    /// The same with a reading of [`Engine::now`] that the caller took for a whole burst.
    #[inline]
    pub fn heartbeat_at(&self, beat: &Heartbeat<'_>, now: Now) -> Answer<Result<(), Refusal>> {
        let shard = self.shard_of(beat.group);
        match outcome_of(self.inner.directory.heartbeat(shard, beat, now.tick)) {
            Some(outcome) => Answer::ready(outcome),
            None => self.ask_heartbeat(to_request(beat), now),
        }
    }

    /// Hears many members; `answer` is given each answer with its place in `beats`, in order.
    ///
    /// Faster than one by one where members are too many for the processor's caches: the memory
    /// of sixteen is asked for at a time.
    pub fn heartbeats_at(
        &self,
        beats: &[Heartbeat<'_>],
        now: Now,
        mut answer: impl FnMut(usize, Answer<Result<(), Refusal>>),
    ) {
        let shard_of = |group: &str| self.shard_of(group);
        let directory = &self.inner.directory;
        directory.heartbeats(beats, shard_of, now.tick, |at, verdict| {
            let outcome = match outcome_of(verdict) {
                Some(outcome) => Answer::ready(outcome),
                None => self.ask_heartbeat(to_request(&beats[at]), now),
            };
            answer(at, outcome);
        });
    }

    #[inline]
    fn shard_of(&self, group: &str) -> ShardId {
        let shards = u32::try_from(self.inner.shards.len()).unwrap_or(u32::MAX);
        shard_of_name(group, shards)
    }
}

#[cold]
fn to_request(beat: &Heartbeat<'_>) -> HeartbeatRequest {
    HeartbeatRequest {
        group: beat.group.into(),
        member: beat.member.into(),
        instance: beat.instance.map(Into::into),
        generation: beat.generation,
    }
}
