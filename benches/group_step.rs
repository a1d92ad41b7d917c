//! The pure state machine alone: a join storm, the syncs after it, commits, a fetch of everything.
//!
//! `cargo bench --bench group_step`. No engine, no mailbox, no clock: requests go in, effects are
//! carried out as a shard with a memory journal would. The floors hash and store the same names.

use std::collections::HashMap;
use std::hint::black_box;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use takhin_coordinator::group::{
    CommitPartition, CommitRequest, CommitTopic, Effect, FetchRequest, Groups, HeartbeatRequest,
    JoinRequest, Joined, Reply, ReplyTo, Request, Room, Rules, SyncRequest, Timer,
};
use takhin_coordinator::ids::{Generation, GroupId, MemberId, TopicId};
use takhin_coordinator::time::{Now, Tick, WallMs};

mod asking;
mod profiled;
mod requests;

use asking::{group_of, is_trial};
use requests::{join, sync};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// One shard's groups, and the least that stands around them.
struct World {
    groups: Groups,
    fx: Vec<Effect>,
    now: Now,
    /// The join timer that was armed last, and when it is due.
    join_timer: Option<(Tick, Timer)>,
    replies: Vec<Reply>,
}

impl World {
    fn new() -> Self {
        Self {
            groups: Groups::new(Rules::default()),
            fx: Vec::new(),
            now: Now {
                tick: Tick(1),
                wall: WallMs(1),
            },
            join_timer: None,
            replies: Vec::new(),
        }
    }

    fn ask(&mut self, request: Request) {
        let (to, now) = (ReplyTo(0), self.now);
        self.groups
            .handle(request, to, Room::PLENTY, now, &mut self.fx);
        self.carry_out();
    }

    /// Settles what is appended at once, as the memory journal does, and keeps the replies.
    fn carry_out(&mut self) {
        while !self.fx.is_empty() {
            for effect in std::mem::take(&mut self.fx) {
                match effect {
                    Effect::Append(entry) => {
                        self.groups.settle(entry, Ok(()), self.now, &mut self.fx);
                    }
                    Effect::Reply { reply, .. } => self.replies.push(reply),
                    Effect::Arm {
                        at,
                        timer: timer @ Timer::Join { .. },
                    } => self.join_timer = Some((at, timer)),
                    Effect::Arm { .. }
                    | Effect::Seat { .. }
                    | Effect::Unseat { .. }
                    | Effect::Publish { .. }
                    | Effect::Vacate { .. }
                    | Effect::Again { .. }
                    | Effect::Note(_) => {}
                }
            }
        }
    }

    /// Ends the join phase: the timer fires until nobody waits for it any more.
    fn fire_join_timer(&mut self) {
        while let Some((at, timer)) = self.join_timer.take() {
            self.now.tick = self.now.tick.max(at);
            self.groups.fire(timer, self.now, &mut self.fx);
            self.carry_out();
        }
    }

    /// All join twice, as KIP-394 has it; the replies are then those of the completed join.
    fn storm(&mut self, firsts: Vec<JoinRequest>) {
        let count = firsts.len();
        let mut seconds = firsts.clone();
        for first in firsts {
            self.ask(Request::Join(first));
        }
        for (second, reply) in seconds.iter_mut().zip(self.replies.drain(..)) {
            let Reply::Join(Err(refused)) = reply else {
                panic!("an id comes first");
            };
            second.member = refused.member;
        }
        for second in seconds {
            self.ask(Request::Join(second));
        }
        self.fire_join_timer();
        assert_eq!(self.replies.len(), count);
    }

    fn take_joined(&mut self) -> Vec<Joined> {
        let joined = |reply| {
            let Reply::Join(Ok(joined)) = reply else {
                panic!("joined, not {reply:?}");
            };
            joined
        };
        self.replies.drain(..).map(joined).collect()
    }
}

fn firsts(members: usize) -> Vec<JoinRequest> {
    let group = GroupId::from("orders-enrichment");
    (0..members)
        .map(|n| JoinRequest {
            fresh: uuid::Uuid::from_u128(n as u128 + 1),
            ..join(&group, MemberId::default())
        })
        .collect()
}

/// A group that has joined, and the syncs that its members are about to send.
fn joined(members: usize) -> (World, Vec<SyncRequest>) {
    let group = GroupId::from("orders-enrichment");
    let mut world = World::new();
    world.storm(firsts(members));
    let joined = world.take_joined();
    let syncs = joined.iter().map(|it| sync(&group, it)).collect();
    (world, syncs)
}

