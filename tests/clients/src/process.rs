//! A child process that is heard line by line and never outlives its owner.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::Sender;
use std::thread;

use crate::Failure;

/// Who said a line: an index that the listener gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Speaker(pub(crate) usize);

/// What is heard of a process.
#[derive(Debug)]
pub(crate) enum Heard {
    /// A line of its standard output.
    Line(String),
    /// A line of its standard error.
    Murmur(String),
    /// Its standard output is closed: it has ended or is about to.
    End,
}

/// A running child; dropping it kills and reaps it.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
}

impl Process {
    /// Starts `command` and sends what it says to `ear`.
    pub(crate) fn start(
        command: &mut Command,
        speaker: Speaker,
        ear: &Sender<(Speaker, Heard)>,
    ) -> Result<Self, Failure> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| Failure::new(format!("cannot start {command:?}: {error}")))?;
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let process = Self { child };
        listen(out, speaker, ear.clone(), Heard::Line, true);
        listen(err, speaker, ear.clone(), Heard::Murmur, false);
        Ok(process)
    }

    /// Writes one line to its standard input.
    pub(crate) fn tell(&mut self, line: &str) -> Result<(), Failure> {
        let input = self
            .child
            .stdin
            .as_mut()
            .ok_or_else(|| Failure::new("no standard input"))?;
        input.write_all(format!("{line}\n").as_bytes())?;
        Ok(input.flush()?)
    }

    /// Ends it as `kill -9` does, and reaps it.
    pub(crate) fn kill(&mut self) -> Result<(), Failure> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Waits for a process that has closed its output.
    pub(crate) fn wait(&mut self) -> Result<ExitStatus, Failure> {
        Ok(self.child.wait()?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only for a child that has been reaped already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Forwards a pipe line by line until it closes or nobody listens any more.
fn listen(
    pipe: Option<impl Read + Send + 'static>,
    speaker: Speaker,
    ear: Sender<(Speaker, Heard)>,
    wrap: fn(String) -> Heard,
    tells_end: bool,
) {
    let Some(pipe) = pipe else { return };
    thread::spawn(move || {
        for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            if ear.send((speaker, wrap(line))).is_err() {
                return;
            }
        }
        if tells_end {
            // Nobody may listen any more; then nobody needs to know.
            let _ = ear.send((speaker, Heard::End));
        }
    });
}
