//! The Kafka consumer-group coordinator as an embeddable engine.
//!
//! Rooms, from the bottom up; a room names only rooms below it:
//!
//! | room | what it is |
//! | --- | --- |
//! | [`ids`], [`time`], [`error`], [`config`], [`metrics`] | names, clocks and the wheel, refusals, settings, counters |
//! | [`group`] | the group protocol as a pure state machine: `now` in, effects out |
//! | [`session`] | the side door of heartbeats: one atomic word a member, one a group |
//! | [`journal`] | the seam to durability: records in, tickets out |
//! | [`shard`] | one event loop a shard: mailbox, step, timers, parked replies |
//! | [`engine`] | the front door: open, join, sync, heartbeat, leave, commit, fetch |
//! | `wire`, `topics`, `server` | the Kafka protocol, an in-memory data plane, the standalone server |

pub mod config;
pub mod engine;
pub mod error;
pub mod group;
pub mod ids;
pub mod journal;
pub mod metrics;
pub mod session;
pub mod shard;
pub mod time;

#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "server")]
pub mod topics;
pub mod wire;

pub(crate) mod atomic;
