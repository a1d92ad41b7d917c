//! What a run has shown, as a table and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};
use takhin_coordinator::wire::ErrorCode;

use crate::failure::Failure;
use crate::machine::Machine;

/// A histogram of nanoseconds, three digits exact, up to a minute; more counts as a minute.
pub(crate) fn latencies() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("the bounds are valid")
}

/// Counts one latency.
pub(crate) fn record(into: &mut Histogram<u64>, latency: Duration) {
    into.saturating_record(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
}

/// The answers that said no, by code.
pub(crate) type Errors = BTreeMap<i16, u64>;

/// Work that was refused is not compared with work that was done.
pub(crate) fn refuse_errors(errors: &Errors) -> Result<(), Failure> {
    match errors.first_key_value() {
        None => Ok(()),
        Some((code, count)) => {
            let code = ErrorCode(*code);
            Err(Failure::new(format!(
                "{count} requests were refused: {code}"
            )))
        }
    }
}

/// CPU time of a process during the run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cpu {
    /// User and system together.
    pub(crate) seconds: f64,
    /// Shared out among the requests that were answered.
    pub(crate) ns_per_request: f64,
}

impl Cpu {
    pub(crate) fn of(seconds: f64, requests: u64) -> Self {
        Self {
            seconds,
            ns_per_request: seconds * 1e9 / as_f64(requests.max(1)),
        }
    }
}

/// A finished run.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) load: String,
    /// What was asked for, in the words of the command line.
    pub(crate) asked: Vec<(&'static str, String)>,
    pub(crate) machine: Machine,
    /// What came of it: counts first.
    pub(crate) counts: Vec<(&'static str, u64)>,
    pub(crate) errors: Errors,
    /// Answers a second.
    pub(crate) rate: f64,
    /// Named histograms of nanoseconds.
    pub(crate) latencies: Vec<(&'static str, Histogram<u64>)>,
    /// CPU by process.
    pub(crate) cpu: Vec<(&'static str, Cpu)>,
}

const POINTS: [(&str, f64); 4] = [("p50", 50.0), ("p90", 90.0), ("p99", 99.0), ("p99.9", 99.9)];

#[expect(
    clippy::cast_precision_loss,
    reason = "counts and nanoseconds of a run are far below 2^53"
)]
pub(crate) fn as_f64(number: u64) -> f64 {
    number as f64
}

impl Report {
    pub(crate) fn to_json(&self) -> Value {
        let asked: Map<String, Value> = self
            .asked
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!(value)))
            .collect();
        let errors: Map<String, Value> = self
            .errors
            .iter()
            .map(|(code, count)| (ErrorCode(*code).to_string(), json!(count)))
            .collect();
        let mut whole = Map::new();
        whole.insert("load".into(), json!(self.load));
        whole.insert("asked".into(), Value::Object(asked));
        whole.insert("machine".into(), self.machine.to_json());
        for (name, count) in &self.counts {
            whole.insert((*name).into(), json!(count));
        }
        whole.insert("errors".into(), Value::Object(errors));
        whole.insert("rate_per_second".into(), json!(self.rate.round()));
        for (name, histogram) in &self.latencies {
            let mut points: Map<String, Value> = POINTS
                .iter()
                .map(|(label, at)| ((*label).into(), json!(histogram.value_at_percentile(*at))))
                .collect();
            points.insert("max".into(), json!(histogram.max()));
            points.insert("mean".into(), json!(histogram.mean().round()));
            whole.insert(format!("{name}_ns"), Value::Object(points));
        }
        for (name, cpu) in &self.cpu {
            let value = json!({
                "seconds": cpu.seconds,
                "ns_per_request": cpu.ns_per_request.round(),
            });
            whole.insert(format!("{name}_cpu"), value);
        }
        Value::Object(whole)
    }

    pub(crate) fn to_table(&self) -> String {
        let mut rows: Vec<(String, String)> = vec![("load".into(), self.load.clone())];
        let asked = self.asked.iter();
        rows.extend(asked.map(|(name, value)| (format!("  {name}"), value.clone())));
        rows.extend(self.machine.rows());
        let counts = self.counts.iter();
        rows.extend(counts.map(|(name, count)| ((*name).into(), count.to_string())));
        for (code, count) in &self.errors {
            rows.push((format!("  {}", ErrorCode(*code)), count.to_string()));
        }
        rows.push(("rate".into(), format!("{:.0}/s", self.rate)));
        for (name, histogram) in &self.latencies {
            let mut text = String::new();
            for (label, at) in POINTS {
                let value = histogram.value_at_percentile(at);
                write!(text, "{label} {}  ", in_words(value)).expect("to memory");
            }
            write!(text, "max {}", in_words(histogram.max())).expect("to memory");
            rows.push(((*name).into(), text));
        }
        for (name, cpu) in &self.cpu {
            let text = format!(
                "{:.2} s, {} a request",
                cpu.seconds,
                in_words(whole_ns(cpu.ns_per_request))
            );
            rows.push((format!("{name} CPU"), text));
        }
        let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        let mut table = String::new();
        for (name, value) in rows {
            writeln!(table, "{name:width$}  {value}").expect("to memory");
        }
        table
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float beyond the range becomes its end, which is what a table may show"
)]
fn whole_ns(ns: f64) -> u64 {
    ns.round() as u64
}

/// Nanoseconds with a unit that fits.
fn in_words(ns: u64) -> String {
    let number = as_f64(ns);
    match ns {
        ..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{:.1} us", number / 1e3),
        1_000_000..1_000_000_000 => format!("{:.2} ms", number / 1e6),
        _ => format!("{:.2} s", number / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_beyond_the_scale_counts_as_the_longest() {
        let mut histogram = latencies();
        record(&mut histogram, Duration::from_hours(1));
        assert_eq!(histogram.len(), 1);
        assert!(histogram.max() >= 60_000_000_000);
    }

    #[test]
    fn nanoseconds_are_shown_with_the_unit_that_fits() {
        let shown = [999, 1_500, 2_500_000, 3_000_000_000].map(in_words);
        assert_eq!(shown, ["999 ns", "1.5 us", "2.50 ms", "3.00 s"]);
    }
}
