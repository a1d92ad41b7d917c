//! Loads that are made of steps, over the wire: how long each took, and what it cost the server.

use std::time::Duration;

use clap::{Args as Flags, ValueEnum};
use tokio::task::LocalSet;
use tokio::time::timeout;

use crate::args::between;
use crate::clock;
use crate::failure::Failure;
use crate::machine::Machine;
use crate::profile::ProfileArgs;
use crate::report::{Cpu, Report, as_f64};
use crate::server::{Server, cpu_seconds, free_ports, resident_bytes};
use crate::wire::Kind;
use crate::wire::loads::{Deaf, Deploy, Flood, Idle, Kill, Load, Rebalances, Scrape, Seen, Storm};

/// Which load.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Name {
    /// Commits as fast as they are answered.
    CommitFlood,
    /// The same offsets, committed again and again.
    Recommits,
    /// Fetches of all offsets of a group, as fast as they are answered.
    FetchAll,
    /// Many groups whose members all join at once, and leave.
    JoinStorm,
    /// One big group whose members all come back with another subscription.
    Rebalances,
    /// The members of a group leave and come back one after the other.
    RollingDeploy,
    /// Static members do, without a word.
    RollingDeployStatic,
    /// Half of the members of many groups are cut off, and their sessions run out.
    MassKill,
    /// A monitor that asks for everything.
    Scrape,
    /// A client that asks and never reads the answers.
    Deaf,
    /// Connections that do nothing.
    IdleCrowd,
}

/// A load, step by step.
#[derive(Flags, Debug)]
pub(crate) struct LoadArgs {
    /// Which.
    #[arg(value_enum)]
    name: Name,
    /// Where the server is; without it one is started on a free port of 127.0.0.1, and ended: the
    /// binary beside this one, or the one that `TAKHIN_BIN` names.
    #[arg(long, value_name = "HOST:PORT")]
    bootstrap: Option<String>,
    /// That server's process, whose CPU time and memory are then reported.
    #[arg(long, value_name = "PID", requires = "bootstrap")]
    server_pid: Option<u32>,
    /// A property for the server that is started.
    #[arg(long, value_name = "PROPERTY=VALUE", conflicts_with = "bootstrap")]
    set: Vec<String>,
    /// Where the server that is started keeps groups and offsets; in memory if it is not said.
    #[arg(long, value_name = "DIR", conflicts_with = "bootstrap")]
    data_dir: Option<String>,
    /// For how long one step follows the other; there is one at least.
    #[arg(long, default_value_t = 10, value_parser = between(1, 3_600))]
    seconds: u64,
    /// Groups of a join storm, a mass kill or a scrape.
    #[arg(long, value_parser = between(1, 1_000_000))]
    groups: Option<u64>,
    /// Members of a group, or connections that do nothing.
    #[arg(long, value_parser = between(1, 19_000))]
    members: Option<u64>,
    /// Partitions of one commit or fetch.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(i32).range(1..=1_000))]
    partitions: i32,
    /// The sessions of a mass kill.
    #[arg(long, default_value_t = 6_000)]
    session_ms: i32,
    /// The profiler.
    #[command(flatten)]
    profile: ProfileArgs,
    /// Prints JSON instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}

/// How long the groups of a load may take to form.
const PREPARED_WITHIN: Duration = Duration::from_mins(2);

/// The server that is loaded.
#[derive(Debug)]
struct Target {
    address: String,
    /// Where its metrics are.
    admin: Option<String>,
    pid: Option<u32>,
    /// Ends with this value.
    _server: Option<Server>,
}

/// Runs the load, tells what it has shown.
pub(crate) fn run(args: &LoadArgs) -> Result<Report, Failure> {
    let machine = Machine::look();
    let target = Target::of(args)?;
    let address = target.address.as_str();
    let members = |usual| args.members.unwrap_or(usual);
    let groups = |usual| args.groups.unwrap_or(usual);
    let flood = |kind| Flood::prepare(address, kind, args.partitions);
    let run = Run {
        args,
        target: &target,
        machine,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, async {
        match args.name {
            Name::CommitFlood => run.of(flood(Kind::Commits)).await,
            Name::Recommits => run.of(flood(Kind::Recommits)).await,
            Name::FetchAll => run.of(flood(Kind::FetchesOfAll)).await,
            Name::JoinStorm => {
                run.of(Storm::prepare(address, groups(50), members(10)))
                    .await
            }
            Name::Rebalances => run.of(Rebalances::prepare(address, members(1_000))).await,
            Name::RollingDeploy => run.of(Deploy::prepare(address, members(20), false)).await,
            Name::RollingDeployStatic => run.of(Deploy::prepare(address, members(20), true)).await,
            Name::MassKill => {
                let session = args.session_ms;
                run.of(Kill::prepare(address, groups(50), members(10), session))
                    .await
            }
            Name::Scrape => {
                let admin = target.admin.as_deref();
                run.of(Scrape::prepare(address, admin, groups(20_000)))
                    .await
            }
            Name::Deaf => run.of(Deaf::prepare(address)).await,
            Name::IdleCrowd => {
                run.of(Idle::prepare(address, members(10_000), target.pid))
                    .await
            }
        }
    })
}

impl Target {
    fn of(args: &LoadArgs) -> Result<Self, Failure> {
        if let Some(address) = &args.bootstrap {
            return Ok(Self {
                address: address.clone(),
                admin: None,
                pid: args.server_pid,
                _server: None,
            });
        }
        let [port] = free_ports()?;
        let admin = format!("127.0.0.1:{port}");
        let mut settings = vec!["group.initial.rebalance.delay.ms=0".to_owned()];
        settings.extend_from_slice(&args.set);
        let mut flags = vec!["--admin", &admin];
        let data_dir = args.data_dir.as_ref();
        flags.extend(data_dir.into_iter().flat_map(|dir| ["--data-dir", dir]));
        let server = Server::spawn_sampled(&args.profile, &settings, &flags)?;
        Ok(Self {
            address: server.address().to_owned(),
            admin: Some(admin),
            pid: Some(server.pid()),
            _server: Some(server),
        })
    }
}

/// A load on its way to a report.
#[derive(Debug)]
struct Run<'a> {
    args: &'a LoadArgs,
    target: &'a Target,
    machine: Machine,
}

