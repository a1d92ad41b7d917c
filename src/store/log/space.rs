//! How much room the log takes: what is carried when, and which files go.

use std::collections::VecDeque;
use std::sync::Arc;

use super::super::carrier::Share;
use super::super::segment::{self, HEADER};
use super::{Failed, Free, Log};

/// Freed segments that are kept for use where the files come near their bound.
const FREE_MAX: usize = 1;
/// Segments that stay free below the bound: one to be filled next, and two for what a round of
/// tombstones takes off the bound.
const RESERVE: u64 = 3;
/// Bytes that may be looked at for life in a round, however little is appended.
const CARRY_BYTES_MIN: u64 = 4 << 10;
/// Bytes that are looked at for life for every byte that is appended, at most. Where the files are
/// as many as they may be, at most two thirds of them live, so that three would do.
const CARRY_PACE: u64 = 4;
/// What is carried is a quarter more than must be: see [`Log::part`].
const CARRY_MARGIN: u128 = 4;
/// What is due is counted in parts of a byte: small rounds add less than one.
pub(super) const GRAINS: u64 = 1 << 16;
/// What a round looks at when there must be room before anything else.
const CARRY_BYTES_MAX: u64 = 1 << 20;

impl Log {
    /// What the files may take.
    pub(in super::super) fn bound(&self) -> u64 {
        self.config.log_bytes_min.max(2 * self.index.live_bytes())
    }

    /// What the files may take before there must be room for [`RESERVE`] more.
    pub(super) fn full_at(&self) -> u64 {
        self.bound() - RESERVE * self.config.segment_bytes
    }

    /// Where rounds begin to carry: a fifth of the way from nothing but the living to the full.
    pub(super) fn carries_from(&self) -> u64 {
        let live = self.index.live_bytes();
        live + self.full_at().saturating_sub(live) / 5
    }

    /// What is to be carried for that many bytes that are appended, in [`GRAINS`].
    ///
    /// Until everything that lives was carried once, the files grow by what is appended, and that
    /// must end before they are full. So the living are carried evenly, as large a part of them as
    /// the part of the room beside them that is appended, and a margin. The room is that of whole
    /// segments without their headers.
    fn part(&self, appended: u64) -> i64 {
        let live = self.index.live_bytes();
        let segments = self.full_at() / self.config.segment_bytes;
        let room = segments * (self.config.segment_bytes - HEADER);
        let beside = room.saturating_sub(live).max(1);
        let product = u128::from(appended) * u128::from(live) * u128::from(GRAINS);
        let part = product.div_ceil(beside.into());
        i64::try_from(part + part / CARRY_MARGIN).unwrap_or(i64::MAX)
    }

    /// Carries what is due in a round that appends that many bytes.
    ///
    /// The parts of the rounds add up. A frame is carried as soon as anything is due, and what was
    /// carried too much is made up for by the rounds after it: so the living are never behind the
    /// sum of the parts while the carrier stands before them. Where it stands before the dead,
    /// nothing is saved up for later, so that a round carries its part and a frame at most. Only
    /// for a frame that has no room left in the segment its bytes stay due.
    pub(super) fn carry_along(&mut self, appended: u64) -> Result<(), Failed> {
        self.due = self.due.saturating_add(self.part(appended));
        let mut stuck = 0;
        if self.unfree_bytes() > self.carries_from() {
            let looked = (appended * CARRY_PACE).max(CARRY_BYTES_MIN);
            let carried = self.carry(Share {
                looked: looked.min(CARRY_BYTES_MAX),
                carried: u64::try_from(self.due).map_or(0, |due| due.div_ceil(GRAINS)),
                room: self.room() - appended,
            })?;
            self.due = self.due.saturating_sub(grains(carried));
            stuck = self.carrier.stuck_at_bytes();
        }
        self.due = self.due.min(grains(stuck));
        Ok(())
    }

    /// Carries until the files leave room for [`RESERVE`] more segments below their bound.
    pub(super) fn make_room(&mut self) -> Result<(), Failed> {
        // Each turn either looks at part of the oldest segment or begins another segment; the
        // bound is for a log that cannot shrink because somebody is reading it.
        let turns_max = 4 * (self.file_bytes / CARRY_BYTES_MIN + 4);
        for _ in 0..turns_max {
            self.release();
            let is_reading = !self.emptied.is_empty();
            if self.unfree_bytes() <= self.full_at() || self.segments.len() < 2 || is_reading {
                break;
            }
            // However much was carried beforehand, it was not enough.
            self.due = 0;
            let before = self.carrier.position(&self.segments);
            self.carry(Share {
                looked: CARRY_BYTES_MAX,
                carried: u64::MAX,
                room: self.room(),
            })?;
            self.flush()?;
            if self.carrier.position(&self.segments) == before {
                self.switch(self.carrier.stuck_at_bytes())?;
            }
        }
        let is_near = self.file_bytes + 2 * self.config.segment_bytes > self.bound();
        if is_near && self.free.len() > FREE_MAX {
            // Freed files are removed once a header says that the log begins after them.
            self.switch(0)?;
        }
        if is_near
            && let Some(making) = self.making.take()
            && self.disk.remove(&segment::name(making.number)).is_ok()
        {
            self.file_bytes -= making.len;
        }
        Ok(())
    }

    pub(super) fn unfree_bytes(&self) -> u64 {
        let making = self.making.as_ref().map_or(0, |making| making.len);
        self.file_bytes - making - self.free.iter().map(|free| free.len).sum::<u64>()
    }

    /// Frees what was emptied, unless somebody is reading.
    pub(super) fn release(&mut self) {
        if Arc::strong_count(&self.readers) > 1 {
            return;
        }
        for segment in self.emptied.drain(..) {
            self.free.push_back(Free {
                number: segment.number,
                len: segment.len,
            });
        }
    }

    /// Removes freed files that are too many or of an odd size. Only after a switch: by then a
    /// durable header says that the log begins after them.
    pub(super) fn trim(&mut self) {
        let usual = self.config.segment_bytes;
        let mut kept = VecDeque::new();
        for free in std::mem::take(&mut self.free) {
            let is_wanted =
                free.len == usual && (kept.len() < FREE_MAX || self.file_bytes <= self.full_at());
            if is_wanted || self.disk.remove(&segment::name(free.number)).is_err() {
                kept.push_back(free);
            } else {
                self.file_bytes -= free.len;
            }
        }
        self.free = kept;
    }
}

/// As many bytes, in [`GRAINS`].
fn grains(bytes: u64) -> i64 {
    i64::try_from(bytes.saturating_mul(GRAINS)).unwrap_or(i64::MAX)
}
