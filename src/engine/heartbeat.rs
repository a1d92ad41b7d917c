//! Heartbeats: at the side door if possible, through the mailbox if not.

use super::Engine;
use crate::error::Refusal;
use crate::group::HeartbeatRequest;
use crate::ids::{Generation, ShardId};
use crate::session::{Beat, SessionHandle, Verdict};
use crate::shard::{Answer, shard_of_name};
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

/// Heartbeats that [`Engine::heartbeats_at`] takes from its caller's slice at a time.
const CHUNK: usize = 64;

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
        let beat = self.placed(beat);
        match outcome_of(self.inner.directory.heartbeat(&beat, now.tick)) {
            Some(outcome) => Answer::ready(outcome),
            None => self.ask_heartbeat(to_request(&beat), now),
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
        let nothing = Beat {
            shard: ShardId(0),
            group: "",
            member: "",
            instance: None,
            generation: Generation::NONE,
        };
        let mut placed = [nothing; CHUNK];
        for (number, chunk) in beats.chunks(CHUNK).enumerate() {
            for (to, beat) in placed.iter_mut().zip(chunk) {
                *to = self.placed(beat);
            }
            let placed = &placed[..chunk.len()];
            let directory = &self.inner.directory;
            directory.heartbeats(placed, now.tick, |at, verdict| {
                let outcome = match outcome_of(verdict) {
                    Some(outcome) => Answer::ready(outcome),
                    None => self.ask_heartbeat(to_request(&placed[at]), now),
                };
                answer(number * CHUNK + at, outcome);
            });
        }
    }

    #[inline]
    fn shard_of(&self, group: &str) -> ShardId {
        let shards = u32::try_from(self.inner.shards.len()).unwrap_or(u32::MAX);
        shard_of_name(group, shards)
    }

    #[inline]
    fn placed<'a>(&self, beat: &Heartbeat<'a>) -> Beat<'a> {
        Beat {
            shard: self.shard_of(beat.group),
            group: beat.group,
            member: beat.member,
            instance: beat.instance,
            generation: beat.generation,
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

fn to_request(beat: &Beat<'_>) -> HeartbeatRequest {
    HeartbeatRequest {
        group: beat.group.into(),
        member: beat.member.into(),
        instance: beat.instance.map(Into::into),
        generation: beat.generation,
    }
}
