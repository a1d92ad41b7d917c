//! One connection: read a burst, carry out its requests in order, answer with one write.
//!
//! A request that waits for its answer stops this connection, as Kafka mutes the socket: nothing
//! more is read or carried out before it is answered. So a client that goes away meanwhile is
//! noticed only when the answer is written; the task lives as long as the request waits, which the
//! request's own timeout bounds.
//!
//! Only requests that may overlap ([`Service::overlaps`]) go on before those of their kind that
//! wait: they are read, carried out as they come and answered in order, up to a bound, at which
//! the connection stops as well. See [`super::waiting`] for why no client can tell.
//!
//! No connection keeps a thread of the runtime to itself: after [`TURN_COST_MAX`] it writes its
//! answers and lets the others have their turn, however much it has sent. Nor do ten thousand that
//! rebalance at one time: what they ask is carried out a few at a time ([`super::lane`]). A peer
//! that does not read its answers holds [`OUT_BYTES_MAX`] and one answer here, and the socket's own
//! buffer.
//!
//! Silence is measured lazily: a burst notes its time, and the one timer of the connection looks at
//! that note when it fires and sets itself again.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::buf::Chain;
use bytes::{Buf, BufMut, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::{Sleep, sleep, timeout};

use super::api;
use super::input::{Input, Next};
use super::lane::{Gate, Pass, is_of_rebalance};
use super::listener::Node;
use super::service::{Answer, Handled, Peer, Service};
use super::waiting::{Asked, Later, Waiting};
use crate::metrics::{Api, CloseReason};
use crate::time::Tick;
use crate::wire::frame::LENGTH_BYTES;

/// One connection from its first byte to its last.
pub(super) struct Connection<'a, S: Service, I> {
    node: &'a Node<S>,
    number: usize,
    stream: I,
    readable: fn(&I, &mut Context<'_>) -> Poll<()>,
    pass: Pass<'a>,
    state: S::Connection,
    input: Input,
    out: Vec<u8>,
    waiting: Waiting<'a>,
    // Requests that are answered and not counted yet, with the time of their arrival.
    answered: Vec<(Api, Tick, u64)>,
    active: Tick,
    // What this turn has cost so far.
    turn_cost: usize,
}

/// Why a connection goes on.
enum Woken {
    /// So many bytes came; 0: no more will.
    Read(io::Result<usize>),
    /// The first of the answers that are waited for is there.
    Answered,
    /// It was silent for some time.
    Silent,
    /// The server stops.
    Stopped,
}

impl<'a, S: Service, I: AsyncRead + AsyncWrite + Unpin> Connection<'a, S, I> {
    /// A connection with that running number. `readable` tells whether there may be something to
    /// read, as far as that can be told without reading.
    pub(super) fn new(
        node: &'a Node<S>,
        number: usize,
        stream: I,
        readable: fn(&I, &mut Context<'_>) -> Poll<()>,
        peer: &Peer,
    ) -> Self {
        let parked = &node.metrics.server().requests_parked;
        Self {
            node,
            number,
            stream,
            readable,
            pass: Pass::new(&node.lane),
            state: node.service.connect(peer),
            input: Input::new(),
            out: Vec::new(),
            waiting: Waiting::new(parked, node.limits.parked_max),
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
            let ended = match self.woken(silence.as_mut(), stopped.as_mut()).await {
                Woken::Read(Ok(0)) => Err(CloseReason::Peer),
                Woken::Read(Ok(_)) => self.burst().await,
                Woken::Read(Err(error)) => return reason_of(&error),
                Woken::Answered => Ok(()),
                Woken::Silent => {
                    if self.is_idle(silence.as_mut()) {
                        return CloseReason::Idle;
                    }
                    continue;
                }
                Woken::Stopped => Err(CloseReason::Shutdown),
            };
            let ended = match ended {
                Ok(()) if self.node.is_stopping() => Err(CloseReason::Shutdown),
                ended => ended,
            };
            // What was carried out is answered, even if the connection must go.
            let written = match ended {
                Ok(()) => self.write_answers().await,
                Err(_) => self.answer_all().await,
            };
            if let Err(reason) = written.and(ended) {
                return reason;
            }
        }
    }

    /// Waits for something to do. More is read while answers are waited for, so that commits which
    /// come meanwhile share the next sync.
    async fn woken(
        &mut self,
        silence: Pin<&mut Sleep>,
        stopped: Pin<&mut impl Future<Output = ()>>,
    ) -> Woken {
        self.pass.leave();
        let (input, waiting) = (&mut self.input, &mut self.waiting);
        let mut gate = Gate {
            pass: &mut self.pass,
            stream: &mut self.stream,
            readable: self.readable,
        };
        tokio::select! {
            biased;
            read = input.read(&mut gate, &self.node.frames) => Woken::Read(read),
            () = poll_fn(|cx| waiting.poll_first(cx)) => Woken::Answered,
            () = silence => Woken::Silent,
            () = stopped => Woken::Stopped,
        }
    }

    /// Whether the connection was silent for too long; if not, sets the timer again. One that
    /// waits for an answer is not silent.
    fn is_idle(&mut self, silence: Pin<&mut Sleep>) -> bool {
        let now = self.node.clock.now().tick;
        if !self.waiting.is_empty() {
            self.active = now;
        }
        let idle = self.node.limits.idle;
        let silent_ms = now.since_ms(self.active);
        let rest = idle.saturating_sub(Duration::from_millis(silent_ms));
        if rest.is_zero() {
            return true;
        }
        let silence_ends = silence.deadline() + rest;
        silence.reset(silence_ends);
        false
    }

    /// Carries out all whole frames that were read.
    async fn burst(&mut self) -> Result<(), CloseReason> {
        let bytes_max = self.node.limits.frame_bytes_max;
        let mut now = self.node.clock.now();
        self.active = now.tick;
        loop {
            if !self.waiting.is_empty() && self.next_must_wait() {
                self.answer_all().await?;
                now = self.node.clock.now();
            }
            let is_of_rebalance = self.next_is_of_rebalance();
            if is_of_rebalance && !self.pass.is_in() {
                self.enter().await?;
                now = self.node.clock.now();
            }
            let service = &self.node.service;
            let frame = match self.input.next_frame(bytes_max) {
                Next::Frame(frame) => frame,
                Next::Incomplete => return Ok(()),
                Next::Refused => return Err(CloseReason::FrameSize),
            };
            let asked = Asked {
                api: api::of(frame),
                since: now.tick,
                bytes: frame.len(),
            };
            self.turn_cost += cost(asked.api, asked.bytes);
            let overlaps = service.overlaps(frame);
            let start = self.out.len();
            self.out.put_i32(0);
            let handled = service.call(&mut self.state, frame, now, &mut self.out);
            self.input.give_back();
            self.pass.carried_out(is_of_rebalance);
            if matches!(handled, Handled::Done) {
                self.done(asked, start)?;
            } else {
                self.out.truncate(start);
            }
            match handled {
                Handled::Done => {}
                Handled::NoReply if self.waiting.is_empty() => self.note(asked),
                Handled::NoReply => self.waiting.push(asked, Answer::NoReply),
                Handled::Close => return Err(CloseReason::BadRequest),
                Handled::Pending(answer) => {
                    self.park(asked, answer).await?;
                    if !overlaps && !self.waiting.is_empty() {
                        self.answer_all().await?;
                        now = self.node.clock.now();
                    }
                }
            }
            if self.turn_cost >= TURN_COST_MAX {
                self.write_answers().await?;
                self.turn_cost = 0;
                self.pass.leave();
                tokio::task::yield_now().await;
                now = self.node.clock.now();
            } else if self.out.len() >= OUT_BYTES_MAX {
                self.flush().await?;
            }
        }
    }

    /// Whether the next request cannot be carried out before those that wait are answered.
    fn next_must_wait(&self) -> bool {
        match self.input.peek_frame(self.node.limits.frame_bytes_max) {
            Next::Frame(frame) => {
                !self.node.service.overlaps(frame) || !self.waiting.has_room(frame.len())
            }
            Next::Incomplete | Next::Refused => false,
        }
    }

    /// Whether the next request may be carried out only with a pass.
    fn next_is_of_rebalance(&self) -> bool {
        let bytes_max = self.node.limits.frame_bytes_max;
        let key = self.input.peek_key();
        key.is_some_and(|key| is_of_rebalance(*key))
            && matches!(self.input.peek_frame(bytes_max), Next::Frame(_))
    }

    /// Waits for a pass; the answers so far do not wait with it.
    async fn enter(&mut self) -> Result<(), CloseReason> {
        let entered = poll_fn(|cx| Poll::Ready(self.pass.poll_enter(cx))).await;
        if entered.is_ready() {
            return Ok(());
        }
        self.write_answers().await?;
        poll_fn(|cx| self.pass.poll_enter(cx)).await;
        // The others had their turn.
        self.turn_cost = 0;
        Ok(())
    }

    /// The response of a request was appended: it is whole, or waits for those before it.
    fn done(&mut self, asked: Asked, start: usize) -> Result<(), CloseReason> {
        if self.waiting.is_empty() {
            self.note(asked);
            return patch_length(&mut self.out, start);
        }
        let body = self.out.get(start + LENGTH_BYTES..).unwrap_or_default();
        let answer = Answer::Reply(Bytes::copy_from_slice(body));
        self.out.truncate(start);
        self.waiting.push(asked, answer);
        Ok(())
    }

    /// An answer comes later, unless it is there by now.
    async fn park(&mut self, asked: Asked, mut answer: Later) -> Result<(), CloseReason> {
        if self.waiting.is_empty() {
            let first = poll_fn(|cx| Poll::Ready(answer.as_mut().poll(cx))).await;
            if let Poll::Ready(answer) = first {
                return self.take(asked, answer).await;
            }
        }
        let Err(answer) = self.waiting.park(asked, answer) else {
            return Ok(());
        };
        if !self.waiting.is_empty() {
            // Those before it give their places back.
            self.answer_all().await?;
            if self.waiting.park(asked, answer).is_ok() {
                return Ok(());
            }
        }
        Err(CloseReason::ParkedMax)
    }

    /// Writes the answers that are there.
    async fn write_answers(&mut self) -> Result<(), CloseReason> {
        self.take_answered().await?;
        self.count();
        self.flush().await
    }

    /// Waits for all answers that are still to come, and writes them.
    async fn answer_all(&mut self) -> Result<(), CloseReason> {
        self.write_answers().await?;
        while !self.waiting.is_empty() {
            self.pass.leave();
            poll_fn(|cx| self.waiting.poll_first(cx)).await;
            // The others had their turn.
            self.turn_cost = 0;
            self.write_answers().await?;
        }
        Ok(())
    }

    async fn take_answered(&mut self) -> Result<(), CloseReason> {
        while !self.waiting.is_empty() {
            let first = poll_fn(|cx| Poll::Ready(self.waiting.poll_first(cx))).await;
            let (Poll::Ready(()), Some((asked, answer))) = (first, self.waiting.take_first())
            else {
                return Ok(());
            };
            self.take(asked, answer).await?;
            if self.out.len() >= OUT_BYTES_MAX {
                self.flush().await?;
            }
        }
        Ok(())
    }

    /// Appends an answer that was waited for; a large one is written from where it lies.
    async fn take(&mut self, asked: Asked, answer: Answer) -> Result<(), CloseReason> {
        let body = match answer {
            Answer::Reply(body) => body,
            Answer::NoReply => {
                self.note(asked);
                return Ok(());
            }
            Answer::Close => {
                self.waiting.clear();
                return Err(CloseReason::BadRequest);
            }
        };
        self.note(asked);
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
        match first {
            Poll::Ready(Ok(written)) if written < self.out.len() => {
                let rest = Bytes::from(std::mem::take(&mut self.out)).slice(written..);
                self.write_all(rest.chain(Bytes::new())).await?;
            }
            Poll::Ready(Ok(_)) => {}
            Poll::Ready(Err(error)) => return Err(self.cut_off(reason_of(&error))),
            Poll::Pending => self.flush_with(Bytes::new()).await?,
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
            let reason = match timeout(self.node.limits.idle, write).await {
                Ok(Ok(0)) => CloseReason::Broken,
                Ok(Ok(_)) => continue,
                Ok(Err(error)) => reason_of(&error),
                Err(_) => CloseReason::Idle,
            };
            return Err(self.cut_off(reason));
        }
        Ok(())
    }

    /// Nothing can be written any more, so nothing is waited for.
    fn cut_off(&mut self, reason: CloseReason) -> CloseReason {
        self.out.clear();
        self.waiting.clear();
        reason
    }

    /// Notes one answered request, to be counted with the others.
    fn note(&mut self, asked: Asked) {
        match self.answered.last_mut() {
            Some((api, since, n)) if *api == asked.api && *since == asked.since => *n += 1,
            _ => self.answered.push((asked.api, asked.since, 1)),
        }
    }

    /// Counts the noted requests as answered now.
    fn count(&mut self) {
        if self.answered.is_empty() {
            return;
        }
        let now = self.node.clock.now().tick;
        self.active = now;
        let requests = self.node.metrics.requests(self.number);
        for (api, since, n) in self.answered.drain(..) {
            requests.api(api).record(now.since_ms(since), n);
        }
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
fn patch_length(out: &mut [u8], start: usize) -> Result<(), CloseReason> {
    let frame = out.get_mut(start..).unwrap_or_default();
    let (prefix, body) = frame.split_first_chunk_mut().ok_or(CloseReason::Broken)?;
    let length = i32::try_from(body.len()).map_err(|_| CloseReason::Broken)?;
    *prefix = length.to_be_bytes();
    Ok(())
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
