//! The log for readers from outside: the records of a shard from any number on, again and again,
//! while it is written.
//!
//! ```text
//!   shard 1, from record 70:   log-3 [ 40 .. 65 ]   log-4 [ 66 . 69 70 71 .. ]
//!                                                    ^ the last known place of the shard
//!                                                      at or before record 70
//! ```
//!
//! Nothing is kept of it while nobody asks. The first question reads the whole log once, every
//! later one what was added; of each shard a place is remembered in every segment and every
//! 64 KiB, so that no reading looks at much more than it gives. All of this is for readers that
//! may block: none of it happens on the writer's thread but for a list of the segments.
//!
//! Records of a type of our own ([`OURS_FROM`]) are not shown. The numbers of the others have
//! gaps, because other shards' records are in the same log, and grow with every record: they are
//! offsets as in a compacted topic.

use std::collections::VecDeque;
use std::fmt;
#[expect(
    clippy::disallowed_types,
    reason = "taken by readers from outside alone, on threads that may block"
)]
use std::sync::Mutex;
use std::sync::{Arc, PoisonError};

use tokio::sync::Notify;

use super::disk::read_full;
use super::frame::{Flags, Frame};
use super::journal::{DiskJournal, damage};
use super::log::View;
use super::segment::Segment;
use crate::ids::ShardId;
use crate::journal::LoadError;

/// Record types from here on are ours, and no reader of `__consumer_offsets` knows them.
pub const OURS_FROM: i16 = 10_000;
/// Bytes between two places of a shard that are remembered.
const PLACE_BYTES: u64 = 64 << 10;

/// Reads the log of a journal that is open.
pub struct Feed {
    journal: Arc<DiskJournal>,
    progress: Arc<Notify>,
    #[expect(
        clippy::disallowed_types,
        reason = "taken by readers from outside alone, on threads that may block"
    )]
    known: Mutex<Known>,
}

/// From where to where the records of a shard go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FeedBounds {
    /// No record before this number is there any more. Never goes back.
    pub start: u64,
    /// One more than the number of the last record, or the start. Never goes back.
    pub end: u64,
}

/// A record of a shard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fed<'a> {
    /// Its number.
    pub sequence: u64,
    /// The key, as in `__consumer_offsets`.
    pub key: &'a [u8],
    /// The value; `None`: a tombstone.
    pub value: Option<&'a [u8]>,
}

/// Where a shard's record lies.
#[derive(Clone, Copy, Debug)]
struct Place {
    sequence: u64,
    activation: u64,
    offset: u64,
}

/// What was found so far.
#[derive(Debug, Default)]
struct Known {
    /// Up to where the log was looked at: the life of a segment, and the bytes of it.
    activation: u64,
    offset: u64,
    shards: Vec<Shard>,
}

#[derive(Clone, Debug, Default)]
struct Shard {
    places: VecDeque<Place>,
    /// One more than the number of the last record.
    end: u64,
}

impl Feed {
    /// A feed of a journal for that many shards.
    pub fn new(journal: Arc<DiskJournal>, shards: u32) -> Self {
        let count = usize::try_from(shards).unwrap_or(usize::MAX);
        let known = Known {
            shards: vec![Shard::default(); count],
            ..Known::default()
        };
        Self {
            progress: journal.progress(),
            journal,
            #[expect(clippy::disallowed_types, reason = "as the field says")]
            known: Mutex::new(known),
        }
    }

    /// Notified of all that becomes durable.
    pub fn progress(&self) -> &Notify {
        &self.progress
    }

    /// The bounds of a shard. Blocks, on the disk and on the journal's writer.
    ///
    /// # Errors
    ///
    /// [`LoadError`] when the log cannot be read or is damaged, or the journal has ended.
    pub fn bounds(&self, shard: ShardId) -> Result<FeedBounds, LoadError> {
        Ok(self.look(shard, 0)?.bounds)
    }

