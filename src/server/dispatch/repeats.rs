//! Heartbeats that come again.
//!
//! A member sends the same bytes every few seconds, but for the correlation id, until a rebalance
//! gives it another generation. What was heard once and answered that all is well needs not be
//! read again: the bytes tell the member and the generation, and these are looked at afresh each
//! time. Any other answer is left to the whole way, and forgotten here.

use indexmap::IndexMap;
use std::hash::BuildHasher;

use crate::engine::MemberHandle;
use crate::ids::Generation;
use crate::time::{Now, Tick};
use crate::wire::{ApiKey, ErrorCode, heartbeat};

/// The heartbeats of one connection, each by all of its frame that follows the correlation id.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    known: IndexMap<Box<[u8]>, Known, foldhash::fast::RandomState>,
}

/// What a heartbeat says. Of the instance id that it may name nothing: that it is the member's
/// was seen the first time, and it is the same session's for good.
#[derive(Debug)]
struct Known {
    version: i16,
    member: MemberHandle,
    generation: Generation,
    heard_at: Tick,
}

impl Repeats {
    /// Answers a frame that is known, if all is well; `false`: it has to be read.
    #[inline]
    pub(super) fn answer(&mut self, frame: &[u8], now: Now, out: &mut Vec<u8>) -> bool {
        let Some((head, rest)) = split(frame).filter(|_| !self.known.is_empty()) else {
            return false;
        };
        let Some((at, _, known)) = self.known.get_full_mut(rest) else {
            return false;
        };
        if known.version != head.version {
            return false;
        }
        if known.member.heartbeat(known.generation, None, now) != Some(Ok(())) {
            self.known.swap_remove_index(at);
            return false;
        }
        known.heard_at = now.tick;
        heartbeat::append_reply(out, head.correlation_id, head.version, ErrorCode::NONE);
        true
    }

    /// Whether a frame is short enough to be remembered.
    pub(super) fn has_room_for(frame: &[u8]) -> bool {
        frame.len() <= FRAME_BYTES_MAX
    }

    /// Remembers a frame that was answered that all is well; where there are many, only in the
    /// place of one that has not come for long.
    pub(super) fn remember(
        &mut self,
        frame: &[u8],
        member: MemberHandle,
        generation: Generation,
        now: Now,
    ) {
        let Some((head, rest)) = split(frame).filter(|_| Self::has_room_for(frame)) else {
            return;
        };
        if self.known.len() == FRAMES_MAX {
            // Any of them is looked at: those that are of no use are found in time.
            let any = self.known.hasher().hash_one((rest, now.tick.0)) % FRAMES_MAX as u64;
            let any = usize::try_from(any).unwrap_or(0);
            let heard_at = self.known.get_index(any).map(|(_, it)| it.heard_at);
            if heard_at.is_some_and(|heard_at| now.tick < heard_at + KEPT_MS) {
                return;
            }
            self.known.swap_remove_index(any);
        }
        let known = Known {
            version: head.version,
            member,
            generation,
            heard_at: now.tick,
        };
        self.known.insert(rest.into(), known);
    }
}

/// What stands before the part that comes again.
struct Head {
    version: i16,
    correlation_id: i32,
}

/// Cuts a heartbeat after its correlation id.
#[inline]
fn split(frame: &[u8]) -> Option<(Head, &[u8])> {
    let (head, rest) = frame.split_first_chunk::<8>()?;
    let [k0, k1, v0, v1, c0, c1, c2, c3] = *head;
    let head = Head {
        version: i16::from_be_bytes([v0, v1]),
        correlation_id: i32::from_be_bytes([c0, c1, c2, c3]),
    };
    (i16::from_be_bytes([k0, k1]) == ApiKey::Heartbeat.number()).then_some((head, rest))
}

/// Frames that a connection keeps; a client has one, a proxy some. With [`FRAME_BYTES_MAX`] it is
/// 24 KiB a connection at most.
const FRAMES_MAX: usize = 64;
/// A frame that came within that time keeps its place: some beats of Kafka's 3 seconds each.
const KEPT_MS: u64 = 10_000;
/// A longer heartbeat is read each time. Names of usual length make some 120 bytes.
const FRAME_BYTES_MAX: usize = 256;
