//! The life of the process: flags, runtime, ready line, signals, exit code.
//!
//! | exit code | meaning |
//! | --- | --- |
//! | 0 | stopped by SIGTERM or SIGINT |
//! | 1 | it could not start or go on, or a second signal cut the stop short |
//! | 2 | a flag, file or value is wrong |
//!
//! Those of the offline tools stand in `offline`.

use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::admin::Admin;
use super::cli::{Cli, Command, HostPort, StartError};
use super::data::{Data, DataError};
use super::dispatch::{Broker, OffsetsTopic};
use super::listener::Server;
use super::offline;
use crate::config::Config;
use crate::engine::Durability;
use crate::engine::Engine;
use crate::topics::{Topics, TopicsConfig};
use crate::txn::{self, Coordinator};

/// Runs the `takhin-coordinator` binary: reads the command line, serves, and gives the exit code.
///
/// Installs a tracing subscriber and signal handlers, so it belongs into a `main`.
pub fn main() -> ExitCode {
    if let Some(code) = offline::run() {
        return code;
    }
    let cli = Cli::parse();
    let (config, ignored) = match cli.config() {
        Ok(config) => config,
        Err(error) => return refuse(&error),
    };
    log_to_stderr();
    for key in ignored {
        tracing::warn!("property '{key}' has no effect here");
    }
    let Command::Serve = cli.command;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("cannot start threads: {error}")),
    };
    let code = runtime.block_on(serve(&cli, config));
    runtime.shutdown_background();
    code
}

/// Serves until a signal comes.
async fn serve(cli: &Cli, mut config: Config) -> ExitCode {
    let listeners = match bind_all(&cli.listeners()).await {
        Ok(listeners) => listeners,
        Err(code) => return code,
    };
    let admin_listener = match &cli.admin {
        None => Vec::new(),
        Some(host_port) => match bind_all(std::slice::from_ref(host_port)).await {
            Ok(listeners) => listeners,
            Err(code) => return code,
        },
    };
    let mut signals = match Signals::install() {
        Ok(signals) => signals,
        Err(error) => return fail(&format!("cannot handle signals: {error}")),
    };
    let addresses: Vec<SocketAddr> = listeners
        .iter()
        .filter_map(|listener| listener.local_addr().ok())
        .collect();
    let data = match open_data(cli, &mut config) {
        Ok(data) => data,
        Err(error) => return refuse(&error),
    };
    let mut builder = Engine::builder(config.clone());
    let (topics, transactions, shown) = match data {
        Some(data) => {
            let shown = OffsetsTopic::new(Arc::clone(&data.journal), config.takhin_shards);
            builder = builder.journal(data.journal);
            let topics = data.topics.with_internal(shown.summary());
            (topics, Some(data.transactions), Some(shown))
        }
        None => (Topics::new(topics(&config)), None, None),
    };
    let topics = Arc::new(topics);
    let engine = match builder.open() {
        Ok(engine) => engine,
        Err(error) => return fail(&format!("cannot start the engine: {error}")),
    };
    let transactions = match open_transactions(cli, transactions, &config, &engine) {
        Ok(transactions) => Arc::new(transactions),
        Err(error) => return refuse(&error),
    };
    say_durability(cli, &engine);
    let metrics = Arc::clone(engine.metrics());
    let admin = Arc::new(Admin::new(engine.clone(), Arc::clone(&topics)));
    serve_admin(&admin, admin_listener);
    let clock = Arc::clone(engine.clock());
    let advertised = cli.advertise.as_ref().map(|it| (it.host.clone(), it.port));
    let broker = Broker::new(
        engine.clone(),
        topics,
        transactions,
        config.clone(),
        advertised,
    );
    let broker = broker.with_offsets_topic(shown);
    tokio::spawn(broker.carry_out_transactions());
    let server = Server::start(broker, listeners, &config, metrics, clock);
    admin.set_ready(true);
    announce(&addresses);
    signals.next().await;
    tracing::info!("stopping");
    admin.set_ready(false);
    stop(server, &engine, &mut signals).await
}

fn serve_admin(admin: &Arc<Admin>, listeners: Vec<TcpListener>) {
    for listener in listeners {
        if let Ok(address) = listener.local_addr() {
            tracing::info!("admin on http://{address}");
        }
        tokio::spawn(Arc::clone(admin).serve(listener));
    }
}

/// Stops in order, or at once by a second signal.
async fn stop(server: Server<Broker>, engine: &Engine, signals: &mut Signals) -> ExitCode {
    tokio::select! {
        all_answered = server.stop(STOP_TIME_MAX) => {
            if !all_answered {
                tracing::warn!("some connections were cut off");
            }
            engine.shutdown();
            engine.stopped().await;
            ExitCode::SUCCESS
        }
        () = signals.next() => fail("stopped at once by a second signal"),
    }
}