    /// Hands out records of a shard, from that number on, until `each` says that it is enough.
    /// The bounds as they were. Blocks, on the disk and on the journal's writer.
    ///
    /// # Errors
    ///
    /// As [`Self::bounds`].
    pub fn read(
        &self,
        shard: ShardId,
        from: u64,
        each: &mut dyn FnMut(Fed<'_>) -> bool,
    ) -> Result<FeedBounds, LoadError> {
        let looked = self.look(shard, from)?;
        if from >= looked.bounds.end {
            return Ok(looked.bounds);
        }
        let mut is_enough = false;
        for (segment, offset) in looked.segments() {
            walk(segment, offset, &mut |frame, _| {
                if !is_enough && is_shown(frame, shard) && frame.sequence >= from {
                    is_enough = !each(Fed {
                        sequence: frame.sequence,
                        key: frame.key,
                        value: frame.value(),
                    });
                }
                !is_enough
            })?;
            if is_enough {
                break;
            }
        }
        Ok(looked.bounds)
    }

    /// Looks at what was added, and for where to begin.
    fn look(&self, shard: ShardId, from: u64) -> Result<Looked, LoadError> {
        // A panic within leaves what was found half counted, which the next look goes on from.
        let known = &mut *self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // Under the lock, so that one view at a time is asked for: the writer's queue is short.
        let view = self.journal.view()?;
        known.catch_up(&view)?;
        let start = view.segments.first().map_or(0, |it| it.header.base);
        let index = usize::try_from(shard.0).unwrap_or(usize::MAX);
        let (places, end) = known
            .shards
            .get(index)
            .map_or((Vec::new(), 0), |shard| (shard.from(from), shard.end));
        Ok(Looked {
            view,
            places,
            bounds: FeedBounds {
                start,
                end: end.max(start),
            },
        })
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").finish_non_exhaustive()
    }
}

/// What a reading begins with.
struct Looked {
    view: View,
    /// Where to begin, and the shard's first place in each later segment.
    places: Vec<Place>,
    bounds: FeedBounds,
}

impl Looked {
    fn segments(&self) -> impl Iterator<Item = (&Segment, u64)> {
        self.places.iter().filter_map(|place| {
            let mut segments = self.view.segments.iter();
            let found = segments.find(|segment| segment.header.activation == place.activation);
            found.map(|segment| (segment, place.offset))
        })
    }
}

impl Shard {
    /// The place at or before that number, or the first one, and the first of later segments.
    fn from(&self, from: u64) -> Vec<Place> {
        let after = self.places.partition_point(|place| place.sequence <= from);
        let mut found: Vec<Place> = Vec::new();
        for place in self.places.iter().skip(after.saturating_sub(1)) {
            if found
                .last()
                .is_none_or(|last| last.activation != place.activation)
            {
                found.push(*place);
            }
        }
        found
    }

    fn note(&mut self, place: Place) {
        let is_far = self.places.back().is_none_or(|last| {
            last.activation != place.activation
                || place.offset.saturating_sub(last.offset) >= PLACE_BYTES
        });
        if is_far {
            self.places.push_back(place);
        }
        // After a look that failed half way the same is seen again.
        self.end = self.end.max(place.sequence + 1);
    }
}

impl Known {
    /// Looks at what was added since the last time, and forgets segments that are gone.
    fn catch_up(&mut self, view: &View) -> Result<(), LoadError> {
        let oldest = view.segments.first().map_or(0, |it| it.header.activation);
        for shard in &mut self.shards {
            while shard
                .places
                .front()
                .is_some_and(|it| it.activation < oldest)
            {
                shard.places.pop_front();
            }
        }
        for segment in &view.segments {
            let activation = segment.header.activation;
            if activation < self.activation {
                continue;
            }
            let from = if activation == self.activation {
                self.offset
            } else {
                0
            };
            let shards = &mut self.shards;
            walk(segment, from, &mut |frame, offset| {
                let index = usize::try_from(frame.shard).unwrap_or(usize::MAX);
                if let Some(shard) = shards.get_mut(index)
                    && is_shown(frame, ShardId(frame.shard))
                {
                    shard.note(Place {
                        sequence: frame.sequence,
                        activation,
                        offset,
                    });
                }
                true
            })?;
            (self.activation, self.offset) = (activation, segment.end());
        }
        Ok(())
    }
}

/// Whether readers from outside see it: a record of that shard, of a type that Kafka knows.
fn is_shown(frame: &Frame<'_>, shard: ShardId) -> bool {
    let number = frame.key.first_chunk().map(|two| i16::from_be_bytes(*two));
    frame.shard == shard.0
        && !frame.flags.has(Flags::MARK)
        && number.is_some_and(|number| number < OURS_FROM)
}

/// Hands out the frames of a segment from that byte on, with where they are, until `each` says
/// that it is enough.
fn walk(
    segment: &Segment,
    from: u64,
    each: &mut dyn FnMut(&Frame<'_>, u64) -> bool,
) -> Result<(), LoadError> {
    for span in &segment.spans {
        let begin = span.from.max(from);
        let Some(len) = span.to.checked_sub(begin) else {
            continue;
        };
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let mut at = 0;
        let mut piece = PIECE;
        while at < len {
            let want = piece.min(len - at);
            let mut bytes = vec![0; want];
            let offset = begin + at as u64;
            let read = read_full(&*segment.file, &mut bytes, offset).map_err(LoadError::Io)?;
            let mut done = 0;
            while let Some(frame) = Frame::parse(&bytes[done..read], segment.life) {
                if !each(&frame, offset + done as u64) {
                    return Ok(());
                }
                done += frame.len;
            }
            if done == 0 && want == len - at {
                return Err(damage(segment, offset, "there is no frame"));
            }
            // A frame that is longer than the piece needs a longer one.
            piece = if done == 0 {
                piece.saturating_mul(4)
            } else {
                PIECE
            };
            at += done;
        }
    }
    Ok(())
}

/// Bytes that are read at a time.
const PIECE: usize = 256 << 10;
