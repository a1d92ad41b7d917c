//! Heartbeats by handle and by names against their floor: a store to a random padded word.
//!
//! `cargo bench --bench session`

use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use crossbeam_utils::CachePadded;
use takhin_coordinator::ids::Generation;
use takhin_coordinator::session::{Beacon, Directory, Phase, Session, Verdict};
use takhin_coordinator::time::Tick;

const GENERATION: Generation = Generation(7);
const MEMBERS_PER_GROUP: usize = 10;

/// Sessions of that many members, shuffled: the next to beat lies anywhere in memory.
struct Node {
    sessions: Vec<Arc<Session>>,
    order: Vec<usize>,
    /// The names of all heartbeats, one after the other, as they would come over the wire.
    requests: String,
    directory: Directory,
}

/// Bytes of a group's and of a member's name: usual ones.
const GROUP_LEN: usize = 24;
const MEMBER_LEN: usize = 54;

impl Node {
    fn new(members: usize) -> Self {
        let directory = Directory::new(members);
        let mut sessions = Vec::with_capacity(members);
        let mut beacon = Arc::new(Beacon::new(GENERATION, Phase::Stable));
        for n in 0..members {
            if n % MEMBERS_PER_GROUP == 0 {
                beacon = Arc::new(Beacon::new(GENERATION, Phase::Stable));
            }
            let group = format!("orders-enrichment-{:06}", n / MEMBERS_PER_GROUP);
            let member = format!("consumer-app-{n:08}-0f8b7a3e-51c2-4d7e-9b60-{n:08}");
            let session = Session::new(
                group.into(),
                member.into(),
                None,
                Arc::clone(&beacon),
                Tick(0),
            );
            let session = Arc::new(session);
            directory.insert(&session).expect("there is room");
            sessions.push(session);
        }
        let order = shuffled(members);
        let mut requests = String::with_capacity(members * (GROUP_LEN + MEMBER_LEN));
        let sessions: Vec<_> = order.iter().map(|&n| Arc::clone(&sessions[n])).collect();
        for session in &sessions {
            write!(requests, "{}{}", session.group(), session.member()).expect("to memory");
        }
        assert_eq!(requests.len(), members * (GROUP_LEN + MEMBER_LEN));
        Self {
            sessions,
            order,
            requests,
            directory,
        }
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
    for (label, members) in [
        ("heartbeat of 100k", 100_000),
        ("heartbeat of 1M", 1_000_000),
    ] {
        let node = Node::new(members);
        let mut group = c.benchmark_group(label);
        group.throughput(Throughput::Elements(1));

        let words: Vec<CachePadded<AtomicU64>> =
            (0..members).map(|_| CachePadded::default()).collect();
        let (mut at, mut tick) = (0, 0);
        group.bench_function("floor: store to a random padded word", |b| {
            b.iter(|| {
                (at, tick) = ((at + 1) % members, tick + 1);
                words[node.order[at]].store(tick, Ordering::Relaxed);
            });
        });
        drop(words);

        group.bench_function("by handle", |b| {
            b.iter(|| {
                // A new tick each time: none of them is spared the swap.
                (at, tick) = ((at + 1) % members, tick + 1);
                let session = &node.sessions[at];
                black_box(session.heartbeat(None, GENERATION, Tick(tick)))
            });
        });

        group.bench_function("by names", |b| {
            b.iter(|| {
                (at, tick) = ((at + 1) % members, tick + 1);
                let from = at * (GROUP_LEN + MEMBER_LEN);
                let names = &node.requests[from..from + GROUP_LEN + MEMBER_LEN];
                let (name, member) = names.split_at(GROUP_LEN);
                let session = node.directory.find(name, member);
                let verdict = session.map(|s| s.heartbeat(None, GENERATION, Tick(tick)));
                assert_eq!(verdict, Some(Verdict::Alive));
            });
        });
        group.finish();
    }
}

criterion_group!(benches, heartbeats);
criterion_main!(benches);
