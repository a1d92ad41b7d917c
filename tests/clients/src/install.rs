//! Whether a client is there to be tested.

use std::io::Write;
use std::process::Command;

use crate::server::workspace;
use crate::{Client, Failure};

/// Whether to run a test of `client`: it is there, or says that it is left out.
///
/// # Errors
///
/// In CI (`CI=true`) a client that is not installed is a failure.
pub(crate) fn ready(client: Client) -> Result<bool, Failure> {
    if current(client)? {
        return Ok(true);
    }
    let name = client.name();
    let words = format!("skipped: needs {name} (run tests/clients/install.sh {name})");
    if std::env::var("CI").is_ok_and(|value| value == "true") {
        return Err(Failure::new(words));
    }
    // Past the capture of the test harness, or nobody would see it.
    writeln!(std::io::stderr(), "{words}")?;
    Ok(false)
}

/// Whether `install.sh` has brought it, at the versions and sources of now.
fn current(client: Client) -> Result<bool, Failure> {
    let script = workspace().join("tests/clients/install.sh");
    let output = Command::new("bash")
        .arg(script)
        .args(["--check", client.name()])
        .output()?;
    Ok(output.status.success())
}
