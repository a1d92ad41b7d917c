//! One event loop a shard: a bounded mailbox, one owner at a time.

mod mailbox;
#[cfg(all(test, loom))]
mod models;
mod ownership;

pub use mailbox::{Batch, Mailbox, MailboxConfig, Rejected};
pub use ownership::{Drive, Driver, Ran, ShardLoop, Turn};
