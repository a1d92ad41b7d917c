//! The report: tables in Markdown, and all that is needed to judge them.

use std::fmt::Write as _;

use super::figures::Figures;
use super::goals;
use super::loads::{CLOSED, CROWD, GROUPS, GROWTH, MEMORY, OPEN, PERCENTILES, START};
use super::peer::{KAFKA_SETTINGS, Peer};
use super::run::Comparison;
use crate::wire::versions::SPOKEN;

/// The figure of a row, from those of a peer.
type Of<'f> = Box<dyn Fn(&Figures) -> Option<f64> + 'f>;

/// A row: what it shows, of which load, and how a number is written.
struct Row<'f> {
    title: String,
    load: &'static str,
    of: Of<'f>,
    unit: Unit,
}

#[derive(Clone, Copy)]
enum Unit {
    Microseconds,
    Milliseconds,
    Bytes,
    PerSecond,
    Share,
}

impl Unit {
    fn write(self, value: f64) -> String {
        match self {
            Self::Microseconds => duration_in_words(value),
            Self::Milliseconds => duration_in_words(value * 1e3),
            Self::Bytes => bytes_in_words(value),
            Self::PerSecond => format!("{}/s", rounded(value)),
            Self::Share => format!("{:.0}%", value * 100.0),
        }
    }
}

fn duration_in_words(us: f64) -> String {
    match us {
        ..1_000.0 => format!("{} us", rounded(us)),
        ..1e6 => format!("{} ms", rounded(us / 1e3)),
        _ => format!("{} s", rounded(us / 1e6)),
    }
}

fn bytes_in_words(bytes: f64) -> String {
    const MIB: f64 = 1_024.0 * 1_024.0;
    match bytes {
        ..1e4 => format!("{} B", rounded(bytes)),
        ..MIB => format!("{} kB", rounded(bytes / 1e3)),
        _ => format!("{} MiB", rounded(bytes / MIB)),
    }
}

