//! Commits through the engine with no contention: front door, mailbox, step, journal, answer.
//!
//! `cargo bench --bench engine_commit`. The floor is what the plainest store does with the same
//! request: a lock that nobody else wants, a map of groups, an entry a partition.

use std::collections::HashMap;
use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use takhin_coordinator::group::{CommitRequest, FetchRequest};
use takhin_coordinator::ids::{GroupId, PartitionIndex, TopicName};

mod asking;
mod commits;
mod profiled;
mod requests;
mod steady;

use asking::{group_of, is_trial};
use commits::commit;
use steady::Steady;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Kept = HashMap<(TopicName, PartitionIndex), i64>;

#[expect(
    clippy::disallowed_types,
    reason = "the floor is a lock and a map, on purpose"
)]
type Plain = std::sync::Mutex<HashMap<GroupId, Kept>>;

fn keep(plain: &Plain, request: &CommitRequest) {
    let mut groups = plain.lock().expect("no holder panics");
    let kept = groups.entry(request.group.clone()).or_default();
    for topic in &request.topics {
        for row in &topic.partitions {
            kept.insert((topic.topic.clone(), row.partition), row.offset);
        }
    }
}

fn commits(c: &mut Criterion) {
    let steady = Steady::new(if is_trial() { 100 } else { 10_000 });
    for partitions in [1_i32, 10, 100] {
        let mut group = group_of(c, &format!("engine commit of {partitions} partitions"));
        group.throughput(Throughput::Elements(partitions.unsigned_abs().into()));
        let mut offset = 0;
        let mut next = || {
            offset += 1;
            let at = usize::try_from(offset).expect("positive") % steady.members.len();
            commit(&steady.members[at], partitions, offset)
        };
        let plain = Plain::default();
        group.bench_function("floor: a lock and a map", |b| {
            b.iter_batched(
                &mut next,
                |request| keep(&plain, black_box(&request)),
                BatchSize::SmallInput,
            );
        });
        group.bench_function("commit", |b| {
            b.iter_batched(
                &mut next,
                |request| {
                    let outcome = steady.engine.commit(black_box(request)).wait();
                    assert!(outcome.is_ok());
                    outcome
                },
                BatchSize::SmallInput,
            );
        });
        group.bench_function("fetch of all", |b| {
            let mut at = 0;
            b.iter_batched(
                || {
                    at = (at + 1) % steady.members.len();
                    FetchRequest {
                        group: steady.members[at].group.clone(),
                        topics: None,
                        require_stable: false,
                    }
                },
                |request| {
                    let outcome = steady.engine.fetch(black_box(request)).wait();
                    assert!(outcome.is_ok());
                    outcome
                },
                BatchSize::SmallInput,
            );
        });
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = profiled::criterion();
    targets = commits
}
criterion_main!(benches);
