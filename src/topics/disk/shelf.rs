//! The files of one partition: written and swept by the flusher alone, read by any.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use super::super::durable::Unwritten;
use super::super::error::TopicError;
use super::super::lock::Lock;
use super::super::partition::Partition;
use super::error::Failed;
use super::flusher::Store;
use super::frame::{self, Frame, HEAD, Kind};
use super::segment::{HEADER, Header, Id};
use crate::disk::{DiskFile, read_full, write_all};
use crate::ids::{PartitionIndex, TopicId};

/// Where a batch lies: its frame, in which of the partition's files.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::topics) struct Place {
    pub(super) segment: u32,
    pub(super) position: u32,
}

/// A partition's place on disk.
#[derive(Debug)]
pub(in crate::topics) struct Shelf {
    store: Arc<Store>,
    topic: TopicId,
    index: PartitionIndex,
    // Of the flusher, and of the opening before it.
    state: Lock<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The numbers of the files and the first offset of each, oldest first.
    segments: VecDeque<(u32, i64)>,
    /// The durable bytes of the newest.
    end: u32,
    /// The newest ends in bytes that do not count, and must not be continued.
    must_roll: bool,
    /// The highest number that a file has or had.
    newest: u32,
}

/// What was written and is not synced yet.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) name: String,
    /// One a change; none where the change is no batch.
    pub(super) places: Vec<Option<Place>>,
    bytes: u32,
    /// A file was made, and the directory must be synced.
    pub(super) is_new: bool,
}

impl Shelf {
    pub(in crate::topics) fn new(store: Arc<Store>, topic: TopicId, index: PartitionIndex) -> Self {
        Self {
            store,
            topic,
            index,
            state: Lock::default(),
        }
    }

    fn id(&self, number: u32) -> Id {
        Id {
            topic: self.topic,
            partition: self.index,
            number,
        }
    }

    pub(in crate::topics) fn is_healthy(&self) -> bool {
        self.store.is_healthy()
    }

    /// Tells the flusher that the partition has something to do.
    /// `false`: there is no flusher any more.
    pub(in crate::topics) fn queue(&self, partition: &Arc<Partition>) -> bool {
        self.store.queue(partition)
    }

    /// Takes the files over as the opening found them: their numbers and first offsets, the bytes
    /// of the newest that count, whether there are others behind them, and the highest number of
    /// all.
    pub(super) fn restore(
        &self,
        segments: VecDeque<(u32, i64)>,
        end: u32,
        must_roll: bool,
        newest: u32,
    ) {
        *self.state.lock() = State {
            segments,
            end,
            must_roll,
            newest,
        };
    }

    /// Reads batches back: places with the lengths of the batches, in the order of the log.
    pub(in crate::topics) fn read(
        &self,
        places: &[(Place, usize)],
    ) -> Result<Vec<Bytes>, TopicError> {
        let mut batches = Vec::with_capacity(places.len());
        for of_one in places.chunk_by(|one, next| one.0.segment == next.0.segment) {
            self.read_segment(of_one, &mut batches)?;
        }
        Ok(batches)
    }

