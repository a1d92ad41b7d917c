//! The owner's side: who may beat, and what the beats are told.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

use super::arena::Arena;
use super::beacon::Phase;
use super::directory::Directory;
use super::index::IndexOwner;
use super::sessions::Sessions;
use super::word::{MemberWord, Tenancy};
use crate::atomic::Ordering;
use crate::ids::{Generation, ShardId};
use crate::time::Tick;

/// A member's session, for its owner: its number from 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SessionId(NonZeroU32);

/// A group's beacon, for its owner: its number from 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BeaconId(NonZeroU32);

/// A session that cannot be opened; the member's heartbeats have to go through the mailbox.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum NoSession {
    /// The shard has its maximum of sessions.
    Full,
    /// The names are longer than 1,024 bytes together.
    LongNames,
    /// Too many names fell into one bucket of the index.
    BucketFull,
}

impl fmt::Display for NoSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the shard has its maximum of sessions",
            Self::LongNames => "the names are too long for the directory",
            Self::BucketFull => "a bucket of the directory is full",
        })
    }
}

impl std::error::Error for NoSession {}

/// What the one writer of a shard's sessions keeps for itself.
#[derive(Debug)]
pub(super) struct RegistrarState {
    index: IndexOwner,
    /// Sessions that were opened at least once, and those of them that are closed.
    cells: Numbers,
    beacons: Numbers,
    /// Of each beacon, in order.
    uses: Vec<Uses>,
}

impl RegistrarState {
    pub(super) fn new(index: IndexOwner) -> Self {
        Self {
            index,
            cells: Numbers::default(),
            beacons: Numbers::default(),
            uses: Vec::new(),
        }
    }
}

/// Numbers given out and taken back, the latest first.
#[derive(Debug, Default)]
struct Numbers {
    next: u32,
    free: Vec<u32>,
}

impl Numbers {
    fn take(&mut self, max: u32) -> Option<u32> {
        if let Some(number) = self.free.pop() {
            return Some(number);
        }
        let number = self.next;
        (number < max).then(|| {
            self.next += 1;
            number
        })
    }
}

/// Who uses a beacon, in one word: its sessions that are not over, and whether its group is there.
///
/// A beacon is another group's only when neither is: see `Sessions::beat`.
#[derive(Clone, Copy, Default, Debug)]
struct Uses(u32);

impl Uses {
    const SHOWN: u32 = 1;
    const SESSION: u32 = 2;

    fn is_free(self) -> bool {
        self.0 == 0
    }
}

/// Opens and closes the sessions of one shard; there is one at a time.
///
/// Dropped, it is there for the next to take, with all that it holds.
#[derive(Debug)]
pub struct Registrar {
    directory: Arc<Directory>,
    shard: ShardId,
    sessions: Arc<Sessions>,
    /// `None` only while it is dropped.
    state: Option<RegistrarState>,
}

impl Registrar {
    pub(super) fn new(
        directory: Arc<Directory>,
        shard: ShardId,
        sessions: Arc<Sessions>,
        state: RegistrarState,
    ) -> Self {
        Self {
            directory,
            shard,
            sessions,
            state: Some(state),
        }
    }

    fn state(&mut self) -> &mut RegistrarState {
        self.state
            .as_mut()
            .expect("they are given back by the drop alone")
    }

    /// A beacon for a group, which shows that it is empty. `None`: there are as many as can be.
    pub fn add_beacon(&mut self) -> Option<BeaconId> {
        let state = self.state();
        let number = state.beacons.take(Arena::<MemberWord>::PLACES_MAX)?;
        let slot = number as usize;
        if state.uses.len() <= slot {
            state.uses.resize(slot + 1, Uses::default());
        }
        state.uses[slot].0 |= Uses::SHOWN;
        let beacon = self.sessions.beacons.make(number);
        beacon.publish(Generation(0), Phase::Empty);
        // There are fewer places than numbers: one more than a number is one.
        NonZeroU32::new(number + 1).map(BeaconId)
    }

    /// Shows a new state of a group.
    ///
    /// The order counts: first close the sessions of removed members, then publish, then release
    /// replies that speak of this generation.
    pub fn publish(&self, beacon: BeaconId, generation: Generation, phase: Phase) {
        if let Some(beacon) = self.sessions.beacons.get(beacon.place()) {
            beacon.publish(generation, phase);
        }
    }

