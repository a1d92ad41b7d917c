//! The command lines of the offline tools.
//!
//! | exit code | meaning |
//! | --- | --- |
//! | 0 | done, and what was looked at is whole |
//! | 1 | a device, a file or a pipe failed |
//! | 2 | a flag is wrong, or what was named cannot be used; nothing was changed |
//! | 3 | the directory is damaged; nothing was changed |

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use super::cli::RepairMode;
use super::process::{complain, log_to_stderr};
use crate::group::Record;
use crate::store::Repair;
use crate::tools::{self, ImportOptions, ToolError};

/// Offline tools of takhin-coordinator: what is in a data directory, and how it gets out and in.
#[derive(Parser, Debug)]
#[command(name = "takhin-coordinator", version)]
struct Offline {
    #[command(subcommand)]
    tool: Tool,
}

#[derive(Subcommand, Debug)]
enum Tool {
    Inspect(Inspect),
    Export(Export),
    Import(Import),
}

/// Shows the journal of a data directory as JSON lines: its files, what is damaged, every record.
///
/// Changes nothing and takes no lock: it works on damaged directories, and on one that a server
/// has open shows a moment. Exit code 0: whole; 3: damaged; 2: no journal there.
#[derive(Args, Debug)]
struct Inspect {
    /// The data directory, or the journal in it.
    dir: PathBuf,
}

/// Writes all groups and offsets of a data directory as JSON lines.
///
/// No server may have the directory open. Exit code 3: it is damaged, and nothing was written.
#[derive(Args, Debug)]
struct Export {
    /// The data directory, or the journal in it.
    dir: PathBuf,
    /// Writes into a file, which must not exist, and not to stdout.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// What to do about damage.
    #[arg(long, value_enum, default_value = "refuse")]
    repair: RepairMode,
}

/// Takes groups and offsets into a data directory: from an export, or from Kafka's own log.
///
/// All of the input is read before anything is written. A directory that has no journal gets one,
/// whole or not at all. No server may have the directory open.
#[derive(Args, Debug)]
struct Import {
    /// The data directory, or the journal in it.
    dir: PathBuf,
    /// Reads an export from a file, and not from stdin.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Reads raw segment files of Kafka's __consumer_offsets (00000000000000000000.log and so on),
    /// compressed or not, in any order. The files of one folder are one partition.
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with = "file")]
    from_kafka_log: Vec<PathBuf>,
    /// Goes on where groups or offsets are: what comes in wins under the same name.
    #[arg(long)]
    merge: bool,
    /// The number of shards of a journal that has to be made [default: one a core].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    shards: Option<u32>,
}

/// Runs the tool that the command line names; `None` if it names none.
pub(super) fn run() -> Option<ExitCode> {
    let first = std::env::args_os().nth(1)?;
    if !["inspect", "export", "import"]
        .iter()
        .any(|tool| first == *tool)
    {
        return None;
    }
    let offline = Offline::parse();
    log_to_stderr();
    let outcome = match &offline.tool {
        Tool::Inspect(asked) => inspect(asked),
        Tool::Export(asked) => export(asked),
        Tool::Import(asked) => import(asked),
    };
    Some(match outcome {
        Ok(code) => code,
        Err(error) => fail(&error),
    })
}

fn inspect(asked: &Inspect) -> Result<ExitCode, ToolError> {
    let mut out = BufWriter::new(io::stdout().lock());
    let seen = tools::inspect(&asked.dir, &mut out)?;
    flush(&mut out, "stdout")?;
    let code = if seen.damages == 0 { 0 } else { DAMAGED };
    Ok(ExitCode::from(code))
}

fn export(asked: &Export) -> Result<ExitCode, ToolError> {
    let repair = match asked.repair {
        RepairMode::Refuse => Repair::Refuse,
        RepairMode::Quarantine => Repair::Quarantine,
    };
    let exported = match &asked.file {
        None => tools::export(&asked.dir, repair, &mut BufWriter::new(io::stdout().lock()))?,
        Some(path) => export_to(path, |out| tools::export(&asked.dir, repair, out))?,
    };
    say(&format!(
        "{} written; {} records of unknown types and {} damaged places left out",
        exported.counts, exported.unknown, exported.damages
    ));
    Ok(ExitCode::SUCCESS)
}

/// Writes a file that is there only if all of it is.
fn export_to<T>(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> Result<T, ToolError>,
) -> Result<T, ToolError> {
    let name = path.display().to_string();
    let file = File::create_new(path).map_err(|error| unusable(&name, &error))?;
    let mut out = BufWriter::new(&file);
    let written = write(&mut out).and_then(|written| {
        flush(&mut out, &name)?;
        file.sync_all().map_err(failed(&name))?;
        Ok(written)
    });
    if written.is_err() {
        // It was made here, a moment ago; what went wrong is told.
        let _ = std::fs::remove_file(path);
    }
    written
}

fn import(asked: &Import) -> Result<ExitCode, ToolError> {
    let options = ImportOptions {
        merge: asked.merge,
        shards: asked.shards,
    };
    let records = match &asked.file {
        None if !asked.from_kafka_log.is_empty() => kafka_log(&asked.from_kafka_log)?,
        None => tools::read_lines("stdin", &mut io::stdin().lock())?,
        Some(path) => {
            let name = path.display().to_string();
            let mut input = open(path)?;
            tools::read_lines(&name, &mut input)?
        }
    };
    let imported = tools::import(&asked.dir, &records, options)?;
    say(&format!("{imported} taken into '{}'", asked.dir.display()));
    Ok(ExitCode::SUCCESS)
}

/// What Kafka's log holds; what of it is left out is told.
fn kafka_log(files: &[PathBuf]) -> Result<Vec<Record>, ToolError> {
    let log = tools::read_kafka_log(files)?;
    for (what, count) in &log.skipped {
        say(&format!("left out: {count} {what}"));
    }
    Ok(log.records)
}

fn open(path: &Path) -> Result<impl BufRead, ToolError> {
    let file = File::open(path).map_err(|error| unusable(&path.display().to_string(), &error))?;
    Ok(BufReader::new(file))
}

fn unusable(name: &str, error: &io::Error) -> ToolError {
    ToolError::Refused(format!("cannot open '{name}': {error}"))
}

fn flush(out: &mut dyn Write, name: &str) -> Result<(), ToolError> {
    out.flush().map_err(failed(name))
}

fn failed(name: &str) -> impl FnOnce(io::Error) -> ToolError {
    let doing = format!("writing '{name}'");
    move |error| ToolError::Io { doing, error }
}

/// What was done, on stderr: stdout may be an export.
fn say(sentence: &str) {
    let _ = writeln!(io::stderr(), "{sentence}");
}

fn fail(error: &ToolError) -> ExitCode {
    // Whoever read the output has seen enough.
    if !error.is_broken_pipe() {
        complain(&error.to_string());
    }
    ExitCode::from(match error {
        ToolError::Io { .. } => 1,
        ToolError::Refused(_) => 2,
        ToolError::Damaged(_) => DAMAGED,
    })
}

const DAMAGED: u8 = 3;
