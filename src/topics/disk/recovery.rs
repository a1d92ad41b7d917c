//! Reading one partition back: which files make it up, where its log begins and ends, and what is
//! damaged. Changes nothing on disk.
//!
//! The newest file may end in a torn tail: what was written and not durable when the power went,
//! some of it perhaps whole. The log ends before it. Everything else that does not read well is
//! damage, because it once was durable:
//!
//! - a gap in any file but the newest, which was complete when its successor was made;
//! - a gap in the newest one, before a frame whose write began behind the gap;
//! - a header that does not read, in a file that holds a frame.

use std::collections::VecDeque;

use super::super::batch::Batch;
use super::super::partition::Placed;
use super::error::{Damage, OpenError, Repair, at};
use super::frame::{Frame, Kind};
use super::segment::{HEADER, HEADER_BYTES, Header, Id, i64_at};
use super::shelf::Place;
use crate::disk::{Disk, read_full, read_whole};

/// The longest file that is read as a segment: the longest batch, and then some.
const SEGMENT_BYTES_MAX: u64 = (2 << 30) + (1 << 20);

/// A partition as it was found.
#[derive(Debug, Default)]
pub(super) struct Recovered {
    /// Numbers and first offsets, oldest first.
    pub(super) segments: VecDeque<(u32, i64)>,
    /// Files that hold nothing that counts.
    pub(super) stale: Vec<String>,
    /// The first offset.
    pub(super) start: i64,
    /// The offset after the last.
    pub(super) end: i64,
    /// The newest file's bytes that count.
    pub(super) newest_end: u32,
    /// How many of them were durable for certain.
    pub(super) newest_durable: u32,
    /// There are bytes behind them.
    pub(super) is_torn: bool,
    pub(super) damages: Vec<Damage>,
}

/// A batch that was found: its bytes, its place.
pub(super) struct FoundBatch<'a> {
    pub(super) placed: Placed,
    pub(super) bytes: &'a [u8],
    pub(super) place: Place,
}

/// Reads the files of one partition, which come in the order of their numbers, and hands out what
/// is in them in the order of the log.
pub(super) fn recover(
    disk: &dyn Disk,
    ids: &[Id],
    salt: u64,
    repair: Repair,
    each: &mut dyn FnMut(FoundBatch<'_>),
) -> Result<Recovered, OpenError> {
    let mut into = Recovered::default();
    let found = headers(disk, ids, salt, repair, &mut into)?;
    if let Some((_, first)) = found.first() {
        (into.start, into.end) = (first.start.max(first.base), first.base);
    }
    let limits = found.iter().skip(1).map(|(_, next)| Some(next.base));
    let limits: Vec<Option<i64>> = limits.chain([None]).collect();
    for ((id, header), limit) in found.iter().zip(limits) {
        into.start = into.start.max(header.start);
        if limit.is_some_and(|limit| limit <= header.base) {
            // Nothing was ever acknowledged in it.
            into.stale.push(id.name());
            continue;
        }
        let mut reading = Reading {
            name: id.name(),
            number: id.number,
            seed: id.seed(salt),
            limit,
            repair,
            into: &mut into,
        };
        reading.begin(header.base)?;
        reading.segment(disk, each)?;
        into.segments.push_back((id.number, header.base));
    }
    into.start = into.start.min(into.end);
    Ok(into)
}

/// The files with a header. One without, and without a frame, was being made when the power went.
fn headers(
    disk: &dyn Disk,
    ids: &[Id],
    salt: u64,
    repair: Repair,
    into: &mut Recovered,
) -> Result<Vec<(Id, Header)>, OpenError> {
    let doing = "reading a segment";
    let mut found = Vec::new();
    for id in ids {
        let name = id.name();
        let seed = id.seed(salt);
        let file = disk.open(&name).map_err(at(doing))?;
        let mut head = vec![0; HEADER_BYTES];
        let read = read_full(&*file, &mut head, 0).map_err(at(doing))?;
        if let Some(header) = Header::parse(&head[..read], seed) {
            found.push((*id, header));
            continue;
        }
        let bytes = read_whole(&*file, SEGMENT_BYTES_MAX).map_err(at(doing))?;
        let Some((_, frame)) = next_frame(&bytes, HEADER, seed) else {
            into.stale.push(name);
            continue;
        };
        let damage = Damage::new(&name, 0, "the file's header is damaged");
        if repair == Repair::Refuse {
            return Err(OpenError::Corrupt(damage));
        }
        into.damages.push(damage);
        // The first batch that is left says where it begins, as far as that can be known.
        let base = match frame.kind {
            Kind::Batch => Batch::stored(frame.body).map(|(base, ..)| base),
            Kind::Start => None,
        };
        let base = base.unwrap_or(into.end);
        found.push((*id, Header { base, start: 0 }));
    }
    Ok(found)
}

/// The next whole frame at or behind a position.
fn next_frame(bytes: &[u8], from: u32, seed: u32) -> Option<(u32, Frame<'_>)> {
    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    (from..len).find_map(|at| {
        let frame = Frame::parse(&bytes[at as usize..], seed, at);
        frame.map(|frame| (at, frame))
    })
}

/// One file being read.
struct Reading<'a> {
    name: String,
    number: u32,
    seed: u32,
    /// Where the next file begins.
    limit: Option<i64>,
    repair: Repair,
    into: &'a mut Recovered,
}

