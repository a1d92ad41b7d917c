//! Heartbeats of 100k and 1M members through the engine, beside what they cannot go below.
//!
//! `cargo bench --bench heartbeat`; `-- 100k` runs the smaller half. All figures are processor time
//! of the thread, so that they mean the same on a machine that does other things besides; "two
//! threads" is the time of one beat by each of two at once. Floors:
//!
//! - a store to a random word, padded to a line or packed: any memory of the beat costs that;
//! - a swap of a random packed word: what the rule of the two writers costs;
//! - two look-ups of two strings in the standard library's map: what names cost without sharing.
//!
//! There is no row for beats of which each waits for the last: that takes an instruction fence, and
//! the language's own fence is none; a processor looks ahead across it.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use cpu_time::ThreadTime;
use criterion::{Bencher, Criterion, criterion_group, criterion_main};
use crossbeam_utils::CachePadded;
use takhin_coordinator::engine::MemberHandle;
use takhin_coordinator::time::Now;

mod asking;
mod beats;
mod profiled;
mod requests;
mod steady;

use asking::{group_of, is_trial};
use beats::{Beats, Steps};
use steady::Steady;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn heartbeats(c: &mut Criterion) {
    let sizes: &[(&str, usize)] = if is_trial() {
        &[("engine heartbeat of 1k", 1_000)]
    } else {
        &[
            ("engine heartbeat of 100k", 100_000),
            ("engine heartbeat of 1M", 1_000_000),
        ]
    };
    for &(label, members) in sizes {
        if !is_wanted(label) {
            continue;
        }
        let steady = Steady::new(members);
        let beats = Beats::of(&steady);
        floors(c, label, &steady, &beats);
        by_handle(c, label, &steady, &beats);
        by_names(c, label, &steady, &beats);
        during_churn(c, label, &steady, &beats);
    }
}

/// Whether criterion's filter can match: a million members take a while to make.
fn is_wanted(label: &str) -> bool {
    let mut filters = std::env::args().skip(1).filter(|it| !it.starts_with('-'));
    filters.next().is_none_or(|filter| {
        let size = label.rsplit(' ').next().unwrap_or(label);
        !filter.contains("100k") && !filter.contains("1M") || filter.contains(size)
    })
}

/// Times steps by the processor time of their thread.
fn timed(b: &mut Bencher<'_>, steps: &mut Steps, mut step: impl FnMut(usize, Now)) {
    b.iter_custom(|count| {
        let start = ThreadTime::now();
        for _ in 0..count {
            let (at, now) = steps.next();
            step(at, now);
        }
        start.elapsed()
    });
}

/// The same by two threads at once, each with steps of its own: the mean of both.
fn timed_by_two(b: &mut Bencher<'_>, count: usize, step: impl Fn(usize, Now) + Sync) {
    let mut both = Steps::pair(count);
    b.iter_custom(|iterations| {
        let step = &step;
        let times = std::thread::scope(|scope| {
            let run = |steps: &'_ mut Steps| {
                let start = ThreadTime::now();
                for _ in 0..iterations {
                    let (at, now) = steps.next();
                    step(at, now);
                }
                start.elapsed()
            };
            let threads = both.each_mut().map(|it| scope.spawn(move || run(it)));
            threads.map(|it| it.join().expect("no step panics"))
        });
        times.iter().sum::<Duration>() / 2
    });
}

fn floors(c: &mut Criterion, label: &str, steady: &Steady, beats: &Beats) {
    let mut group = group_of(c, label);
    let count = beats.order.len();
    let steps = &mut Steps::new(count);
    let padded: Vec<CachePadded<AtomicU64>> = (0..count).map(|_| CachePadded::default()).collect();
    group.bench_function("floor: store to a random padded word", |b| {
        timed(b, steps, |at, now| {
            padded[beats.order[at]].store(now.tick.0, Ordering::Relaxed);
        });
    });
    drop(padded);
    let packed: Vec<AtomicU64> = (0..count).map(|_| AtomicU64::new(0)).collect();
    group.bench_function("floor: store to a random packed word", |b| {
        timed(b, steps, |at, now| {
            packed[beats.order[at]].store(now.tick.0, Ordering::Relaxed);
        });
    });
    group.bench_function("floor: swap a random packed word", |b| {
        timed(b, steps, |at, now| {
            let word = &packed[beats.order[at]];
            let old = word.load(Ordering::Relaxed);
            let new = now.tick.0;
            let swapped =
                word.compare_exchange_weak(old, new, Ordering::Relaxed, Ordering::Relaxed);
            let _ = black_box(swapped);
        });
    });
    drop(packed);

    let mut map: HashMap<&str, HashMap<&str, u64>> = HashMap::new();
    for member in &steady.members {
        let members = map.entry(member.group.as_str()).or_default();
        members.insert(member.id.as_str(), 0);
    }
    group.bench_function("floor: two look-ups in a map of maps", |b| {
        timed(b, steps, |at, now| {
            let (name, member) = beats.names(at);
            let word = map.get_mut(name).and_then(|it| it.get_mut(member));
            *word.expect("everyone is there") = now.tick.0;
        });
    });
    group.finish();
}

