//! franz-go's own group tests, run against the server.

use std::process::Command;
use std::sync::mpsc::channel;
use std::time::Duration;

use crate::clock::now;
use crate::process::{Heard, Process, Speaker};
use crate::server::{Server, workspace};
use crate::{Failure, install};

/// How long they may take; they end themselves a little earlier.
const LIMIT: Duration = Duration::from_mins(3);

/// The variants of either test that speak the classic protocol.
const VARIANTS: [&str; 3] = ["range", "cooperative-sticky", "cooperative-sticky/static"];

/// Runs `TestGroupETL` in its classic variants.
///
/// # Errors
///
/// When one of them fails or does not run, with what it said.
pub fn franz_group_etl() -> Result<(), Failure> {
    passes("TestGroupETL")
}

/// Runs `TestTxnEtl`, the same in transactions, in its classic variants.
///
/// # Errors
///
/// As above.
pub fn franz_txn_etl() -> Result<(), Failure> {
    passes("TestTxnEtl")
}

fn passes(test: &str) -> Result<(), Failure> {
    if !install::ready("franz-suite")? {
        return Ok(());
    }
    let began = now();
    let server = Server::start()?;
    let (ear, lines) = channel();
    let mut command = Command::new("bash");
    command
        .arg(workspace().join("tests/clients/franz-suite.sh"))
        .args([server.bootstrap(), test]);
    let mut process = Process::start(&mut command, Speaker(0), &ear)?;
    let mut said = Vec::new();
    let ended = loop {
        match lines.recv_timeout((began + LIMIT).saturating_duration_since(now())) {
            Ok((_, Heard::Line(line) | Heard::Murmur(line))) => said.push(line),
            Ok((_, Heard::End)) => break true,
            Err(_) => break false,
        }
    };
    let passed = |name: &&str| {
        let start = format!("--- PASS: {test}/{name} (");
        said.iter()
            .any(|line| line.trim_start().starts_with(&start))
    };
    let good = ended && process.wait()?.success() && VARIANTS.iter().all(passed);
    said.extend(server.words());
    Failure::unless(good, || format!("{test} failed:\n{}", said.join("\n")))?;
    install::note(&format!(
        "franz-suite: {test} passed in {:.1} s",
        (now() - began).as_secs_f32()
    ));
    Ok(())
}
