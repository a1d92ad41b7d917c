//! The floor of the wire: a server that knows nothing and answers each frame with the same bytes.
//!
//! It reads a burst, answers each frame in it and writes once, on one thread; no server that keeps
//! the order of its answers does less. With a log it writes and syncs first what a journal would,
//! all that has come meanwhile in one round, on a thread of its own.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;
use std::sync::mpsc;

use clap::Args as Flags;
use takhin_coordinator::wire::frame;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::LocalSet;

use crate::failure::Failure;
use crate::server::Process;
use crate::store::Bare;

/// An echo.
#[derive(Flags, Debug)]
pub(crate) struct EchoArgs {
    /// The frame of every answer, in hexadecimal digits.
    #[arg(long)]
    answer: String,
    /// A file that is written and synced before each answer.
    #[arg(long, requires = "record_bytes")]
    log: Option<PathBuf>,
    /// Bytes of a record.
    #[arg(long)]
    record_bytes: Option<u64>,
    /// Records of a request.
    #[arg(long, default_value_t = 1)]
    records: usize,
}

/// What a request leaves in the log of an echo.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Logged<'p> {
    pub(crate) file: &'p Path,
    pub(crate) record_bytes: u64,
    pub(crate) records: usize,
}

/// An echo in a process of its own, which ends with this value.
#[derive(Debug)]
pub(crate) struct Echo {
    process: Process,
    pub(crate) address: String,
}

impl Echo {
    pub(crate) fn start(answer: &[u8], log: Option<Logged<'_>>) -> Result<Self, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut digits = String::new();
        for byte in answer {
            write!(digits, "{byte:02x}").expect("to memory");
        }
        command.args(["echo", "--answer", &digits]);
        if let Some(log) = log {
            command.arg("--log").arg(log.file);
            command.args(["--record-bytes", &log.record_bytes.to_string()]);
            command.args(["--records", &log.records.to_string()]);
        }
        let (process, _, mut output) = Process::start_talking(&mut command)?;
        let (mut line, mut byte) = (Vec::new(), [0]);
        while output.read(&mut byte)? == 1 && byte != *b"\n" {
            line.extend_from_slice(&byte);
        }
        let address = String::from_utf8(line).unwrap_or_default();
        if address.is_empty() {
            return Err(Failure::new("the echo did not get ready"));
        }
        Ok(Self { process, address })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }
}

/// Serves until the process is ended.
pub(crate) fn run(args: &EchoArgs) -> Result<(), Failure> {
    let answer: Rc<[u8]> = bytes_of(&args.answer)
        .filter(|answer| answer.len() >= 8)
        .ok_or_else(|| Failure::new("not a frame in hexadecimal digits"))?
        .into();
    let log = match &args.log {
        Some(file) => {
            let bare = Bare::new(file, args.record_bytes.unwrap_or(0))?;
            Some(Log::start(bare, args.records))
        }
        None => None,
    };
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_io().build()?;
    LocalSet::new().block_on(&runtime, async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        writeln!(std::io::stdout(), "{}", listener.local_addr()?)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let (answer, log) = (Rc::clone(&answer), log.clone());
            // A connection that breaks is of interest to whoever broke it.
            tokio::task::spawn_local(async move { drop(serve(stream, &answer, log).await) });
        }
    })
}

fn bytes_of(digits: &str) -> Option<Vec<u8>> {
    let pairs = (0..digits.len()).step_by(2);
    let byte = |at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    pairs.map(byte).collect()
}

/// Where a request and an answer have their number, behind their length.
const ASKED: std::ops::Range<usize> = 4..8;
const ANSWERED: std::ops::Range<usize> = 4..8;
const FRAME_BYTES_MAX: usize = 1 << 20;

async fn serve(mut stream: TcpStream, answer: &[u8], log: Option<Log>) -> Result<(), Failure> {
    let mut input = Vec::with_capacity(64 * 1024);
    let mut out = Vec::new();
    while stream.read_buf(&mut input).await? > 0 {
        let (mut read, mut count) = (0, 0);
        while let Some((len, content)) = frame::split(&input[read..], FRAME_BYTES_MAX)
            .map_err(|error| Failure::new(error.to_string()))?
        {
            let from = out.len();
            out.extend_from_slice(answer);
            out[from..][ANSWERED].copy_from_slice(&content[ASKED]);
            read += len;
            count += 1;
        }
        input.drain(..read);
        if let Some(log) = log.as_ref().filter(|_| count > 0) {
            log.append(count).await?;
        }
        stream.write_all(&out).await?;
        out.clear();
    }
    Ok(())
}

/// The hands of a thread that writes and syncs.
#[derive(Clone, Debug)]
struct Log(mpsc::Sender<(usize, oneshot::Sender<()>)>);

impl Log {
    /// Ends with the process; an error of the disk ends the process.
    fn start(mut bare: Bare, records: usize) -> Self {
        let (sender, requests) = mpsc::channel::<(usize, oneshot::Sender<()>)>();
        std::thread::spawn(move || {
            while let Ok(first) = requests.recv() {
                let round: Vec<_> = std::iter::once(first).chain(requests.try_iter()).collect();
                let count: usize = round.iter().map(|(count, _)| count).sum();
                if bare.round(count * records).is_err() {
                    std::process::exit(1);
                }
                for (_, done) in round {
                    // Who has gone does not want to know.
                    let _ = done.send(());
                }
            }
        });
        Self(sender)
    }

    async fn append(&self, count: usize) -> Result<(), Failure> {
        let (done, is_done) = oneshot::channel();
        let sent = self.0.send((count, done));
        sent.map_err(|_| Failure::new("the log has ended"))?;
        is_done.await.map_err(|_| Failure::new("the log has ended"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_come_in_pairs() {
        assert_eq!(bytes_of("00ff10"), Some(vec![0, 255, 16]));
        assert_eq!(bytes_of("0"), None);
        assert_eq!(bytes_of("zz"), None);
    }
}
