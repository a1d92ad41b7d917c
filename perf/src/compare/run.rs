//! The whole comparison, round by round.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::task::LocalSet;

use super::figures::Figures;
use super::loads::{MEMORY, START, Scale};
use super::peer::Peer;
use super::suite::Suite;
use super::{plots, table};
use crate::args::CompareArgs;
use crate::clock;
use crate::failure::Failure;
use crate::machine::Machine;

/// What is known of a peer after the run.
#[derive(Debug, Default)]
pub(super) struct Column {
    pub(super) figures: Figures,
    /// How it was started, as of the last round.
    pub(super) command: String,
}

/// Those that took part.
pub(super) type Columns = BTreeMap<Peer, Column>;

/// A finished comparison.
#[derive(Debug)]
pub(super) struct Comparison {
    pub(super) machine: Machine,
    pub(super) scale: Scale,
    pub(super) is_quick: bool,
    /// What it was asked for with.
    pub(super) options: String,
    pub(super) rounds: usize,
    pub(super) lasted: Duration,
    pub(super) columns: Columns,
    /// Those that did not take part, and why.
    pub(super) absent: Vec<(Peer, String)>,
    /// Where the plots are, as the report links to them.
    pub(super) plots: Vec<(String, String)>,
}

/// Runs it, writes the report, and says where that is.
pub(crate) fn run(args: &CompareArgs) -> Result<(), Failure> {
    if !Path::new("perf/compare/install.sh").exists() {
        return Err(Failure::new("start it in the folder of the workspace"));
    }
    let machine = Machine::look();
    let mut scale = if args.quick {
        Scale::QUICK
    } else {
        Scale::WHOLE
    };
    if let Some(rounds) = args.rounds {
        scale.rounds = usize::try_from(rounds).unwrap_or(usize::MAX);
    }
    let peers = match args.peers.as_slice() {
        [] => Peer::ALL.to_vec(),
        some => some.to_vec(),
    };
    let (mut columns, mut absent) = (Columns::new(), Vec::new());
    for peer in peers {
        match peer.absence(!args.quick)? {
            None => drop(columns.insert(peer, Column::default())),
            Some(reason) => absent.push((peer, reason)),
        }
    }
    let begun = clock::now();
    let mut rounds = 0;
    while rounds < scale.rounds {
        let round_begun = clock::now();
        round(rounds, &scale, &args.loads, &mut columns)?;
        rounds += 1;
        let now = clock::now();
        let took = now.saturating_duration_since(round_begun);
        if now.saturating_duration_since(begun) + took > scale.ends_within {
            break;
        }
    }
    let mut comparison = Comparison {
        machine,
        scale,
        is_quick: args.quick,
        // Behind the name of the program and `compare`.
        options: std::env::args().skip(2).collect::<Vec<_>>().join(" "),
        rounds,
        lasted: clock::now().saturating_duration_since(begun),
        columns,
        absent,
        plots: Vec::new(),
    };
    write(args, &mut comparison)?;
    match failure_of_ours(&comparison.columns) {
        None => Ok(()),
        Some(reason) => Err(Failure::new(reason)),
    }
}

/// What one of ours could not do: a peer may lack something, ours may not.
fn failure_of_ours(columns: &Columns) -> Option<String> {
    let ours = [Peer::Ours, Peer::OursOnDisk];
    let ours = ours
        .iter()
        .filter_map(|peer| Some((peer, columns.get(peer)?)));
    ours.flat_map(|(peer, column)| {
        let reasons = column.figures.reasons();
        reasons.map(|(load, reason)| format!("{}, {load}: {reason}", peer.title()))
    })
    .next()
}

/// Every peer once, each begun with by another one than in the round before.
fn round(
    number: usize,
    scale: &Scale,
    loads: &[String],
    columns: &mut Columns,
) -> Result<(), Failure> {
    let mut order: Vec<Peer> = columns.keys().copied().collect();
    if !order.is_empty() {
        let first = number % order.len();
        order.rotate_left(first);
    }
    for peer in order {
        say(&format!("round {}: {}", number + 1, peer.title()))?;
        let column = columns.entry(peer).or_default();
        for is_first in [true, false] {
            if !wants(loads, is_first) {
                continue;
            }
            let running = match peer.start() {
                Ok(running) => running,
                Err(failure) => {
                    column.figures.add_reason(START, failure.to_string());
                    continue;
                }
            };
            column.command.clone_from(&running.command);
            let suite = Suite {
                peer,
                running: &running,
                scale,
                loads,
                figures: &mut column.figures,
            };
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let tasks = LocalSet::new();
            if is_first {
                tasks.block_on(&runtime, suite.run_first());
            } else {
                tasks.block_on(&runtime, suite.run_loads());
            }
        }
    }
    Ok(())
}

/// Whether anything is to be done on the first process of a peer, or on the second.
fn wants(loads: &[String], is_first: bool) -> bool {
    let on_first = |load: &String| [START, MEMORY].contains(&load.as_str());
    loads.is_empty() || loads.iter().any(|load| on_first(load) == is_first)
}

/// The report, with its plots and the figures of all rounds in a folder beside it.
fn write(args: &CompareArgs, comparison: &mut Comparison) -> Result<(), Failure> {
    let date = comparison.machine.day().to_owned();
    let out = match (&args.out, args.quick) {
        (Some(out), _) => out.clone(),
        (None, true) => PathBuf::from("target/compare"),
        (None, false) => PathBuf::from("perf/results"),
    };
    let beside = out.join(&date);
    fs::create_dir_all(&beside)?;
    for plot in plots::all(comparison) {
        fs::write(beside.join(plot.file), &plot.svg)?;
        let link = format!("{date}/{}", plot.file);
        comparison.plots.push((plot.title, link));
    }
    let figures: Map<String, Value> = comparison
        .columns
        .iter()
        .map(|(peer, column)| (peer.key().to_owned(), column.figures.to_json()))
        .collect();
    let whole = json!({
        "machine": comparison.machine.to_json(),
        "rounds": comparison.rounds,
        "quick": comparison.is_quick,
        "peers": figures,
    });
    fs::write(beside.join("rounds.json"), format!("{whole:#}\n"))?;
    let text = table::markdown(comparison);
    let report = out.join(format!("{date}.md"));
    fs::write(&report, &text)?;
    std::io::stdout().write_all(text.as_bytes())?;
    say(&format!("written to {}", report.display()))
}

fn say(line: &str) -> Result<(), Failure> {
    Ok(writeln!(std::io::stderr(), "perf: {line}")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_that_ours_cannot_do_fails_the_run_and_one_of_a_peer_does_not() {
        let mut columns = Columns::new();
        for peer in [Peer::Ours, Peer::Tansu] {
            columns.insert(peer, Column::default());
        }
        let reason = |columns: &mut Columns, peer| {
            let column = columns.get_mut(&peer).unwrap();
            column.figures.add_reason("crowd", "late".into());
        };
        reason(&mut columns, Peer::Tansu);
        assert_eq!(failure_of_ours(&columns), None);
        reason(&mut columns, Peer::Ours);
        let failure = failure_of_ours(&columns);
        assert_eq!(failure.unwrap(), "ours, in memory, crowd: late");
    }
}
