//! Topics on disk: a catalog of what there is, and for each partition its batches as they came.
//!
//! ```text
//!   append --admit--> pending --+                         +--> apply, answer
//!   append --admit--> pending --+--> flusher: catalog,    +--> apply, answer
//!   delete --admit--> pending --+    writes, syncs -------+--> apply, answer
//!
//!   LOCK  CATALOG  TOPICID-PARTITION-00000001.log  TOPICID-PARTITION-00000002.log ...
//! ```
//!
//! **What it promises.** What was answered is there after any crash: a batch, a log start, a topic,
//! its settings, its deletion. Nobody reads what is not durable. Of what was not answered, or
//! answered with a failure, each partition has all up to some batch, and nothing after it.
//!
//! **Group commit.** One thread writes what is pending in any partition, syncs each file once and
//! answers; what arrives meanwhile is the next round. The catalog goes first, so that no batch is
//! durable before its topic.
//!
//! **Space.** A partition's file is followed by another one at 16 MiB; the files that lie before
//! the log start are removed. Memory holds where each batch lies, and the operating system's page
//! cache what was read or written lately. Few files are open at a time, however many partitions
//! there are.
//!
//! **Trust.** As the journal's: sectors of 512 bytes are written whole or not at all, and what a
//! sync has reported as done stays. A batch carries a frame whose checksum names its file and
//! place, and how much of the file was durable when its write began: so a damaged frame before a
//! later one is told from a torn tail. The tail is cut, damage is refused with file and offset, or
//! skipped with [`Repair::Quarantine`]: the batches behind it keep their offsets, and a hole is
//! left. A full disk refuses what is pending and heals; any other failure poisons the topics:
//! nothing is acknowledged any more, and what is durable is still read.

mod catalog;
mod error;
mod files;
mod flusher;
mod frame;
mod open;
mod recovery;
mod segment;
mod shelf;

#[cfg(test)]
mod tests;

pub use error::{Damage, OpenError, Repair};
pub use open::{DiskConfig, Examined};

pub(super) use catalog::Line;
pub(super) use flusher::{Flusher, Store};
pub(super) use shelf::{Place, Shelf};
