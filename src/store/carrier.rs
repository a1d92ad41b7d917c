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
    piece: Vec<u8>,
}

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
    pub(super) fn is_done(&self, oldest: Option<&Segment>) -> bool {
        oldest.is_some_and(|oldest| self.span >= oldest.spans.len())
    }

    /// Looks at about `budget` bytes more, and puts what lives of them into the round, which has
    /// `room` bytes left.
    pub(super) fn carry(
        &mut self,
        oldest: &Segment,
        (keys, index): (&Keys, &mut Index),
        (budget, room): (u64, u64),
        (round, marks): (&mut Vec<u8>, &mut Vec<Mark>),
    ) -> io::Result<()> {
        let Some(span) = oldest.spans.get(self.span) else {
            return Ok(());
        };
        let at = span.from + self.looked_at;
        let rest = span.to - at;
        let mut want = budget.min(rest);
        self.read(oldest, at, want)?;
        if want < rest && Frame::parse_unchecked(&self.piece, oldest.life).is_none() {
            // The piece ends within its first frame.
            let whole = match frame::len_at(&self.piece) {
                Some(len) => (len as u64).min(rest),
                None => rest.min(64 << 10),
            };
            want = whole.max(want);
            self.read(oldest, at, want)?;
        }
        self.stuck = 0;
        let mut done = 0;
        while done < self.piece.len() {
            let bytes = &self.piece[done..];
            let Some(frame) = Frame::parse(bytes, oldest.life) else {
                if done > 0 && want < rest {
                    break;
                }
                let what = format!("the frame at byte {} is damaged", at + done as u64);
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            };
            let mark = Mark::of(keys, &frame);
            let group = || keys.group(frame.shard, frame.key);
            let is_live = index.is_live(&mark, frame.sequence, group);
            if is_live && !mutation::is("the-living-are-not-carried") {
                if (round.len() + frame.len) as u64 > room {
                    self.stuck = frame.len as u64;
                    break;
                }
                let whole = Flags::FIRST_OF_ENTRY.with(Flags::LAST_OF_ENTRY);
                let flags = whole.with(Flags::LAST_OF_BATCH).with(Flags::CARRIED);
                frame::append(round, frame.shard, flags, frame.key, frame.value());
                marks.push(mark);
            } else {
                index.forget(&mark, frame.sequence);
            }
            done += frame.len;
        }
        self.looked_at += done as u64;
        if span.from + self.looked_at == span.to {
            self.span += 1;
            self.looked_at = 0;
        }
        Ok(())
    }

    fn read(&mut self, oldest: &Segment, at: u64, want: u64) -> io::Result<()> {
        let want = usize::try_from(want).map_err(|_| io::ErrorKind::InvalidData)?;
        self.piece.resize(want, 0);
        let read = read_full(&*oldest.file, &mut self.piece, at)?;
        if read < want {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}
