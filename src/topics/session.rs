//! Fetch sessions (KIP-227): what a consumer wants is kept here, so that its next request names
//! only what changed, and the answer holds only what is new.
//!
//! ```text
//!  request id, epoch     meaning
//!  any, -1               no session (an old one is closed)
//!  any, 0                everything is named; a new session is opened if there is room
//!  id, next epoch        only changes are named
//! ```

use std::collections::BTreeMap;

use indexmap::IndexMap;

use super::error::TopicError;
use super::fetch::{FetchPartition, FetchRequest};
use super::partition::Bounds;
use super::registry::TopicKey;
use crate::ids::PartitionIndex;
use crate::time::WallMs;

/// A partition as a request names it.
pub(super) type Place = (TopicKey, PartitionIndex);

/// A wanted partition and what the session's owner knows of it; none: to be told anything.
#[derive(Clone, Debug)]
pub(super) struct Cached {
    pub(super) ask: FetchPartition,
    pub(super) seen: Option<Bounds>,
}

/// How the answer to a fetch is composed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mode {
    /// All partitions, no session.
    Sessionless,
    /// All partitions, and a session if there is room.
    Full,
    /// What changed.
    Incremental {
        /// The session.
        id: i32,
        /// The epoch that the next request will carry.
        next_epoch: i32,
    },
}

/// All sessions; guarded by its owner.
#[derive(Debug)]
pub(super) struct Sessions {
    by_id: BTreeMap<i32, Session>,
    // Of all sessions.
    partitions: usize,
    // The most sessions.
    slots: usize,
    // The most partitions of all sessions.
    places: usize,
}