/// Three digits, or all that stand before the point.
fn rounded(value: f64) -> String {
    match value.abs() {
        ..10.0 => format!("{value:.2}"),
        ..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

fn row(title: &str, load: &'static str, figure: &'static str, unit: Unit) -> Row<'static> {
    Row {
        title: title.to_owned(),
        load,
        of: Box::new(move |figures| figures.median(load, figure)),
        unit,
    }
}

pub(super) fn markdown(it: &Comparison) -> String {
    let mut text = String::new();
    head(&mut text, it);
    let at_a_glance = "## What it costs\n\nServer CPU a request unless said, medians of the \
         rounds. A figure is followed by how many times ours in memory it is.\n\n";
    text.push_str(at_a_glance);
    table(&mut text, it, &costs(it), true);
    reasons(&mut text, it);
    text.push_str(
        "\n## Against the goals\n\n| what | goal | measured | |\n| --- | --- | --- | --- |\n",
    );
    for [what, goal, measured, reached] in goals::rows(&it.columns) {
        line(
            &mut text,
            &format!("| {what} | {goal} | {measured} | {reached} |"),
        );
    }
    text.push_str(
        "\n## How fast, with generator and server on the same cores\n\nThe generator is one \
         thread; its share of a core is in the last rows. Where that is near 100%, it is the \
         bound.\n\n",
    );
    table(&mut text, it, &speeds(), false);
    line(
        &mut text,
        &format!(
            "\n## Latency at {} requests a second\n\nOpen loop: counted from when each request was \
             due, over {} connections.\n",
            it.scale.rate,
            super::loads::OPEN_CONNECTIONS
        ),
    );
    table(&mut text, it, &latencies(), false);
    text.push_str("\n## Cost against the number of groups\n\n4 connections x 16 in flight.\n\n");
    table(&mut text, it, &growth(it), false);
    for (title, link) in &it.plots {
        line(&mut text, &format!("\n### {title}\n\n![{title}]({link})"));
    }
    settings(&mut text, it);
    text
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("to memory");
}

fn head(text: &mut String, it: &Comparison) {
    line(text, "# Side by side\n");
    for (name, value) in it.machine.rows() {
        line(text, &format!("- {name}: {value}"));
    }
    let kind = if it.is_quick {
        ", quick: the figures are not to be quoted"
    } else {
        ""
    };
    line(
        text,
        &format!(
            "- rounds: {}, in {:.0} s{kind}\n- command: `{}`",
            it.rounds,
            it.lasted.as_secs_f64(),
            format!("perf/compare/run {}", it.options).trim_end(),
        ),
    );
    line(
        text,
        "\nEach peer is started afresh on 127.0.0.1 in each round, in another order each round, \
         loaded by the same generator, and stopped. All run on the same cores as the generator.\n",
    );
    for (peer, column) in &it.columns {
        let (title, promise) = (peer.title(), peer.promise());
        line(text, &format!("- {title}: {promise}. `{}`", column.command));
    }
    for (peer, reason) in &it.absent {
        line(
            text,
            &format!("- {} did not take part: {reason}.", peer.title()),
        );
    }
    line(text, "");
}

fn costs(it: &Comparison) -> Vec<Row<'static>> {
    use Unit::{Bytes, Microseconds, Milliseconds};
    let mut rows: Vec<Row<'static>> = CLOSED
        .iter()
        .map(|load| row(load.title, load.key, "cpu_us", Microseconds))
        .collect();
    let groups = it.scale.groups();
    let formed = format!("{groups} one-member groups formed: CPU a group");
    rows.push(row(&formed, GROUPS, "cpu_us", Microseconds));
    let memory = [
        ("memory a group, resident since the start", "resident_bytes"),
        (
            "memory a group, resident since a tenth of them",
            "added_bytes",
        ),
        ("memory a group, live heap of the JVM", "live_bytes"),
    ];
    for (title, figure) in memory {
        rows.push(row(title, MEMORY, figure, Bytes));
    }
    let (members, rebalances) = (it.scale.crowd, it.scale.rebalances);
    let joined = format!("{members} members join one group: time");
    rows.push(row(&joined, CROWD, "join_ms", Milliseconds));
    rows.push(row("the same: CPU", CROWD, "join_cpu_ms", Milliseconds));
    let again = "a rebalance of them: time";
    rows.push(row(again, CROWD, "rebalance_ms", Milliseconds));
    let again = format!("{rebalances} rebalances of them: CPU");
    rows.push(row(&again, CROWD, "rebalances_cpu_ms", Milliseconds));
    let first = "cold start to the first answer";
    rows.push(row(first, START, "first_answer_ms", Milliseconds));
    rows.push(row("idle memory", START, "idle_bytes", Bytes));
    rows
}

fn speeds() -> Vec<Row<'static>> {
    let mut rows = Vec::new();
    for load in &CLOSED {
        let figures = [
            ("answers", "rate", Unit::PerSecond),
            ("p50", "p50_us", Unit::Microseconds),
            ("p99", "p99_us", Unit::Microseconds),
            ("generator", "generator_share", Unit::Share),
        ];
        for (name, figure, unit) in figures {
            let title = format!("{}: {name}", load.title);
            rows.push(row(&title, load.key, figure, unit));
        }
    }
    rows
}

fn latencies() -> Vec<Row<'static>> {
    let mut rows = Vec::new();
    for load in &OPEN {
        for (name, _) in PERCENTILES {
            rows.push(Row {
                title: format!("{}: {name}", load.title),
                load: load.key,
                of: Box::new(move |figures| figures.median(load.key, &format!("{name}_us"))),
                unit: Unit::Microseconds,
            });
        }
    }
    rows
}

fn growth(it: &Comparison) -> Vec<Row<'static>> {
    let mut rows = Vec::new();
    for (key, title, _) in GROWTH {
        for groups in it.scale.growth {
            rows.push(Row {
                title: format!("{title}, {groups} groups"),
                load: GROUPS,
                of: Box::new(move |figures| figures.median(key, &groups.to_string())),
                unit: Unit::Microseconds,
            });
        }
    }
    rows
}

