//! What a connection received and has not carried out yet.

use std::io;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::frames::{FrameBudget, FrameMemory};
use crate::wire::frame::LENGTH_BYTES;

/// The bytes of one connection, cut into frames where they lie.
///
/// ```text
///  done | length i32, frame | length i32, frame | length i32, half a fra
///       ^ at                                    ^ nothing more is read before this is reached
/// ```
///
/// Memory follows what has arrived, never what a length prefix announces: a prefix of 100 MiB
/// alone costs nothing but its share of the node's budget for large frames. After a large frame
/// the buffer is given back.
#[derive(Debug)]
pub(super) struct Input {
    bytes: BytesMut,
    at: usize,
    // How much room the next read gets at least; grows while reads fill it.
    room: usize,
    // The share of a large frame; kept until its buffer is given back.
    memory: Option<FrameMemory>,
    // Whether the share is that of the frame which is being received.
    is_paid: bool,
}

/// What the received bytes hold next.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Next<'a> {
    /// A whole frame, without its length prefix.
    Frame(&'a [u8]),
    /// Less than a frame.
    Incomplete,
    /// A frame whose announced length is negative or too large.
    Refused,
}

impl Input {
    pub(super) fn new() -> Self {
        Self {
            bytes: BytesMut::new(),
            at: 0,
            room: ROOM_BYTES_MIN,
            memory: None,
            is_paid: false,
        }
    }

    /// The next frame; it counts as done with this call.
    pub(super) fn next_frame(&mut self, bytes_max: usize) -> Next<'_> {
        let next = frame_at(&self.bytes, self.at, bytes_max);
        if let Next::Frame(frame) = next {
            self.at += LENGTH_BYTES + frame.len();
            self.is_paid = false;
        }
        next
    }

    /// The frame that is next; it stays that.
    pub(super) fn peek_frame(&self, bytes_max: usize) -> Next<'_> {
        frame_at(&self.bytes, self.at, bytes_max)
    }

    /// The first two bytes behind the next length, whole frame or not.
    #[inline]
    pub(super) fn peek_key(&self) -> Option<&[u8; 2]> {
        self.bytes.get(self.at + LENGTH_BYTES..)?.first_chunk()
    }

    /// Reads once. To be called when the next frame is incomplete; gives the number of bytes, 0 at
    /// the end of the stream. Before a large frame is read on it waits for its share of the
    /// budget. Nothing is lost if the future is dropped.
    pub(super) async fn read<R: AsyncRead + Unpin>(
        &mut self,
        from: &mut R,
        budget: &FrameBudget,
    ) -> io::Result<usize> {
        self.make_room();
        if let Some(length) = self.unpaid() {
            // The share of a frame before, if there is one, is given back first.
            self.memory = None;
            self.memory = Some(budget.take(length).await);
            self.is_paid = true;
        }
        let room = self.bytes.capacity() - self.bytes.len();
        let read = from.read_buf(&mut self.bytes).await?;
        if read == room {
            self.room = (self.room * 2).min(ROOM_BYTES_MAX);
        }
        Ok(read)
    }

    /// Gives the buffer of a large frame back that is carried out, with its share of the budget;
    /// what follows it stays. An answer may be long in coming, and slow in going.
    pub(super) fn give_back(&mut self) {
        if self.memory.is_some() && !self.is_paid {
            self.forget_done();
            self.shrink(ROOM_BYTES_MIN);
        }
    }

    fn forget_done(&mut self) {
        self.bytes.advance(self.at);
        self.at = 0;
    }

    fn make_room(&mut self) {
        self.forget_done();
        let held = self.bytes.len();
        let missing = self.missing();
        let room = missing.clamp(self.room, self.room.max(held * GROWTH));
        if !self.shrink(room) {
            self.bytes.reserve(room);
        }
    }

    /// Moves into a small buffer, if this one is large and what it holds and `room` fit into that.
    fn shrink(&mut self, room: usize) -> bool {
        let held = self.bytes.len();
        if self.bytes.capacity() <= KEPT_BYTES_MAX || held + room > KEPT_BYTES_MAX {
            return false;
        }
        let mut smaller = BytesMut::with_capacity(held + room);
        smaller.extend_from_slice(&self.bytes);
        self.bytes = smaller;
        if !self.is_paid {
            self.memory = None;
        }
        true
    }

    /// The length of the frame that is being received, if it is a large one without its share.
    fn unpaid(&self) -> Option<usize> {
        let (prefix, _) = self.bytes.split_first_chunk()?;
        let length = usize::try_from(i32::from_be_bytes(*prefix)).unwrap_or(0);
        (length > KEPT_BYTES_MAX && !self.is_paid).then_some(length)
    }

    /// How many bytes the frame that is being received lacks, as far as is known.
    fn missing(&self) -> usize {
        let Some((prefix, rest)) = self.bytes.split_first_chunk() else {
            return 0;
        };
        let length = usize::try_from(i32::from_be_bytes(*prefix)).unwrap_or(0);
        length.saturating_sub(rest.len())
    }
}

/// What an idle connection holds: enough for a burst of heartbeats.
const ROOM_BYTES_MIN: usize = 4 * 1024;
/// What the bytes from `at` on are.
#[inline]
fn frame_at(bytes: &[u8], at: usize, bytes_max: usize) -> Next<'_> {
    let rest = bytes.get(at..).unwrap_or_default();
    let Some((prefix, rest)) = rest.split_first_chunk::<LENGTH_BYTES>() else {
        return Next::Incomplete;
    };
    match usize::try_from(i32::from_be_bytes(*prefix)) {
        Ok(length) if length <= bytes_max => {
            rest.get(..length).map_or(Next::Incomplete, Next::Frame)
        }
        _ => Next::Refused,
    }
}