/// The data directory, if there is to be one.
fn open_data(cli: &Cli, config: &mut Config) -> Result<Option<Data>, StartError> {
    let Some(dir) = &cli.data_dir else {
        return Ok(None);
    };
    let topics = topics(config);
    let opened = Data::open(dir, cli.repair, config, topics);
    opened
        .map(Some)
        .map_err(|error| StartError::DataDir(dir.display().to_string(), error))
}

/// The transactions, in the data directory if there is one.
fn open_transactions(
    cli: &Cli,
    place: Option<(PathBuf, txn::Damage)>,
    config: &Config,
    engine: &Engine,
) -> Result<Coordinator, StartError> {
    let limits = txn::Limits {
        timeout_ms_max: config.transaction_max_timeout_ms,
        expiration_ms: config.transactional_id_expiration_ms,
        ids_max: usize::try_from(config.takhin_transactional_ids_max).unwrap_or(usize::MAX),
        ..txn::Limits::default()
    };
    let (dir, damage) = place.unzip();
    let damage = damage.unwrap_or_default();
    Coordinator::open(dir.as_deref(), damage, limits, engine.now()).map_err(|error| {
        let dir = cli.data_dir.as_deref().unwrap_or_else(|| Path::new(""));
        StartError::DataDir(dir.display().to_string(), DataError::Transactions(error))
    })
}

/// What an acknowledgement is worth.
fn say_durability(cli: &Cli, engine: &Engine) {
    let dir = cli.data_dir.as_deref().map(Path::display);
    if let (Durability::LocalFsync, Some(dir)) = (engine.durability(), dir) {
        tracing::info!("durability LocalFsync: what is acknowledged was synced to '{dir}'");
    } else {
        tracing::info!(
            "durability Memory: groups, offsets and records are in memory and end with this process"
        );
    }
}

/// The data plane's settings.
fn topics(config: &Config) -> TopicsConfig {
    let size = |n: i32| usize::try_from(n).unwrap_or(0);
    TopicsConfig {
        num_partitions: config.num_partitions,
        auto_create: config.auto_create_topics_enable,
        log_retention_bytes: config.log_retention_bytes,
        max_message_bytes: config.message_max_bytes,
        fetch_max_bytes: config.fetch_max_bytes,
        fetch_sessions_max: size(config.max_incremental_fetch_session_cache_slots),
        ..TopicsConfig::default()
    }
}

/// Binds all addresses, or says why not.
async fn bind_all(addresses: &[HostPort]) -> Result<Vec<TcpListener>, ExitCode> {
    let mut listeners = Vec::with_capacity(addresses.len());
    for address in addresses {
        let target = (address.host.as_str(), address.port);
        let resolved: Vec<SocketAddr> = match tokio::net::lookup_host(target).await {
            Ok(resolved) => resolved.collect(),
            Err(_) => Vec::new(),
        };
        // Of `localhost` most clients try the IPv4 address, some no other.
        let first = resolved.iter().find(|address| address.is_ipv4());
        let Some(resolved) = first.or_else(|| resolved.first()) else {
            return Err(refuse(&StartError::NoAddress(address.clone())));
        };
        match TcpListener::bind(resolved).await {
            Ok(listener) => listeners.push(listener),
            Err(error) => return Err(fail(&format!("cannot listen on {address}: {error}"))),
        }
    }
    Ok(listeners)
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn install() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Prints the ready lines, one a listener, in one write.
fn announce(addresses: &[SocketAddr]) {
    let mut lines = String::new();
    for address in addresses {
        lines.push_str("listening on ");
        lines.push_str(&address.to_string());
        lines.push('\n');
    }
    let mut stdout = io::stdout().lock();
    // Nobody may be reading; that is no reason not to serve.
    let _ = stdout.write_all(lines.as_bytes());
    let _ = stdout.flush();
}

pub(super) fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    // An embedding test may have installed one before; then that one stays.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .try_init();
}

fn refuse(error: &StartError) -> ExitCode {
    complain(&error.to_string());
    ExitCode::from(2)
}

fn fail(error: &str) -> ExitCode {
    complain(error);
    ExitCode::from(1)
}

/// Errors that end the process are one sentence, whatever the log level.
pub(super) fn complain(sentence: &str) {
    let _ = writeln!(io::stderr(), "error: {sentence}");
}

/// How long a stop may take.
const STOP_TIME_MAX: Duration = Duration::from_secs(5);
