//! One connection: read a burst, carry out its requests in order, answer with one write.
//!
//! A request that waits for its answer stops this connection, as Kafka mutes the socket: nothing
//! more is read or carried out before it is answered. So a client that goes away meanwhile is
//! noticed only when the answer is written; the task lives as long as the request waits, which the
//! request's own timeout bounds.
//!
//! No connection keeps a thread of the runtime to itself: after [`TURN_COST_MAX`] it writes its
//! answers and lets the others have their turn, however much it has sent. A peer that does not read
//! its answers holds [`OUT_BYTES_MAX`] and one answer here, and the socket's own buffer.
//!
//! Silence is measured lazily: a burst notes its time, and the one timer of the connection looks at
//! that note when it fires and sets itself again.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use bytes::buf::Chain;
use bytes::{Buf, BufMut, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::{Sleep, sleep, timeout};

use super::api;
use super::input::{Input, Next};
use super::listener::Node;
use super::service::{Answer, Handled, Peer, Service};
use crate::metrics::{Api, CloseReason, Gauge};
use crate::time::{Now, Tick};

/// One connection from its first byte to its last.
pub(super) struct Connection<'a, S: Service, I> {
    node: &'a Node<S>,
    number: usize,
    stream: I,
    state: S::Connection,
    input: Input,
    out: Vec<u8>,
    // Requests of the burst that are answered and not counted yet.
    answered: Vec<(Api, u64)>,
    active: Tick,
    // What this turn has cost so far.
    turn_cost: usize,
}

impl<'a, S: Service, I: AsyncRead + AsyncWrite + Unpin> Connection<'a, S, I> {
    /// A connection with that running number.
    pub(super) fn new(node: &'a Node<S>, number: usize, stream: I, peer: &Peer) -> Self {
        Self {
            node,
            number,
            stream,
            state: node.service.connect(peer),
            input: Input::new(),
            out: Vec::new(),
            answered: Vec::new(),
            active: node.clock.now().tick,
            turn_cost: 0,
        }
    }

    /// Serves until there is a reason to close.
    pub(super) async fn run(mut self) -> CloseReason {
        let mut stopped = std::pin::pin!(self.node.stopped());
        let mut silence = std::pin::pin!(sleep(self.node.limits.idle));
        loop {
            tokio::select! {
                biased;
                read = self.input.read(&mut self.stream, &self.node.frames) => match read {
                    Ok(0) => return CloseReason::Peer,
                    Ok(_) => {}
                    Err(error) => return reason_of(&error),
                },
                () = &mut silence => {
                    if self.is_idle(silence.as_mut()) {
                        return CloseReason::Idle;
                    }
                    continue;
                }
                () = &mut stopped => return CloseReason::Shutdown,
            }
            let now = self.node.clock.now();
            self.active = now.tick;
            let carried_out = self.burst(now).await;
            // What was answered is written even if the connection must go.
            if let Err(reason) = self.flush().await.and(carried_out) {
                return reason;
            }
            if self.node.is_stopping() {
                return CloseReason::Shutdown;
            }
        }
    }

    /// Whether the connection was silent for too long; if not, sets the timer again.
    fn is_idle(&self, silence: Pin<&mut Sleep>) -> bool {
        let idle = self.node.limits.idle;
        let silent_ms = self.node.clock.now().tick.since_ms(self.active);
        let rest = idle.saturating_sub(Duration::from_millis(silent_ms));
        if rest.is_zero() {
            return true;
        }
        let silence_ends = silence.deadline() + rest;
        silence.reset(silence_ends);
        false
    }

    /// Carries out all whole frames that were read.
    async fn burst(&mut self, mut now: Now) -> Result<(), CloseReason> {
        let bytes_max = self.node.limits.frame_bytes_max;
        let outcome = loop {
            let frame = match self.input.next_frame(bytes_max) {
                Next::Frame(frame) => frame,
                Next::Incomplete => break Ok(()),
                Next::Refused => break Err(CloseReason::FrameSize),
            };
            let api = api::of(frame);
            self.turn_cost += cost(api, frame.len());
            let start = self.out.len();
            self.out.put_i32(0);
            let service = &self.node.service;
            let handled = service.call(&mut self.state, frame, now, &mut self.out);
            self.input.give_back();
            match handled {
                Handled::Done => {
                    if !patch_length(&mut self.out, start) {
                        break Err(CloseReason::Broken);
                    }
                    self.note(api);
                }
                Handled::NoReply => {
                    self.out.truncate(start);
                    self.note(api);
                }
                Handled::Close => {
                    self.out.truncate(start);
                    break Err(CloseReason::BadRequest);
                }
                Handled::Pending(answer) => {
                    self.out.truncate(start);
                    self.count(now);
                    let answer = self.wait(answer).await?;
                    let before = now;
                    now = self.node.clock.now();
                    self.active = now.tick;
                    self.note(api);
                    self.count(before);
                    self.take(answer).await?;
                }
            }
            if self.turn_cost >= TURN_COST_MAX {
                self.count(now);
                self.flush().await?;
                self.turn_cost = 0;
                tokio::task::yield_now().await;
                now = self.node.clock.now();
            } else if self.out.len() >= OUT_BYTES_MAX {
                self.flush().await?;
            }
        };
        self.count(now);
        outcome
    }

