//! The plots of a comparison.

use super::figures::Figures;
use super::loads::{CLOSED, GROUPS, GROWTH, MEMORY, OPEN, OPEN_CONNECTIONS, PERCENTILES};
use super::run::Comparison;
use crate::plot::{Plot, Series};

/// A plot that is drawn.
#[derive(Debug)]
pub(super) struct Drawn {
    pub(super) file: &'static str,
    pub(super) title: String,
    pub(super) svg: String,
}

pub(super) fn all(it: &Comparison) -> Vec<Drawn> {
    let mut all = vec![throughput(it)];
    for (load, file) in OPEN
        .iter()
        .zip(["latency-heartbeat.svg", "latency-commit.svg"])
    {
        let title = format!("Latency of a {} at {}/s", load.title, it.scale.rate);
        let percentiles = PERCENTILES.map(|(name, _)| name);
        let plot = Plot {
            title,
            across: format!("percentile, open loop over {OPEN_CONNECTIONS} connections"),
            places: percentiles.map(str::to_owned).into(),
            up: "microseconds".into(),
            series: series(it, |figures| {
                let value = |name| figures.median(load.key, &format!("{name}_us"));
                percentiles.map(value).into()
            }),
        };
        all.push(lines(file, &plot));
    }
    all.push(memory(it));
    let files = ["growth-heartbeat.svg", "growth-commit.svg"];
    for ((key, title, _), file) in GROWTH.into_iter().zip(files) {
        let plot = Plot {
            title: format!("Cost of a {title} against the number of groups"),
            across: "groups of one member".into(),
            places: it.scale.growth.iter().map(u64::to_string).collect(),
            up: "microseconds of server CPU a request".into(),
            series: series(it, |figures| {
                let growth = it.scale.growth.iter();
                growth
                    .map(|groups| figures.median(key, &groups.to_string()))
                    .collect()
            }),
        };
        all.push(lines(file, &plot));
    }
    all
}

fn throughput(it: &Comparison) -> Drawn {
    let plot = Plot {
        title: "Requests for a second of server CPU".into(),
        across: "load: connections x requests in flight; more is better".into(),
        places: CLOSED.iter().map(|load| place(load.key)).collect(),
        up: "requests".into(),
        series: series(it, |figures| {
            let of = |key| figures.median(key, "cpu_us").filter(|us| *us > 0.0);
            CLOSED
                .iter()
                .map(|load| of(load.key).map(|us| 1e6 / us))
                .collect()
        }),
    };
    bars("throughput.svg", &plot)
}

/// A title that fits under a group of bars.
fn place(key: &str) -> String {
    let short = match key {
        "heartbeat-100" => "heartbeat, 4 x 16",
        "heartbeat-1" => "heartbeat, 1 x 1",
        "commit-10" => "commit of 10, 4 x 16",
        "commit-1" => "commit of 1, 4 x 16",
        "fetch-100" => "fetch of 100, 4 x 8",
        other => other,
    };
    short.to_owned()
}

fn memory(it: &Comparison) -> Drawn {
    let plot = Plot {
        title: "What a group of one member takes".into(),
        across: format!("{} groups; less is better", it.scale.groups()),
        places: vec![
            "resident since start, bytes".into(),
            "added by the last, bytes".into(),
            "live heap of a JVM, bytes".into(),
            "CPU to form it, us".into(),
        ],
        up: "bytes, microseconds".into(),
        series: series(it, |figures| {
            let bytes = ["resident_bytes", "added_bytes", "live_bytes"];
            let mut values = bytes.map(|it| figures.median(MEMORY, it)).to_vec();
            values.push(figures.median(GROUPS, "cpu_us"));
            values
        }),
    };
    bars("groups.svg", &plot)
}

/// A series a peer that has any value; each peer has its own colour in all plots.
fn series(it: &Comparison, of: impl Fn(&Figures) -> Vec<Option<f64>>) -> Vec<Series> {
    let columns = it.columns.iter();
    columns
        .map(|(peer, column)| Series {
            name: peer.title().to_owned(),
            colour: super::peer::Peer::ALL
                .iter()
                .position(|it| it == peer)
                .unwrap_or(0),
            values: of(&column.figures),
        })
        .filter(|series| series.values.iter().any(Option::is_some))
        .collect()
}

fn bars(file: &'static str, plot: &Plot) -> Drawn {
    Drawn {
        file,
        title: plot.title.clone(),
        svg: plot.bars(),
    }
}

fn lines(file: &'static str, plot: &Plot) -> Drawn {
    Drawn {
        file,
        title: plot.title.clone(),
        svg: plot.lines(),
    }
}
