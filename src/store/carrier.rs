//! Carries what still lives of the oldest segment to the newest end of the log, a piece at a
//! time.

use std::collections::VecDeque;
use std::io;

use super::disk::read_full;
use super::frame::{self, Flags, Frame};
use super::index::{Index, Keys, Mark};
use super::segment::Segment;
use crate::mutation;

/// How far the oldest segment was looked at. What was carried is durable with the round that it
/// was put into; only then is the segment given up.
#[derive(Debug, Default)]
pub(super) struct Carrier {
    span: usize,
    /// Bytes of the span that were looked at.
    looked_at: u64,
    /// The live frame that did not fit into the round.
    stuck: u64,
    /// Bytes of the segment that were read, and where they begin.
    piece: Vec<u8>,
    piece_from: u64,
}

/// What a round takes on of the oldest segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    /// Bytes that are looked at, and those of the living among them that are carried: either may
    /// become more by a frame. When that many are carried, the dead behind them are still passed.
    pub(super) looked: u64,
    pub(super) carried: u64,
    /// Bytes that the round has room for.
    pub(super) room: u64,
}

/// Bytes that are read at a time.
const PIECE_BYTES: u64 = 64 << 10;

impl Carrier {
    /// Where it stands, to see whether it moves.
    pub(super) fn position(&self, segments: &VecDeque<Segment>) -> (u64, usize, u64) {
        let activation = segments.front().map_or(0, |it| it.header.activation);
        (activation, self.span, self.looked_at)
    }

    /// The room that the next live frame needs.
    pub(super) fn stuck_at_bytes(&self) -> u64 {
        self.stuck
    }

    /// Whether all of the oldest segment was looked at.
    pub(super) fn is_done(&self, oldest: &Segment) -> bool {
        self.span >= oldest.spans.len()
    }

    /// Looks at some bytes more, and puts what lives of them into the round; how many bytes that
    /// were.
    pub(super) fn carry(
        &mut self,
        oldest: &Segment,
        (keys, index): (&Keys, &mut Index),
        share: Share,
        (round, marks): (&mut Vec<u8>, &mut Vec<Mark>),
    ) -> io::Result<u64> {
        let (mut looked, mut carried) = (0, 0);
        self.stuck = 0;
        while let Some(span) = oldest.spans.get(self.span) {
            let at = span.from + self.looked_at;
            if at == span.to {
                self.span += 1;
                self.looked_at = 0;
                continue;
            }
            if looked >= share.looked {
                break;
            }
            self.reach(oldest, at, span.to)?;
            let Some(frame) = Frame::parse(self.piece_at(at), oldest.life) else {
                let what = format!("the frame at byte {at} is damaged");
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            };
            let mark = Mark::of(keys, &frame);
            let group = || keys.group(frame.shard, frame.key);
            let is_live = index.is_live(&mark, frame.sequence, group);
            let len = frame.len as u64;
            if is_live && !mutation::is("the-living-are-not-carried") {
                if carried >= share.carried {
                    break;
                }
                if carried + len > share.room {
                    self.stuck = len;
                    break;
                }
                let whole = Flags::FIRST_OF_ENTRY.with(Flags::LAST_OF_ENTRY);
                let flags = whole.with(Flags::LAST_OF_BATCH).with(Flags::CARRIED);
                frame::append(round, frame.shard, flags, frame.key, frame.value());
                marks.push(mark);
                carried += len;
            } else {
                index.forget(&mark, frame.sequence);
            }
            self.looked_at += len;
            looked += len;
        }
        Ok(carried)
    }

    /// The bytes from there on that were read.
    fn piece_at(&self, at: u64) -> &[u8] {
        let from = at.checked_sub(self.piece_from);
        let from = from.and_then(|from| usize::try_from(from).ok());
        from.and_then(|from| self.piece.get(from..)).unwrap_or(&[])
    }

    /// Reads on, unless all of the frame at that place was read.
    fn reach(&mut self, oldest: &Segment, at: u64, end: u64) -> io::Result<()> {
        let is_read = |piece: &[u8]| frame::len_at(piece).is_some_and(|len| len <= piece.len());
        if is_read(self.piece_at(at)) {
            return Ok(());
        }
        let rest = end - at;
        self.read(oldest, at, rest.min(PIECE_BYTES))?;
        if !is_read(&self.piece)
            && let Some(len) = frame::len_at(&self.piece)
        {
            self.read(oldest, at, rest.min(len as u64))?;
        }
        Ok(())
    }

    fn read(&mut self, oldest: &Segment, at: u64, want: u64) -> io::Result<()> {
        let want = usize::try_from(want).map_err(|_| io::ErrorKind::InvalidData)?;
        self.piece_from = at;
        self.piece.resize(want, 0);
        let read = read_full(&*oldest.file, &mut self.piece, at)?;
        if read < want {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}
