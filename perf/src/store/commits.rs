//! Commits in flight: how fast, how many bytes, and what carrying adds.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, iter};

use hdrhistogram::Histogram;
use takhin_coordinator::config::Config;
use takhin_coordinator::engine::{Answer, CommitRequest, CommitResult, Engine};
use takhin_coordinator::store::{DiskJournal, OpenError, Repair, StoreConfig};

use super::{cold, floor};
use crate::args::StoreArgs;
use crate::clock;
use crate::failure::Failure;
use crate::figures::{Figures, median};
use crate::report::{as_f64, latencies, record};
use crate::server::cpu_seconds;

const SHARDS: u32 = 2;
const TOPIC: &str = "orders.created.v1";

/// A log that is soon as large as it may be, and uses its segments again from then on.
const TIGHT: StoreConfig = StoreConfig {
    segment_bytes: 1 << 20,
    log_bytes_min: 16 << 20,
    repair: Repair::Refuse,
};

/// What a turn of a load has shown.
pub(crate) struct Turn {
    /// Commits a second.
    pub(crate) rate: f64,
    latency: Histogram<u64>,
    /// Bytes that were handed to the system to be written, for each commit.
    written: f64,
    /// CPU time of the whole process for each commit, in nanoseconds; its clock ticks are long.
    cpu_ns: f64,
}

/// Runs all of it in a directory of its own, which is removed afterwards.
pub(crate) fn run(args: &StoreArgs) -> Result<Figures, Failure> {
    let dir = args.dir.join(format!("takhin-perf-{}", std::process::id()));
    fs::create_dir_all(&dir)?;
    let mut figures = Figures::new("the disk journal beside its floors");
    let ran = args
        .profile
        .during(|| commits(args, &dir, &mut figures))
        .flatten()
        .and_then(|()| carrying(args, &dir, &mut figures))
        .and_then(|()| cold::start(args, &dir, &mut figures));
    fs::remove_dir_all(&dir)?;
    ran.map(|()| figures)
}

fn commits(args: &StoreArgs, dir: &Path, figures: &mut Figures) -> Result<(), Failure> {
    for in_flight in [1, 64, 1_024] {
        let payload = floor::payload_of_a_commit(&names(1)[0], TOPIC)?;
        let turns = beside_a_bare_log(dir, in_flight, args.turns, args.turn())?;
        let of = |figure: fn(&Beside) -> f64| median(turns.iter().map(figure).collect());
        let name = |what: &str| format!("{in_flight} in flight: {what}");
        figures.row(name("a bare log"), of(|it| it.floor), "commits/s");
        figures.row(name("the engine"), of(|it| it.ours.rate), "commits/s");
        figures.row(name("of the floor"), of(|it| it.ours.rate / it.floor), "x");
        figures.row(name("CPU a commit"), of(|it| it.ours.cpu_ns), "ns");
        let written = of(|it| it.ours.written) / as_f64(payload);
        figures.row(name("written for the payload"), written, "x");
    }
    Ok(())
}

/// A turn of commits and one of the floor, in commits a second.
pub(crate) struct Beside {
    pub(crate) floor: f64,
    pub(crate) ours: Turn,
}

/// Commits in flight and a bare log by turns, in a directory that is removed afterwards.
pub(crate) fn commits_beside_a_bare_log(
    in_flight: usize,
    turns: u64,
    lasting: Duration,
) -> Result<Vec<Beside>, Failure> {
    let dir = Path::new("target").join(format!("takhin-perf-{}", std::process::id()));
    fs::create_dir_all(&dir)?;
    let turns = beside_a_bare_log(&dir, in_flight, turns, lasting);
    fs::remove_dir_all(&dir)?;
    turns
}

fn beside_a_bare_log(
    dir: &Path,
    in_flight: usize,
    turns: u64,
    lasting: Duration,
) -> Result<Vec<Beside>, Failure> {
    let groups = names(in_flight);
    let payload = floor::payload_of_a_commit(&groups[0], TOPIC)?;
    let mut bare = floor::Bare::new(&dir.join("bare"), payload)?;
    let engine = open(&dir.join(format!("commits-{in_flight}")), TIGHT)?;
    go_round(&engine)?;
    let mut all = Vec::new();
    for _ in 0..=turns {
        let floor = bare.turn(in_flight, lasting)?;
        let ours = turn_of_commits(&engine, &groups, lasting)?;
        all.push(Beside { floor, ours });
    }
    // The first turn warms up.
    all.remove(0);
    Ok(all)
}

/// The same load with cold offsets beside it, in a log with all the room that it wants and in one
/// that must carry them along all the time.
fn carrying(args: &StoreArgs, dir: &Path, figures: &mut Figures) -> Result<(), Failure> {
    let ample = StoreConfig {
        log_bytes_min: 1 << 40,
        ..TIGHT
    };
    for in_flight in [1, 64, 1_024] {
        let groups = names(in_flight);
        let without = open(&dir.join(format!("ample-{in_flight}")), ample)?;
        let with = open(&dir.join(format!("tight-{in_flight}")), TIGHT)?;
        for engine in [&without, &with] {
            fill(engine, args.cold)?;
        }
        let (mut all_without, mut all_with) = (latencies(), latencies());
        let mut ratios = Vec::new();
        for turn in 0..=args.turns {
            let one = turn_of_commits(&without, &groups, args.turn())?;
            let other = turn_of_commits(&with, &groups, args.turn())?;
            if turn > 0 {
                ratios.push(p99(&other.latency) / p99(&one.latency));
                all_without.add(&one.latency).expect("the same bounds");
                all_with.add(&other.latency).expect("the same bounds");
            }
        }
        let name = |what: &str| format!("{in_flight} in flight: {what}");
        figures.row(name("p99 with nothing carried"), p99(&all_without), "us");
        figures.row(name("p99 while carrying"), p99(&all_with), "us");
        figures.row(name("p99 of that without"), median(ratios), "x");
    }
    Ok(())
}

