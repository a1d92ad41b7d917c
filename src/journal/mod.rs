//! The seam to durability: records go in as batches, and what became of each comes back once.
//!
//! ```text
//!   shard --- append(batch, done) ---> journal --- done.settle(outcome) ---> the shard's mailbox
//! ```
//!
//! **Decide now, make durable, then release the reply.** The shard hands a batch over and goes
//! on; the journal writes it, in order, and settles its [`Done`] from whatever thread it likes.
//! The outcome arrives at the shard as an event like any other. A `Done` that is dropped counts
//! as failed, so that no answer waits forever.
//!
//! | what | kept |
//! | --- | --- |
//! | offsets, staged offsets; generation, members and assignments of a group | as records: durable before they are told |
//! | when each member was last heard of | best effort, at an orderly stop only ([`Journal::keep_heard`]) |
//! | parked joins and syncs, member ids handed out and not used, rebalances under way | not at all, as in Kafka |

mod memory;
pub mod schema;

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Weak;

pub use memory::MemoryJournal;

use crate::error::Refusal;
use crate::group::{Entry, Heard, Record};
use crate::ids::{GroupId, ShardId};

/// What a journal promises about a settled batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durability {
    /// Nothing outlives the process.
    Memory,
    /// The batch is on this machine's disk.
    LocalFsync,
    /// The batch is on a majority of machines.
    Quorum,
}

/// The place of a batch: it is durable only if that very batch of that term is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ticket {
    /// The shard.
    pub shard: ShardId,
    /// The shard's term: how often it was loaded.
    pub term: u64,
    /// The batch's number within the term, from 1.
    pub index: u64,
}

/// A batch: entries in order. The records of one entry belong together.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// Its place.
    pub ticket: Ticket,
    /// What is to be made durable.
    pub entries: &'a [Entry],
}

/// A log that cannot be read back.
#[derive(Debug)]
#[non_exhaustive]
pub enum LoadError {
    /// The device failed.
    Io(std::io::Error),
    /// The log is damaged: where, and how.
    Corrupt(String),
    /// It was broken off: the engine was shut down meanwhile, or a step of it panicked.
    Interrupted,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "the journal could not be read: {error}"),
            Self::Corrupt(what) => write!(f, "the journal is damaged: {what}"),
            Self::Interrupted => f.write_str("the load was broken off"),
        }
    }
}

impl std::error::Error for LoadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            Self::Corrupt(_) | Self::Interrupted => None,
        }
    }
}

/// One thing that a load hands out; [`schema::loaded`] makes it of a stored key and value.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Loaded {
    /// A record.
    Record(Record),
    /// A record of that group which cannot be read. Unless a later record has the same key the
    /// group is quarantined: nothing is known for certain of it, so that nothing is answered for
    /// it and nothing written, while all others serve.
    Unreadable {
        /// The group.
        group: GroupId,
        /// The key as it is stored.
        key: Vec<u8>,
        /// Why it cannot be read.
        reason: String,
    },
    /// What [`Journal::keep_heard`] was given by the shard's previous owner; only as long as it
    /// holds: not after the shard was loaded once more.
    Heard(Heard),
}

/// A log of records, one sequence a shard.
///
/// A batch may take as long as it takes. Those who wait for it are refused after
/// `offsets.commit.timeout.ms`; its outcome, whenever it comes, decides whether its records count,
/// and until then the shard takes no request that may write.
pub trait Journal: Send + Sync + fmt::Debug {
    /// Appends a batch of one shard after all its earlier ones.
    ///
    /// Never blocks on a device: what is needed of the batch is copied or encoded, and `done` is
    /// settled later, or before this returns. Batches of one shard are settled in order, and
    /// after one has failed none of that term succeeds unless the journal can prove that no later
    /// read will show the failed one.
    fn append(&self, batch: Batch<'_>, done: Done);

    /// Reads back what is durable of a shard, in order, until there is no more or `each` breaks
    /// off. May be called for several shards at one time, by a thread each.
    ///
    /// # Errors
    ///
    /// [`LoadError`] when the log cannot be read or is damaged; what was handed out until then
    /// must not be used. A record that is whole but says nothing that we understand is no such
    /// damage, as long as its group is known: [`Loaded::Unreadable`].
    fn load(
        &self,
        shard: ShardId,
        each: &mut dyn FnMut(Loaded) -> ControlFlow<()>,
    ) -> Result<(), LoadError>;

    /// Whether nothing is kept and everything settled at once: then no batch is made, and
    /// [`Self::append`] is not called. By default not so.
    fn keeps_nothing(&self) -> bool {
        false
    }

    /// Keeps for the next load when the members of a shard were last heard of, as well as can be
    /// done; told once, when the shard is given up in order. By default it is forgotten.
    fn keep_heard(&self, _shard: ShardId, _heard: &[Heard]) {}

    /// Whether batches can still be made durable. A journal that is not healthy refuses them,
    /// and stays so until it was opened again; it can still be read. By default always.
    fn is_healthy(&self) -> bool {
        true
    }

    /// What a settled batch may be relied on for.
    fn durability(&self) -> Durability;
}

/// Where outcomes go.
pub(crate) trait Outcomes: Send + Sync {
    fn settled(&self, ticket: Ticket, outcome: Result<(), Refusal>);
}

/// The right and duty to say what became of one batch.
pub struct Done {
    ticket: Ticket,
    // Weak: a journal that never settles must not keep the engine, nor those who wait.
    to: Option<Weak<dyn Outcomes>>,
}

impl Done {
    pub(crate) fn new(ticket: Ticket, to: Weak<dyn Outcomes>) -> Self {
        Self {
            ticket,
            to: Some(to),
        }
    }

    /// The batch that it speaks of.
    pub fn ticket(&self) -> Ticket {
        self.ticket
    }

    /// Says that the batch is durable, or why it is not; the refusal is what clients are told.
    /// After the engine is gone it has no effect.
    pub fn settle(mut self, outcome: Result<(), Refusal>) {
        if let Some(to) = self.to.take().and_then(|to| to.upgrade()) {
            to.settled(self.ticket, outcome);
        }
    }
}

impl Drop for Done {
    fn drop(&mut self) {
        if let Some(to) = self.to.take().and_then(|to| to.upgrade()) {
            to.settled(self.ticket, Err(Refusal::NotAvailable));
        }
    }
}

impl fmt::Debug for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Done")
            .field("ticket", &self.ticket)
            .finish_non_exhaustive()
    }
}
