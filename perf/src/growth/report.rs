//! The report of the growth: a table and a plot each.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use super::Growth;
use crate::args::GrowthArgs;
use crate::failure::Failure;
use crate::machine::Machine;
use crate::plot::{Plot, Series};

pub(super) fn write(args: &GrowthArgs, machine: &Machine, all: &[Growth]) -> Result<(), Failure> {
    let out = match (&args.out, args.quick) {
        (Some(out), _) => out.clone(),
        (None, true) => PathBuf::from("target/growth"),
        (None, false) => PathBuf::from("perf/results"),
    };
    let name = format!("{}-growth", machine.day());
    fs::create_dir_all(out.join(&name))?;
    let mut text = head(machine);
    for growth in all {
        let plot = format!("{name}/{}.svg", growth.of);
        fs::write(out.join(&plot), growth.plot().lines())?;
        section(&mut text, growth, &plot);
    }
    let report = out.join(format!("{name}.md"));
    fs::write(&report, &text)?;
    std::io::stdout().write_all(text.as_bytes())?;
    writeln!(std::io::stderr(), "perf: written to {}", report.display())?;
    Ok(())
}

fn head(machine: &Machine) -> String {
    let mut text = "# What grows\n\n".to_owned();
    for (name, value) in machine.rows() {
        writeln!(text, "- {name}: {value}").expect("to memory");
    }
    text.push_str(
        "- command: `cargo run --release -p perf -- growth`\n\n\
         Nanoseconds of the calling thread on the processor for one operation, medians of some \
         turns, while there are more and more of what it is done to. The first row of each table \
         meets as much memory and does nothing else: what it grows by is cache misses.\n",
    );
    text
}

fn section(text: &mut String, growth: &Growth, plot: &str) {
    let sizes = growth.sizes.iter().map(|size| grouped(*size));
    let mut heads = vec![format!("{}:", growth.of)];
    heads.extend(sizes);
    heads.push("last by first".into());
    let rule = vec!["---".to_owned(); heads.len()];
    let rows = growth.curves.iter().map(|curve| {
        let mut cells = vec![curve.operation.to_owned()];
        cells.extend(curve.ns.iter().map(|ns| format!("{} ns", rounded(*ns))));
        let ends = curve.ns.first().zip(curve.ns.last());
        let times = ends.map_or(0.0, |(first, last)| last / first);
        cells.push(format!("{times:.1}x"));
        cells
    });
    let rows = [heads, rule].into_iter().chain(rows);
    text.push('\n');
    for row in rows {
        writeln!(text, "| {} |", row.join(" | ")).expect("to memory");
    }
    writeln!(text, "\n![By the number of {}]({plot})", growth.of).expect("to memory");
}

impl Growth {
    fn plot(&self) -> Plot {
        let series = self.curves.iter().enumerate();
        Plot {
            title: format!("Cost of an operation by the number of {}", self.of),
            across: self.of.to_owned(),
            places: self.sizes.iter().map(|size| grouped(*size)).collect(),
            up: "nanoseconds".into(),
            series: series
                .map(|(colour, curve)| Series {
                    name: curve.operation.to_owned(),
                    colour,
                    values: curve.ns.iter().copied().map(Some).collect(),
                })
                .collect(),
        }
    }
}

fn rounded(ns: f64) -> String {
    match ns {
        ..10.0 => format!("{ns:.1}"),
        _ => format!("{ns:.0}"),
    }
}

/// With a comma for each thousand.
fn grouped(size: usize) -> String {
    let digits = size.to_string();
    let mut text = String::new();
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::Curve;
    use super::*;

    #[test]
    fn a_table_has_a_column_for_each_size_and_how_much_it_grew() {
        let growth = Growth {
            of: "members",
            sizes: &[1_000, 1_000_000],
            curves: vec![Curve {
                operation: "beat",
                ns: vec![4.0, 42.0],
            }],
        };
        let mut text = String::new();
        section(&mut text, &growth, "plots/members.svg");
        let rows: Vec<&str> = text.lines().filter(|line| line.len() > 4).collect();
        assert_eq!(rows[0], "| members: | 1,000 | 1,000,000 | last by first |");
        assert_eq!(rows[2], "| beat | 4.0 ns | 42 ns | 10.5x |");
        assert_eq!(growth.plot().series[0].values, [Some(4.0), Some(42.0)]);
    }
}
