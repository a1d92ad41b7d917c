//! The server's process: started and ended by us, or only looked at.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use crate::clock;
use crate::failure::Failure;
use crate::profile::ProfileArgs;

/// A server that we started; it ends with this value.
#[derive(Debug)]
pub(crate) struct Server {
    process: Process,
    address: String,
}

/// A process that we started; it ends with this value.
#[derive(Debug)]
pub(crate) struct Process(Child);

const READY_WITHIN: Duration = Duration::from_secs(20);
/// Some seconds of it for one who draws where its time went.
const STOPS_WITHIN: Duration = Duration::from_secs(30);

impl Server {
    /// Starts it on a free port of 127.0.0.1 and waits for the line that says where it listens.
    ///
    /// Groups wait 100 ms instead of three seconds for their first members, unless `settings`
    /// says otherwise: that is how long each takes to form.
    pub(crate) fn spawn(settings: &[String]) -> Result<Self, Failure> {
        Self::spawn_with(settings, &[])
    }

    /// The same with more flags.
    pub(crate) fn spawn_with(settings: &[String], flags: &[&str]) -> Result<Self, Failure> {
        Self::spawn_sampled(&ProfileArgs::default(), settings, flags)
    }

    /// The same with a profiler around it, if one is asked for.
    pub(crate) fn spawn_sampled(
        profile: &ProfileArgs,
        settings: &[String],
        flags: &[&str],
    ) -> Result<Self, Failure> {
        let mut command = profile.server()?;
        let program = command.get_program().to_string_lossy().into_owned();
        command.args(["serve", "--listen", "127.0.0.1:0"]);
        command.args(flags);
        command.args(["--set", "group.initial.rebalance.delay.ms=100"]);
        for setting in settings {
            command.args(["--set", setting]);
        }
        if std::env::var_os("RUST_LOG").is_none() {
            command.env("RUST_LOG", "warn");
        }
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut child = child.map_err(|error| Failure::new(format!("{program}: {error}")))?;
        let stdout = child.stdout.take();
        let mut server = Self {
            process: Process(child),
            address: String::new(),
        };
        let (sender, ready) = mpsc::channel();
        // Ends with the server's output; goes on reading so that the server never waits for us.
        std::thread::spawn(move || {
            for line in stdout
                .into_iter()
                .flat_map(|out| BufReader::new(out).lines())
            {
                let Ok(line) = line else { return };
                if let Some((_, address)) = line.split_once("listening on ") {
                    // The receiver is gone once the first address has come.
                    let _ = sender.send(address.trim().to_owned());
                }
            }
        });
        server.address = ready
            .recv_timeout(READY_WITHIN)
            .map_err(|_| Failure::new(format!("{program} did not get ready")))?;
        Ok(server)
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> Result<Self, Failure> {
        let name = command.get_program().to_string_lossy().into_owned();
        let child = command.stdin(Stdio::null()).spawn();
        child
            .map(Self)
            .map_err(|error| Failure::new(format!("{name}: {error}")))
    }

    /// One that is talked to by its input and output, which are piped.
    pub(crate) fn start_talking(
        command: &mut Command,
    ) -> Result<(Self, ChildStdin, ChildStdout), Failure> {
        let name = command.get_program().to_string_lossy().into_owned();
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.map_err(|error| Failure::new(format!("{name}: {error}")))?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (input, output) = pipes.expect("both are piped");
        Ok((Self(child), input, output))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.0.try_wait(), Ok(None))
    }
}

impl Drop for Process {
    /// SIGTERM, then SIGKILL for one that does not stop in time; to that very process.
    fn drop(&mut self) {
        let asked = Command::new("kill").arg(self.pid().to_string()).status();
        let deadline = clock::now() + STOPS_WITHIN;
        while asked.is_ok() && clock::now() < deadline {
            if self.has_ended() {
                return;
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
        // It is gone already, or there is nothing more that could be done.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The server's binary: `TAKHIN_BIN`, or what was built beside this program.
pub(crate) fn binary() -> Result<PathBuf, Failure> {
    if let Some(path) = std::env::var_os("TAKHIN_BIN") {
        return Ok(path.into());
    }
    let beside = std::env::current_exe()?.with_file_name("takhin-coordinator");
    if beside.exists() {
        return Ok(beside);
    }
    Err(Failure::new(format!(
        "{} is not there: build the server in the same profile, or name it by TAKHIN_BIN",
        beside.display()
    )))
}

/// Ports that were free a moment ago.
pub(crate) fn free_ports<const N: usize>() -> Result<[u16; N], Failure> {
    let mut held = Vec::new();
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}

/// Units of CPU time in `/proc/PID/stat`, a second: fixed on Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// User and system time of a process so far, in seconds; `None` where `/proc` does not tell.
pub(crate) fn cpu_seconds(pid: u32) -> Option<f64> {
    cpu_seconds_in(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn cpu_seconds_in(stat: &str) -> Option<f64> {
    // The second field is the program's name in brackets, and may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_SECOND)
}

/// The memory of a process that is resident, in bytes; `None` where `/proc` does not tell.
pub(crate) fn resident_bytes(pid: u32) -> Option<u64> {
    resident_bytes_in(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?)
}

fn resident_bytes_in(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_found_behind_any_program_name() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 2 3 4 150 50 9 9 20 0 1 0 5 6 7\n";
        assert_eq!(cpu_seconds_in(stat), Some(2.0));
        assert_eq!(cpu_seconds_in("7 (x) S 1"), None);
    }

    #[test]
    fn resident_memory_is_told_in_bytes() {
        let status = "Name:\tx\nVmHWM:\t   900 kB\nVmRSS:\t   812 kB\n";
        assert_eq!(resident_bytes_in(status), Some(812 * 1_024));
        assert_eq!(resident_bytes_in("Name:\tx\n"), None);
    }
}
