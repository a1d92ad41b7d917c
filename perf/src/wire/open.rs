//! An open load: when each request is sent is fixed before the run.
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

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::net::TcpStream;
use tokio::task::LocalSet;
use tokio::time::timeout;

use super::Kind;
use super::forming::{AT_ONCE, Former, Member, Shape};
use super::pacer::{Lane, Paced, Pacer};
use super::readers::{Reading, Seen};
use super::requests::Requests;
use super::schedule::Schedule;
use crate::args::WireArgs;
use crate::clock;
use crate::failure::Failure;
use crate::machine::Machine;
use crate::report::{Cpu, Errors, Report, as_f64};
use crate::server::{Server, cpu_seconds};

/// What both sides of a connection know of it.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Answers so far. Written by the reader, read by the pacer for the bound on depth and by the
    /// end of the run; nothing else is read because of it.
    pub(super) answered: AtomicU64,
    /// The connection is of no use any more. Written by either.
    is_closed: AtomicBool,
}

/// How long the last answers are waited for.
const GRACE: Duration = Duration::from_secs(5);

/// What is sent, and how fast.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Open {
    pub(crate) kind: Kind,
    /// Requests a second, over all connections.
    pub(crate) rate: u64,
    pub(crate) connections: u64,
    /// Partitions of one commit or fetch.
    pub(crate) partitions: i32,
    /// Requests of one connection that may wait for their answers.
    pub(crate) depth: u64,
    /// Between two looks at what is due.
    pub(crate) tick: Duration,
    /// How long requests are sent before anything counts.
    pub(crate) warmup: Duration,
    /// How long they are sent after that.
    pub(crate) length: Duration,
}

impl Open {
    fn asked_for(kind: Kind, args: &WireArgs) -> Self {
        Self {
            kind,
            rate: args.rate,
            connections: args.connections,
            partitions: args.partitions,
            depth: args.depth,
            tick: Duration::from_micros(args.tick_us),
            warmup: Duration::from_secs(args.warmup),
            length: Duration::from_secs(args.seconds),
        }
    }
}

/// Forms the groups, runs the load, tells what it has shown.
pub(crate) fn run(kind: Kind, args: &WireArgs) -> Result<Report, Failure> {
    let machine = Machine::look();
    let spawn = || Server::spawn_sampled(&args.profile, &args.set, &[]);
    let server = args.spawn.then(spawn).transpose()?;
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
    let open = Open::asked_for(kind, args);
    tasks.block_on(&runtime, async {
        let former = Former::new(&address, shape(args));
        let formed = timeout(Duration::from_secs(args.setup_seconds), former.form()).await;
        let members = formed.map_err(|_| Failure::new("the groups did not form in time"))??;
        let outcome = load(&open, &address, &members, pid).await?;
        former.leave(&members).await?;
        Ok(outcome.report(args, members.len() as u64, machine))
    })
}

/// Groups that are full, and as many members that request n is always on the connection of its
/// member.
fn shape(args: &WireArgs) -> Shape {
    let step = least_common_multiple(args.group_size, args.connections);
    let members = args.members.div_ceil(step) * step;
    Shape {
        groups: members / args.group_size,
        group_size: args.group_size,
        partitions: args.partitions,
        session_ms: args.session_ms,
        at_once: AT_ONCE,
    }
}

fn least_common_multiple(one: u64, other: u64) -> u64 {
    let (mut a, mut b) = (one, other);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    one / a * other
}

/// Runs the load on groups at rest, from within a [`LocalSet`].
pub(crate) async fn load(
    open: &Open,
    address: &str,
    members: &[Member],
    pid: Option<u32>,
) -> Result<Outcome, Failure> {
    let mut lanes = Vec::new();
    let mut streams = Vec::new();
    for _ in 0..open.connections {
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
        rate: open.rate,
        connections: open.connections,
        warmup: open.warmup,
        length: open.warmup + open.length,
    };
    let reading = Reading::start(streams, open.kind, schedule);
    let pacer = Pacer {
        schedule,
        lanes,
        requests: Requests::new(open.kind, members, open.partitions),
        depth: open.depth,
        tick: open.tick,
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
        kind: open.kind,
        schedule,
        paced,
        seen,
        missing,
        cpu,
    })
}

/// What a load has shown.
#[derive(Debug)]
pub(crate) struct Outcome {
    kind: Kind,
    schedule: Schedule,
    paced: Paced,
    seen: Seen,
    /// Requests without an answer, those that were never sent among them.
    missing: u64,
    /// Of the server and of this process, in seconds.
    cpu: [Option<f64>; 2],
}

impl Outcome {
    /// Since each request was due, those without an answer included; and how many those are.
    pub(crate) fn latency(&self) -> (&Histogram<u64>, u64) {
        (&self.seen.latency, self.missing)
    }

    /// How long after its moment each request was made ready for its socket: the generator's own
    /// part of the latency.
    pub(crate) fn lateness(&self) -> &Histogram<u64> {
        &self.paced.lateness
    }

    pub(crate) fn errors(&self) -> &Errors {
        &self.seen.errors
    }

    fn report(self, args: &WireArgs, members: u64, machine: Machine) -> Report {
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
            load: format!("{} over the wire, open loop", self.kind.words()),
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
    pub(super) fn answered(&self) -> u64 {
        // Relaxed: a count that is a little old only makes the pacer wait a tick longer.
        self.answered.load(Ordering::Relaxed)
    }

    pub(super) fn is_closed(&self) -> bool {
        // Relaxed: nothing is read because of it.
        self.is_closed.load(Ordering::Relaxed)
    }

    pub(super) fn close(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
    }
}
