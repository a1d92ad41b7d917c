//! One event loop a shard: a bounded mailbox, one owner at a time.

#[cfg(all(test, loom))]
mod loom_models;
mod mailbox;
mod ownership;
#[cfg(all(test, not(loom)))]
mod ownership_tests;

pub use mailbox::{Batch, Mailbox, MailboxConfig, Rejected};
pub use ownership::{Drive, Driver, Ran, ShardLoop, Turn};
