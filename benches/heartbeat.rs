//! Heartbeats of 100k and 1M members through the engine, beside what they cannot go below.
//!
//! `cargo bench --bench heartbeat`; `-- 100k` runs the smaller half. The floors: a store to a
//! random padded word (any memory of the beat costs that), and two look-ups of two strings in the
//! standard library's map (what names cost without sharing and without a session).

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use criterion::{Criterion, criterion_group, criterion_main};
use crossbeam_utils::CachePadded;
use takhin_coordinator::engine::{Heartbeat, MemberHandle};
use takhin_coordinator::time::{Now, Tick, WallMs};

mod asking;
mod steady;

use asking::{group_of, is_trial};
use steady::Steady;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Members in the order in which they beat, and the bytes of their names as if they had just been
/// read: neither the names nor their order are those of the engine's memory.
struct Beats {
    order: Vec<usize>,
    names: String,
    /// Where each beat's group and member begin and end in `names`.
    spans: Vec<[usize; 3]>,
}

impl Beats {
    fn of(steady: &Steady) -> Self {
        let order = shuffled(steady.members.len());
        let mut names = String::new();
        let mut spans = Vec::with_capacity(order.len());
        for &n in &order {
            let member = &steady.members[n];
            let start = names.len();
            names.push_str(member.group.as_str());
            let middle = names.len();
            names.push_str(member.id.as_str());
            spans.push([start, middle, names.len()]);
        }
        Self {
            order,
            names,
            spans,
        }
    }

    fn names(&self, at: usize) -> (&str, &str) {
        let [start, middle, end] = self.spans[at];
        (&self.names[start..middle], &self.names[middle..end])
    }
}

fn shuffled(count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    let mut seed = 0x9e37_79b9_7f4a_7c15_usize;
    for n in (1..count).rev() {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        order.swap(n, seed % (n + 1));
    }
    order
}

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

fn floors(c: &mut Criterion, label: &str, steady: &Steady, beats: &Beats) {
    let mut group = group_of(c, label);
    let count = beats.order.len();
    let words: Vec<CachePadded<AtomicU64>> = (0..count).map(|_| CachePadded::default()).collect();
    let (mut at, mut tick) = (0, 0);
    group.bench_function("floor: store to a random padded word", |b| {
        b.iter(|| {
            (at, tick) = ((at + 1) % count, tick + 1);
            words[beats.order[at]].store(tick, Ordering::Relaxed);
        });
    });
    drop(words);

    let mut map: HashMap<&str, HashMap<&str, u64>> = HashMap::new();
    for member in &steady.members {
        let members = map.entry(member.group.as_str()).or_default();
        members.insert(member.id.as_str(), 0);
    }
    group.bench_function("floor: two look-ups in a map of maps", |b| {
        b.iter(|| {
            (at, tick) = ((at + 1) % count, tick + 1);
            let (name, member) = beats.names(at);
            let word = map.get_mut(name).and_then(|it| it.get_mut(member));
            *word.expect("everyone is there") = tick;
        });
    });
    group.finish();
}

fn by_handle(c: &mut Criterion, label: &str, steady: &Steady, beats: &Beats) {
    let find = |n: &usize| {
        let member = &steady.members[*n];
        let found = steady
            .engine
            .member(member.group.as_str(), member.id.as_str());
        (found.expect("everyone is there"), member.generation)
    };
    let handles: Vec<(MemberHandle, _)> = beats.order.iter().map(find).collect();
    let mut group = group_of(c, label);
    let mut step = Step::new(handles.len());
    group.bench_function("by handle", |b| {
        b.iter(|| {
            let (at, now) = step.next();
            let (handle, generation) = &handles[at];
            let heard = handle.heartbeat(*generation, None, now);
            assert_eq!(black_box(heard), Some(Ok(())));
        });
    });
    group.bench_function("by handle, with a reading of the clock", |b| {
        let clock = takhin_coordinator::time::SystemClock::new();
        b.iter(|| {
            let (at, _) = step.next();
            let (handle, generation) = &handles[at];
            let now = takhin_coordinator::time::Clock::now(&clock);
            let heard = handle.heartbeat(*generation, None, now);
            assert_eq!(black_box(heard), Some(Ok(())));
        });
    });
    group.finish();
}

fn by_names(c: &mut Criterion, label: &str, steady: &Steady, beats: &Beats) {
    let generation = steady.members[0].generation;
    let mut group = group_of(c, label);
    let mut step = Step::new(beats.order.len());
    group.bench_function("by names", |b| {
        b.iter(|| {
            let (at, now) = step.next();
            let (name, member) = beats.names(at);
            let beat = Heartbeat {
                group: name,
                member,
                instance: None,
                generation,
            };
            let answer = steady.engine.heartbeat_at(black_box(&beat), now);
            assert_eq!(answer.now().expect("at the side door"), Ok(()));
        });
    });
    group.finish();
}

/// The next beat, each a tick later than the last: none of them is spared its swap.
struct Step {
    at: usize,
    tick: u64,
    count: usize,
}

impl Step {
    fn new(count: usize) -> Self {
        Self {
            at: 0,
            tick: 1,
            count,
        }
    }

    fn next(&mut self) -> (usize, Now) {
        self.at = (self.at + 1) % self.count;
        self.tick += 1;
        let now = Now {
            tick: Tick(self.tick),
            wall: WallMs(0),
        };
        (self.at, now)
    }
}

criterion_group!(benches, heartbeats);
criterion_main!(benches);
