//! The timing wheel against its floor: reading the word of a random member.
//!
//! `cargo bench --bench wheel`

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use criterion::measurement::{Measurement, WallTime};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use crossbeam_utils::CachePadded;
use takhin_coordinator::time::{Tick, Wheel, WheelConfig};

const MEMBERS: u32 = 1_000_000;
const INSERTS: u32 = 100_000;

/// As the shard's timers: a key, and the sequence number that tells whether it is stale.
type Payload = (u32, u32, u64);

/// A small generator of numbers that look random; the seed makes runs alike.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A session timeout, uniform between 10 and 45 s.
    fn timeout_ms(&mut self) -> u64 {
        10_000 + self.next() % 35_000
    }

    fn member(&mut self) -> u32 {
        u32::try_from(self.next() % u64::from(MEMBERS)).expect("it is below u32::MAX")
    }
}

fn full_wheel(numbers: &mut Numbers) -> Wheel<Payload> {
    let mut wheel = Wheel::new(WheelConfig::default(), Tick(0));
    for member in 0..MEMBERS {
        let deadline = Tick(numbers.timeout_ms());
        wheel
            .insert(deadline, (member, 0, 0))
            .expect("there is room");
    }
    wheel
}

fn words() -> Vec<CachePadded<AtomicU64>> {
    (0..MEMBERS).map(|_| CachePadded::default()).collect()
}

fn wheel(c: &mut Criterion) {
    let mut group = c.benchmark_group("wheel of 1M");
    group.throughput(Throughput::Elements(1));
    let words = words();
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);

    group.bench_function("floor: read the word of a random member", |b| {
        b.iter(|| words[numbers.member() as usize].load(Ordering::Relaxed));
    });

    group.throughput(Throughput::Elements(u64::from(INSERTS)));
    group.bench_function("insert 100k", |b| {
        b.iter_batched_ref(
            || Wheel::new(WheelConfig::default(), Tick(0)),
            |wheel| {
                for member in 0..INSERTS {
                    let deadline = Tick(numbers.timeout_ms());
                    let _ = black_box(wheel.insert(deadline, (member, 0, 0)));
                }
            },
            criterion::BatchSize::PerIteration,
        );
    });

    group.throughput(Throughput::Elements(1));
    group.bench_function("fire, read the word, file again", |b| {
        let mut wheel = full_wheel(&mut numbers);
        let mut now = Tick(0);
        let mut fired = Vec::new();
        b.iter_custom(|iterations| {
            let mut done = 0;
            let mut spent = Duration::ZERO;
            while done < iterations {
                now = now + 10;
                let begun = WallTime.start();
                while wheel.advance(now, 1024, &mut fired) {}
                for (member, _, sequence) in fired.drain(..) {
                    let word = words[member as usize].load(Ordering::Relaxed);
                    let deadline = now + (word + numbers.timeout_ms());
                    let payload = (member, 0, sequence + 1);
                    wheel.insert(deadline, payload).expect("there is room");
                    done += 1;
                }
                spent += WallTime.end(begun);
            }
            // Of what was done, the part that was asked for.
            spent.mul_f64(to_f64(iterations) / to_f64(done))
        });
    });

    group.bench_function("ask for the next deadline", |b| {
        let mut wheel = full_wheel(&mut numbers);
        b.iter(|| black_box(&mut wheel).next_deadline());
    });
    group.finish();
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of a bench are far below 2^52"
)]
fn to_f64(count: u64) -> f64 {
    count as f64
}

criterion_group!(benches, wheel);
criterion_main!(benches);
