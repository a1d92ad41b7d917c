//! The side door of heartbeats: one atomic word a member, one a group, no lock and no queue.
//!
//! ```text
//!   any connection                              the shard that owns the group
//!     names --> print (96 bits, keyed)                 | Registrar
//!                 |                                    |
//!                 v           file, remove             |
//!               index  <-------------------------------+
//!                 |           fill                     |
//!                 v                                    |
//!               card: print | beacon  <----------------+
//!                 |               |                    |
//!      swap tick  v               v  load              |
//!               word            beacon                 |
//!     last beat | over      generation | phase         |
//!        ^                        ^                    |
//!        +--- begin, expire, end -+----- publish ------+
//! ```
//!
//! Words, cards and beacons lie packed in arrays that grow and never move; a member is a number.
//! A steady heartbeat takes no lock, allocates nothing, and meets no other thread but for the
//! lines of its words, neither by a [`SessionHandle`] in the hand nor by names. Each shard has a
//! [`Registrar`], the only writer of all but the ticks.
//!
//! # Two writers, one rule
//!
//! The member's word has two kinds of writer: any connection moves the tick forward, the owning
//! shard ends the session. Each does it by a compare-and-swap on the same word, so there is one
//! order of all that happens to it:
//!
//! - The shard that finds a deadline passed has read a tick `t`, and ends the session only if
//!   the word is still `t`. A beat that came in between has changed the word: the swap fails,
//!   and the shard files the session anew.
//! - A beat that comes after finds the mark. It cannot write over it, since it swaps only a tick.
//!
//! So no session is ended by an observation older than a beat that was answered with "alive", and
//! no beat is answered with "alive" after the end.
//!
//! # One word, many tenants
//!
//! A word is used again when its session is over. It carries the number of its tenancy, every beat
//! swaps only a word of the tenancy that it means, and no number comes twice: a word that has had
//! all of them (four million) is given up, for eight bytes and its card. So a handle that was kept
//! too long, or a look-up that was overtaken, never touches another member's session.
//!
//! The same holds for beacons without a number: one is another group's only after all sessions of
//! the former were ended, and what a beat has read of a beacon counts only if the member's word
//! is found alive *afterwards*.
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
//!
//! `loom_models` checks all of this.

mod arena;
mod beacon;
mod directory;
#[cfg(all(test, not(loom)))]
mod directory_tests;
mod index;
#[cfg(all(test, loom))]
mod loom_models;
mod print;
mod registrar;
mod sessions;
mod word;

pub use beacon::Phase;
pub use directory::{Directory, Heartbeat, SessionHandle};
pub use registrar::{BeaconId, NoSession, Registrar, SessionId};
pub use sessions::Verdict;