impl Reading<'_> {
    /// The file must go on where the one before it ended.
    fn begin(&mut self, base: i64) -> Result<(), OpenError> {
        if self.into.end == base {
            return Ok(());
        }
        let reason = format!(
            "the file begins with offset {base}, but the log before it ends with {}",
            self.into.end
        );
        self.damaged(HEADER, reason)?;
        self.into.end = self.into.end.max(base);
        Ok(())
    }

    fn segment(
        &mut self,
        disk: &dyn Disk,
        each: &mut dyn FnMut(FoundBatch<'_>),
    ) -> Result<(), OpenError> {
        let doing = "reading a segment";
        let file = disk.open(&self.name).map_err(at(doing))?;
        let bytes = read_whole(&*file, SEGMENT_BYTES_MAX).map_err(at(doing))?;
        let mut position = HEADER;
        let mut durable = HEADER;
        loop {
            if self.limit == Some(self.into.end) {
                break;
            }
            let rest = bytes.get(position as usize..).unwrap_or_default();
            if let Some(frame) = Frame::parse(rest, self.seed, position)
                && self.take(&frame, position, each)
            {
                durable = frame.began.max(durable);
                position += u32::try_from(frame.len()).unwrap_or(u32::MAX);
                continue;
            }
            let Some(resumes) = self.damage_at(&bytes, position)? else {
                self.into.is_torn = self.limit.is_none() && !rest.is_empty();
                break;
            };
            position = resumes;
        }
        (self.into.newest_end, self.into.newest_durable) = (position, durable);
        Ok(())
    }

    /// Hands out what is in a frame; whether it belongs there.
    fn take(
        &mut self,
        frame: &Frame<'_>,
        position: u32,
        each: &mut dyn FnMut(FoundBatch<'_>),
    ) -> bool {
        if frame.kind == Kind::Start {
            if frame.body.len() == 8 {
                self.into.start = self.into.start.max(i64_at(frame.body, 0));
            }
            return frame.body.len() == 8;
        }
        let Some((base, batch, stamp)) = Batch::stored(frame.body) else {
            return false;
        };
        let last = base.checked_add(i64::from(batch.last_offset_delta));
        let Some(last) = last.filter(|last| base >= self.into.end && *last < i64::MAX) else {
            return false;
        };
        // A batch that does not follow the one before it comes after a hole that was accepted.
        if base != self.into.end && self.into.damages.is_empty() {
            return false;
        }
        self.into.end = last + 1;
        each(FoundBatch {
            placed: Placed {
                batch,
                base,
                last,
                stamp,
                pays_for_producer: false,
            },
            bytes: frame.body,
            place: Place {
                segment: self.number,
                position,
            },
        });
        true
    }

    /// What does not read at a position is the end, perhaps torn (`None`), or damage: refused, or
    /// skipped up to the next frame.
    fn damage_at(&mut self, bytes: &[u8], position: u32) -> Result<Option<u32>, OpenError> {
        let mut resumes = None;
        let mut is_proof = self.limit.is_some();
        let mut from = position.saturating_add(1);
        while let Some((at, frame)) = next_frame(bytes, from, self.seed) {
            resumes = resumes.or(Some(at));
            is_proof |= frame.began > position;
            if is_proof {
                break;
            }
            from = at + u32::try_from(frame.len()).unwrap_or(u32::MAX);
        }
        if !is_proof {
            return Ok(None);
        }
        let reason = format!(
            "the batch at offset {} is damaged or missing",
            self.into.end
        );
        self.damaged(position, reason)?;
        if resumes.is_none() {
            // The next file goes on.
            self.into.end = self.limit.unwrap_or(self.into.end);
        }
        Ok(resumes.or_else(|| u32::try_from(bytes.len()).ok()))
    }

    fn damaged(&mut self, offset: u32, reason: String) -> Result<(), OpenError> {
        let damage = Damage::new(&self.name, u64::from(offset), reason);
        if self.repair == Repair::Refuse {
            return Err(OpenError::Corrupt(damage));
        }
        self.into.damages.push(damage);
        Ok(())
    }
}
