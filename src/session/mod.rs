//! The side door of heartbeats: one atomic word a member, one a group, no queue between.
//!
//! ```text
//!   any connection                         the shard that owns the group
//!        |  beacon: one load                     |  publish(generation, phase)
//!        |  word:   one compare-and-swap         |  last_beat, expire, end
//!        v                                       v
//!   +---------------- Session (a member) ------------------+
//!   | word: last heartbeat's tick | how the session ended  |
//!   | names, beacon --------> Beacon (a group)             |
//!   +------------------------- word: generation | phase ---+
//! ```
//!
//! A steady heartbeat by a [`Session`] in the hand takes no lock, allocates nothing and meets no
//! other thread. Finding the session by names goes through the [`Directory`], whose shards are
//! locked for the moment of a look-up.
//!
//! # Two writers, one rule
//!
//! The session word has two kinds of writer: any connection moves the tick forward, the owning
//! shard ends the session. Each does it by a compare-and-swap on the same word, so there is one
//! order of all that happens to it:
//!
//! - The shard that finds a deadline passed has read a tick `t`, and ends the session only if
//!   the word is still `t`. A beat that came in between has changed the word: the swap fails,
//!   returns the newer tick, and the shard files the session anew.
//! - A beat that comes after finds the mark. It cannot write over it, since it swaps only a tick.
//!
//! So no session is ended by an observation older than a beat that was answered with "alive", and
//! no beat is answered with "alive" after the end. `loom_models` checks it.
//!
//! # A beat just after the shard moved on
//!
//! The beacon is read first, the word swapped after, and the shard may begin a rebalance in
//! between. The member is then told that all is well in a group that is a moment ahead of it,
//! exactly as if its heartbeat had arrived a moment earlier; its next heartbeat is told. That is
//! the protocol's own tolerance: a member learns of a rebalance within a heartbeat interval, and
//! is given the rebalance timeout for it. Nothing else rests on the answer: commits are fenced by
//! the shard itself.
//!
//! The other direction holds by orderings: the shard ends the sessions of removed members
//! *before* it publishes the state that follows, so a removed member is never asked to rejoin;
//! and it publishes before it releases the replies of a join, so a member that heartbeats with
//! what the reply said finds at least that generation.

mod beacon;
mod directory;
#[cfg(all(test, loom))]
mod loom_models;
mod member;

pub use beacon::{Beacon, Phase};
pub use directory::{Directory, DirectoryFull};
pub use member::{Ended, Session, Verdict};
