//! An open load over the wire.
//!
//! ```text
//!   schedule: request n is due at start + n / rate, on connection n mod C, for member n mod M
//!
//!   pacer (a thread) --- writes what is due ---> sockets ---> server
//!      |  lateness of the sending                                |
//!      v                                                         v
//!    report  <--- latency since due --- readers (one thread, a task a connection)
//! ```
//!
//! Pacer and readers share no queue: answers come in the order of the requests, so the number of
//! an answer on its connection is that of its request, and the schedule says when that was due.
//! Requests that were never answered or never sent count with the time until the run was given
//! up, so that a server cannot look better by not answering.

mod forming;
mod pacer;
mod readers;
mod requests;
mod schedule;
mod socket;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::task::LocalSet;
use tokio::time::timeout;

use crate::args::WireArgs;
use crate::clock;
use crate::failure::Failure;
use crate::machine::Machine;
use crate::report::{Cpu, Report, as_f64};
use crate::server::{Server, cpu_seconds};

use forming::{Former, Member};
use pacer::{Lane, Pacer};
use readers::{Reading, Seen};
use requests::Requests;
use schedule::Schedule;

/// What is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// `Heartbeat` 4.
    Heartbeats,
    /// `OffsetCommit` 9.
    Commits,
}

/// What both sides of a connection know of it.
#[derive(Debug, Default)]
struct Progress {
    /// Answers so far. Written by the reader, read by the pacer for the bound on depth and by the
    /// end of the run; nothing else is read because of it.
    answered: AtomicU64,
    /// The connection is of no use any more. Written by either.
    is_closed: AtomicBool,
}

/// How long the last answers are waited for.
const GRACE: Duration = Duration::from_secs(5);

/// Forms the groups, runs the load, tells what it has shown.
pub(crate) fn run(kind: Kind, args: &WireArgs) -> Result<Report, Failure> {
    let machine = Machine::look();
    let server = args.spawn.then(|| Server::spawn(&args.set)).transpose()?;
    let address = match (&server, &args.bootstrap) {
        (Some(server), _) => server.address().to_owned(),
        (None, Some(bootstrap)) => bootstrap.clone(),
        (None, None) => return Err(Failure::new("neither --bootstrap nor --spawn")),
    };
    let pid = server.as_ref().map(Server::pid).or(args.server_pid);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let tasks = LocalSet::new();
    tasks.block_on(&runtime, async {
        let former = Former::new(&address, args);
        let formed = timeout(Duration::from_secs(args.setup_seconds), former.form()).await;
        let members = formed.map_err(|_| Failure::new("the groups did not form in time"))??;
        let outcome = load(kind, args, &address, &members, pid).await?;
        former.leave(&members).await?;
        Ok(outcome.report(kind, args, members.len() as u64, machine))
    })
}

async fn load(
    kind: Kind,
    args: &WireArgs,
    address: &str,
    members: &[Member],
    pid: Option<u32>,
) -> Result<Outcome, Failure> {
    let mut lanes = Vec::new();
    let mut streams = Vec::new();
    for _ in 0..args.connections {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (read, write) = stream.into_split();
        let progress = Arc::new(Progress::default());
        lanes.push(Lane::new(write, Arc::clone(&progress)));
        streams.push((read, progress));
    }
    // A moment ahead, so that everybody is there when it begins.
    let start = clock::now() + Duration::from_millis(50);
    let schedule = Schedule {
        start,
        rate: args.rate,
        connections: args.connections,
        warmup: Duration::from_secs(args.warmup),
        length: Duration::from_secs(args.warmup + args.seconds),
    };
    let reading = Reading::start(streams, kind, schedule);
    let pacer = Pacer {
        schedule,
        lanes,
        requests: Requests::new(kind, members, args.partitions),
        depth: args.depth,
        tick: Duration::from_micros(args.tick_us),
    };
    let pacing = std::thread::spawn(move || pacer.run());
    let cpus = || [pid.and_then(cpu_seconds), cpu_seconds(std::process::id())];
    tokio::time::sleep_until((start + schedule.warmup).into()).await;
    let cpus_before = cpus();
    tokio::time::sleep_until((start + schedule.length).into()).await;
    while !pacing.is_finished() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let paced = pacing
        .join()
        .map_err(|_| Failure::new("the pacer panicked"))?;
    let given_up = clock::now() + GRACE;
    while !reading.is_done(&paced.sent) && clock::now() < given_up {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let ended = clock::now();
    let cpu = std::array::from_fn(|n| Some(cpus()[n]? - cpus_before[n]?));
    let mut seen = reading.finish();
    let missing = seen.count_missing(&schedule, ended);
    Ok(Outcome {
        schedule,
        paced,
        seen,
        missing,
        cpu,
    })
}

/// What a load has shown.
struct Outcome {
    schedule: Schedule,
    paced: pacer::Paced,
    seen: Seen,
    /// Requests without an answer, those that were never sent among them.
    missing: u64,
    /// Of the server and of this process, in seconds.
    cpu: [Option<f64>; 2],
}

impl Outcome {
    fn report(self, kind: Kind, args: &WireArgs, members: u64, machine: Machine) -> Report {
        let answered = self.seen.latency.len() - self.missing;
        let measured_from = self.schedule.start + self.schedule.warmup;
        let lasted = |until: Instant| until.saturating_duration_since(measured_from);
        // Answers that came after the end make the run longer, not the rate higher.
        let seconds = lasted(self.seen.last_answer).max(Duration::from_secs(args.seconds));
        let [server, own] = self.cpu.map(|cpu| cpu.map(|it| Cpu::of(it, answered)));
        let named = [("server", server), ("generator", own)];
        let cpu = named
            .into_iter()
            .filter_map(|(name, cpu)| Some((name, cpu?)));
        Report {
            load: match kind {
                Kind::Heartbeats => "Heartbeat 4 over the wire, open loop".into(),
                Kind::Commits => "OffsetCommit 9 over the wire, open loop".into(),
            },
            asked: vec![
                ("seconds", args.seconds.to_string()),
                ("rate", args.rate.to_string()),
                ("connections", args.connections.to_string()),
                ("members", members.to_string()),
                ("group_size", args.group_size.to_string()),
                ("partitions", args.partitions.to_string()),
                ("depth", args.depth.to_string()),
                ("tick_us", args.tick_us.to_string()),
            ],
            machine,
            counts: vec![
                ("due", self.seen.latency.len()),
                ("sent", self.paced.lateness.len()),
                ("answered", answered),
                ("unanswered", self.missing),
                ("connections_lost", self.seen.connections_lost),
            ],
            errors: self.seen.errors,
            rate: as_f64(answered) / seconds.as_secs_f64(),
            latencies: vec![
                ("latency", self.seen.latency),
                ("sent_late", self.paced.lateness),
            ],
            cpu: cpu.collect(),
        }
    }
}

impl Progress {
    fn answered(&self) -> u64 {
        // Relaxed: a count that is a little old only makes the pacer wait a tick longer.
        self.answered.load(Ordering::Relaxed)
    }

    fn is_closed(&self) -> bool {
        // Relaxed: nothing is read because of it.
        self.is_closed.load(Ordering::Relaxed)
    }

    fn close(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
    }
}
