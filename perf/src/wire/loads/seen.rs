//! What a load has shown so far.

use std::collections::BTreeMap;
use std::time::Instant;

use hdrhistogram::Histogram;

use crate::clock;
use crate::report::{Errors, latencies, record};

/// Of all steps.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// What the load is about: requests, members, restarts.
    pub(crate) done: u64,
    pub(crate) errors: Errors,
    pub(crate) counts: BTreeMap<&'static str, u64>,
    latencies: Vec<(&'static str, Histogram<u64>)>,
}

impl Seen {
    /// Something took from then until now.
    pub(super) fn took(&mut self, what: &'static str, since: Instant) {
        let time = clock::now().saturating_duration_since(since);
        record(self.latency(what), time);
    }

    /// Adds what has been counted elsewhere.
    pub(super) fn add(&mut self, what: &'static str, latency: &Histogram<u64>, errors: &Errors) {
        let added = self.latency(what).add(latency);
        added.expect("all have the same bounds");
        for (code, count) in errors {
            *self.errors.entry(*code).or_default() += count;
        }
    }

    /// In the order in which they were first seen.
    pub(crate) fn into_latencies(self) -> Vec<(&'static str, Histogram<u64>)> {
        self.latencies
    }

    fn latency(&mut self, what: &'static str) -> &mut Histogram<u64> {
        let at = self.latencies.iter().position(|(name, _)| *name == what);
        let at = at.unwrap_or_else(|| {
            self.latencies.push((what, latencies()));
            self.latencies.len() - 1
        });
        &mut self.latencies[at].1
    }
}