    /// Waits for an answer, after writing those before it.
    async fn wait(
        &mut self,
        mut answer: Pin<Box<dyn Future<Output = Answer> + Send>>,
    ) -> Result<Answer, CloseReason> {
        let first = poll_fn(|cx| Poll::Ready(answer.as_mut().poll(cx))).await;
        if let Poll::Ready(answer) = first {
            return Ok(answer);
        }
        let parked = &self.node.metrics.server().requests_parked;
        if !parked.try_take(self.node.limits.parked_max) {
            return Err(CloseReason::ParkedMax);
        }
        let _parked = Taken(parked);
        self.flush().await?;
        let answer = answer.await;
        // The others had their turn.
        self.turn_cost = 0;
        Ok(answer)
    }

    /// Appends an answer that was waited for; a large one is written from where it lies.
    async fn take(&mut self, answer: Answer) -> Result<(), CloseReason> {
        let body = match answer {
            Answer::Reply(body) => body,
            Answer::NoReply => return Ok(()),
            Answer::Close => return Err(CloseReason::BadRequest),
        };
        let length = i32::try_from(body.len()).map_err(|_| CloseReason::Broken)?;
        self.out.put_i32(length);
        if body.len() <= COPIED_BYTES_MAX {
            self.out.extend_from_slice(&body);
            return Ok(());
        }
        self.flush_with(body).await
    }

    /// Writes all answers so far.
    async fn flush(&mut self) -> Result<(), CloseReason> {
        if self.out.is_empty() {
            return Ok(());
        }
        // Nearly always the socket takes all at once, and no timer is needed.
        let mut stream = Pin::new(&mut self.stream);
        let first = poll_fn(|cx| Poll::Ready(stream.as_mut().poll_write(cx, &self.out))).await;
        if let Poll::Ready(written) = first {
            let written = written.map_err(|error| reason_of(&error))?;
            if written < self.out.len() {
                let rest = Bytes::from(std::mem::take(&mut self.out)).slice(written..);
                self.write_all(rest.chain(Bytes::new())).await?;
            }
        } else {
            self.flush_with(Bytes::new()).await?;
        }
        self.out.clear();
        if self.out.capacity() > OUT_KEPT_BYTES_MAX {
            self.out = Vec::new();
        }
        Ok(())
    }

    /// Writes all answers so far and `more` behind them, as long as the peer takes some of it
    /// within the time of silence.
    async fn flush_with(&mut self, more: Bytes) -> Result<(), CloseReason> {
        let before = Bytes::from(std::mem::take(&mut self.out));
        self.write_all(before.chain(more)).await
    }

    async fn write_all(&mut self, mut left: Chain<Bytes, Bytes>) -> Result<(), CloseReason> {
        while left.has_remaining() {
            let write = self.stream.write_buf(&mut left);
            match timeout(self.node.limits.idle, write).await {
                Ok(Ok(0)) => return Err(CloseReason::Broken),
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Err(reason_of(&error)),
                Err(_) => return Err(CloseReason::Idle),
            }
        }
        Ok(())
    }

    /// Notes one answered request, to be counted with the others of the burst.
    fn note(&mut self, api: Api) {
        match self.answered.last_mut() {
            Some((last, n)) if *last == api => *n += 1,
            _ => self.answered.push((api, 1)),
        }
    }

    /// Counts the noted requests as answered now.
    fn count(&mut self, since: Now) {
        if self.answered.is_empty() {
            return;
        }
        let ms = self.node.clock.now().tick.since_ms(since.tick);
        let requests = self.node.metrics.requests(self.number);
        for (api, n) in self.answered.drain(..) {
            requests.api(api).record(ms, n);
        }
    }
}

/// One of a bounded number, given back when dropped.
pub(super) struct Taken<'a>(pub(super) &'a Gauge);

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.0.add(-1);
    }
}

/// What a request costs of its connection's turn: about so many times a third of a microsecond.
/// Heartbeats are many and cheap; of all others the length tells most.
fn cost(api: Api, bytes: usize) -> usize {
    if api == Api::Heartbeat {
        1
    } else {
        8 + bytes / 128
    }
}

/// Writes the length of what follows `start` into its first four bytes.
fn patch_length(out: &mut [u8], start: usize) -> bool {
    let Some(frame) = out.get_mut(start..) else {
        return false;
    };
    let Some((prefix, body)) = frame.split_first_chunk_mut::<4>() else {
        return false;
    };
    let Ok(length) = i32::try_from(body.len()) else {
        return false;
    };
    *prefix = length.to_be_bytes();
    true
}

/// A peer that goes away is no fault, whichever way it goes.
fn reason_of(error: &io::Error) -> CloseReason {
    let gone = matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof
    );
    if gone {
        CloseReason::Peer
    } else {
        CloseReason::Broken
    }
}

/// A turn: 256 heartbeats, or some 25 small commits, or three of a hundred partitions; a tenth of a
/// millisecond either way. Yielding costs a few microseconds at most, so a turn must not be much
/// shorter; whoever comes meanwhile waits for a turn of each busy connection, so it must not be
/// much longer.
const TURN_COST_MAX: usize = 256;
/// Answers beyond this are written before more is carried out, so that a peer that does not read
/// holds this much and one answer.
const OUT_BYTES_MAX: usize = 256 * 1024;
/// A larger output buffer is given back after its write.
const OUT_KEPT_BYTES_MAX: usize = 64 * 1024;
/// A longer answer is not copied behind the others.
const COPIED_BYTES_MAX: usize = 32 * 1024;
