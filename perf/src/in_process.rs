//! Threads that call the engine directly: what an embedder can get.
//!
//! The load is closed: each thread asks again as soon as it is answered. Heartbeats are timed a
//! thousand at a time, since reading the clock takes as long as a heartbeat; commits one by one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use takhin_coordinator::config::Config;
use takhin_coordinator::engine::{Answer, Engine, Heartbeat, MemberHandle};
use takhin_coordinator::group::JoinResult;
use takhin_coordinator::ids::{Generation, GroupId, MemberId};

use crate::args::{By, InProcess};
use crate::beats::shuffled;
use crate::clock;
use crate::commits::commit;
use crate::failure::Failure;
use crate::machine::Machine;
use crate::report::{Cpu, Errors, Report, as_f64, latencies, record};
use crate::requests::{join, sync};
use crate::server::cpu_seconds;
use crate::steady::Member;

const GROUP_SIZE: u64 = 10;

/// Heartbeats that are timed together.
const BATCH: u64 = 1_000;

/// What one thread has done.
#[derive(Debug)]
struct Done {
    asked: u64,
    refused: u64,
    /// Of one request each, or of the mean of a batch.
    latency: Histogram<u64>,
}

impl Done {
    fn new() -> Self {
        Self {
            asked: 0,
            refused: 0,
            latency: latencies(),
        }
    }
}

/// Forms the groups, runs the load, tells what it has shown.
pub(crate) fn run(load: &InProcess) -> Result<Report, Failure> {
    let machine = Machine::look();
    let args = load.args();
    let threads = match args.threads {
        0 => std::thread::available_parallelism().map_or(1, |it| it.get() as u64),
        threads => threads,
    };
    let engine = open()?;
    let members = form(&engine, args.members, GROUP_SIZE)?;
    let shares = shares(&members, threads);
    let cpu_before = cpu_seconds(std::process::id());
    let start = clock::now();
    let done = args.profile.during(|| {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let (engine, stop) = (&engine, &stop);
            let workers: Vec<_> = shares
                .iter()
                .map(|share| {
                    scope.spawn(move || match *load {
                        InProcess::Heartbeats { by, burst, .. } => match by {
                            By::Handle => beat_by_handle(engine, share, burst, stop),
                            By::Names => beat_by_names(engine, share, burst, stop),
                        },
                        InProcess::Commits { partitions, .. } => {
                            commit_all(engine, share, partitions, stop)
                        }
                    })
                })
                .collect();
            rest(start + Duration::from_secs(args.seconds));
            stop.store(true, Ordering::Relaxed);
            let join = |it: std::thread::ScopedJoinHandle<'_, Done>| {
                it.join().map_err(|_| Failure::new("a thread panicked"))
            };
            workers
                .into_iter()
                .map(join)
                .collect::<Result<Vec<Done>, _>>()
        })
    })??;
    let lasted = clock::now().duration_since(start);
    let cpu = cpu_before.and_then(|before| Some(cpu_seconds(std::process::id())? - before));
    Ok(report(load, threads, machine, &done, lasted, cpu))
}

pub(crate) fn rest(until: Instant) {
    loop {
        let left = until.saturating_duration_since(clock::now());
        if left.is_zero() {
            return;
        }
        std::thread::park_timeout(left);
    }
}

fn report(
    load: &InProcess,
    threads: u64,
    machine: Machine,
    done: &[Done],
    lasted: Duration,
    cpu: Option<f64>,
) -> Report {
    let args = load.args();
    let mut asked = vec![
        ("seconds", args.seconds.to_string()),
        ("threads", threads.to_string()),
        ("members", args.members.to_string()),
    ];
    let (name, unit) = match load {
        InProcess::Heartbeats { by, burst, .. } => {
            asked.push(("by", format!("{by:?}").to_lowercase()));
            asked.push(("burst", burst.to_string()));
            ("Heartbeats in process, closed loop", "mean_of_1000")
        }
        InProcess::Commits { partitions, .. } => {
            asked.push(("partitions", partitions.to_string()));
            ("Commits in process, closed loop", "latency")
        }
    };
    let mut latency = latencies();
    for one in done {
        latency.add(&one.latency).expect("the same bounds");
    }
    let total: u64 = done.iter().map(|it| it.asked).sum();
    Report {
        load: name.into(),
        asked,
        machine,
        counts: vec![
            ("answered", total),
            ("refused", done.iter().map(|it| it.refused).sum()),
        ],
        errors: Errors::new(),
        rate: as_f64(total) / lasted.as_secs_f64(),
        latencies: vec![(unit, latency)],
        cpu: cpu
            .map(|seconds| ("process", Cpu::of(seconds, total)))
            .into_iter()
            .collect(),
    }
}

fn open() -> Result<Engine, Failure> {
    let config = Config::builder()
        .group_initial_rebalance_delay_ms(100)
        .build()
        .map_err(|error| Failure::new(error.to_string()))?;
    Engine::open(config).map_err(|error| Failure::new(error.to_string()))
}

/// That many members, rounded up to full groups, all of them joined and synced.
pub(crate) fn form(engine: &Engine, members: u64, group_size: u64) -> Result<Vec<Member>, Failure> {
    let mut all = Vec::new();
    form_for(engine, members, group_size, |portion| all.extend(portion))?;
    Ok(all)
}