fn table(text: &mut String, it: &Comparison, rows: &[Row<'_>], with_ratio: bool) {
    let titles: Vec<&str> = it.columns.keys().map(|peer| peer.title()).collect();
    line(text, &format!("| load | {} |", titles.join(" | ")));
    line(text, &format!("| --- |{}", " --- |".repeat(titles.len())));
    for row in rows {
        let is_known =
            |figures: &Figures| (row.of)(figures).is_some() || figures.reason(row.load).is_some();
        if !it.columns.values().any(|it| is_known(&it.figures)) {
            continue;
        }
        let ours = it.columns.get(&Peer::Ours);
        let ours = ours.and_then(|column| (row.of)(&column.figures));
        let mut cells = Vec::new();
        for (peer, column) in &it.columns {
            let value = (row.of)(&column.figures);
            let mut cell = value.map_or_else(
                || {
                    column
                        .figures
                        .reason(row.load)
                        .map_or("-", |_| "not done")
                        .into()
                },
                |value| row.unit.write(value),
            );
            let is_other = with_ratio && *peer != Peer::Ours;
            if let (true, Some(value), Some(ours)) = (is_other, value, ours)
                && ours > 0.0
            {
                write!(cell, " ({}x)", rounded(value / ours)).expect("to memory");
            }
            cells.push(cell);
        }
        line(text, &format!("| {} | {} |", row.title, cells.join(" | ")));
    }
}

/// Why something was not done, by peer.
fn reasons(text: &mut String, it: &Comparison) {
    for (peer, column) in &it.columns {
        for (load, reason) in column.figures.reasons() {
            line(text, &format!("\n{}, {load}: {reason}.", peer.title()));
        }
    }
}

fn settings(text: &mut String, it: &Comparison) {
    let spoken: Vec<String> = SPOKEN
        .iter()
        .map(|(api, version)| format!("{api} {version}"))
        .collect();
    line(
        text,
        &format!(
            "\n## How it was measured\n\n\
             - Versions, the same for all: {}.\n\
             - CPU is user and system time of the server's process, all threads, from \
             /proc/PID/stat; resident memory is VmRSS.\n\
             - A request's CPU is that of the seconds after the warm-up ({:.1} s; Kafka {:.1} s, \
             and {:.1} s before its first load: its code is compiled while it runs), by the \
             answers that came in them.\n\
             - Side by side the load is closed: a fixed number of requests in flight on each \
             connection, from one client thread. Latency at a fixed rate is from an open loop.\n\
             - A commit is always ahead of the last one. A fetch names its partitions. A group \
             formed is two joins and a sync of one member.\n\
             - Memory a group is measured on a process that has done nothing else: all that \
             became resident since it was idle, by all groups; and what the last ten of eleven \
             parts of them added, without what is made once. The resident memory of a JVM holds \
             what is no longer used, so the growth of its live heap over those last parts is \
             shown too, each time after a full collection.\n\
             - Tansu lets each join wait for half the session timeout, a second at least: its \
             sessions are 2 s instead of 300 s, and 1,000 of its groups form at one time instead \
             of 24.\n\
             - A start of Kafka is that of its process; formatting its data is not counted. Idle \
             memory is looked at {:.1} s after the first answer.\n\
             - Kafka is started with its own script's flags; what differs from its defaults:\n",
            spoken.join(", "),
            it.scale.warmup.as_secs_f64(),
            it.scale.warmup_of_kafka.as_secs_f64(),
            3.0 * it.scale.warmup_of_kafka.as_secs_f64(),
            it.scale.settle.as_secs_f64(),
        ),
    );
    for setting in KAFKA_SETTINGS.lines() {
        line(text, &format!("      {setting}"));
    }
    line(
        text,
        "\n## What was not compared\n\n\
         - Clusters and replication: each is a single node, over loopback, without TLS.\n\
         - Kafka with a sync before each answer: it ships without. Ours on disk syncs.\n\
         - kfake is a test double and Tansu's build here has no storage but memory.\n\
         - Servers that no package registry carries, Redpanda among them.\n\
         - The consumer protocol (KIP-848), transactions, and records themselves.",
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_with_the_unit_that_fits() {
        assert_eq!(Unit::Microseconds.write(1.234), "1.23 us");
        assert_eq!(Unit::Milliseconds.write(5_200.0), "5.20 s");
        assert_eq!(Unit::Bytes.write(19_500.0), "19.5 kB");
        assert_eq!(Unit::Bytes.write(371.0 * 1_024.0 * 1_024.0), "371 MiB");
        assert_eq!(Unit::PerSecond.write(123_456.0), "123456/s");
    }
}
