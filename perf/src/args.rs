//! The command line.

use std::path::PathBuf;

use clap::builder::RangedU64ValueParser;
use clap::{Args as Flags, Parser, Subcommand, ValueEnum};

use crate::compare::{Peer, load_names};
use crate::echo::EchoArgs;
use crate::fairness::{DisturbArgs, FairnessArgs};
use crate::instructions::Work;
use crate::load::LoadArgs;
use crate::profile::ProfileArgs;
use crate::ratios::Family;

/// Loads on a coordinator.
#[derive(Parser, Debug)]
#[command(name = "perf")]
pub(crate) struct Args {
    /// Which load.
    #[command(subcommand)]
    pub(crate) load: Load,
}

/// What can be run.
#[derive(Subcommand, Debug)]
pub(crate) enum Load {
    /// Heartbeats of steady groups over the wire, open loop.
    Heartbeats(WireArgs),
    /// Offset commits of steady groups over the wire, open loop.
    Commits(WireArgs),
    /// A load over the wire that is made of steps, one after the other.
    #[command(name = "load")]
    InSteps(LoadArgs),
    /// Threads that call the engine directly, closed loop.
    InProcess {
        /// Which load.
        #[command(subcommand)]
        load: InProcess,
    },
    /// The disk journal beside its floors; takes minutes, and room for the offsets several times.
    Store(StoreArgs),
    /// What groups and offsets take of the memory.
    Memory(MemoryArgs),
    /// What others feel of one who disturbs.
    Fairness(FairnessArgs),
    /// One who disturbs, for `fairness`.
    #[command(hide = true)]
    Disturb(DisturbArgs),
    /// Ours and its peers side by side, with a report and plots.
    Compare(CompareArgs),
    /// The floor of the wire, for `ratios`.
    #[command(hide = true)]
    Echo(EchoArgs),
    /// What each path costs beside what it cannot go below; takes minutes.
    Ratios(RatiosArgs),
    /// What an operation costs while members, groups and offsets become more; with plots.
    Growth(GrowthArgs),
    /// A fixed piece of work, for whoever counts its instructions or draws where they go.
    Instructions(InstructionsArgs),
}

impl Load {
    pub(crate) fn wants_json(&self) -> bool {
        match self {
            Self::Heartbeats(args) | Self::Commits(args) => args.json,
            Self::InSteps(args) => args.json,
            Self::InProcess { load } => load.args().json,
            Self::Store(args) => args.json,
            Self::Memory(args) => args.json,
            Self::Fairness(args) => args.json,
            Self::Ratios(args) => args.json,
            Self::Disturb(_)
            | Self::Echo(_)
            | Self::Compare(_)
            | Self::Growth(_)
            | Self::Instructions(_) => false,
        }
    }
}

/// A comparison.
#[derive(Flags, Debug)]
pub(crate) struct CompareArgs {
    /// A minute instead of ten: one short round, with those that are installed.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Who takes part; all of them if none is named.
    #[arg(long, value_enum, value_name = "PEER", value_delimiter = ',')]
    pub(crate) peers: Vec<Peer>,
    /// Which loads; all of them if none is named.
    #[arg(long, value_name = "LOAD", value_delimiter = ',', value_parser = load_names())]
    pub(crate) loads: Vec<String>,
    /// Rounds, of which the medians count.
    #[arg(long, value_parser = between(1, 99))]
    pub(crate) rounds: Option<u64>,
    /// Where the report goes: perf/results, or target/compare if it is a quick one.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,
}

