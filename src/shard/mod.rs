//! Shards: each owns a part of the groups and is stepped by one owner at a time.
//!
//! ```text
//!   any thread: ask ----> mailbox ----> turn: settle, decide, fire what is due
//!                            ^             |            |            |
//!                            |             v            v            v
//!               journal: settled <---- hand over      replies     side door
//! ```
//!
//! The loop belongs to the shard, not to a thread: whoever brings an event runs it if nobody does
//! ([`ownership`]). A shard never waits: not for the journal, whose outcomes are events; not for a
//! lock; not for a slow client, whose answer goes into a slot of its own. The answers of a crowd
//! leave as they are taken ([`outbox`]). While two batches are on their way to the journal nothing
//! more is decided, and what comes waits in the mailbox; at the mailbox's bound requests are
//! refused as overloaded.
//!
//! Members are watched in sections of neighbouring seats that share a timer ([`sections`]).
//!
//! Until the shard is loaded its [`gate`] is shut: requests are answered there, and none is queued.

mod answer;
mod answers;
mod desk;
#[cfg(all(test, not(loom)))]
mod desk_tests;
mod doors;
mod driver;
mod event;
mod filed;
mod firing;
mod gate;
mod hand_over;
mod in_flight;
mod limits;
mod load;
mod look;
#[cfg(all(test, loom))]
mod loom_models;
mod mailbox;
mod notes;
mod outbox;
mod ownership;
#[cfg(all(test, not(loom)))]
mod ownership_tests;
mod placement;
mod rest;
mod sections;
mod share;
#[cfg(all(test, not(loom)))]
mod stall_tests;
mod state;
mod worker;

pub use answer::{Answer, Outcome};
pub(crate) use driver::start as start_driver;
pub use gate::ShardPhase;
pub(crate) use limits::{Limits, Quota};
pub use mailbox::{Batch, Mailbox, MailboxConfig, Rejected};
pub use ownership::{Drive, Driver, Ran, ShardLoop, Turn};
pub use placement::{shard_of, shard_of_name};
pub(crate) use state::Shared;
pub(crate) use worker::Shard;
