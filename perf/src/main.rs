//! Loads on a coordinator: over the wire, against any server that speaks Kafka, and in process.
//!
//! ```text
//! cargo run --release -p perf -- heartbeats --spawn --seconds 10 --rate 20000
//! cargo run --release -p perf -- commits --bootstrap 127.0.0.1:9092 --server-pid 4711 --json
//! cargo run --release -p perf -- load rolling-deploy
//! cargo run --release -p perf -- compare --quick
//! cargo run --release -p perf -- fairness
//! cargo run --release -p perf -- in-process heartbeats --by names --members 1000000
//! cargo run --release -p perf -- ratios
//! cargo run --release -p perf -- growth
//! cargo run --release -p perf -- store
//! cargo run --release -p perf -- memory
//! cargo run --release -p perf --features flamegraph -- in-process commits --flamegraph out.svg
//! cargo run --release -p perf --features flamegraph -- load commit-flood --flamegraph out.svg
//! ```
//!
//! Over the wire the load is *open*: each request has a moment at which it is to be sent, fixed
//! before the run, and its latency counts from that moment, whether or not it could leave then. A
//! server that stalls is seen to have stalled all the requests that came due meanwhile, not only
//! the one that it kept waiting (no "coordinated omission"). In process the load is closed: each
//! thread asks again as soon as it is answered, so the figure is a throughput. Beside its peers
//! (`compare`) ours is loaded in both ways.
//!
//! Every report names machine, date and commit. All loads end by themselves.

mod args;
mod clock;
mod compare;
mod echo;
mod failure;
mod fairness;
mod figures;
mod growth;
mod in_process;
mod instructions;
mod load;
mod machine;
mod memory;
mod plot;
mod profile;
mod ratios;
mod report;
mod sched;
mod server;
mod store;
mod wire;

#[path = "../../benches/beats/mod.rs"]
mod beats;
#[path = "../../benches/commits/mod.rs"]
mod commits;
#[cfg(feature = "flamegraph")]
#[path = "../../benches/flame/mod.rs"]
mod flame;
#[path = "../../benches/line/mod.rs"]
mod line;
#[path = "../../benches/requests/mod.rs"]
mod requests;
#[path = "../../benches/steady/mod.rs"]
mod steady;
#[path = "../../benches/submitters/mod.rs"]
mod submitters;
#[path = "../../benches/timeouts/mod.rs"]
mod timeouts;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;

use args::{Args, Load};
use failure::Failure;
use figures::Figures;
use report::Report;
use wire::{Kind, open};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    #[cfg(feature = "flamegraph")]
    if let Some(file) = std::env::var_os(profile::SERVES) {
        return ended(profile::serve(file.as_ref()));
    }
    let args = Args::parse();
    let printed = run(&args).and_then(|text| print(&text));
    ended(printed.map(|()| ExitCode::SUCCESS))
}

fn ended(outcome: Result<ExitCode, Failure>) -> ExitCode {
    match outcome {
        Ok(code) => code,
        Err(failure) => {
            // Nobody is left to tell if even that cannot be written.
            let _ = writeln!(std::io::stderr(), "perf: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the load; what is to be printed.
fn run(args: &Args) -> Result<String, Failure> {
    let as_json = args.load.wants_json();
    let of_load = |report: Report| {
        if as_json {
            pretty(&report.to_json())
        } else {
            report.to_table()
        }
    };
    let of_figures = |it: Figures| {
        if as_json {
            pretty(&it.to_json())
        } else {
            it.to_table()
        }
    };
    match &args.load {
        Load::Heartbeats(args) => open::run(Kind::Heartbeats, args).map(of_load),
        Load::Commits(args) => open::run(Kind::Commits, args).map(of_load),
        Load::InSteps(args) => load::run(args).map(of_load),
        Load::InProcess { load } => in_process::run(load).map(of_load),
        Load::Store(args) => store::run(args).map(of_figures),
        Load::Memory(args) => memory::run(args).map(of_figures),
        Load::Fairness(args) => fairness::run(args).map(|table| {
            if as_json {
                pretty(&table.to_json())
            } else {
                table.to_table()
            }
        }),
        Load::Disturb(args) => fairness::disturb(args).map(|()| String::new()),
        Load::Compare(args) => compare::run(args).map(|()| String::new()),
        Load::Echo(args) => echo::run(args).map(|()| String::new()),
        Load::Ratios(args) => ratios::run(args).map(|()| String::new()),
        Load::Growth(args) => growth::run(args).map(|()| String::new()),
        Load::Instructions(args) => Ok(instructions::run(args)),
    }
}

fn pretty(value: &serde_json::Value) -> String {
    format!("{value:#}\n")
}

fn print(text: &str) -> Result<(), Failure> {
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}
