//! The process of one who disturbs, from outside.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

use super::args::Disturbance;
use super::disturb::{GO, READY, REST, RESTED};
use crate::failure::Failure;
use crate::server::{Process, Server};

/// One who disturbs a server when told; it ends with this value.
#[derive(Debug)]
pub(super) struct Disturber {
    // Before the process: without its input it ends by itself.
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    process: Process,
    /// Steps so far.
    steps: u64,
}

impl Disturber {
    /// Starts it, and waits until it has made ready what it needs.
    pub(super) fn start(
        disturbance: Disturbance,
        size: u64,
        server: &Server,
        admin: &str,
    ) -> Result<Self, Failure> {
        let mut command = Command::new("nice");
        command.args(["-n", "19"]).arg(std::env::current_exe()?);
        command.args(["disturb", disturbance.name()]);
        command.args(["--bootstrap", server.address(), "--admin", admin]);
        command.args(["--size", &size.to_string()]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let (process, input, output) = Process::start_talking(&mut command)?;
        let mut disturber = Self {
            input,
            output: BufReader::new(output),
            process,
            steps: 0,
        };
        let said = disturber.hear()?;
        if said == READY {
            Ok(disturber)
        } else {
            Err(Failure::new(format!("it said \"{said}\", not ready")))
        }
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.pid()
    }

    pub(super) fn go(&mut self) -> Result<(), Failure> {
        Ok(writeln!(self.input, "{GO}")?)
    }

    /// Waits for the end of its step; how many steps those were since it went.
    pub(super) fn rest(&mut self) -> Result<u64, Failure> {
        writeln!(self.input, "{REST}")?;
        let said = self.hear()?;
        let steps = said.strip_prefix(RESTED).and_then(|it| it.parse().ok());
        let steps =
            steps.ok_or_else(|| Failure::new(format!("it said \"{said}\" of its steps")))?;
        Ok(steps - std::mem::replace(&mut self.steps, steps))
    }

    fn hear(&mut self) -> Result<String, Failure> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            return Err(Failure::new("one who disturbs has ended; see above"));
        }
        line.truncate(line.trim_end().len());
        Ok(line)
    }
}
