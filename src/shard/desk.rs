//! What a turn works with, of the thread that takes it.
//!
//! A shard goes from core to core with the threads that bring it events, and with it each line of
//! memory that a turn has written. What is empty when a turn begins and when it ends need not go:
//! each thread brings its own.

use std::cell::Cell;
use std::mem;

use tokio::sync::oneshot;

use super::outbox::Sent;
use crate::group::{Effect, Entry, Reply, ReplyTo};

/// What is filled and emptied within a turn.
#[derive(Debug, Default)]
pub(super) struct Desk {
    pub(super) fx: Vec<Effect>,
    /// Decided and not handed over yet; what finds the journal full is left for a later turn.
    pub(super) batch: Vec<Entry>,
    pub(super) here: Here,
}

/// The request of the thread that takes the turn.
#[derive(Debug, Default)]
pub(super) enum Here {
    /// There is none, or it has its answer.
    #[default]
    None,
    /// It is carried out, and would wait in that place, which is kept for it.
    Asks(ReplyTo),
    Answered(Reply),
    Waits(oneshot::Receiver<Sent>),
}

thread_local! {
    /// The desk that is not in use: the thread's own, during a turn that of the shard.
    static SPARE: Cell<Option<Box<Desk>>> = const { Cell::new(None) };
}

/// Changes the desk of a shard for that of this thread, or back.
pub(super) fn change(desk: &mut Box<Desk>) {
    // A thread that is ending has none any more, and works with that of the shard.
    let _ = SPARE.try_with(|spare| {
        let other = spare.take().unwrap_or_default();
        spare.set(Some(mem::replace(desk, other)));
    });
}
