//! How several benchmarks ask criterion.

use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput};

/// Whether this run only shows that the benchmarks work; criterion's own rule.
pub(crate) fn is_trial() -> bool {
    let has = |flag: &str| std::env::args().any(|it| it == flag);
    has("--test") || !has("--bench")
}

/// A group of the benchmark with one measure an element.
pub(crate) fn group_of<'c>(c: &'c mut Criterion, label: &str) -> BenchmarkGroup<'c, WallTime> {
    let mut group = c.benchmark_group(label);
    group.throughput(Throughput::Elements(1));
    group.warm_up_time(Duration::from_secs(1));
    group
}
