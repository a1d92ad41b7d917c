//! The three shapes of a number.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds to it; wraps after 2^64.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }

    /// Adds to it, where nobody else does at the same time: for counters with one writer, who
    /// need no swap for it.
    pub fn count(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    /// What was added so far.
    pub fn value(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    /// Adds to it, or takes from it if `n` is negative.
    pub fn add(&self, n: i64) {
        self.0.fetch_add(n, Relaxed);
    }

    /// Puts it at `n`; for gauges with one writer.
    pub fn set(&self, n: i64) {
        // A line that is not written stays with all who read it.
        if self.0.load(Relaxed) != n {
            self.0.store(n, Relaxed);
        }
    }

    /// What it stands at.
    pub fn value(&self) -> i64 {
        self.0.load(Relaxed)
    }

    /// Adds one if it stands below `limit`: an exact count of something that has a bound.
    pub fn try_take(&self, limit: u64) -> bool {
        let below = |n: i64| (u64::try_from(n).unwrap_or(0) < limit).then(|| n.saturating_add(1));
        self.0.fetch_update(Relaxed, Relaxed, below).is_ok()
    }
}

/// Durations in milliseconds, counted in fixed buckets.
#[derive(Debug, Default)]
pub struct Histogram {
    // The last one is for all that are longer than the last bound.
    buckets: [Counter; Self::BOUNDS_MS.len() + 1],
    sum_ms: Counter,
}

impl Histogram {
    /// The inclusive upper bounds of the buckets, in milliseconds.
    pub const BOUNDS_MS: [u64; 12] = [
        1, 5, 10, 25, 50, 100, 250, 500, 1_000, 5_000, 30_000, 300_000,
    ];

    /// Counts `n` events that took `ms` milliseconds each.
    pub fn record(&self, ms: u64, n: u64) {
        let bucket = Self::BOUNDS_MS.partition_point(|bound| *bound < ms);
        self.buckets[bucket].add(n);
        if ms > 0 {
            self.sum_ms.add(ms.saturating_mul(n));
        }
    }

    /// The events in each bucket, and the milliseconds of all.
    pub(super) fn read(&self) -> ([u64; Self::BOUNDS_MS.len() + 1], u64) {
        let counts = std::array::from_fn(|i| self.buckets[i].value());
        (counts, self.sum_ms.value())
    }

    /// The number of events.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(Counter::value).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bounded_gauge_takes_no_more_than_its_limit() {
        let gauge = Gauge::default();
        assert!(gauge.try_take(2));
        assert!(gauge.try_take(2));
        assert!(!gauge.try_take(2));
        gauge.add(-1);
        assert!(gauge.try_take(2));
        assert_eq!(gauge.value(), 2);
    }

    #[test]
    fn a_duration_falls_into_the_bucket_whose_bound_it_does_not_exceed() {
        let histogram = Histogram::default();
        histogram.record(0, 3);
        histogram.record(1, 1);
        histogram.record(2, 1);
        histogram.record(300_001, 1);
        let (counts, sum_ms) = histogram.read();
        assert_eq!((counts[0], counts[1], counts[12]), (4, 1, 1));
        assert_eq!(sum_ms, 300_004);
        assert_eq!(histogram.count(), 6);
    }
}
