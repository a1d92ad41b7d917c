//! Requests of one connection that were carried out and whose answers are still to come.
//!
//! Kafka carries out the next request of a connection when the one before it is answered. A run
//! of offset commits that overlap cannot be told from that, and shares the syncs of the journal:
//!
//! - **Order.** Commits are handed to the engine as they stand in the stream. Those of one group
//!   go to one shard by one lane that keeps its order; a shard that has to hold one back (behind
//!   what is staged, or behind the removal of its group) holds all behind it for that group, and
//!   asks them again in order; and a shard settles in the order in which it decided. So of two
//!   commits of one partition the later one counts, as if it had been sent after the answer.
//! - **What is said.** What a commit is told depends on its member, its generation and on limits,
//!   not on whether an offset before it is durable already. That it is judged a sync earlier than
//!   in Kafka is as if the network had been faster.
//! - **Refusals.** One that is refused at once (a full mailbox, a member that is unknown) is
//!   answered in its place all the same, and those around it go on, as in Kafka.
//! - **Everything else** (a fetch, which has to see the commits before it, a join, a leave, also
//!   what has no answer) is carried out when all before it is answered, and nothing behind it is
//!   looked at before that. So nothing overlaps but commits, in either direction.
//!
//! Answers are written in the order of the requests, whatever order they come in.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::service::Answer;
use crate::metrics::{Api, Gauge};
use crate::time::Tick;

/// Answers that are waited for, in the order of their requests.
pub(super) struct Waiting<'a> {
    places: VecDeque<Place>,
    // What their requests took on the wire.
    bytes: usize,
    parked: &'a Gauge,
    parked_max: u64,
}

/// One request whose answer was not written yet.
struct Place {
    asked: Asked,
    state: State,
    // Whether the node counts it.
    is_parked: bool,
}

enum State {
    Later(Later),
    /// It waits for those before it.
    Here(Answer),
}

/// An answer that comes later.
pub(super) type Later = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// What is known of a request whatever becomes of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Asked {
    pub(super) api: Api,
    /// When it arrived.
    pub(super) since: Tick,
    /// What it took on the wire.
    pub(super) bytes: usize,
}

impl<'a> Waiting<'a> {
    /// Nothing waits; `parked` counts what will, up to `parked_max` of all connections.
    pub(super) fn new(parked: &'a Gauge, parked_max: u64) -> Self {
        Self {
            places: VecDeque::new(),
            bytes: 0,
            parked,
            parked_max,
        }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Whether a request of that length may wait beside those that do.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.places.len() < REQUESTS_MAX && self.bytes + bytes <= BYTES_MAX
    }

    /// Parks a request behind the others.
    ///
    /// # Errors
    ///
    /// Its answer, if the node has as many parked as it may have, or half as many and others of
    /// this connection wait already: runs leave room for those who wait for one answer.
    pub(super) fn park(&mut self, asked: Asked, answer: Later) -> Result<(), Later> {
        // A run takes from the first half only: all others need one place each.
        let max = if self.is_empty() {
            self.parked_max
        } else {
            self.parked_max / 2
        };
        if !self.parked.try_take(max) {
            return Err(answer);
        }
        self.put(asked, State::Later(answer), true);
        Ok(())
    }

    /// Puts a request that is answered already behind those that are not.
    pub(super) fn push(&mut self, asked: Asked, answer: Answer) {
        self.put(asked, State::Here(answer), false);
    }

    fn put(&mut self, asked: Asked, state: State, is_parked: bool) {
        self.bytes += asked.bytes;
        self.places.push_back(Place {
            asked,
            state,
            is_parked,
        });
    }

    /// Whether the first answer is there; never if nothing waits. Only the first is looked at, so
    /// that a connection is woken once for answers that come together.
    pub(super) fn poll_first(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(first) = self.places.front_mut() else {
            return Poll::Pending;
        };
        if let State::Later(answer) = &mut first.state {
            match answer.as_mut().poll(cx) {
                Poll::Ready(answer) => first.state = State::Here(answer),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(())
    }

    /// Forgets all of them: their answers are nobody's any more.
    pub(super) fn clear(&mut self) {
        for place in self.places.drain(..) {
            self.parked.add(-i64::from(place.is_parked));
        }
        self.bytes = 0;
    }

    /// Takes the first out if its answer is there.
    pub(super) fn take_first(&mut self) -> Option<(Asked, Answer)> {
        let is_here = |it: &mut Place| matches!(it.state, State::Here(_));
        let first = self.places.pop_front_if(is_here)?;
        self.bytes -= first.asked.bytes;
        self.parked.add(-i64::from(first.is_parked));
        if self.places.is_empty() && self.places.capacity() > KEPT_MAX {
            self.places = VecDeque::new();
        }
        match first.state {
            State::Here(answer) => Some((first.asked, answer)),
            State::Later(_) => None,
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.clear();
    }
}

impl fmt::Debug for Waiting<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting")
            .field("requests", &self.places.len())
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

/// Requests of one connection that wait at one time; before the next is carried out, all are
/// answered. A client has five to a few dozen in flight.
pub(super) const REQUESTS_MAX: usize = 256;
/// Bytes of the requests that wait beside others. One that is longer waits alone, as it always
/// did; answers to commits are shorter than their requests, so this bounds them as well.
pub(super) const BYTES_MAX: usize = 256 * 1024;
/// Places that are kept for the next run of commits.
const KEPT_MAX: usize = 64;
