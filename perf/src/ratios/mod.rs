//! What each path costs beside what it cannot go below: floor, ours, ratio, goal, pass.
//!
//! A row is of one run: floor and ours take turns, and the median of the turns counts. Where the
//! floor is work of the processor, both are counted in time of their thread on it, which other
//! work on the machine does not lengthen; over the wire in such time of the server's process.

mod calls;
mod deaths;
mod durable;
mod heartbeats;
mod joins;
mod memory;
mod paced;
mod reads;
mod row;
mod timers;
mod turns;
mod wire;

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use clap::ValueEnum;
use serde_json::{Value, json};

use crate::args::RatiosArgs;
use crate::failure::Failure;
use crate::machine::Machine;
pub(crate) use heartbeats::Members;
pub(crate) use joins::join_all;
use row::Row;
pub(crate) use turns::ns_a_step;

/// Rows that are measured together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Family {
    /// In process, by handle and by names.
    Heartbeats,
    /// Requests over the wire, beside an echo.
    Wire,
    /// Calls into an idle shard, and its mailbox.
    Calls,
    /// The wheel, and how members expire.
    Timers,
    /// Many members who die at once.
    Deaths,
    /// Commits that are synced, beside a bare log.
    Durable,
    /// One group that many join.
    Joins,
    /// All groups, listed, described and fetched.
    Reads,
    /// Bytes of groups and offsets.
    Memory,
}

/// How much is done.
#[derive(Clone, Copy, Debug)]
struct Size {
    /// Members of the paths that are told for a million.
    members: usize,
    turns: u64,
    /// How long a turn of a load lasts.
    load: Duration,
    /// Groups that are read.
    groups: u64,
    /// Members who join one group; ten times as many in process.
    joiners: usize,
    /// Members who die at once.
    dying: usize,
    /// How long members live before it counts, and as long again; twice the longest session.
    expiry_ms: u64,
}

const FULL: Size = Size {
    members: 1_000_000,
    turns: 5,
    load: Duration::from_secs(1),
    groups: 100_000,
    joiners: 1_000,
    dying: 20_000,
    expiry_ms: 90_000,
};

/// Enough to show that every row can be measured.
const QUICK: Size = Size {
    members: 10_000,
    turns: 1,
    load: Duration::from_millis(100),
    groups: 1_000,
    joiners: 50,
    dying: 500,
    expiry_ms: 15_000,
};

impl Family {
    fn rows(self, size: &Size) -> Result<Vec<Row>, Failure> {
        match self {
            Self::Heartbeats => heartbeats::rows(size),
            Self::Wire => wire::rows(size),
            Self::Calls => calls::rows(size),
            Self::Timers => timers::rows(size),
            Self::Deaths => deaths::rows(size),
            Self::Durable => durable::rows(size),
            Self::Joins => joins::rows(size),
            Self::Reads => reads::rows(size),
            Self::Memory => memory::rows(size),
        }
    }

    fn name(self) -> String {
        let value = self.to_possible_value().expect("none is hidden");
        value.get_name().to_owned()
    }
}

/// Measures and prints; it is an error if a family could not be measured or, if that is asked
/// for, a goal was missed.
pub(crate) fn run(args: &RatiosArgs) -> Result<(), Failure> {
    let size = if args.quick { QUICK } else { FULL };
    let families = match args.only.as_slice() {
        [] => Family::value_variants(),
        only => only,
    };
    let machine = Machine::look();
    let (mut rows, mut failures) = (Vec::new(), Vec::new());
    for family in families {
        writeln!(std::io::stderr(), "{} ...", family.name())?;
        match family.rows(&size) {
            Ok(of_family) => rows.extend(of_family),
            Err(failure) => failures.push(format!("{}: {failure}", family.name())),
        }
    }
    let text = if args.json {
        let rows: Vec<Value> = rows.iter().map(Row::to_json).collect();
        let whole = json!({ "machine": machine.to_json(), "rows": rows });
        format!("{whole:#}\n")
    } else {
        to_table(&machine, &rows)
    };
    std::io::stdout().write_all(text.as_bytes())?;
    if args.strict {
        let missed = rows.iter().filter(|row| !row.passes());
        failures.extend(missed.map(|row| format!("{}: the goal is missed", row.path)));
    }
    match failures.as_slice() {
        [] => Ok(()),
        failures => Err(Failure::new(failures.join("\n      "))),
    }
}

fn to_table(machine: &Machine, rows: &[Row]) -> String {
    let mut table = String::new();
    for (name, value) in machine.rows() {
        writeln!(table, "{name}  {value}").expect("to memory");
    }
    let heads = ["path", "floor", "ours", "ratio", "goal", "pass"].map(str::to_owned);
    let lines: Vec<[String; 6]> = [heads]
        .into_iter()
        .chain(rows.iter().map(Row::cells))
        .collect();
    let widths: Vec<usize> = (0..6)
        .map(|at| lines.iter().map(|line| line[at].len()).max().unwrap_or(0))
        .collect();
    table.push('\n');
    for line in lines {
        let cells = line.iter().zip(&widths);
        let cells: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        table.push_str(cells.join("  ").trim_end());
        table.push('\n');
    }
    table
}
