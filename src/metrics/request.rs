//! Requests and their latency by API.

use crossbeam_utils::CachePadded;

use super::cell::Histogram;
use super::kinds::Api;

/// One share of the requests: each connection counts into the share that its number picks.
#[derive(Debug)]
pub struct RequestMetrics {
    // Padded: two shares, and two APIs of one share, are counted by different cores.
    apis: Box<[CachePadded<Histogram>]>,
}

impl RequestMetrics {
    pub(super) fn new() -> Self {
        Self {
            apis: Api::ALL.iter().map(|_| CachePadded::default()).collect(),
        }
    }

    /// The latencies of that API, from the request's arrival to its answer, in milliseconds.
    pub fn api(&self, api: Api) -> &Histogram {
        &self.apis[api.index()]
    }
}
