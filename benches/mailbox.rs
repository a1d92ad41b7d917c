//! A shard's loop run by its submitters against its floors: an uncontended `try_lock`, and an
//! addition of both cores to one word.
//!
//! `cargo bench --bench mailbox`

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use criterion::measurement::{Measurement, WallTime};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

mod profiled;
mod submitters;

use submitters::{contend, serve, shard};

#[expect(clippy::disallowed_types, reason = "the floor is a lock")]
fn floor(c: &mut Criterion) {
    let mut group = c.benchmark_group("mailbox, one submitter");
    group.throughput(Throughput::Elements(1));
    let lock = std::sync::Mutex::new(0_u64);
    group.bench_function("floor: try_lock, add, unlock", |b| {
        b.iter(|| {
            if let Ok(mut sum) = lock.try_lock() {
                *sum = sum.wrapping_add(black_box(1));
            }
        });
    });
    group.finish();
}

fn one_submitter(c: &mut Criterion) {
    let mut group = c.benchmark_group("mailbox, one submitter");
    let shard = shard();
    group.throughput(Throughput::Elements(1));
    group.bench_function("submit and run", |b| {
        b.iter(|| {
            shard.submit(black_box([1; 4])).expect("it is empty");
            shard.run(serve)
        });
    });
    group.throughput(Throughput::Elements(64));
    group.bench_function("64 submits and one run", |b| {
        b.iter(|| {
            for _ in 0..64 {
                shard.submit(black_box([1; 4])).expect("it is empty");
            }
            shard.run(serve)
        });
    });
    group.finish();
}

fn two_submitters(c: &mut Criterion) {
    let mut group = c.benchmark_group("mailbox, two submitters");
    group.throughput(Throughput::Elements(2));
    // Relaxed: only what the line costs that both cores want is of interest.
    let sum = AtomicU64::new(0);
    group.bench_function("floor: an addition each to one word", |b| {
        b.iter_custom(|iterations| {
            let begun = WallTime.start();
            std::thread::scope(|scope| {
                for _ in 0..2 {
                    let add = |_| _ = sum.fetch_add(1, Ordering::Relaxed);
                    scope.spawn(move || (0..iterations).for_each(add));
                }
            });
            WallTime.end(begun)
        });
    });
    let shard = shard();
    group.bench_function("submit and run, one event each", |b| {
        b.iter_custom(|iterations| {
            let begun = WallTime.start();
            contend(&shard, 2, iterations);
            WallTime.end(begun)
        });
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = profiled::criterion();
    targets = floor, one_submitter, two_submitters
}
criterion_main!(benches);
