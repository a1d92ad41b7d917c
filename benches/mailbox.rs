//! A shard's loop run by its submitters against its floor: an uncontended `try_lock`.
//!
//! `cargo bench --bench mailbox`

use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::{Measurement, WallTime};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use takhin_coordinator::shard::{Batch, MailboxConfig, Ran, ShardLoop, Turn};

/// An event of a usual size: what it asks, and where the reply goes.
type Event = [u64; 4];

fn serve(sum: &mut u64, batch: &mut Batch<'_, Event>) -> Turn {
    for event in batch {
        *sum = sum.wrapping_add(event[0]);
    }
    Turn::default()
}

fn shard() -> ShardLoop<u64, Event> {
    let (shard, _driver) = ShardLoop::new(0, &MailboxConfig::default());
    // As a driver that sleeps without a limit.
    shard.drive(serve);
    shard
}

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
    let shard = shard();
    group.bench_function("submit and run, one event each", |b| {
        b.iter_custom(|iterations| contend(&shard, iterations));
    });
    group.finish();
}

/// The time in which two threads submit and run that many events each.
fn contend(shard: &ShardLoop<u64, Event>, each: u64) -> Duration {
    let begun = WallTime.start();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for n in 0..each {
                    let mut event = [n; 4];
                    while let Err(back) = shard.submit(event) {
                        event = back.into_event();
                        shard.run(serve);
                    }
                    assert_ne!(shard.run(serve), Ran::Poisoned);
                }
            });
        }
    });
    WallTime.end(begun)
}

criterion_group!(benches, floor, one_submitter, two_submitters);
criterion_main!(benches);
