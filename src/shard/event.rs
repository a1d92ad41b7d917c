//! What reaches a shard.

use tokio::sync::oneshot;

use super::outbox::Sent;
use crate::error::Refusal;
use crate::group::Request;
use crate::journal::Ticket;

/// Anything that a shard has to know comes through its mailbox as one of these.
///
/// Boxed, since a mailbox has all its places from the start: what waits in it costs memory only
/// while it waits. A request finds a busy shard, a batch a disk; one allocation more is nothing.
#[derive(Debug)]
pub(crate) enum Event {
    /// Somebody asks.
    Request(Box<Asked>),
    /// A batch became durable, or never will.
    Settled(Box<Settled>),
    /// The shard is given up; later requests are refused with this. Comes once.
    Close { refusal: Refusal },
}

/// A request, and where its answer goes.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) request: Request,
    pub(crate) answer: oneshot::Sender<Sent>,
}

/// A batch, and what became of it.
#[derive(Debug)]
pub(crate) struct Settled {
    pub(crate) ticket: Ticket,
    pub(crate) outcome: Result<(), Refusal>,
}

const _: () = assert!(size_of::<Event>() <= 16);