/// The same for whoever takes them, some thousand groups at a time.
pub(crate) fn form_for(
    engine: &Engine,
    members: u64,
    group_size: u64,
    mut take: impl FnMut(Vec<Member>),
) -> Result<(), Failure> {
    let groups = members.div_ceil(group_size);
    // In portions: each parks the joins of its groups for the initial delay.
    for first in (0..groups).step_by(5_000) {
        let portion = first..groups.min(first + 5_000);
        let parked: Vec<_> = portion
            .map(|number| {
                let group = GroupId::from(format!("orders-enrichment-{number:06}"));
                let joins: Vec<_> = (0..group_size)
                    .map(|_| {
                        let first = engine.join(join(&group, MemberId::default())).wait();
                        let id =
                            first.map_or_else(|refused| refused.member, |joined| joined.member);
                        engine.join(join(&group, id))
                    })
                    .collect();
                (group, joins)
            })
            .collect();
        let mut formed = Vec::new();
        for (group, joins) in parked {
            settle(engine, &group, joins, &mut formed)?;
        }
        take(formed);
    }
    Ok(())
}

/// Takes the answers to the joins of a group, and syncs its members. Group by group: answers that
/// nobody takes would hold up those behind them.
fn settle(
    engine: &Engine,
    group: &GroupId,
    joins: Vec<Answer<JoinResult>>,
    all: &mut Vec<Member>,
) -> Result<(), Failure> {
    let mut syncs = Vec::new();
    for join in joins {
        let joined = join.wait().map_err(|refused| {
            Failure::new(format!("a join was refused: {:?}", refused.refusal))
        })?;
        syncs.push(engine.sync(sync(group, &joined)));
        all.push(Member {
            group: group.clone(),
            id: joined.member,
            generation: joined.generation,
        });
    }
    for sync in syncs {
        let synced = sync.wait();
        synced.map_err(|refusal| Failure::new(format!("a sync was refused: {refusal:?}")))?;
    }
    Ok(())
}

/// A share of the members for each thread, in an order that no cache foresees.
fn shares(members: &[Member], threads: u64) -> Vec<Vec<Member>> {
    let threads = usize::try_from(threads).unwrap_or(1);
    let order = shuffled(members.len());
    let of_thread = |thread| {
        let its = order.iter().skip(thread).step_by(threads);
        its.map(|n| members[*n].clone()).collect()
    };
    (0..threads).map(of_thread).collect()
}

/// Calls `beat` in batches until it is told to stop.
fn in_batches(stop: &AtomicBool, mut beat: impl FnMut() -> bool) -> Done {
    let mut done = Done::new();
    // Relaxed: nothing is read because of it.
    while !stop.load(Ordering::Relaxed) {
        let before = clock::now();
        for _ in 0..BATCH {
            done.refused += u64::from(!beat());
        }
        let batch = clock::now().duration_since(before);
        done.asked += BATCH;
        record(&mut done.latency, batch / 1_000);
    }
    done
}

fn beat_by_handle(engine: &Engine, share: &[Member], burst: u64, stop: &AtomicBool) -> Done {
    let find = |member: &Member| {
        let handle = engine.member(member.group.as_str(), member.id.as_str())?;
        Some((handle, member.generation))
    };
    let handles: Vec<(MemberHandle, Generation)> = share.iter().filter_map(find).collect();
    let mut beats = handles.iter().cycle();
    let (mut left, mut now) = (0, engine.now());
    in_batches(stop, || {
        if left == 0 {
            (left, now) = (burst, engine.now());
        }
        left -= 1;
        let beat = beats.next();
        beat.and_then(|(handle, generation)| handle.heartbeat(*generation, None, now))
            == Some(Ok(()))
    })
}

fn beat_by_names(engine: &Engine, share: &[Member], burst: u64, stop: &AtomicBool) -> Done {
    // Copies, one after the other, as they would come from a socket: not the engine's own.
    let names: Vec<(String, Generation, usize)> = share
        .iter()
        .map(|it| {
            let both = format!("{}{}", it.group, it.id);
            (both, it.generation, it.group.as_str().len())
        })
        .collect();
    let mut beats = names.iter().cycle();
    let (mut left, mut now) = (0, engine.now());
    in_batches(stop, || {
        if left == 0 {
            (left, now) = (burst, engine.now());
        }
        left -= 1;
        beats.next().is_some_and(|(both, generation, middle)| {
            let (group, member) = both.split_at(*middle);
            let beat = Heartbeat {
                group,
                member,
                instance: None,
                generation: *generation,
            };
            engine.heartbeat_at(&beat, now).wait().is_ok()
        })
    })
}

fn commit_all(engine: &Engine, share: &[Member], partitions: i32, stop: &AtomicBool) -> Done {
    let mut done = Done::new();
    let mut members = share.iter().cycle();
    let mut offset = 0;
    // Relaxed: nothing is read because of it.
    while !stop.load(Ordering::Relaxed) {
        let Some(member) = members.next() else { break };
        offset += 1;
        let request = commit(member, partitions, offset);
        let before = clock::now();
        let outcome = engine.commit(request).wait();
        record(&mut done.latency, clock::now().duration_since(before));
        done.asked += 1;
        done.refused += u64::from(outcome.is_err());
    }
    done
}
