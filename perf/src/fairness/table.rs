//! What was felt, as a table and as JSON.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::trial::{Felt, Shares, Shown, Tried, Turn};
use crate::machine::Machine;

/// All that was tried.
#[derive(Debug)]
pub(crate) struct Table {
    pub(super) machine: Machine,
    /// What was asked for, in the words of the command line.
    pub(super) asked: Vec<(&'static str, String)>,
    pub(super) tried: Vec<Tried>,
}

/// How many times the p99 of quiet it may be.
const GOAL: f64 = 2.0;

/// What one kind of request has shown.
type FeltOf = fn(&Shown) -> Felt;

const KINDS: [(&str, FeltOf); 2] = [
    ("heartbeat", |it| it.heartbeats),
    ("commit", |it| it.commits),
];

impl Table {
    pub(crate) fn to_table(&self) -> String {
        let mut text = String::new();
        for (name, value) in self.machine.rows() {
            writeln!(text, "- {name}: {value}").expect("to memory");
        }
        for (name, value) in self.asked.iter().filter(|(_, value)| !value.is_empty()) {
            writeln!(text, "- {name}: {value}").expect("to memory");
        }
        text.push_str(FELT);
        for tried in &self.tried {
            for (kind, felt) in KINDS {
                let [quiet, elsewhere, here] = tried.shown.map(|it| felt(&it));
                let (ratio, of_machine) = (here.p99 / quiet.p99, elsewhere.p99 / quiet.p99);
                writeln!(
                    text,
                    "| {} | {kind} | {} | {} | {} | {ratio:.2}x | {of_machine:.2}x | {} |",
                    tried.disturbance.name(),
                    in_us(quiet),
                    in_us(elsewhere),
                    in_us(here),
                    if ratio <= GOAL { "reached" } else { "missed" },
                )
                .expect("to memory");
            }
        }
        text.push_str(SHARES);
        for tried in &self.tried {
            for (turn, shown) in Turn::ALL.into_iter().zip(&tried.shown) {
                let Shares {
                    server,
                    server_waited,
                    disturber,
                    generator,
                    steps,
                } = shown.shares;
                writeln!(
                    text,
                    "| {} | {} | {server:.2} | {server_waited:.2} | {disturber:.2} | \
                     {generator:.2} | {steps:.1} | {:.0} us |",
                    tried.disturbance.name(),
                    turn.name(),
                    shown.heartbeats.late_p99,
                )
                .expect("to memory");
            }
        }
        text
    }

    pub(crate) fn to_json(&self) -> Value {
        let asked: Map<String, Value> = self
            .asked
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!(value)))
            .collect();
        let tried: Map<String, Value> = self
            .tried
            .iter()
            .map(|tried| (tried.disturbance.name().to_owned(), of_tried(tried)))
            .collect();
        json!({
            "machine": self.machine.to_json(),
            "asked": asked,
            "goal": GOAL,
            "disturbances": tried,
        })
    }
}

fn of_tried(tried: &Tried) -> Value {
    let mut whole = Map::new();
    for (kind, felt) in KINDS {
        let [quiet, elsewhere, here] = tried.shown.map(|it| felt(&it).p99);
        let figures = json!({
            "ratio": here / quiet,
            "ratio_of_machine": elsewhere / quiet,
            "reached": here / quiet <= GOAL,
        });
        whole.insert(kind.to_owned(), figures);
    }
    for (turn, shown) in Turn::ALL.into_iter().zip(&tried.shown) {
        let mut figures = Map::new();
        for (kind, felt) in KINDS {
            let Felt { p50, p99, late_p99 } = felt(shown);
            let felt = json!({ "p50_us": p50, "p99_us": p99, "sent_late_p99_us": late_p99 });
            figures.insert(kind.to_owned(), felt);
        }
        let shares = shown.shares;
        figures.insert("server_cores".into(), json!(shares.server));
        figures.insert("server_waited".into(), json!(shares.server_waited));
        figures.insert("disturber_cores".into(), json!(shares.disturber));
        figures.insert("generator_cores".into(), json!(shares.generator));
        figures.insert("steps_per_second".into(), json!(shares.steps));
        whole.insert(turn.name().to_owned(), Value::Object(figures));
    }
    Value::Object(whole)
}

fn in_us(felt: Felt) -> String {
    format!("{:.0} / {:.0} us", felt.p50, felt.p99)
}

const FELT: &str = "
What others feel: p50 / p99 of their requests since each was due, and the ratios of the p99.
`elsewhere` is the same disturbance of another server on this machine: what is felt of it is the
machine's part.

| who disturbs | felt by | quiet | elsewhere | here | here : quiet | elsewhere : quiet | goal <= 2 |
| --- | --- | --- | --- | --- | --- | --- | --- |
";

const SHARES: &str = "
Who had the processors: cores in use, threads of the server that waited for one, steps of the
disturbance a second, and the p99 of how late the victims' heartbeats were sent.

| who disturbs | turn | server | it waited | disturber | generator | steps/s | sent late |
| --- | --- | --- | --- | --- | --- | --- | --- |
";

#[cfg(test)]
mod tests {
    use super::super::args::Disturbance;
    use super::*;

    #[test]
    fn a_p99_above_twice_that_of_quiet_misses_the_goal() {
        let shown = |p99| {
            let felt = Felt {
                p50: 10.0,
                p99,
                late_p99: 1.0,
            };
            Shown {
                heartbeats: felt,
                commits: Felt { p99: 100.0, ..felt },
                shares: Shares {
                    server: 0.5,
                    server_waited: 0.1,
                    disturber: 0.2,
                    generator: 0.3,
                    steps: 4.0,
                },
            }
        };
        let table = Table {
            machine: Machine::look(),
            asked: Vec::new(),
            tried: vec![Tried {
                disturbance: Disturbance::Deaf,
                shown: [shown(100.0), shown(110.0), shown(201.0)],
            }],
        };
        let text = table.to_table();
        assert!(text.contains("| deaf | heartbeat | 10 / 100 us | 10 / 110 us | 10 / 201 us |"));
        assert!(text.contains("| 2.01x | 1.10x | missed |"));
        assert!(text.contains("| 1.00x | 1.00x | reached |"));
        let json = table.to_json();
        assert_eq!(json["disturbances"]["deaf"]["heartbeat"]["reached"], false);
        assert_eq!(
            json["disturbances"]["deaf"]["here"]["steps_per_second"],
            4.0
        );
    }
}
