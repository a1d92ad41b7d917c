//! What a figure was measured on.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::clock;

/// The machine, the moment, and how busy it was before the load began.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    cores: usize,
    cpu: String,
    kernel: String,
    date: String,
    /// Of one, five and fifteen minutes.
    load: String,
    commit: String,
}

impl Machine {
    /// As it is now; what cannot be learned is "unknown".
    pub(crate) fn look() -> Self {
        Self {
            cores: std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
            cpu: cpu_model(),
            kernel: first_line("/proc/sys/kernel/osrelease"),
            date: clock::date(),
            load: first_line("/proc/loadavg"),
            commit: commit(),
        }
    }

    /// The day it was looked at, as `2026-11-24`.
    pub(crate) fn day(&self) -> &str {
        self.date.split('T').next().unwrap_or_default()
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "cores": self.cores,
            "cpu": self.cpu,
            "kernel": self.kernel,
            "date": self.date,
            "load_before": self.load,
            "commit": self.commit,
        })
    }

    pub(crate) fn rows(&self) -> Vec<(String, String)> {
        vec![
            ("machine".into(), format!("{} x {}", self.cores, self.cpu)),
            ("kernel".into(), self.kernel.clone()),
            ("date".into(), self.date.clone()),
            ("load before".into(), self.load.clone()),
            ("commit".into(), self.commit.clone()),
        ]
    }
}

fn unknown() -> String {
    "unknown".to_owned()
}

fn first_line(path: &str) -> String {
    fs::read_to_string(path)
        .ok()
        .and_then(|text| text.lines().next().map(str::to_owned))
        .unwrap_or_else(unknown)
}

fn cpu_model() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    text.lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or_else(unknown, |rest| {
            rest.trim_start_matches([' ', '\t', ':']).to_owned()
        })
}

/// The commit of the folder that the load is started in.
fn commit() -> String {
    Command::new("git")
        .args(["describe", "--always", "--dirty", "--abbrev=12"])
        .stderr(Stdio::null())
        .output()
        .ok()
        .filter(|output| output.status.success())
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .map_or_else(unknown, |text| text.trim().to_owned())
}
