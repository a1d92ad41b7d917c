//! From names to sessions.

use std::fmt;
use std::sync::Arc;

use super::arena::Arena;
use super::index::IndexOwner;
use super::print::{Print, Prints};
use super::registrar::{Registrar, RegistrarState};
use super::sessions::{Place, Sessions, Verdict};
use super::word::MemberWord;
use crate::atomic::{Ordering, Owned};
use crate::ids::{Generation, ShardId};
use crate::time::Tick;

/// Every session of the node, by shard, found by the names of group and member.
///
/// Names are not kept: what is compared are 96 bits that stand for both, by a secret of this
/// directory. Two members of one print are less likely than one in 2^92, whatever their names.
pub struct Directory {
    prints: Arc<Prints>,
    shards: Box<[Part]>,
    members_max: u32,
}

/// One shard's part.
struct Part {
    sessions: Arc<Sessions>,
    /// What the shard's one writer needs; not there while it has it.
    state: Owned<Option<RegistrarState>>,
}

/// A member in the hand: its heartbeats need no look-up.
///
/// It is of one session; when that is over, it is worth nothing any more.
#[derive(Clone, Debug)]
pub struct SessionHandle {
    sessions: Arc<Sessions>,
    place: Place,
    print: Print,
    /// What stands for its instance id; 0: it has none.
    instance: u64,
}

impl Directory {
    /// An empty directory of that many shards, with at most `members_max` sessions in each.
    pub fn new(shards: u32, members_max: u32) -> Self {
        let prints = Arc::new(Prints::new());
        let part = |_| {
            let (index, owner) = IndexOwner::new();
            Part {
                sessions: Arc::new(Sessions::new(Arc::clone(&prints), index)),
                state: Owned::new(Some(RegistrarState::new(owner))),
            }
        };
        Self {
            shards: (0..shards).map(part).collect(),
            prints,
            members_max: members_max.min(Arena::<MemberWord>::PLACES_MAX),
        }
    }

    /// The right to open and close the sessions of a shard. `None`: somebody has it, or there is
    /// no such shard.
    pub fn registrar(self: &Arc<Self>, shard: ShardId) -> Option<Registrar> {
        let part = self.shards.get(shard.0 as usize)?;
        let state = part.state.try_lock().ok()?.take()?;
        let sessions = Arc::clone(&part.sessions);
        Some(Registrar::new(Arc::clone(self), shard, sessions, state))
    }

    pub(super) fn give_back(&self, shard: ShardId, state: RegistrarState) {
        // Locked by nobody who could hold it for long: if it is, the shard's next registrar is
        // refused, and its members beat through the mailbox.
        if let Some(part) = self.shards.get(shard.0 as usize)
            && let Ok(mut place) = part.state.try_lock()
        {
            *place = Some(state);
        }
    }

    pub(super) fn prints(&self) -> &Prints {
        &self.prints
    }

    pub(super) fn members_max(&self) -> u32 {
        self.members_max
    }

    /// Sessions that are not over; exact while no shard changes any.
    pub fn len(&self) -> usize {
        // Relaxed: a number to show, nothing is concluded from it.
        let lens = self
            .shards
            .iter()
            .map(|it| it.sessions.len.load(Ordering::Relaxed));
        lens.sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The session of that member, if there is one.
    pub fn find(&self, shard: ShardId, group: &str, member: &str) -> Option<SessionHandle> {
        let sessions = &self.shards.get(shard.0 as usize)?.sessions;
        let print = self.prints.of(group, member)?;
        let place = sessions.find(print)?;
        Some(SessionHandle {
            sessions: Arc::clone(sessions),
            place,
            print,
            instance: sessions.instance(place),
        })
    }

    /// Answers a heartbeat by names, and counts it where Kafka resets the timer.
    #[inline]
    pub fn heartbeat(&self, beat: &Beat<'_>, now: Tick) -> Verdict {
        let print = self.prints.of(beat.group, beat.member);
        self.heartbeat_of(beat, print, now)
    }

    /// The same for many: gives each its verdict by its place in `beats`, in order.
    ///
    /// The memory that all of them need is asked for at once, so that one does not wait for what
    /// another could have brought along: some three times faster than one by one where members
    /// are too many for the caches.
    pub fn heartbeats(&self, beats: &[Beat<'_>], now: Tick, mut tell: impl FnMut(usize, Verdict)) {
        let mut from = 0;
        for batch in beats.chunks(BATCH) {
            let mut prints = [None; BATCH];
            for (print, beat) in prints.iter_mut().zip(batch) {
                *print = self.prints.of(beat.group, beat.member);
            }
            let mut touched = 0;
            for (beat, print) in batch.iter().zip(&prints) {
                if let (Some(part), Some(print)) = (self.part(beat), print) {
                    touched ^= part.sessions.index.touch(print.tag());
                }
            }
            for (beat, print) in batch.iter().zip(&prints) {
                if let (Some(part), Some(print)) = (self.part(beat), print) {
                    touched ^= part.sessions.touch(*print);
                }
            }
            // Or the compiler would see that nothing comes of it.
            std::hint::black_box(touched);
            for (at, (beat, print)) in batch.iter().zip(&prints).enumerate() {
                tell(from + at, self.heartbeat_of(beat, *print, now));
            }
            from += batch.len();
        }
    }

    fn part(&self, beat: &Beat<'_>) -> Option<&Part> {
        self.shards.get(beat.shard.0 as usize)
    }

    #[inline]
    fn heartbeat_of(&self, beat: &Beat<'_>, print: Option<Print>, now: Tick) -> Verdict {
        let (Some(part), Some(print)) = (self.part(beat), print) else {
            return Verdict::AskShard;
        };
        let Some(place) = part.sessions.find(print) else {
            return Verdict::AskShard;
        };
        // Kafka looks for the instance before it looks for the member: another's instance id is
        // fenced, nobody's is unknown, and which it is only the shard knows.
        if let Some(name) = beat.instance
            && !part
                .sessions
                .is_instance(name, part.sessions.instance(place))
        {
            return Verdict::AskShard;
        }
        part.sessions.beat(place, beat.generation, now)
    }
}

impl SessionHandle {
    /// Whether it is of the member of those names.
    #[inline]
    pub fn is_of(&self, group: &str, member: &str) -> bool {
        self.sessions.prints.of(group, member) == Some(self.print)
    }

    /// Answers a heartbeat, and counts it where Kafka resets the timer. `instance` is what the
    /// request names, if it names one.
    #[inline]
    pub fn heartbeat(&self, instance: Option<&str>, generation: Generation, now: Tick) -> Verdict {
        if let Some(name) = instance
            && !self.sessions.is_instance(name, self.instance)
        {
            return Verdict::AskShard;
        }
        self.sessions.beat(self.place, generation, now)
    }
}

/// A heartbeat by names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Beat<'a> {
    /// The shard that the group belongs to.
    pub shard: ShardId,
    /// The group.
    pub group: &'a str,
    /// The member.
    pub member: &'a str,
    /// Its static name, if the request gives one.
    pub instance: Option<&'a str>,
    /// The generation that it believes in.
    pub generation: Generation,
}

/// Heartbeats whose memory is asked for together: as many cache misses as a core has in flight.
const BATCH: usize = 16;

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Directory")
            .field("len", &self.len())
            .field("shards", &self.shards.len())
            .field("members_max", &self.members_max)
            .finish_non_exhaustive()
    }
}
