//! Calls into the engine, and the mailbox that they go through.

use std::fs;

use takhin_coordinator::config::Config;
use takhin_coordinator::engine::{CommitRequest, Engine};
use takhin_coordinator::ids::GroupId;

use super::Size;
use super::row::{Goal, Row};
use super::turns::{by_turns, ns_a_step};
use crate::clock;
use crate::failure::Failure;
use crate::figures::median;
use crate::report::as_f64;
use crate::submitters::{contend, shard};

const CALLS: usize = 100_000;
const GROUPS: usize = 1_000;

pub(super) fn rows(size: &Size) -> Result<Vec<Row>, Failure> {
    let mut rows = idle_shard(size)?;
    rows.extend(two_submitters(size)?);
    rows.extend(two_askers(size)?);
    Ok(rows)
}

/// With its own driver threads, in memory.
fn open() -> Result<Engine, Failure> {
    let config = Config::builder().build();
    let config = config.map_err(|error| Failure::new(error.to_string()))?;
    Engine::open(config).map_err(|error| Failure::new(error.to_string()))
}

/// Commits of one offset into a shard for which nobody else has work.
fn idle_shard(size: &Size) -> Result<Vec<Row>, Failure> {
    let engine = open()?;
    let (mut us, mut switches) = (Vec::new(), Vec::new());
    for turn in 0..=size.turns {
        let mut requests = (0..)
            .take(CALLS)
            .map(|offset| CommitRequest::new("orders-enrichment").offset("orders", 0, offset))
            .collect::<Vec<_>>()
            .into_iter();
        let before = waits()?;
        let ns = ns_a_step(CALLS, |_| {
            let request = requests.next().expect("as many as calls");
            engine.commit(request).wait().expect("nobody else commits");
        });
        if turn > 0 {
            us.push(ns / 1e3);
            switches.push(as_f64(waits()? - before));
        }
    }
    Ok(vec![
        Row::alone(
            "commit through an idle shard, in memory",
            median(us),
            "us",
            Goal::AtMost(1.0),
        ),
        Row::alone(
            "commits through an idle shard: waits of the thread for 100,000",
            median(switches),
            "",
            Goal::AtMost(0.0),
        ),
    ])
}

/// How often this thread gave up the processor because it had to wait.
fn waits() -> Result<u64, Failure> {
    let status = fs::read_to_string("/proc/thread-self/status")?;
    status
        .lines()
        .find_map(|line| {
            let count = line.strip_prefix("voluntary_ctxt_switches:")?;
            count.trim().parse().ok()
        })
        .ok_or_else(|| Failure::new("/proc does not tell how often a thread waited"))
}

/// As many events by two threads as by one, into one mailbox.
fn two_submitters(size: &Size) -> Result<Vec<Row>, Failure> {
    let each = CALLS as u64;
    let of_one = shard();
    let of_two = shard();
    let rate = |shard: &_, threads: usize| {
        let start = clock::now();
        contend(shard, threads, 2 * each / threads as u64);
        as_f64(2 * each) / 1e6 / (clock::now() - start).as_secs_f64()
    };
    let rates = by_turns(
        "mailbox: events by two submitters / by one",
        (size.turns, "M/s", Goal::AtLeast(1.0)),
        || Ok(rate(&of_one, 1)),
        || Ok(rate(&of_two, 2)),
    )?;
    Ok(vec![rates])
}

/// As many commits by two threads as by one, each waiting for its answer, into the same groups.
fn two_askers(size: &Size) -> Result<Vec<Row>, Failure> {
    let engine = open()?;
    let groups: Vec<GroupId> = (0..GROUPS)
        .map(|number| format!("orders-enrichment-{number:06}").into())
        .collect();
    let ask = |calls: usize| {
        for (group, offset) in groups.iter().cycle().zip(0..).take(calls) {
            let commit = CommitRequest::new(group.clone()).offset("orders", 0, offset);
            engine.commit(commit).wait().expect("all is well");
        }
    };
    let rate = |threads: usize| {
        let start = clock::now();
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| ask(4 * CALLS / threads));
            }
        });
        as_f64(4 * CALLS as u64) / 1e6 / (clock::now() - start).as_secs_f64()
    };
    let rates = by_turns(
        "commits in memory of 1,000 groups: by two threads / by one",
        (size.turns, "M/s", Goal::AtLeast(1.0)),
        || Ok(rate(1)),
        || Ok(rate(2)),
    )?;
    Ok(vec![rates])
}
