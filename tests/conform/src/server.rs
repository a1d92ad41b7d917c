//! A server process under test: started with a profile's settings, ended when dropped.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::case::Profile;

/// How long a server may take to say that it listens.
const START_LIMIT: Duration = Duration::from_mins(1);
/// How many lines of its log are kept to be shown when it fails.
const LOG_LINES_MAX: usize = 40;

/// A running server; dropping it ends the process and waits for it.
#[derive(Debug)]
pub struct Server {
    child: Child,
    addr: String,
    log: Arc<Mutex<VecDeque<String>>>,
}

impl Server {
    /// Starts `binary serve` on a free port of 127.0.0.1 with the settings of `profile`.
    ///
    /// # Errors
    /// If it cannot be started, ends, or does not say where it listens within a minute.
    pub fn start(binary: &Path, profile: Profile) -> Result<Self> {
        let mut command = Command::new(binary);
        command.args(["serve", "--listen", "127.0.0.1:0"]);
        for (name, value) in profile.settings() {
            command.arg("--set").arg(format!("{name}={value}"));
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let child = command
            .spawn()
            .with_context(|| format!("starting {}", binary.display()))?;
        let mut server = Self {
            child,
            addr: String::new(),
            log: Arc::default(),
        };
        let (sender, receiver) = mpsc::channel();
        let stdout = server.child.stdout.take().context("the server's stdout")?;
        let stderr = server.child.stderr.take().context("the server's stderr")?;
        server.follow(stdout, Some(sender));
        server.follow(stderr, None);
        // The channel ends with the server's stdout: a server that exits is noticed at once.
        match receiver.recv_timeout(START_LIMIT) {
            Ok(addr) => server.addr = addr,
            Err(_) => bail!(
                "{} does not listen; it said:\n{}",
                binary.display(),
                server.said()
            ),
        }
        Ok(server)
    }

    /// Where it listens, as HOST:PORT.
    pub fn addr(&self) -> &str {
        &self.addr
    }

    /// The last lines of its output.
    pub fn said(&self) -> String {
        let log = self.log.lock().expect("no holder of this lock panics");
        log.iter()
            .fold(String::new(), |text, line| text + "    " + line + "\n")
    }

    /// Whether the process has not ended by itself.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Reads a stream to its end in a thread of its own, so that the server never waits for a
    /// reader; tells `listening` the address once.
    fn follow(&self, stream: impl Read + Send + 'static, listening: Option<mpsc::Sender<String>>) {
        let log = Arc::clone(&self.log);
        thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                if let (Some(sender), Some(addr)) = (&listening, listening_addr(&line)) {
                    // Whoever waited may have given up: then nobody needs to know.
                    let _ = sender.send(addr);
                }
                let mut log = log.lock().expect("no holder of this lock panics");
                if log.len() == LOG_LINES_MAX {
                    log.pop_front();
                }
                log.push_back(line);
            }
        });
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails only if it has ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address in a line that contains `listening on HOST:PORT`.
fn listening_addr(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("listening on ")?;
    let addr = rest
        .split_whitespace()
        .next()?
        .trim_end_matches([',', '.', ';']);
    addr.contains(':').then(|| addr.to_owned())
}

/// The server's binary: `TAKHIN_BIN`, or built from this workspace with the profile that this
/// program was built with.
///
/// # Errors
/// If it cannot be built.
pub fn binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("TAKHIN_BIN") {
        return Ok(path.into());
    }
    let this = std::env::current_exe().context("where this program is")?;
    // TARGET/PROFILE/conform or TARGET/PROFILE/deps/kafka_4_4_0-HASH.
    let mut folder = this.parent().context("the folder of this program")?;
    if folder.ends_with("deps") {
        folder = folder.parent().context("the folder of deps")?;
    }
    let target = folder.parent().context("the target folder")?;
    let profile = folder
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or("debug");
    let profile = if profile == "debug" { "dev" } else { profile };
    let status = Command::new(env!("CARGO"))
        .args([
            "build",
            "--quiet",
            "--package",
            NAME,
            "--bin",
            NAME,
            "--profile",
            profile,
        ])
        .arg("--target-dir")
        .arg(target)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .status()
        .context("running cargo")?;
    if !status.success() {
        bail!("cargo build of {NAME}: {status}");
    }
    Ok(folder.join(format!("{NAME}{}", std::env::consts::EXE_SUFFIX)))
}

const NAME: &str = "takhin-coordinator";

#[cfg(test)]
mod tests {
    use super::listening_addr;

    #[test]
    fn the_address_is_read_from_the_line_that_tells_it() {
        let line = "takhin-coordinator 0.1.0 listening on 127.0.0.1:40123, ready";
        assert_eq!(listening_addr(line).as_deref(), Some("127.0.0.1:40123"));
        assert_eq!(listening_addr("loading"), None);
        assert_eq!(listening_addr("listening on "), None);
    }
}