/// The 99th percentile in microseconds.
fn p99(latency: &Histogram<u64>) -> f64 {
    as_f64(latency.value_at_percentile(99.0)) / 1e3
}

fn names(count: usize) -> Vec<String> {
    (0..count)
        .map(|at| format!("orders-enrichment-{at:06}"))
        .collect()
}

/// Keeps one commit to each of these groups in flight for that long.
fn turn_of_commits(engine: &Engine, groups: &[String], lasting: Duration) -> Result<Turn, Failure> {
    let mut latency = latencies();
    let mut flying: VecDeque<(_, Answer<CommitResult>)> = VecDeque::new();
    let mut offset = 0;
    let mut ask = |group: &String| {
        offset += 1;
        let request = CommitRequest::new(group.as_str()).offset(TOPIC, 0, offset);
        (clock::now(), engine.commit(request))
    };
    let (before, cpu_before) = (written()?, cpu()?);
    let start = clock::now();
    let mut answered = 0;
    for group in groups {
        flying.push_back(ask(group));
    }
    let mut next = groups.iter().cycle();
    while let Some((asked, answer)) = flying.pop_front() {
        let committed = answer.wait();
        committed.map_err(|refusal| Failure::new(format!("a commit was refused: {refusal:?}")))?;
        let now = clock::now();
        record(&mut latency, now - asked);
        answered += 1;
        if now - start < lasting
            && let Some(group) = next.next()
        {
            flying.push_back(ask(group));
        }
    }
    let lasted = clock::now() - start;
    Ok(Turn {
        rate: as_f64(answered) / lasted.as_secs_f64(),
        latency,
        written: as_f64(written()? - before) / as_f64(answered),
        cpu_ns: (cpu()? - cpu_before) * 1e9 / as_f64(answered),
    })
}

fn cpu() -> Result<f64, Failure> {
    cpu_seconds(std::process::id()).ok_or_else(|| Failure::new("/proc does not tell CPU times"))
}

/// Commits a thousand offsets that stay as they are, and others over and over until the first ones
/// were carried round: every segment that is needed was made by then.
fn go_round(engine: &Engine) -> Result<(), Failure> {
    let archive = (0, "orders-archive", 1_000);
    let current = (0..2_500).map(|offset| (offset, "orders-current", 100));
    for (offset, group, partitions) in iter::once(archive).chain(current) {
        let mut request = CommitRequest::new(group);
        for partition in 0..partitions {
            request = request.offset(TOPIC, partition, offset);
        }
        let committed = engine.commit(request).wait();
        committed.map_err(|refusal| Failure::new(format!("a commit was refused: {refusal:?}")))?;
    }
    Ok(())
}

/// Bytes that this process has handed to the system to be written.
fn written() -> Result<u64, Failure> {
    let io = fs::read_to_string("/proc/self/io")?;
    io.lines()
        .find_map(|line| line.strip_prefix("wchar: ")?.parse().ok())
        .ok_or_else(|| Failure::new("/proc/self/io does not tell what was written"))
}

pub(super) fn open(dir: &Path, sizes: StoreConfig) -> Result<Engine, Failure> {
    let config = Config::builder()
        .group_initial_rebalance_delay_ms(0)
        .takhin_shards(SHARDS)
        .build();
    let config = config.map_err(|error| Failure::new(error.to_string()))?;
    let journal = loop {
        match DiskJournal::open(dir, sizes, SHARDS) {
            // An engine that was dropped still has its threads for a moment.
            Err(OpenError::Locked) => std::thread::yield_now(),
            opened => break opened.map_err(|error| Failure::new(error.to_string()))?,
        }
    };
    let engine = Engine::builder(config).journal(journal).open();
    let engine = engine.map_err(|error| Failure::new(error.to_string()))?;
    let loaded = engine.wait_until_loaded().wait();
    loaded.map_err(|error| Failure::new(error.to_string()))?;
    Ok(engine)
}

/// Commits that many offsets, ten a group, a thousand at a time.
pub(super) fn fill(engine: &Engine, count: u64) -> Result<(), Failure> {
    for from in (0..count.div_ceil(10)).step_by(100) {
        let groups = from..count.div_ceil(10).min(from + 100);
        let answers = groups.map(|group| {
            let mut request = CommitRequest::new(format!("orders-history-{group:07}"));
            for partition in 0..10 {
                request = request.offset(TOPIC, partition, 1);
            }
            engine.commit(request)
        });
        for answer in answers.collect::<Vec<_>>() {
            let committed = answer.wait();
            committed
                .map_err(|refusal| Failure::new(format!("a commit was refused: {refusal:?}")))?;
        }
    }
    Ok(())
}

/// The files of the log in a journal's directory.
pub(super) fn log_files(dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("log-") {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}