fn by_handle(c: &mut Criterion, label: &str, steady: &Steady, beats: &Beats) {
    let handles: Vec<(MemberHandle, _)> = beats.handles(steady);
    let mut group = group_of(c, label);
    let steps = &mut Steps::new(handles.len());
    let beat = |at: usize, now| {
        let (handle, generation) = &handles[at];
        let heard = handle.heartbeat(*generation, None, now);
        assert_eq!(black_box(heard), Some(Ok(())));
    };
    group.bench_function("by handle", |b| timed(b, steps, beat));
    group.bench_function("by handle, two threads", |b| {
        timed_by_two(b, handles.len(), beat);
    });
    group.bench_function("by handle, with a reading of the clock", |b| {
        let clock = takhin_coordinator::time::SystemClock::new();
        timed(b, steps, |at, _| {
            beat(at, takhin_coordinator::time::Clock::now(&clock));
        });
    });
    group.finish();
}

/// Requests that come together.
const BURST: usize = 16;

fn by_names(c: &mut Criterion, label: &str, steady: &Steady, beats: &Beats) {
    let mut group = group_of(c, label);
    let count = beats.order.len();
    let steps = &mut Steps::new(count);
    let beat = |at, now| {
        let answer = steady.engine.heartbeat_at(black_box(&beats.beat(at)), now);
        assert_eq!(answer.now().expect("at the side door"), Ok(()));
    };
    group.bench_function("by names", |b| timed(b, steps, beat));
    group.bench_function("by names, two threads", |b| timed_by_two(b, count, beat));
    group.bench_function("by names, 16 at a time", |b| {
        let mut burst = Vec::with_capacity(BURST);
        timed(b, steps, |at, now| {
            burst.push(beats.beat(at));
            if burst.len() == BURST {
                let tell = |_, answer: takhin_coordinator::engine::Answer<_>| {
                    assert_eq!(answer.now().expect("at the side door"), Ok(()));
                };
                steady.engine.heartbeats_at(black_box(&burst), now, tell);
                burst.clear();
            }
        });
    });
    group.finish();
}

/// A thread that reads, while another has members leave and others come.
fn during_churn(c: &mut Criterion, label: &str, steady: &Steady, beats: &Beats) {
    let mut group = group_of(c, label);
    let steps = &mut Steps::new(beats.order.len());
    let is_done = AtomicBool::new(false);
    group.bench_function("by names, while others come and go", |b| {
        is_done.store(false, Ordering::Relaxed);
        std::thread::scope(|scope| {
            let churn = scope.spawn(|| come_and_go(steady, &is_done));
            timed(b, steps, |at, now| {
                let answer = steady.engine.heartbeat_at(&beats.beat(at), now);
                assert_eq!(answer.now().expect("at the side door"), Ok(()));
            });
            is_done.store(true, Ordering::Relaxed);
            black_box(churn.join().expect("no step panics"));
        });
    });
    group.finish();
}

/// Members of other groups join and leave, as fast as one thread can have it.
fn come_and_go(steady: &Steady, is_done: &AtomicBool) -> u64 {
    let mut gone = 0;
    // Relaxed: nothing is read because of it.
    while !is_done.load(Ordering::Relaxed) {
        beats::pass_through(&steady.engine, gone);
        gone += 1;
    }
    gone
}

criterion_group! {
    name = benches;
    config = profiled::criterion();
    targets = heartbeats
}
criterion_main!(benches);