impl Sessions {
    pub(super) fn new(slots: usize, places: usize) -> Self {
        Self {
            by_id: BTreeMap::new(),
            partitions: 0,
            slots,
            places,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Finds out what a request wants, changing its session accordingly.
    ///
    /// # Errors
    ///
    /// `FetchSessionIdNotFound`, `InvalidFetchSessionEpoch`, `FetchSessionTopicIdError`: the
    /// client begins again with epoch 0.
    pub(super) fn open(
        &mut self,
        request: FetchRequest,
        now: WallMs,
    ) -> Result<(Mode, Vec<Cached>), TopicError> {
        let id = request.session_id;
        if matches!(request.session_epoch, FINAL_EPOCH | INITIAL_EPOCH) {
            self.close(id);
            let mode = if request.session_epoch == FINAL_EPOCH {
                Mode::Sessionless
            } else {
                Mode::Full
            };
            return Ok((mode, without_repeats(request.partitions)));
        }
        let session = self
            .by_id
            .get_mut(&id)
            .ok_or(TopicError::FetchSessionIdNotFound)?;
        if session.epoch != request.session_epoch {
            return Err(TopicError::InvalidFetchSessionEpoch);
        }
        if session.by_id != request.by_id {
            return Err(TopicError::FetchSessionTopicIdError);
        }
        let before = session.partitions.len();
        session.change(request.partitions, &request.forgotten);
        self.partitions = self.partitions - before + session.partitions.len();
        session.last_used = now;
        session.epoch = next(session.epoch);
        let next_epoch = session.epoch;
        if session.partitions.is_empty() {
            self.close(id);
            return Ok((Mode::Sessionless, Vec::new()));
        }
        if self.partitions > self.places {
            // No room for what was added: the client comes back with a full fetch.
            self.close(id);
            return Err(TopicError::FetchSessionIdNotFound);
        }
        let wanted = session.partitions.values().cloned().collect();
        Ok((Mode::Incremental { id, next_epoch }, wanted))
    }

    /// Opens a session for a full fetch that was answered; 0 if there is no room for it.
    pub(super) fn admit(&mut self, by_id: bool, wanted: Vec<Cached>, now: WallMs) -> i32 {
        let size = wanted.len();
        if self.partitions + size > self.places || !self.make_slot(size, now) {
            return NO_SESSION;
        }
        let id = self.fresh_id();
        let placed = wanted.into_iter().map(|one| (one.ask.place(), one));
        let session = Session {
            by_id,
            epoch: next(INITIAL_EPOCH),
            created: now,
            last_used: now,
            partitions: placed.collect(),
        };
        self.partitions += session.partitions.len();
        self.by_id.insert(id, session);
        id
    }

    /// Remembers what an incremental answer told. Partitions that gave records go to the end, so
    /// that the others come first in the next fetch, whose bytes are limited.
    ///
    /// # Errors
    ///
    /// `InvalidFetchSessionEpoch` if another request of the session came in meanwhile.
    pub(super) fn settle(
        &mut self,
        id: i32,
        next_epoch: i32,
        told: impl Iterator<Item = (Place, Option<Bounds>, bool)>,
    ) -> Result<(), TopicError> {
        // Evicted meanwhile: the answer still holds, and the next request is told.
        let Some(session) = self.by_id.get_mut(&id) else {
            return Ok(());
        };
        if session.epoch != next_epoch {
            return Err(TopicError::InvalidFetchSessionEpoch);
        }
        let mut served = IndexMap::new();
        for (place, seen, gave_records) in told {
            if let Some(cached) = session.partitions.get_mut(&place) {
                cached.seen = seen;
                if gave_records {
                    served.insert(place, cached.clone());
                }
            }
        }
        if !served.is_empty() && served.len() < session.partitions.len() {
            session
                .partitions
                .retain(|place, _| !served.contains_key(place));
            session.partitions.extend(served);
        }
        Ok(())
    }

    fn close(&mut self, id: i32) {
        if let Some(session) = self.by_id.remove(&id) {
            self.partitions -= session.partitions.len();
        }
    }

    /// Makes room for a session as Kafka does: one that was idle for long goes first, else one
    /// that had its time and is smaller than the new one.
    fn make_slot(&mut self, size: usize, now: WallMs) -> bool {
        if self.by_id.len() < self.slots {
            return true;
        }
        let old = |since: WallMs| now.0.saturating_sub(since.0) > EVICTION_MS;
        let idle = self.by_id.iter().min_by_key(|(_, one)| one.last_used);
        let idle = idle.filter(|(_, one)| old(one.last_used));
        let small = self
            .by_id
            .iter()
            .filter(|(_, one)| old(one.created) && one.partitions.len() < size);
        let victim = idle.or_else(|| small.min_by_key(|(_, one)| one.partitions.len()));
        let Some(id) = victim.map(|(id, _)| *id) else {
            return false;
        };
        self.close(id);
        true
    }

    fn fresh_id(&self) -> i32 {
        loop {
            let [a, b, c, d, ..] = uuid::Uuid::new_v4().into_bytes();
            let id = i32::from_be_bytes([a & 0x7f, b, c, d]);
            if id != NO_SESSION && !self.by_id.contains_key(&id) {
                return id;
            }
        }
    }
}

#[derive(Debug)]
struct Session {
    by_id: bool,
    // What the next request must carry.
    epoch: i32,
    created: WallMs,
    last_used: WallMs,
    partitions: IndexMap<Place, Cached>,
}

impl Session {
    fn change(&mut self, changed: Vec<FetchPartition>, forgotten: &[Place]) {
        for ask in changed {
            match self.partitions.entry(ask.place()) {
                indexmap::map::Entry::Occupied(mut cached) => cached.get_mut().ask = ask,
                indexmap::map::Entry::Vacant(vacant) => {
                    vacant.insert(Cached { ask, seen: None });
                }
            }
        }
        if !forgotten.is_empty() {
            let gone: std::collections::HashSet<&Place> = forgotten.iter().collect();
            self.partitions.retain(|place, _| !gone.contains(place));
        }
    }
}

/// A partition that is named twice counts once, as it was named last.
fn without_repeats(partitions: Vec<FetchPartition>) -> Vec<Cached> {
    let placed = partitions.into_iter().map(|ask| (ask.place(), ask));
    let unique: IndexMap<Place, FetchPartition> = placed.collect();
    let cached = |ask| Cached { ask, seen: None };
    unique.into_values().map(cached).collect()
}

/// The epoch after that one; wraps to 1.
fn next(epoch: i32) -> i32 {
    epoch.checked_add(1).unwrap_or(1)
}

/// What stands for no session.
pub(super) const NO_SESSION: i32 = 0;
const INITIAL_EPOCH: i32 = 0;
const FINAL_EPOCH: i32 = -1;

/// Kafka's `min.incremental.fetch.session.eviction.ms`.
const EVICTION_MS: i64 = 120_000;
