//! Whether a client is there to be tested.

use std::io::Write;
use std::process::Command;

use crate::Failure;
use crate::server::workspace;

/// Whether to run the tests of `name`, as `install.sh` knows it; if it is not there, says so.
///
/// # Errors
///
/// In CI (`CI=true`) a client that is not installed is a failure.
pub(crate) fn ready(name: &str) -> Result<bool, Failure> {
    if current(name)? {
        return Ok(true);
    }
    let words = format!("skipped: needs {name} (run tests/clients/install.sh {name})");
    if std::env::var("CI").is_ok_and(|value| value == "true") {
        return Err(Failure::new(words));
    }
    note(&words);
    Ok(false)
}

/// Writes a line for the person who watches, past the capture of the test harness.
pub(crate) fn note(words: &str) {
    // A closed standard error is no reason to fail.
    let _ = writeln!(std::io::stderr(), "{words}");
}

/// Whether `install.sh` has brought it, at the versions and sources of now.
fn current(name: &str) -> Result<bool, Failure> {
    let script = workspace().join("tests/clients/install.sh");
    let output = Command::new("bash")
        .arg(script)
        .args(["--check", name])
        .output()?;
    Ok(output.status.success())
}
