//! Where the answers of a shard go.

use slab::Slab;
use tokio::sync::oneshot;

use super::outbox::{Outbox, Sent};
use crate::group::{Reply, ReplyTo};
use crate::time::Tick;

/// Those who wait for an answer.
///
/// Whoever carries out a request of its own gets the answer by hand if it is there when the turn
/// ends, and a channel only if not.
#[derive(Debug, Default)]
pub(super) struct Answers {
    waiting: Slab<Waiting>,
    /// The answer to the one who runs the turn.
    here: Option<Reply>,
    /// The answers that members of one group get together.
    outbox: Outbox,
}

#[derive(Debug)]
enum Waiting {
    /// The thread that runs the turn; at most one, and not beyond the turn.
    Here,
    Elsewhere(oneshot::Sender<Sent>),
}

impl Answers {
    /// Those who wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len() + self.outbox.len()
    }

    /// Somebody waits at the other end of a channel.
    pub(super) fn add(&mut self, answer: oneshot::Sender<Sent>) -> ReplyTo {
        self.insert(Waiting::Elsewhere(answer))
    }

    /// The thread that runs the turn asks itself; [`Self::take_here`] before the turn ends.
    pub(super) fn add_here(&mut self) -> ReplyTo {
        self.insert(Waiting::Here)
    }

    fn insert(&mut self, waiting: Waiting) -> ReplyTo {
        ReplyTo(self.waiting.insert(waiting) as u64)
    }

    pub(super) fn reply(&mut self, to: ReplyTo, reply: Reply, now: Tick) {
        match self.waiting.try_remove(slot(to)) {
            Some(Waiting::Here) => self.here = Some(reply),
            Some(Waiting::Elsewhere(answer)) => {
                if matches!(reply, Reply::Join(_) | Reply::Sync(_)) {
                    self.outbox.send(answer, reply, now);
                } else {
                    // A receiver that is gone does not want to know.
                    let _ = answer.send(Sent::alone(reply));
                }
            }
            None => {}
        }
    }

    /// The answer to the thread that runs the turn, or where it will come.
    pub(super) fn take_here(&mut self, to: ReplyTo) -> Result<Reply, oneshot::Receiver<Sent>> {
        if let Some(reply) = self.here.take() {
            return Ok(reply);
        }
        let (answer, receiver) = oneshot::channel();
        if let Some(waiting) = self.waiting.get_mut(slot(to)) {
            *waiting = Waiting::Elsewhere(answer);
        }
        Err(receiver)
    }

    /// Sends what waits for others to be taken, as far as it may leave now.
    pub(super) fn send_on(&mut self, now: Tick) {
        self.outbox.send_on(now);
    }

    /// Sends all that waits for others to be taken.
    pub(super) fn send_all(&mut self) {
        self.outbox.empty();
    }

    /// When more may leave.
    pub(super) fn wake_at(&self, now: Tick) -> Option<Tick> {
        self.outbox.wake_at(now)
    }
}

fn slot(to: ReplyTo) -> usize {
    usize::try_from(to.0).unwrap_or(usize::MAX)
}
