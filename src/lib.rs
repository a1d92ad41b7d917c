//! The Kafka consumer-group coordinator as an embeddable engine.
//!
//! Rooms, from the front door down; a room names only rooms below it:
//!
//! | room | what it is |
//! | --- | --- |
//! | [`server`], [`topics`] | the standalone server and its data plane (feature `server`) |
//! | [`txn`] | the standalone server's transaction coordinator: who is in which transaction |
//! | [`tools`] | offline work on a data directory: inspect, export, import |
//! | [`engine`] | the front door: open, join, sync, heartbeat, leave, commit, fetch |
//! | [`shard`] | one event loop a shard: mailbox, step, timers, parked replies |
//! | [`store`] | the journal on disk: one log in recycled segments, group commit, recovery |
//! | [`journal`] | the seam to durability: records in, outcomes out |
//! | [`session`] | the side door of heartbeats: one atomic word a member, one a group |
//! | [`group`] | the group protocol as a pure state machine: `now` in, effects out |
//! | [`wire`] | the Kafka protocol: schema tables and a bounded, borrowed codec |
//! | [`config`], [`metrics`], [`time`], [`ids`], [`error`] | settings, counters, clocks and the wheel, names, refusals |
//!
//! # Quick start
//!
//! ```
//! use takhin_coordinator::config::Config;
//! use takhin_coordinator::engine::{CommitRequest, Engine, FetchRequest, Heartbeat, JoinRequest};
//! use takhin_coordinator::ids::Generation;
//!
//! let config = Config::builder().group_initial_rebalance_delay_ms(0).build()?;
//! let engine = Engine::open(config)?;
//!
//! // A first join is told its member id, the second one completes (KIP-394).
//! let join = JoinRequest::new("orders", "consumer").client("my-client", "/10.0.0.7");
//! let join = join.protocol("range", b"subscription".as_slice());
//! let member = engine.join(join.clone()).wait().unwrap_err().member;
//! let joined = engine.join(join.member(member.clone())).wait().unwrap();
//! assert_eq!((joined.leader, joined.generation), (member.clone(), Generation(1)));
//!
//! let beat = Heartbeat::new("orders", member.as_str(), joined.generation);
//! assert_eq!(engine.heartbeat(&beat).wait(), Ok(()));
//!
//! // Commits of consumers outside the group protocol need no member.
//! let commit = CommitRequest::new("audit").offset("topic", 0, 42);
//! engine.commit(commit).wait().unwrap();
//! let fetched = engine.fetch(FetchRequest::all("audit")).wait().unwrap();
//! assert_eq!(fetched[0].partitions[0].committed.as_ref().unwrap().offset, 42);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Every verb returns an [`engine::Answer`]: a future for any executor, with
//! [`now`](engine::Answer::now) for what is answered already and [`wait`](engine::Answer::wait)
//! for threads without an executor.

// Tests in here share a stage with those outside.
#[cfg(test)]
extern crate self as takhin_coordinator;

pub mod config;
pub mod engine;
pub mod error;
pub mod group;
pub mod ids;
pub mod journal;
pub mod metrics;
pub mod session;
pub mod shard;
pub mod store;
pub mod time;
pub mod wire;

#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "server")]
pub mod tools;
#[cfg(feature = "server")]
pub mod topics;
#[cfg(feature = "server")]
pub mod txn;

pub(crate) mod atomic;
pub(crate) mod disk;
pub(crate) mod mutation;