fn rebalance(c: &mut Criterion) {
    let sizes: &[usize] = if is_trial() {
        &[10]
    } else {
        &[10, 100, 1_000, 10_000]
    };
    for &members in sizes {
        let mut group = group_of(c, &format!("group of {members} members"));
        group.throughput(Throughput::Elements(members as u64));
        group.bench_function("floor: the names into a map", |b| {
            b.iter(|| {
                let mut map: HashMap<MemberId, Bytes> = HashMap::new();
                for n in 0..members {
                    let id = uuid::Uuid::from_u128(n as u128);
                    map.insert(format!("orders-{id}").into(), Bytes::from_static(&[0; 24]));
                }
                map
            });
        });
        group.bench_function("join storm", |b| {
            b.iter_batched(
                || (World::new(), firsts(members)),
                |(mut world, firsts)| {
                    world.storm(black_box(firsts));
                    world
                },
                BatchSize::LargeInput,
            );
        });
        group.bench_function("sync of all", |b| {
            b.iter_batched(
                || joined(members),
                |(mut world, syncs)| {
                    for sync in black_box(syncs) {
                        world.ask(Request::Sync(sync));
                    }
                    assert_eq!(world.replies.len(), members);
                    world
                },
                BatchSize::LargeInput,
            );
        });
        group.finish();
    }
}

fn commit(partitions: i32, offset: i64) -> CommitRequest {
    let partition = |partition| CommitPartition {
        partition,
        offset,
        leader_epoch: 0,
        metadata: "".into(),
        committed_at: None,
    };
    CommitRequest {
        group: "offsets-only".into(),
        member: MemberId::default(),
        instance: None,
        generation: Generation::NONE,
        retention_ms: None,
        topics: vec![CommitTopic {
            topic: "orders".into(),
            id: TopicId::ZERO,
            partitions: (0..partitions).map(partition).collect(),
        }],
    }
}

fn offsets(c: &mut Criterion) {
    for partitions in [1_i32, 10, 100] {
        let mut group = group_of(c, &format!("offsets of {partitions} partitions"));
        group.throughput(Throughput::Elements(partitions.unsigned_abs().into()));
        group.bench_function("floor: the offsets into a map", |b| {
            let mut map: HashMap<i32, i64> = HashMap::new();
            b.iter_batched(
                || commit(partitions, 1),
                |request| {
                    for row in &black_box(&request).topics[0].partitions {
                        map.insert(row.partition, row.offset);
                    }
                    request
                },
                BatchSize::SmallInput,
            );
        });
        let mut world = World::new();
        let mut offset = 0;
        group.bench_function("commit", |b| {
            b.iter_batched(
                || {
                    offset += 1;
                    Request::Commit(commit(partitions, offset))
                },
                |request| {
                    world.ask(black_box(request));
                    let reply = world.replies.pop().expect("settled at once");
                    assert!(matches!(reply, Reply::Commit(Ok(_))));
                    reply
                },
                BatchSize::SmallInput,
            );
        });
        group.bench_function("fetch of all", |b| {
            b.iter_batched(
                || FetchRequest {
                    group: "offsets-only".into(),
                    topics: None,
                    require_stable: false,
                },
                |request| {
                    world.ask(Request::Fetch(black_box(request)));
                    world.replies.pop().expect("answered at once")
                },
                BatchSize::SmallInput,
            );
        });
        group.finish();
    }
}

/// What it costs that a group of one member comes to rest and wakes again: the difference.
fn rests(c: &mut Criterion) {
    for partitions in [0_i32, 100] {
        let mut group = group_of(c, &format!("group of one member and {partitions} offsets"));
        let (mut world, syncs) = joined(1);
        for sync in syncs {
            world.ask(Request::Sync(sync.clone()));
            let beat = HeartbeatRequest {
                group: sync.group.clone(),
                member: sync.member.clone(),
                instance: None,
                generation: sync.generation,
            };
            world.ask(Request::Commit(CommitRequest {
                group: sync.group,
                member: sync.member,
                generation: sync.generation,
                ..commit(partitions, 1_000_000_000)
            }));
            group.bench_function("floor: a copy of 256 bytes", |b| {
                b.iter(|| Box::new(black_box([0_u8; 256])));
            });
            group.bench_function("heartbeat through the mailbox, awake", |b| {
                b.iter(|| {
                    world.replies.clear();
                    world.ask(Request::Heartbeat(beat.clone()));
                });
            });
            group.bench_function("the same, at rest", |b| {
                b.iter(|| {
                    // Looked at, and not touched when it is looked at again.
                    while !world.groups.rest() || world.groups.at_rest() == 0 {}
                    world.replies.clear();
                    world.ask(Request::Heartbeat(beat.clone()));
                });
            });
        }
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = profiled::criterion();
    targets = rebalance, offsets, rests
}
criterion_main!(benches);
