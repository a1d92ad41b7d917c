//! Differential conformance of Kafka group coordinators, on the command line. See README.md.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use conform::case::{Case, Profile};
use conform::check::{Verdict, check, check_binary};
use conform::deviations::{DEVIATIONS, NOT_OFFERED};
use conform::run::{self, Options};
use conform::{cases, print, report, server};

#[derive(Debug, Parser)]
#[command(
    name = "conform",
    about = "Differential conformance of Kafka group coordinators"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the cases of a profile against a server and write the transcripts.
    Run(Run),
    /// Run the cases and compare with Kafka's recorded answers, as the test does.
    Check(Check),
    /// Compare two files of transcripts; the first is the reference.
    Diff {
        reference: PathBuf,
        other: PathBuf,
        #[arg(long)]
        filter: Option<String>,
        /// Cases that only the second server doesn't support count as differences.
        #[arg(long)]
        strict: bool,
    },
    /// List the cases.
    List,
    /// Print the settings of a profile, one key=value a line.
    Settings {
        #[arg(long, default_value = "default")]
        profile: Profile,
    },
    /// Print the transcripts of a file.
    Show {
        file: PathBuf,
        #[arg(long)]
        filter: Option<String>,
    },
}

#[derive(Debug, Args)]
struct Run {
    #[arg(long, default_value = "127.0.0.1:9092")]
    bootstrap: String,
    #[arg(long, default_value = "default")]
    profile: Profile,
    /// Where to write the transcripts, as JSON.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Keep what the file of --out has of other cases, in the order of the list.
    #[arg(long, requires = "out")]
    merge: bool,
    /// Print every step.
    #[arg(long, short)]
    verbose: bool,
    /// What to write down as the server's name.
    #[arg(long, default_value = "")]
    name: String,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Args)]
struct Check {
    /// The server's binary, started with the settings of each profile. Without this and
    /// --bootstrap: TAKHIN_BIN, else built from this workspace.
    #[arg(long, conflicts_with = "bootstrap")]
    bin: Option<PathBuf>,
    /// A server that runs already with the settings of the profile.
    #[arg(long)]
    bootstrap: Option<String>,
    /// The server at --bootstrap is Kafka itself: nothing may deviate or be unsupported.
    #[arg(long, requires = "bootstrap")]
    kafka: bool,
    /// Only this profile (with --bootstrap: default).
    #[arg(long)]
    profile: Option<Profile>,
    #[command(flatten)]
    options: Options,
}

#[tokio::main]
async fn main() -> ExitCode {
    match command(Cli::parse().command).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(e) => {
            eprintln!("conform: {e:#}");
            ExitCode::from(2)
        }
    }
}

async fn command(command: Command) -> Result<bool> {
    match command {
        Command::Run(args) => run_cases(args).await,
        Command::Check(args) => check_profiles(args).await,
        Command::Diff {
            reference,
            other,
            filter,
            strict,
        } => {
            let (a, b) = (report::load(&reference)?, report::load(&other)?);
            Ok(print::diff(&a, &b, filter.as_deref(), strict))
        }
        Command::List => {
            for case in cases::all() {
                println!("{} {:?} {}", case.key(), case.numbers, case.profile);
            }
            Ok(true)
        }
        Command::Settings { profile } => {
            for (name, value) in profile.settings() {
                println!("{name}={value}");
            }
            Ok(true)
        }
        Command::Show { file, filter } => {
            for t in report::load(&file)?.cases {
                if filter.as_ref().is_none_or(|f| t.key().contains(f)) {
                    print::case(&t, true);
                }
            }
            Ok(true)
        }
    }
}

async fn run_cases(args: Run) -> Result<bool> {
    let mut report = run::run(&args.bootstrap, args.profile, &args.options).await?;
    report.broker = args.name;
    for transcript in &report.cases {
        print::case(transcript, args.verbose);
    }
    print::summary(&report.cases);
    let good = report
        .cases
        .iter()
        .all(|t| t.status == "ok" || t.status == "unsupported");
    if let Some(path) = &args.out {
        if args.merge {
            let order: Vec<String> = cases::all().iter().map(Case::key).collect();
            report = report.over(&report::load(path)?, &order);
        }
        report::save(path, &report)?;
    }
    Ok(good)
}

async fn check_profiles(args: Check) -> Result<bool> {
    let options = &args.options;
    if let Some(bootstrap) = &args.bootstrap {
        let profile = args.profile.unwrap_or(Profile::Default);
        let ours = (DEVIATIONS, NOT_OFFERED);
        let tables = if args.kafka { (&[][..], &[][..]) } else { ours };
        let verdict = check(bootstrap, profile, options, tables).await?;
        return Ok(tell(profile, &verdict));
    }
    let binary = match args.bin {
        Some(path) => path,
        None => server::binary()?,
    };
    let mut good = true;
    for profile in args
        .profile
        .map_or_else(|| Profile::ALL.to_vec(), |p| vec![p])
    {
        let verdict = check_binary(&binary, profile, options).await?;
        good &= tell(profile, &verdict);
    }
    Ok(good)
}

/// Prints a verdict; whether it is good.
fn tell(profile: Profile, verdict: &Verdict) -> bool {
    print!("{verdict}");
    println!("{profile}: {}", verdict.summary());
    verdict.is_good()
}