impl Run<'_> {
    /// One step after the other, until the time is over.
    async fn of<L: Load>(
        self,
        prepared: impl Future<Output = Result<L, Failure>>,
    ) -> Result<Report, Failure> {
        let late = |_| Failure::new("the load was not ready in time");
        let mut load = timeout(PREPARED_WITHIN, prepared).await.map_err(late)??;
        let cpus = || {
            let server = self.target.pid.and_then(cpu_seconds);
            [server, cpu_seconds(std::process::id())]
        };
        let mut seen = Seen::default();
        let (begun, before) = (clock::now(), cpus());
        let length = Duration::from_secs(self.args.seconds);
        let lasted = || clock::now().saturating_duration_since(begun);
        while seen.done == 0 || lasted() < length {
            load.step(&mut seen).await?;
        }
        let (time, after) = (lasted(), cpus());
        let cpu = std::array::from_fn(|n| Some(after[n]? - before[n]?));
        load.rest();
        Ok(self.report(seen, time, cpu))
    }

    fn report(self, seen: Seen, time: Duration, cpu: [Option<f64>; 2]) -> Report {
        let args = self.args;
        let name = args.name.to_possible_value();
        let name = name.map(|it| it.get_name().to_owned()).unwrap_or_default();
        let mut asked = vec![("seconds", args.seconds.to_string())];
        asked.extend(args.data_dir.iter().map(|dir| ("data-dir", dir.clone())));
        for (flag, value) in [("groups", args.groups), ("members", args.members)] {
            asked.extend(value.map(|value| (flag, value.to_string())));
        }
        let mut counts = vec![("done", seen.done)];
        counts.extend(seen.counts.iter().map(|(name, count)| (*name, *count)));
        let resident = self.target.pid.and_then(resident_bytes);
        counts.extend(resident.map(|bytes| ("resident_bytes", bytes)));
        let done = seen.done;
        let named = ["server", "generator"].into_iter().zip(cpu);
        let cpu = named.filter_map(|(name, cpu)| Some((name, Cpu::of(cpu?, done))));
        Report {
            load: format!("{name} over the wire, step by step"),
            asked,
            machine: self.machine,
            counts,
            errors: seen.errors.clone(),
            rate: as_f64(done) / time.as_secs_f64(),
            latencies: seen.into_latencies(),
            cpu: cpu.collect(),
        }
    }
}
