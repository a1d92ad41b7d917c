//! Counters and gauges of engine and server, as plain atomics.
//!
//! There is no registry and no global state: one [`Metrics`] belongs to one node and is shared by
//! `Arc`. Hot numbers are spread: what a shard counts lies in that shard's own padded
//! [`ShardMetrics`], what connections count in one of a few padded [`RequestMetrics`]. The number
//! of series is O(shards + APIs), never O(groups).
//!
//! All accesses are relaxed: a number tells nothing about any other memory, and a scrape may see
//! one number before and the next after an event.
//!
//! ```
//! use takhin_coordinator::metrics::{Metrics, RebalanceCause};
//!
//! let metrics = Metrics::new(4);
//! metrics.shard(0).rebalances(RebalanceCause::Join).add(1);
//! assert!(metrics.to_string().contains("takhin_rebalances_total{cause=\"join\"} 1"));
//! ```

mod cell;
mod kinds;
mod node;
mod request;
mod server;
mod shard;
mod text;

pub use cell::{Counter, Gauge, Histogram};
pub use kinds::{Api, CloseReason, ExpulsionCause, GroupPhase, RebalanceCause, RefusalCause};
pub use node::Metrics;
pub use request::RequestMetrics;
pub use server::ServerMetrics;
pub use shard::ShardMetrics;
