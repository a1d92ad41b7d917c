//! The disk journal: one log for all shards, in segments that are used again.
//!
//! ```text
//!   shard 0 --- append ---+                          +--- settle in order ---> shard 0
//!   shard 1 --- append ---+--> queue --> writer -----+--- settle in order ---> shard 1
//!   shard n --- append ---+   (2 each)     |         +--- settle in order ---> shard n
//!                                          | one write, one sync a round
//!                                          v
//!   LOCK  MANIFEST  log-00000001  log-00000002  log-00000003
//!                   oldest, being           newest, being
//!                   emptied                 filled
//! ```
//!
//! **What it promises.** A batch that was settled with `Ok` is there after any crash. One that
//! was refused because the disk was full never is. Of one that was not settled, or on which the
//! device failed, all is there or nothing. Replay yields the records of a shard such that the
//! last word on every key is the last one that was durable.
//!
//! **Group commit.** The writer takes whatever is waiting, writes it with one write and one
//! `fdatasync`, settles it, and looks again: when it is idle a batch is flushed at once, and what
//! arrives during a flush is the next round. There is no linger to configure.
//!
//! **One log for all shards.** Measured on a virtual disk with two busy cores, 6.4 kB a batch, one
//! batch in flight a shard: with 2 to 16 shards one log took 14 to 41 us of CPU a batch, a log a
//! shard 48 to 126 us, for about as many batches a second (the noise was larger than the
//! difference) and about the same latency. One log also has one bound on its space instead of one
//! a shard, and one order to recover.
//!
//! **Space.** The log is a ring. Every record's latest sequence number is known by the hash of
//! its key, and so is how many of them each segment holds: one that holds none is used again as it
//! is. The files may take max(64 MiB, 2 x live bytes); on the way there rounds also carry what
//! still lives of the oldest segment, evenly: as large a part of all that lives as what they append
//! is of the room beside it, and a quarter more; the parts of small rounds add up to records. So
//! there is no snapshot to be written in one go and no pause for it: the log is its own snapshot,
//! and loading reads at most twice the live bytes. Only where the bound itself falls, by offsets
//! deleted in great numbers, does a round wait until there is room.
//! Tombstones need not be carried along: when one is in the oldest segment, nothing that it
//! deletes is left before it.
//!
//! **When members were heard of** stands beside the log, in a file a shard (`heard-00000`) that an
//! orderly stop writes without a sync and the next load removes: see `heard.rs`.
//!
//! **Trust.** Sectors of 512 bytes are written whole or not at all, and what a sync has reported
//! as done stays. Nothing else is assumed: unsynced writes may be lost, torn between sectors and
//! reordered, and creations and renames are undone unless the directory was synced. After a sync
//! has failed nothing is known of what it covered, so the journal is poisoned: nothing more is
//! acknowledged until the directory was opened again.

mod carrier;
mod config;
mod examine;
mod feed;
mod frame;
mod heard;
mod index;
mod journal;
mod log;
#[cfg(all(test, loom))]
mod loom_models;
mod making;
mod manifest;
mod recovery;
mod segment;
mod writer;

#[cfg(test)]
mod tests;

use crate::disk;

pub use config::{Damage, OpenError, Quarantined, Repair, StoreConfig};
pub use examine::{Examined, ExaminedSegment, Logged};
pub use feed::{Fed, Feed, FeedBounds, OURS_FROM};
pub use journal::{DiskJournal, Usage};
