//! Topics: a data plane small enough for one process and big enough that unmodified Kafka clients
//! run end to end against the standalone server. In memory, or on disk (see `disk`).
//!
//! [`Topics`] is the front: every verb takes and gives typed values. The room knows the record
//! batch of magic 2 (in `batch`, nowhere else) and nothing of API versions, schemas or error
//! numbers; a [`TopicError`] is one error code of Kafka's by name.
//!
//! ```text
//!  append ---> registry --> topic --> partition [ log | producers | transactions | waiters ]
//!  fetch ----> sessions     (settings)     |            wakes |
//!                 ^                        v                  v
//!                 +------ finish <------ read <---------- changed()
//! ```
//!
//! Locks, in the order in which they nest: registry, topic, partition. The table of fetch
//! sessions is never held together with another lock, and no lock is held across an await. A fetch
//! that is to wait reads a partition and registers with it under one lock, and an append wakes who
//! is registered under the same lock: no wake-up is lost.
//!
//! Bounds: topics, partitions, bytes of a partition and of the node, producers of a partition,
//! fetch sessions and their partitions; [`TopicsConfig`] says what happens at each. Waiters are
//! bounded by the fetches in flight, which are the caller's to bound.
//!
//! A batch goes into the log in two steps: admission (`admission`) gives it its offset or refuses
//! it, and `Partition::apply` makes it part of the log; in between, on disk only, it becomes
//! durable (`durable`). What is derived from batches (the end, producers, transactions) changes in
//! `apply` alone, which also takes over what is read back at an opening.
//!
//! There is one node, the leader of everything, with leader epoch 0 for good. What it restores of
//! idempotent producers is what the batches tell that retention has left.

mod admission;
mod batch;
mod budget;
mod changes;
mod config;
mod disk;
mod durable;
mod error;
mod fetch;
mod front;
mod internal;
mod lock;
mod offsets;
mod partition;
mod producer_ids;
mod producers;
mod registry;
mod session;
mod settings;
mod topic;
mod transactions;

#[cfg(test)]
mod tests;

pub use batch::{is_zstd, transactional_producer};
pub use config::TopicsConfig;
pub use disk::{Damage, DiskConfig, Examined, OpenError, Repair};
pub use durable::Durable;
pub use error::TopicError;
pub use fetch::{Divergence, Fetch, FetchPartition, FetchRequest, FetchResponse, FetchedPartition};
pub use front::Topics;
pub use offsets::{EpochEnd, ListedOffset, OffsetSpec};
pub use partition::Appended;
pub use producers::ProducerIdentity;
pub use registry::{DeletedTopic, NewTopic, ReplicaAssignment, TopicKey, TopicSummary};
pub use settings::{ConfigChange, ConfigEntry, ConfigKind, ConfigOp};
pub use transactions::AbortedTransaction;

/// The leader epoch of every partition.
pub const LEADER_EPOCH: i32 = 0;
