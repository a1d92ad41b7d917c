//! From names to sessions.

use std::fmt;
use std::sync::Arc;

use super::arena::{Arena, Held};
use super::beacon::Beacon;
use super::index::{Bucket, IndexOwner};
use super::print::{Print, Prints};
use super::registrar::{Registrar, RegistrarState};
use super::sessions::{Cell, Found, Sessions, Verdict, beat};
use super::word::{MemberWord, Tenancy};
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
///
/// It holds its places, not their numbers: a handle of 24 bytes that looks them up with each beat
/// takes three times the instructions, so that fewer beats wait for memory at a time, and among a
/// million members four times as long.
#[derive(Clone, Debug)]
pub struct SessionHandle {
    word: Held<MemberWord>,
    tenancy: Tenancy,
    beacon: Held<Beacon>,
    print: Print,
    /// What stands for its instance id; 0: it has none.
    instance: u64,
    prints: Arc<Prints>,
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
        let found = sessions.find(print)?;
        Some(SessionHandle {
            word: sessions.words.hold(found.cell)?,
            tenancy: found.tenancy,
            beacon: sessions.beacons.hold(found.beacon)?,
            print,
            instance: sessions.instance(found.cell),
            prints: Arc::clone(&self.prints),
        })
    }

    /// Answers a heartbeat of a member of that shard, and counts it where Kafka resets the timer.
    #[inline]
    pub fn heartbeat(&self, shard: ShardId, beat: &Heartbeat<'_>, now: Tick) -> Verdict {
        let found = self.prints.of(beat.group, beat.member).and_then(|print| {
            let sessions = self.sessions(shard)?;
            let found = sessions.find(print)?;
            Some((sessions, found, sessions.beacons.get(found.beacon)?))
        });
        answer(found.as_ref(), beat, now)
    }

    #[inline]
    fn sessions(&self, shard: ShardId) -> Option<&Sessions> {
        self.shards.get(shard.0 as usize).map(|it| &*it.sessions)
    }

    /// The same for many: gives each its verdict by its place in `beats`, in order. `shard_of`
    /// says where a group lives.
    ///
    /// The memory that all of them need is asked for at once, so that one does not wait for what
    /// another could have brought along: several times faster than one by one where members are
    /// too many for the caches.
    #[inline]
    pub fn heartbeats(
        &self,
        beats: &[Heartbeat<'_>],
        shard_of: impl Fn(&str) -> ShardId,
        now: Tick,
        mut tell: impl FnMut(usize, Verdict),
    ) {
        for (number, batch) in beats.chunks(BATCH).enumerate() {
            let mut sought = [None; BATCH];
            for (sought, beat) in sought.iter_mut().zip(batch) {
                *sought = self.seek(beat, shard_of(beat.group));
            }
            let found = find_all(&sought);
            for (at, (beat, found)) in batch.iter().zip(&found).enumerate() {
                tell(number * BATCH + at, answer(found.as_ref(), beat, now));
            }
        }
    }

    /// Where a heartbeat's member has to be, without a look.
    #[inline]
    fn seek(&self, beat: &Heartbeat<'_>, shard: ShardId) -> Option<Sought<'_>> {
        let print = self.prints.of(beat.group, beat.member)?;
        let sessions = self.sessions(shard)?;
        Some(Sought {
            sessions,
            print,
            bucket: sessions.index.bucket(print.tag())?,
        })
    }
}

/// Where a member has to be.
#[derive(Clone, Copy)]
struct Sought<'d> {
    sessions: &'d Sessions,
    print: Print,
    bucket: &'d Bucket,
}

/// The members of a batch.
///
/// Step by step for all of them, and before each step one short loop that reads what it will
/// need: a processor looks only some hundred instructions ahead, and must meet as many reads
/// as it can have under way among these.
#[inline]
fn find_all<'d>(sought: &[Option<Sought<'d>>; BATCH]) -> [Option<Member<'d>>; BATCH] {
    glance(sought.iter().flatten().map(|it| it.bucket.glance()));
    let cells: [_; BATCH] = std::array::from_fn(|at| {
        let it = sought[at].as_ref()?;
        it.sessions.cell(it.bucket, it.print)
    });
    glance(cells.iter().flatten().map(Cell::glance));
    let found: [_; BATCH] = std::array::from_fn(|at| {
        let it = sought[at].as_ref()?;
        let first = cells[at].as_ref().and_then(|cell| cell.look(it.print));
        let found = first.or_else(|| it.sessions.search(it.print))?;
        Some((it.sessions, found, it.sessions.beacons.get(found.beacon)?))
    });
    glance(found.iter().flatten().map(|(.., beacon)| beacon.glance()));
    found
}

/// A member that was found, where it was, and its group's beacon.
type Member<'d> = (&'d Sessions, Found<'d>, &'d Beacon);

/// Reads it all, whatever it is.
#[inline]
fn glance(words: impl Iterator<Item = u64>) {
    // Or the compiler would see that nothing comes of it.
    std::hint::black_box(words.fold(0, |all, word| all ^ word));
}

#[inline]
fn answer(member: Option<&Member<'_>>, request: &Heartbeat<'_>, now: Tick) -> Verdict {
    let Some((sessions, found, beacon)) = member else {
        return Verdict::AskShard;
    };
    // Kafka looks for the instance before it looks for the member: another's instance id is
    // fenced, nobody's is unknown, and which it is only the shard knows.
    if let Some(name) = request.instance
        && !sessions
            .prints
            .is_instance(name, sessions.instance(found.cell))
    {
        return Verdict::AskShard;
    }
    beat(found.word, found.tenancy, beacon, request.generation, now)
}

impl SessionHandle {
    /// Whether it is of the member of those names.
    #[inline]
    pub fn is_of(&self, group: &str, member: &str) -> bool {
        self.prints.of(group, member) == Some(self.print)
    }

    /// Answers a heartbeat, and counts it where Kafka resets the timer. `instance` is what the
    /// request names, if it names one.
    #[inline]
    pub fn heartbeat(&self, instance: Option<&str>, generation: Generation, now: Tick) -> Verdict {
        if let Some(name) = instance
            && !self.prints.is_instance(name, self.instance)
        {
            return Verdict::AskShard;
        }
        let (word, beacon) = (self.word.get(), self.beacon.get());
        beat(word, self.tenancy, beacon, generation, now)
    }
}

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
