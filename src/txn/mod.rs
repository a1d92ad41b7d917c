//! The transaction coordinator of the standalone server (KIP-98, KIP-890): which producer is in
//! which transaction, and how it ends.
//!
//! ```text
//!            init            add              end              markers are written
//!   (none) ------> Empty ----------> Ongoing ------> PrepareCommit ----> CompleteCommit
//!                    ^                  |    timeout                          |
//!                    |                  +------------> PrepareAbort ----> CompleteAbort
//!                    +---- init ----------------------------------------------+   (add: Ongoing)
//! ```
//!
//! [`Transactions`] is a pure state machine: `now` goes in, and what is to be written comes out as
//! a [`Change`]. Nothing changes before [`Transactions::settle`] says that it is durable; until
//! then the transaction answers `ConcurrentTransactions`, which clients repeat. [`Coordinator`] is
//! that machine with a lock, a log and a clock of its callers.
//!
//! A transaction that is to end is decided once its `Prepare` is durable. The owner of the
//! coordinator then writes the markers, into partitions and groups, and says so; after a restart
//! it does that again, which they have to bear.
//!
//! Transactions version 2 (KIP-890): every end of a transaction raises the producer's epoch, so
//! that nothing of the old one can come into the next. Which rules hold is said by each request,
//! as its version says it in Kafka.
//!
//! Bounds: transactional ids of the node, partitions and groups of one transaction; [`Limits`]
//! says what happens at each.

mod add;
mod codec;
mod coordinator;
mod end;
mod error;
mod expire;
mod facts;
mod init;
mod lock;
mod log;
mod machine;
mod writer;

#[cfg(test)]
mod tests;

pub use coordinator::{Coordinator, Listed};
pub use error::{OpenError, TxnError};
pub use facts::{Ending, Facts, Producer, TransactionState, TxnPartition};
pub use init::InitRequest;
pub use log::Damage;
pub use machine::{Change, Limits, Protocol, Step, Transactions};
