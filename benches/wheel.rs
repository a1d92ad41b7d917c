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

mod profiled;
mod timeouts;

use timeouts::{Numbers, full_wheel};

const MEMBERS: u32 = 1_000_000;
const INSERTS: u32 = 100_000;

fn words() -> Vec<CachePadded<AtomicU64>> {
    (0..MEMBERS).map(|_| CachePadded::default()).collect()
}

fn wheel(c: &mut Criterion) {
    let mut group = c.benchmark_group("wheel of 1M");
    group.throughput(Throughput::Elements(1));
    let words = words();
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);

    group.bench_function("floor: read the word of a random member", |b| {
        b.iter(|| words[numbers.member(MEMBERS) as usize].load(Ordering::Relaxed));
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
        let mut wheel = full_wheel(&mut numbers, MEMBERS);
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
        let mut wheel = full_wheel(&mut numbers, MEMBERS);
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

criterion_group! {
    name = benches;
    config = profiled::criterion();
    targets = wheel
}
criterion_main!(benches);