    fn read_segment(
        &self,
        places: &[(Place, usize)],
        batches: &mut Vec<Bytes>,
    ) -> Result<(), TopicError> {
        let (Some((first, _)), Some((last, len))) = (places.first(), places.last()) else {
            return Ok(());
        };
        let id = self.id(first.segment);
        let name = id.name();
        let failed = |error: &dyn std::fmt::Display| {
            tracing::warn!(file = name, %error, "records cannot be read back");
            TopicError::StorageFailed
        };
        let file = match self.store.files.open(&name) {
            // Retention or the topic's deletion was faster.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(TopicError::OffsetOutOfRange);
            }
            opened => opened.map_err(|error| failed(&error))?,
        };
        let from = first.position as usize;
        let mut bytes = vec![0; last.position as usize + HEAD + len - from];
        let read = read_full(&*file, &mut bytes, u64::from(first.position));
        let read = read.map_err(|error| failed(&error))?;
        bytes.truncate(read);
        let bytes = Bytes::from(bytes);
        let seed = id.seed(self.store.salt);
        for (place, len) in places {
            let at = place.position as usize - from;
            let frame = bytes
                .get(at..)
                .and_then(|rest| Frame::parse(rest, seed, place.position))
                .filter(|frame| frame.kind == Kind::Batch && frame.body.len() == *len)
                .ok_or_else(|| failed(&format!("damage at byte {}", place.position)))?;
            batches.push(bytes.slice(at + HEAD..at + frame.len()));
        }
        Ok(())
    }

    /// Writes changes behind what is durable; the log begins and ends there. They count once the
    /// file was synced and [`Shelf::synced`] was told.
    pub(super) fn write(
        &self,
        (start, end): (i64, i64),
        changes: &[Unwritten],
    ) -> Result<Written, Failed> {
        let state = &mut *self.state.lock();
        let bytes: u64 = changes.iter().map(frame_bytes).sum();
        let is_full = u64::from(state.end) + bytes > self.store.segment_bytes;
        let is_used = state.end > HEADER;
        let mut is_new = false;
        if state.segments.is_empty() || state.must_roll || (is_full && is_used) {
            self.roll(state, Header { base: end, start })?;
            is_new = true;
        }
        let number = state.segments.back().map_or(0, |newest| newest.0);
        let id = self.id(number);
        let name = id.name();
        let seed = id.seed(self.store.salt);
        let mut write = Vec::new();
        let mut places = Vec::with_capacity(changes.len());
        for change in changes {
            let place = match change {
                Unwritten::Batch(bytes) => {
                    frame::append(&mut write, seed, state.end, Kind::Batch, bytes).map(Some)
                }
                Unwritten::Start(start) => {
                    let body = start.to_le_bytes();
                    frame::append(&mut write, seed, state.end, Kind::Start, &body).map(|_| None)
                }
            };
            let too_long = || Failed::Broken(format!("{name} cannot hold a batch of that length"));
            places.push(place.ok_or_else(too_long)?.map(|position| Place {
                segment: number,
                position,
            }));
        }
        let file = self.store.files.open(&name);
        let file = file.map_err(|error| Failed::of("opening", &name, error))?;
        if let Err(error) = write_all(&*file, &write, u64::from(state.end)) {
            // Half of it may be there. It is overwritten as far as that goes, so that a restart
            // does not find what was refused, and nothing is ever written behind it.
            state.must_roll = true;
            let _ = file.write_at(&[0; HEAD], u64::from(state.end));
            return Err(Failed::of("writing to", &name, error));
        }
        Ok(Written {
            file,
            name,
            places,
            bytes: u32::try_from(write.len()).unwrap_or(u32::MAX),
            is_new,
        })
    }

    /// What was written is durable.
    pub(super) fn synced(&self, written: &Written) {
        let state = &mut *self.state.lock();
        state.end = state.end.saturating_add(written.bytes);
    }

    /// Begins another file. Its header is durable before anything else is in it.
    fn roll(&self, state: &mut State, header: Header) -> Result<(), Failed> {
        let number = state.newest + 1;
        let id = self.id(number);
        let name = id.name();
        let files = &self.store.files;
        let make = || {
            let file = files.disk.create(&name)?;
            write_all(&*file, &header.encode(id.seed(self.store.salt)), 0)?;
            Ok(file)
        };
        let file: Arc<dyn DiskFile> = match make() {
            Ok(file) => file.into(),
            Err(error) => {
                if files.remove(&name).is_err() {
                    state.newest = number;
                }
                return Err(Failed::of("making", &name, error));
            }
        };
        state.newest = number;
        let synced = file.sync_data();
        synced.map_err(|error| Failed::of_sync(&name, &error))?;
        files.keep(&name, &file);
        state.segments.push_back((number, header.base));
        state.end = HEADER;
        state.must_roll = false;
        Ok(())
    }

    /// Removes the oldest file if nothing at or behind the log start is in it. Only one: it must
    /// be gone for good before the next one goes, or a crash could leave a hole.
    pub(super) fn sweep(&self, log_start: i64) -> bool {
        let state = &mut *self.state.lock();
        let next_base = state.segments.get(1).map(|next| next.1);
        if next_base.is_none_or(|base| base > log_start) {
            return false;
        }
        let Some((number, _)) = state.segments.front().copied() else {
            return false;
        };
        let name = self.id(number).name();
        if let Err(error) = self.store.files.remove(&name) {
            tracing::warn!(file = name, %error, "a file of dropped records cannot be removed");
            return false;
        }
        state.segments.pop_front();
        true
    }

    /// Removes all files: the topic is deleted.
    pub(in crate::topics) fn clear(&self) {
        let state = &mut *self.state.lock();
        for (number, _) in std::mem::take(&mut state.segments) {
            let name = self.id(number).name();
            if let Err(error) = self.store.files.remove(&name) {
                tracing::warn!(file = name, %error, "a file of a deleted topic cannot be removed");
            }
        }
    }
}

fn frame_bytes(change: &Unwritten) -> u64 {
    let body = match change {
        Unwritten::Batch(bytes) => bytes.len(),
        Unwritten::Start(_) => 8,
    };
    (HEAD + body) as u64
}
