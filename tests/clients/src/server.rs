//! The server under test: one of our own on a free port, or one that runs already.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use crate::Failure;
use crate::clock::now;
use crate::process::{Heard, Process, Speaker};

/// How long a server may take until it listens.
const START_LIMIT: Duration = Duration::from_mins(1);

/// Small, so that a scenario does not wait for it; not zero, so that it is exercised.
const INITIAL_REBALANCE_DELAY_MS: u32 = 200;

/// Lets a scenario see a session end within seconds.
const MIN_SESSION_TIMEOUT_MS: u32 = 1000;

/// A server and its address; one that we started ends when this is dropped.
#[derive(Debug)]
pub struct Server {
    bootstrap: String,
    /// Where it keeps its data, if it does.
    data_dir: Option<PathBuf>,
    /// The process and what it says, unless the server is somebody else's.
    own: Option<(Process, Receiver<(Speaker, Heard)>)>,
}

impl Server {
    /// Starts a server, or takes the one that `TAKHIN_BOOTSTRAP` names.
    ///
    /// # Errors
    ///
    /// When it cannot be built, ends at once, or does not listen within a minute.
    pub fn start() -> Result<Self, Failure> {
        if let Ok(bootstrap) = std::env::var("TAKHIN_BOOTSTRAP") {
            return Ok(Self {
                bootstrap,
                data_dir: None,
                own: None,
            });
        }
        Self::start_at("127.0.0.1:0", None)
    }

    /// Starts a server that keeps its data in a directory; `None` where the server is somebody
    /// else's.
    ///
    /// # Errors
    ///
    /// As [`Server::start`].
    pub fn start_keeping(data_dir: &Path) -> Result<Option<Self>, Failure> {
        if std::env::var("TAKHIN_BOOTSTRAP").is_ok() {
            return Ok(None);
        }
        Self::start_at("127.0.0.1:0", Some(data_dir.to_path_buf())).map(Some)
    }

    /// Ends it as `kill -9` does, and starts it again at its address, with its data.
    ///
    /// # Errors
    ///
    /// As [`Server::start`]; and when it is not ours.
    pub fn kill_and_restart(&mut self) -> Result<(), Failure> {
        let Some((process, _)) = &mut self.own else {
            return Err(Failure::new("a server of somebody else"));
        };
        process.kill()?;
        *self = Self::start_at(&self.bootstrap, self.data_dir.clone())?;
        Ok(())
    }

    fn start_at(listen: &str, data_dir: Option<PathBuf>) -> Result<Self, Failure> {
        let (ear, lines): (Sender<(Speaker, Heard)>, _) = channel();
        let mut command = Command::new(binary()?);
        command
            .args(["serve", "--listen", listen])
            .args([
                "--set",
                &format!("group.initial.rebalance.delay.ms={INITIAL_REBALANCE_DELAY_MS}"),
            ])
            .args([
                "--set",
                &format!("group.min.session.timeout.ms={MIN_SESSION_TIMEOUT_MS}"),
            ]);
        if let Some(data_dir) = &data_dir {
            command.arg("--data-dir").arg(data_dir);
        }
        let process = Process::start(&mut command, Speaker(0), &ear)?;
        let bootstrap = listening(&lines)?;
        Ok(Self {
            bootstrap,
            data_dir,
            own: Some((process, lines)),
        })
    }

    /// Where clients reach it, as `HOST:PORT`.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// What it has said since it started, to be shown beside a failure.
    pub fn words(&self) -> Vec<String> {
        let Some((_, lines)) = &self.own else {
            return Vec::new();
        };
        lines
            .try_iter()
            .map(|(_, heard)| match heard {
                Heard::Line(line) | Heard::Murmur(line) => line,
                Heard::End => "(it has ended)".to_owned(),
            })
            .collect()
    }
}

/// The folder of the workspace.
pub(crate) fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}

/// The server's binary: `TAKHIN_BIN`, or built by cargo, once for all tests of this process.
fn binary() -> Result<PathBuf, Failure> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    if let Ok(path) = std::env::var("TAKHIN_BIN") {
        return Ok(PathBuf::from(path));
    }
    BUILT.get_or_init(build).clone().map_err(Failure::new)
}

fn build() -> Result<PathBuf, String> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let name = "takhin-coordinator";
    let output = Command::new(cargo)
        .args(["build", "--quiet", "--package", name, "--bin", name])
        .current_dir(workspace())
        .output()
        .map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(format!(
            "no server: {}",
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    // This test itself lies in TARGET/PROFILE/deps; the binary in TARGET/debug.
    let test = std::env::current_exe().map_err(|error| error.to_string())?;
    let target = test
        .ancestors()
        .nth(3)
        .ok_or("no target folder above this test")?;
    Ok(target.join("debug").join(name))
}

/// Waits for the line that says where the server listens.
fn listening(lines: &Receiver<(Speaker, Heard)>) -> Result<String, Failure> {
    let deadline = now() + START_LIMIT;
    let mut said = Vec::new();
    loop {
        match lines.recv_timeout(deadline.saturating_duration_since(now())) {
            Ok((_, Heard::Line(line))) => {
                if let Some((_, rest)) = line.split_once("listening on ") {
                    let address = rest.split_whitespace().next().unwrap_or_default();
                    return Ok(address.trim_end_matches([',', '.', ';']).to_owned());
                }
                said.push(line);
            }
            Ok((_, Heard::Murmur(line))) => said.push(line),
            Ok((_, Heard::End)) => {
                return Err(Failure::new(format!("the server ended at once: {said:?}")));
            }
            Err(_) => {
                return Err(Failure::new(format!(
                    "the server does not listen: {said:?}"
                )));
            }
        }
    }
}