/// A load over the wire. The server is a single node: that of the bootstrap address is asked.
#[derive(Flags, Debug)]
pub(crate) struct WireArgs {
    /// Where the server is.
    #[arg(long, value_name = "HOST:PORT", required_unless_present = "spawn")]
    pub(crate) bootstrap: Option<String>,
    /// Starts the server itself on a free port of 127.0.0.1, and ends it: the binary beside this
    /// one, or the one that `TAKHIN_BIN` names.
    #[arg(long, conflicts_with_all = ["bootstrap", "server_pid"])]
    pub(crate) spawn: bool,
    /// A property for the server that is spawned.
    #[arg(long, value_name = "PROPERTY=VALUE", requires = "spawn")]
    pub(crate) set: Vec<String>,
    /// The server's process, whose CPU time is then reported.
    #[arg(long, value_name = "PID")]
    pub(crate) server_pid: Option<u32>,
    /// How long requests are sent after the warm-up.
    #[arg(long, default_value_t = 10, value_parser = between(1, 3_600))]
    pub(crate) seconds: u64,
    /// How long requests are sent before anything counts.
    #[arg(long, default_value_t = 1, value_parser = between(0, 600))]
    pub(crate) warmup: u64,
    /// Requests a second, over all connections.
    #[arg(long, default_value_t = 10_000, value_parser = between(1, 10_000_000))]
    pub(crate) rate: u64,
    /// Connections over which the members are spread.
    #[arg(long, default_value_t = 16, value_parser = between(1, 10_000))]
    pub(crate) connections: u64,
    /// Members; rounded up so that groups are full and each member keeps its connection.
    #[arg(long, default_value_t = 80, value_parser = between(1, 1_000_000))]
    pub(crate) members: u64,
    /// Members of one group.
    #[arg(long, default_value_t = 5, value_parser = between(1, 1_000))]
    pub(crate) group_size: u64,
    /// Partitions of one commit.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(i32).range(1..=1_000))]
    pub(crate) partitions: i32,
    /// Requests of one connection that may wait for their answers; more than that stay unsent, and
    /// late.
    #[arg(long, default_value_t = 1_000, value_parser = between(1, 1_000_000))]
    pub(crate) depth: u64,
    /// Microseconds between two looks at what is due: what falls between them leaves together.
    #[arg(long, default_value_t = 200, value_parser = between(10, 100_000))]
    pub(crate) tick_us: u64,
    /// The session timeout of the members.
    #[arg(long, default_value_t = 300_000)]
    pub(crate) session_ms: i32,
    /// How long the groups may take to form.
    #[arg(long, default_value_t = 60, value_parser = between(1, 3_600))]
    pub(crate) setup_seconds: u64,
    /// The profiler.
    #[command(flatten)]
    pub(crate) profile: ProfileArgs,
    /// Prints JSON instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}

/// A load in process.
#[derive(Subcommand, Debug)]
pub(crate) enum InProcess {
    /// Heartbeats of steady groups.
    Heartbeats {
        /// How a member is found.
        #[arg(long, value_enum, default_value = "handle")]
        by: By,
        /// Heartbeats for which the clock is read once, as a server does for a burst.
        #[arg(long, default_value_t = 1, value_parser = between(1, 1_000))]
        burst: u64,
        /// The rest.
        #[command(flatten)]
        args: InProcessArgs,
    },
    /// Offset commits of steady groups.
    Commits {
        /// Partitions of one commit.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(i32).range(1..=1_000))]
        partitions: i32,
        /// The rest.
        #[command(flatten)]
        args: InProcessArgs,
    },
}

impl InProcess {
    pub(crate) fn args(&self) -> &InProcessArgs {
        match self {
            Self::Heartbeats { args, .. } | Self::Commits { args, .. } => args,
        }
    }
}

/// What the loads in process have in common.
#[derive(Flags, Debug)]
pub(crate) struct InProcessArgs {
    /// How long.
    #[arg(long, default_value_t = 10, value_parser = between(1, 3_600))]
    pub(crate) seconds: u64,
    /// Threads; 0 is one a core.
    #[arg(long, default_value_t = 0, value_parser = between(0, 256))]
    pub(crate) threads: u64,
    /// Members in groups of ten; rounded up.
    #[arg(long, default_value_t = 100_000, value_parser = between(1, 2_000_000))]
    pub(crate) members: u64,
    /// The profiler.
    #[command(flatten)]
    pub(crate) profile: ProfileArgs,
    /// Prints JSON instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}

/// The disk journal.
#[derive(Flags, Debug)]
pub(crate) struct StoreArgs {
    /// Where a directory for it is made, and removed afterwards.
    #[arg(long, value_name = "DIR", default_value = "target")]
    pub(crate) dir: PathBuf,
    /// How often floor and engine take turns.
    #[arg(long, default_value_t = 5, value_parser = between(1, 1_000))]
    pub(crate) turns: u64,
    /// How long a turn of commits lasts.
    #[arg(long, default_value_t = 1_000, value_parser = between(10, 60_000))]
    pub(crate) turn_ms: u64,
    /// Offsets of a cold start.
    #[arg(long, default_value_t = 1_000_000, value_parser = between(1, 20_000_000))]
    pub(crate) offsets: u64,
    /// Groups of one member of a cold start.
    #[arg(long, default_value_t = 100_000, value_parser = between(1, 1_000_000))]
    pub(crate) groups: u64,
    /// The profiler of the commits.
    #[command(flatten)]
    pub(crate) profile: ProfileArgs,
    /// Offsets that lie beside the commits and are carried along.
    #[arg(long, default_value_t = 100_000, value_parser = between(1, 10_000_000))]
    pub(crate) cold: u64,
    /// Prints JSON instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}

impl StoreArgs {
    pub(crate) fn turn(&self) -> std::time::Duration {
        std::time::Duration::from_millis(self.turn_ms)
    }
}

/// The memory.
#[derive(Flags, Debug)]
pub(crate) struct MemoryArgs {
    /// Idle groups of one member.
    #[arg(long, default_value_t = 1_000_000, value_parser = between(1, 10_000_000))]
    pub(crate) groups: u64,
    /// Offsets, a hundred a group.
    #[arg(long, default_value_t = 10_000_000, value_parser = between(1, 100_000_000))]
    pub(crate) offsets: u64,
    /// Prints JSON instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}

/// The ratios.
#[derive(Flags, Debug)]
pub(crate) struct RatiosArgs {
    /// Which; all of them if none is named.
    #[arg(long, value_enum, value_name = "FAMILY", value_delimiter = ',')]
    pub(crate) only: Vec<Family>,
    /// A moment each, to show that every row can be measured.
    #[arg(long)]
    pub(crate) quick: bool,
    /// A goal that is missed is an error.
    #[arg(long)]
    pub(crate) strict: bool,
    /// Prints JSON instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}

/// The growth.
#[derive(Flags, Debug)]
pub(crate) struct GrowthArgs {
    /// To a thousand instead of a million, to show that it can be measured.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Where the report goes: perf/results, or target/growth if it is a quick one.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,
}

/// A fixed piece of work.
#[derive(Flags, Debug)]
pub(crate) struct InstructionsArgs {
    /// What is done.
    #[arg(value_enum)]
    pub(crate) work: Work,
    /// How often.
    #[arg(long, default_value_t = 2_000, value_parser = between(1, 100_000_000))]
    pub(crate) count: u64,
    /// The profiler.
    #[command(flatten)]
    pub(crate) profile: ProfileArgs,
}

/// How the member of a heartbeat is found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum By {
    /// The caller holds it.
    Handle,
    /// The engine looks it up by group and member.
    Names,
}

pub(crate) fn between(min: u64, max: u64) -> RangedU64ValueParser {
    RangedU64ValueParser::new().range(min..=max)
}