/// What one read brings at most, but for a large frame; bounds how far reading runs ahead.
const ROOM_BYTES_MAX: usize = 64 * 1024;
/// A larger buffer is given back when what it holds and needs fits into this.
const KEPT_BYTES_MAX: usize = 128 * 1024;
/// A large frame gets room for that many times what it has brought so far.
const GROWTH: usize = 3;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::metrics::Metrics;

    fn no_limit() -> FrameBudget {
        FrameBudget::new(-1, Arc::new(Metrics::new(1)))
    }

    fn frame(body: &[u8]) -> Vec<u8> {
        let mut frame = i32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
        frame.extend_from_slice(body);
        frame
    }

    async fn read_all(input: &mut Input, mut from: &[u8]) {
        while !from.is_empty() {
            input.read(&mut from, &no_limit()).await.unwrap();
        }
    }

    #[tokio::test]
    async fn frames_come_out_as_they_were_cut() {
        let mut input = Input::new();
        let bytes = [frame(b"one"), frame(b""), frame(b"three")].concat();
        read_all(&mut input, &bytes[..bytes.len() - 1]).await;
        assert_eq!(input.next_frame(100), Next::Frame(b"one"));
        assert_eq!(input.next_frame(100), Next::Frame(b""));
        assert_eq!(input.next_frame(100), Next::Incomplete);
        read_all(&mut input, b"e").await;
        assert_eq!(input.next_frame(100), Next::Frame(b"three"));
        assert_eq!(input.next_frame(100), Next::Incomplete);
    }

    #[tokio::test]
    async fn bytes_that_come_one_by_one_make_the_same_frames() {
        let mut input = Input::new();
        let mut bodies = Vec::new();
        for byte in [frame(b"half"), frame(b"frames")].concat() {
            read_all(&mut input, &[byte]).await;
            if let Next::Frame(body) = input.next_frame(100) {
                bodies.push(body.to_vec());
            }
        }
        assert_eq!(bodies, [b"half".to_vec(), b"frames".to_vec()]);
    }

    #[tokio::test]
    async fn a_length_outside_the_limit_is_refused_before_the_frame_arrives() {
        for length in [101, i32::MAX, -1, i32::MIN] {
            let mut input = Input::new();
            read_all(&mut input, &length.to_be_bytes()).await;
            assert_eq!(input.next_frame(100), Next::Refused, "{length}");
        }
        let mut input = Input::new();
        read_all(&mut input, &frame(&[7; 100])).await;
        assert_eq!(input.next_frame(100), Next::Frame(&[7; 100]));
    }

    #[tokio::test]
    async fn an_announced_length_costs_nothing_before_its_bytes_arrive() {
        let mut input = Input::new();
        read_all(&mut input, &100_000_000_i32.to_be_bytes()).await;
        read_all(&mut input, &[0; 100]).await;
        assert!(input.bytes.capacity() <= ROOM_BYTES_MAX);
    }

    #[tokio::test]
    async fn the_buffer_of_a_large_frame_is_given_back() {
        let mut input = Input::new();
        read_all(&mut input, &frame(&vec![7; 5_000_000])).await;
        assert!(matches!(input.next_frame(10_000_000), Next::Frame(_)));
        read_all(&mut input, b"1234").await;
        assert!(input.bytes.capacity() <= KEPT_BYTES_MAX);
        assert_eq!(&input.bytes[..], b"1234");
    }

    #[tokio::test]
    async fn one_read_does_not_run_ahead_without_bound() {
        let mut input = Input::new();
        let flood = frame(b"x").repeat(1_000_000);
        let mut from = &flood[..];
        for _ in 0..100 {
            let read = input.read(&mut from, &no_limit()).await.unwrap();
            assert!(read <= KEPT_BYTES_MAX, "{read}");
            while let Next::Frame(_) = input.next_frame(100) {}
        }
    }

    #[tokio::test]
    async fn a_large_frame_takes_its_share_and_gives_it_back_when_it_is_done() {
        let metrics = Arc::new(Metrics::new(1));
        let budget = FrameBudget::new(10_000_000, Arc::clone(&metrics));
        let taken = || metrics.server().large_frame_bytes.value();
        let mut input = Input::new();
        let bytes = [frame(&[7; 1_000]), frame(&vec![7; 1_000_000]), frame(b"x")].concat();
        let mut from = &bytes[..];
        let mut frames = 0;
        while !from.is_empty() {
            input.read(&mut from, &budget).await.unwrap();
            while let Next::Frame(_) = input.next_frame(1_000_000) {
                frames += 1;
                if frames == 2 {
                    assert_eq!(taken(), 1_000_000);
                }
                input.give_back();
                assert_eq!(taken(), 0);
            }
        }
        assert_eq!(frames, 3);
        assert!(input.bytes.capacity() <= KEPT_BYTES_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_frame_waits_while_others_have_the_budget() {
        let budget = FrameBudget::new(1_000_000, Arc::new(Metrics::new(1)));
        let others = budget.take(900_000).await;
        let bytes = frame(&vec![7; 500_000]);
        let mut from = &bytes[..];
        let mut input = Input::new();
        let mut read = 0;
        let waits = loop {
            let next = input.read(&mut from, &budget);
            match tokio::time::timeout(std::time::Duration::from_secs(1), next).await {
                Ok(bytes) => read += bytes.unwrap(),
                Err(_) => break true,
            }
        };
        assert!(waits && read <= KEPT_BYTES_MAX, "{read}");
        drop(others);
        while !from.is_empty() {
            input.read(&mut from, &budget).await.unwrap();
        }
        assert!(matches!(input.next_frame(1_000_000), Next::Frame(_)));
    }
}
