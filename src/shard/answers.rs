//! Where the answers of a shard go.

use slab::Slab;
use tokio::sync::oneshot;

use crate::group::{Reply, ReplyTo};

/// Those who wait for an answer.
///
/// Whoever carries out a request of its own gets the answer by hand if it is there when the turn
/// ends, and a channel only if not.
#[derive(Debug, Default)]
pub(super) struct Answers {
    waiting: Slab<Waiting>,
    /// The answer to the one who runs the turn.
    here: Option<Reply>,
}

#[derive(Debug)]
enum Waiting {
    /// The thread that runs the turn; at most one, and not beyond the turn.
    Here,
    Elsewhere(oneshot::Sender<Reply>),
}

impl Answers {
    /// Those who wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Somebody waits at the other end of a channel.
    pub(super) fn add(&mut self, answer: oneshot::Sender<Reply>) -> ReplyTo {
        self.insert(Waiting::Elsewhere(answer))
    }

    /// The thread that runs the turn asks itself; [`Self::take_here`] before the turn ends.
    pub(super) fn add_here(&mut self) -> ReplyTo {
        self.insert(Waiting::Here)
    }

    fn insert(&mut self, waiting: Waiting) -> ReplyTo {
        ReplyTo(self.waiting.insert(waiting) as u64)
    }

    pub(super) fn reply(&mut self, to: ReplyTo, reply: Reply) {
        match self.waiting.try_remove(slot(to)) {
            Some(Waiting::Here) => self.here = Some(reply),
            Some(Waiting::Elsewhere(answer)) => {
                // A receiver that is gone does not want to know.
                let _ = answer.send(reply);
            }
            None => {}
        }
    }

    /// The answer to the thread that runs the turn, or where it will come.
    pub(super) fn take_here(&mut self, to: ReplyTo) -> Result<Reply, oneshot::Receiver<Reply>> {
        if let Some(reply) = self.here.take() {
            return Ok(reply);
        }
        let (answer, receiver) = oneshot::channel();
        if let Some(waiting) = self.waiting.get_mut(slot(to)) {
            *waiting = Waiting::Elsewhere(answer);
        }
        Err(receiver)
    }
}

fn slot(to: ReplyTo) -> usize {
    usize::try_from(to.0).unwrap_or(usize::MAX)
}
