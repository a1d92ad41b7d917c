//! The sessions of one shard, as everybody sees them.

use std::sync::Arc;

use crossbeam_utils::CachePadded;

use super::arena::{Arena, locate};
use super::beacon::{Beacon, Phase};
use super::index::{Bucket, Index};
use super::print::{Print, Prints};
use super::word::{MemberWord, Tenancy};
use crate::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::error::Refusal;
use crate::ids::Generation;
use crate::time::Tick;

/// What the words say to a heartbeat.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Verdict {
    /// No error; the heartbeat counted.
    Alive,
    /// [`IllegalGeneration`](Refusal::IllegalGeneration), or
    /// [`RebalanceInProgress`](Refusal::RebalanceInProgress), after which the heartbeat counted
    /// all the same.
    Refused(Refusal),
    /// The words cannot tell: the member is gone, or the group, or the request names an instance
    /// id that is not this member's. The shard knows what has become of the names.
    AskShard,
}

/// A place of a member's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cell<'s> {
    number: u32,
    word: &'s MemberWord,
    card: &'s Card,
}

impl<'s> Cell<'s> {
    /// Reads both, so that their lines are on their way.
    #[inline]
    pub(super) fn glance(&self) -> u64 {
        self.word.glance() ^ self.card.glance()
    }

    /// The member of that print, if it is the one that lives here.
    ///
    /// First the word, then the card: a card that is read after the word of its tenancy is that
    /// tenancy's or a later one's, and in the latter case no beat of this place counts.
    #[inline]
    pub(super) fn look(&self, print: Print) -> Option<Found<'s>> {
        let tenancy = self.word.tenant()?;
        let beacon = self.card.beacon_of(print)?;
        Some(Found {
            cell: self.number,
            word: self.word,
            tenancy,
            beacon,
        })
    }
}

/// A member's word, for one tenancy of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found<'s> {
    pub(super) cell: u32,
    pub(super) word: &'s MemberWord,
    pub(super) tenancy: Tenancy,
    pub(super) beacon: u32,
}

/// Words, cards and index of one shard. Written by that shard's owner, but for the ticks, which
/// any connection moves forward.
#[derive(Debug)]
pub(super) struct Sessions {
    pub(super) prints: Arc<Prints>,
    /// What beats, packed: eight members a line.
    pub(super) words: Arena<MemberWord>,
    /// What a look-up compares.
    pub(super) cards: Arena<Card>,
    /// What stands for the members' instance ids, where one was ever given.
    pub(super) instances: Arena<AtomicU64>,
    pub(super) beacons: Arena<Beacon>,
    pub(super) index: Index,
    /// Sessions that are not over. Padded: it changes while the rest is only read.
    pub(super) len: CachePadded<AtomicUsize>,
}

/// A print, and the group's beacon: four to a line, none in two.
#[derive(Debug, Default)]
#[repr(align(16))]
pub(super) struct Card {
    low: AtomicU64,
    /// The print's high part << 32 | the beacon.
    rest: AtomicU64,
}

impl Card {
    /// Fills in the card of the next tenant; for the owner alone.
    pub(super) fn fill(&self, print: Print, beacon: u32) {
        // Release: who reads this of the next tenant finds the word of the last one over, so that
        // its beat of that one fails. Partner: the acquires in `beacon_of`.
        self.low.store(print.low, Ordering::Release);
        let rest = (u64::from(print.high) << 32) | u64::from(beacon);
        self.rest.store(rest, Ordering::Release);
    }

    /// Reads a word, so that the line is on its way.
    #[inline]
    fn glance(&self) -> u64 {
        // Relaxed: nothing is concluded from it.
        self.low.load(Ordering::Relaxed)
    }

    /// What was filled in last; for the owner alone.
    #[expect(clippy::cast_possible_truncation, reason = "cut into its two halves")]
    pub(super) fn read(&self) -> (Print, u32) {
        let low = self.low.load(Ordering::Relaxed);
        let rest = self.rest.load(Ordering::Relaxed);
        let high = (rest >> 32) as u32;
        (Print { low, high }, rest as u32)
    }

