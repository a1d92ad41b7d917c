//! Where the answers of a shard go.

use slab::Slab;
use tokio::sync::oneshot;

use super::outbox::{Outbox, Sent};
use crate::group::{Reply, ReplyTo};
use crate::time::Tick;

/// Those who wait for an answer.
#[derive(Debug)]
pub(super) struct Answers {
    /// One of them is nobody, in the place that is kept.
    waiting: Slab<Option<oneshot::Sender<Sent>>>,
    /// Where the thread that takes a turn waits, if it has to; most need not, and then nothing is
    /// written.
    kept: usize,
    /// The answers that members of one group get together.
    outbox: Outbox,
}

impl Answers {
    pub(super) fn new() -> Self {
        let mut waiting = Slab::new();
        Self {
            kept: waiting.insert(None),
            waiting,
            outbox: Outbox::default(),
        }
    }

    /// Those who wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len() - 1 + self.outbox.len()
    }

    /// Somebody waits at the other end of a channel.
    pub(super) fn add(&mut self, answer: oneshot::Sender<Sent>) -> ReplyTo {
        ReplyTo(self.waiting.insert(Some(answer)) as u64)
    }

    /// The place that is kept.
    pub(super) fn kept(&self) -> ReplyTo {
        ReplyTo(self.kept as u64)
    }

    /// Somebody waits in the place that was kept; another one is from now on.
    pub(super) fn take_kept(&mut self, answer: oneshot::Sender<Sent>) {
        self.waiting[self.kept] = Some(answer);
        self.kept = self.waiting.insert(None);
    }

    pub(super) fn reply(&mut self, to: ReplyTo, reply: Reply, now: Tick) {
        let slot = usize::try_from(to.0).unwrap_or(usize::MAX);
        if slot == self.kept {
            return;
        }
        match self.waiting.try_remove(slot).flatten() {
            Some(answer) if matches!(reply, Reply::Join(_) | Reply::Sync(_)) => {
                self.outbox.send(answer, reply, now);
            }
            Some(answer) => {
                // A receiver that is gone does not want to know.
                let _ = answer.send(Sent::alone(reply));
            }
            None => {}
        }
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
