//! What reaches a shard.

use tokio::sync::oneshot;

use crate::error::Refusal;
use crate::group::{Reply, Request};
use crate::journal::Ticket;

/// Anything that a shard has to know comes through its mailbox as one of these.
#[derive(Debug)]
pub(crate) enum Event {
    /// Somebody asks.
    Request {
        request: Request,
        answer: oneshot::Sender<Reply>,
    },
    /// A batch became durable, or never will.
    Settled {
        ticket: Ticket,
        outcome: Result<(), Refusal>,
    },
    /// The shard is given up; later requests are refused with this. Comes once.
    Close { refusal: Refusal },
}
