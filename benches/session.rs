//! The parts of a heartbeat, each alone: the word in the hand, the directory one by one and in
//! batches, and what opening and closing a session costs its shard.
//!
//! `cargo bench --bench session`; more floors are in `benches/heartbeat.rs`.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use crossbeam_utils::CachePadded;
use takhin_coordinator::ids::{Generation, ShardId};
use takhin_coordinator::session::{
    BeaconId, Directory, Heartbeat, Phase, Registrar, SessionHandle, SessionId, Verdict,
};
use takhin_coordinator::time::Tick;

mod profiled;

const GENERATION: Generation = Generation(7);
const MEMBERS_PER_GROUP: usize = 10;
const SHARD: ShardId = ShardId(0);

/// Bytes of a group's and of a member's name: usual ones.
const GROUP_LEN: usize = 24;
const MEMBER_LEN: usize = 54;

/// Sessions of that many members, shuffled: the next to beat lies anywhere in memory.
struct Node {
    directory: Arc<Directory>,
    registrar: Registrar,
    beacon: BeaconId,
    sessions: Vec<SessionId>,
    handles: Vec<SessionHandle>,
    /// The names of all heartbeats, one after the other, as they would come over the wire.
    requests: String,
}

impl Node {
    fn new(members: usize) -> Self {
        let members_max = u32::try_from(members).expect("few enough");
        let directory = Arc::new(Directory::new(1, members_max));
        let mut registrar = directory.registrar(SHARD).expect("nobody has it");
        let mut beacon = registrar.add_beacon().expect("the first");
        let mut sessions = Vec::new();
        for n in 0..members {
            if n % MEMBERS_PER_GROUP == 0 {
                beacon = registrar.add_beacon().expect("there is room");
                registrar.publish(beacon, GENERATION, Phase::Stable);
            }
            let names = names_of(n);
            let session = registrar.open(beacon, (&names.0, &names.1, None), Tick(0));
            sessions.push(session.expect("there is room"));
        }
        let mut requests = String::with_capacity(members * (GROUP_LEN + MEMBER_LEN));
        let mut handles = Vec::new();
        for n in shuffled(members) {
            let (group, member) = names_of(n);
            handles.extend(directory.find(SHARD, &group, &member));
            write!(requests, "{group}{member}").expect("to memory");
        }
        assert_eq!(handles.len(), members);
        assert_eq!(requests.len(), members * (GROUP_LEN + MEMBER_LEN));
        Self {
            directory,
            registrar,
            beacon,
            sessions,
            handles,
            requests,
        }
    }

    fn beat(&self, at: usize) -> Heartbeat<'_> {
        let from = at * (GROUP_LEN + MEMBER_LEN);
        let names = &self.requests[from..from + GROUP_LEN + MEMBER_LEN];
        let (group, member) = names.split_at(GROUP_LEN);
        Heartbeat::new(group, member, GENERATION)
    }
}

fn names_of(n: usize) -> (String, String) {
    let group = format!("orders-enrichment-{:06}", n / MEMBERS_PER_GROUP);
    let member = format!("consumer-app-{n:08}-0f8b7a3e-51c2-4d7e-9b60-{n:08}");
    (group, member)
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

/// What a beat cannot do without, and what a map of names that one thread has to itself costs.
fn floors(c: &mut Criterion, label: &str, members: usize) {
    let mut group = c.benchmark_group(label);
    group.throughput(Throughput::Elements(1));
    let order = shuffled(members);
    let mut at = 0;
    let words: Vec<CachePadded<AtomicU64>> = order.iter().map(|_| CachePadded::default()).collect();
    group.bench_function("floor: store to a random padded word", |b| {
        b.iter(|| {
            at = (at + 1) % members;
            words[order[at]].store(black_box(at) as u64, Ordering::Relaxed);
        });
    });
    drop(words);
    let mut map: HashMap<_, _> = order.iter().map(|n| (names_of(*n), *n)).collect();
    group.bench_function("floor: names out of a map and into it", |b| {
        b.iter(|| {
            at = (at + 1) % members;
            let names = names_of(order[at]);
            let number = map.remove(&names);
            map.insert(names, number.unwrap_or_default());
        });
    });
    group.finish();
}

fn sessions(c: &mut Criterion) {
    for (label, members) in [
        ("session of 1k", 1_000),
        ("session of 100k", 100_000),
        ("session of 1M", 1_000_000),
    ] {
        floors(c, label, members);
        let mut node = Node::new(members);
        let mut group = c.benchmark_group(label);
        group.throughput(Throughput::Elements(1));
        let (mut at, mut tick) = (0, 0);
        group.bench_function("beat by handle", |b| {
            b.iter(|| {
                // A new tick each time: none of them is spared the swap.
                (at, tick) = ((at + 1) % members, tick + 1);
                black_box(node.handles[at].heartbeat(None, GENERATION, Tick(tick)))
            });
        });
        group.bench_function("beat by names", |b| {
            b.iter(|| {
                (at, tick) = ((at + 1) % members, tick + 1);
                let verdict = node.directory.heartbeat(SHARD, &node.beat(at), Tick(tick));
                assert_eq!(verdict, Verdict::Alive);
            });
        });
        group.bench_function("find by names", |b| {
            b.iter(|| {
                at = (at + 1) % members;
                let beat = node.beat(at);
                black_box(node.directory.find(SHARD, beat.group, beat.member))
            });
        });
        group.bench_function("close one and open another", |b| {
            b.iter(|| {
                at = (at + 1) % members;
                let names = names_of(at);
                node.registrar.close(node.sessions[at]);
                let session =
                    node.registrar
                        .open(node.beacon, (&names.0, &names.1, None), Tick(tick));
                node.sessions[at] = session.expect("one has just left");
            });
        });
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = profiled::criterion();
    targets = sessions
}
criterion_main!(benches);