    /// The group is gone: whoever still beats for it is told to ask.
    pub fn remove_beacon(&mut self, beacon: BeaconId) {
        self.publish(beacon, Generation(0), Phase::Dead);
        let state = self.state();
        let uses = &mut state.uses[beacon.place() as usize];
        let was_shown = uses.0 & Uses::SHOWN != 0;
        uses.0 &= !Uses::SHOWN;
        if was_shown && uses.is_free() {
            state.beacons.free.push(beacon.place());
        }
    }

    /// Opens a session that was last heard of at `now`.
    ///
    /// # Errors
    ///
    /// [`NoSession`], and then nothing has changed.
    pub fn open(
        &mut self,
        beacon: BeaconId,
        (group, member, instance): (&str, &str, Option<&str>),
        now: Tick,
    ) -> Result<SessionId, NoSession> {
        let prints = self.directory.prints();
        let print = prints.of(group, member).ok_or(NoSession::LongNames)?;
        let instance = match instance {
            Some(name) => prints.of_instance(name).ok_or(NoSession::LongNames)?,
            None => 0,
        };
        let cells_max = self.directory.members_max();
        let sessions = Arc::clone(&self.sessions);
        let cell = self.state().cells.take(cells_max).ok_or(NoSession::Full)?;
        // There are fewer places than numbers: one more than a number is one.
        let number = NonZeroU32::new(cell + 1).ok_or(NoSession::Full)?;
        let word = sessions.words.make(cell);
        sessions.cards.make(cell).fill(print, beacon.place());
        if instance != 0 {
            sessions.instances.make(cell);
        }
        if let Some(held) = sessions.instances.get(cell) {
            // Release: as the card's.
            held.store(instance, Ordering::Release);
        }
        // The first tenancy has the number 1; one that came to nothing is skipped.
        let tenancy = word.last_tenancy().next();
        word.begin(tenancy, now);
        let index = &mut self.state().index;
        if !index.file(&sessions.index, print.tag(), cell) {
            word.end();
            self.give_back(cell);
            return Err(NoSession::BucketFull);
        }
        self.state().uses[beacon.place() as usize].0 += Uses::SESSION;
        // Relaxed: a number to show, written by the owner only.
        sessions.len.fetch_add(1, Ordering::Relaxed);
        Ok(SessionId(number))
    }

    /// Closes a session for good; it must not be named again.
    pub fn close(&mut self, session: SessionId) {
        let cell = session.cell();
        let sessions = Arc::clone(&self.sessions);
        let (Some(word), Some(card)) = (sessions.words.get(cell), sessions.cards.get(cell)) else {
            return;
        };
        word.end();
        let (print, beacon) = card.read();
        let state = self.state();
        state.index.remove(&sessions.index, print.tag(), cell);
        sessions.len.fetch_sub(1, Ordering::Relaxed);
        let uses = &mut state.uses[beacon as usize];
        uses.0 -= Uses::SESSION;
        if uses.is_free() {
            state.beacons.free.push(beacon);
        }
        self.give_back(cell);
    }

    /// Makes a cell free for the next tenant, unless it has had as many as it can have.
    fn give_back(&mut self, cell: u32) {
        let word = self.sessions.words.get(cell);
        if word.is_some_and(|word| word.last_tenancy() != Tenancy::LAST) {
            self.state().cells.free.push(cell);
        }
    }

    /// The member's last beat; `None`: its session was ended.
    pub fn last_beat(&self, session: SessionId) -> Option<Tick> {
        self.sessions.words.get(session.cell())?.heard()
    }

    /// Ends a session if `observed` is still its last beat; whether it is over now. It has to be
    /// closed all the same.
    pub fn expire(&self, session: SessionId, observed: Tick) -> bool {
        let word = self.sessions.words.get(session.cell());
        word.is_none_or(|word| word.expire(observed))
    }
}

impl Drop for Registrar {
    fn drop(&mut self) {
        if let Some(state) = self.state.take() {
            self.directory.give_back(self.shard, state);
        }
    }
}

impl BeaconId {
    fn place(self) -> u32 {
        self.0.get() - 1
    }
}

impl SessionId {
    fn cell(self) -> u32 {
        self.0.get() - 1
    }
}
