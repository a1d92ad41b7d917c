//! All numbers of one node.

use crossbeam_utils::CachePadded;

use super::request::RequestMetrics;
use super::server::ServerMetrics;
use super::shard::ShardMetrics;

/// The numbers of one node: its shards, its server, its requests.
///
/// `Display` writes them in Prometheus' text format.
#[derive(Debug)]
pub struct Metrics {
    pub(super) shards: Box<[CachePadded<ShardMetrics>]>,
    pub(super) requests: Box<[RequestMetrics]>,
    pub(super) server: CachePadded<ServerMetrics>,
}

impl Metrics {
    /// Numbers that stand at zero, for that many shards (at least one).
    pub fn new(shards: usize) -> Self {
        let shards = shards.max(1);
        Self {
            shards: (0..shards).map(|_| CachePadded::default()).collect(),
            requests: (0..shards.min(REQUEST_SHARES_MAX))
                .map(|_| RequestMetrics::new())
                .collect(),
            server: CachePadded::default(),
        }
    }

    /// The numbers of the shard with that index.
    ///
    /// # Panics
    ///
    /// If there is no such shard.
    pub fn shard(&self, index: usize) -> &ShardMetrics {
        &self.shards[index]
    }

    /// The numbers of all shards.
    pub fn shards(&self) -> impl ExactSizeIterator<Item = &ShardMetrics> {
        self.shards.iter().map(|shard| &**shard)
    }

    /// The share of the requests into which the connection with that number counts.
    pub fn requests(&self, connection: usize) -> &RequestMetrics {
        &self.requests[connection % self.requests.len()]
    }

    /// The numbers of the server.
    pub fn server(&self) -> &ServerMetrics {
        &self.server
    }
}

/// More cores than this rarely count requests at one time, and a share has its memory.
const REQUEST_SHARES_MAX: usize = 32;