    /// The beacon, if the card is of that print.
    #[expect(clippy::cast_possible_truncation, reason = "cut into its two halves")]
    #[inline]
    fn beacon_of(&self, print: Print) -> Option<u32> {
        let rest = self.rest.load(Ordering::Acquire);
        let is_it =
            self.low.load(Ordering::Acquire) == print.low && (rest >> 32) as u32 == print.high;
        is_it.then_some(rest as u32)
    }
}

impl Sessions {
    pub(super) fn new(prints: Arc<Prints>, index: Index) -> Self {
        Self {
            prints,
            words: Arena::new(),
            cards: Arena::new(),
            instances: Arena::new(),
            beacons: Arena::new(),
            index,
            len: CachePadded::default(),
        }
    }

    /// The member of that print.
    #[inline]
    pub(super) fn find(&self, print: Print) -> Option<Found<'_>> {
        let first = self.index.bucket(print.tag()).and_then(|bucket| {
            let cell = self.cell(bucket, print)?;
            cell.look(print)
        });
        first.or_else(|| self.search(print))
    }

    /// The member of that print, wherever its bucket has it: not in the first place, mostly
    /// because it is not there at all.
    #[cold]
    pub(super) fn search(&self, print: Print) -> Option<Found<'_>> {
        let look = |number| self.cell_at(number)?.look(print);
        self.index.find(print.tag(), look)
    }

    /// Where the member of that print is, if it is here.
    #[inline]
    pub(super) fn cell(&self, bucket: &Bucket, print: Print) -> Option<Cell<'_>> {
        self.cell_at(bucket.one(print.tag())?)
    }

    #[inline]
    fn cell_at(&self, number: u32) -> Option<Cell<'_>> {
        let place = locate(number);
        Some(Cell {
            number,
            word: self.words.located(place)?,
            card: self.cards.located(place)?,
        })
    }

    /// What stands for the instance id of that member; 0: it has none.
    #[inline]
    pub(super) fn instance(&self, cell: u32) -> u64 {
        let instance = self.instances.get(cell);
        // Acquire: what is read here of a later tenant carries the end of this one.
        instance.map_or(0, |it| it.load(Ordering::Acquire))
    }
}

/// Answers a heartbeat of any connection, and counts it where Kafka resets the timer.
///
/// First the beacon, then the word. While the member's tenancy lasts, the beacon is its group's;
/// so what is said is right if the word is still this tenancy's *after* the beacon was read, and
/// every answer but "ask the shard" is given after such a look.
#[inline]
pub(super) fn beat(
    word: &MemberWord,
    tenancy: Tenancy,
    beacon: &Beacon,
    generation: Generation,
    now: Tick,
) -> Verdict {
    let shown = beacon.load();
    if !shown.is_stable_in(generation) {
        return beat_unsettled(word, tenancy, shown.parts(), generation, now);
    }
    let known = word.beat(tenancy, now);
    known.map_or(Verdict::AskShard, |()| Verdict::Alive)
}

/// The same where the group is not stable, or not in that generation.
#[cold]
fn beat_unsettled(
    word: &MemberWord,
    tenancy: Tenancy,
    (current, phase): (Generation, Phase),
    generation: Generation,
    now: Tick,
) -> Verdict {
    let (known, verdict) = match phase {
        Phase::Dead | Phase::Empty => return Verdict::AskShard,
        _ if current != generation => (
            word.last_beat(tenancy).map(|_| ()),
            Verdict::Refused(Refusal::IllegalGeneration),
        ),
        Phase::PreparingRebalance => (
            word.beat(tenancy, now),
            Verdict::Refused(Refusal::RebalanceInProgress),
        ),
        Phase::CompletingRebalance | Phase::Stable => (word.beat(tenancy, now), Verdict::Alive),
    };
    known.map_or(Verdict::AskShard, |()| verdict)
}
