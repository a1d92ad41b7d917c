//! Who is compared: how each is started, afresh, on 127.0.0.1.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use takhin_coordinator::wire::messages::ApiVersionsRequest;
use takhin_coordinator::wire::{ApiKey, RequestHeader, frame};

use crate::clock;
use crate::failure::Failure;
use crate::server::{Process, binary, free_ports};

/// A server.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, clap::ValueEnum)]
pub(crate) enum Peer {
    /// This project's server, groups in memory.
    Ours,
    /// The same with `--data-dir`: what it acknowledged is synced.
    OursOnDisk,
    /// Apache Kafka, a single node.
    Kafka,
    /// The fake broker of franz-go, in memory.
    Kfake,
    /// Tansu, in memory.
    Tansu,
}

impl Peer {
    pub(super) const ALL: [Self; 5] = [
        Self::Ours,
        Self::OursOnDisk,
        Self::Kafka,
        Self::Kfake,
        Self::Tansu,
    ];

    /// Its name among the figures.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::OursOnDisk => "ours-on-disk",
            Self::Kafka => "kafka",
            Self::Kfake => "kfake",
            Self::Tansu => "tansu",
        }
    }

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Ours => "ours, in memory",
            Self::OursOnDisk => "ours, on disk and synced",
            Self::Kafka => "Kafka 4.4.0",
            Self::Kfake => "kfake",
            Self::Tansu => "Tansu 0.6.0",
        }
    }

    /// Where its state is, and what it promises of it.
    pub(super) fn promise(self) -> &'static str {
        match self {
            Self::Ours | Self::Kfake | Self::Tansu => "in memory",
            Self::OursOnDisk => "on disk, synced before it is acknowledged",
            Self::Kafka => "on disk, not synced before it is acknowledged: as it ships",
        }
    }

    /// Its part of `install.sh`; ours needs none.
    pub(super) fn package(self) -> Option<&'static str> {
        match self {
            Self::Ours | Self::OursOnDisk => None,
            Self::Kafka | Self::Kfake | Self::Tansu => Some(self.key()),
        }
    }

    fn is_installed(self) -> bool {
        match self {
            Self::Ours | Self::OursOnDisk => true,
            Self::Kafka => Path::new(KAFKA).join("installed").exists(),
            Self::Kfake | Self::Tansu => Path::new(PEERS).join(self.key()).exists(),
        }
    }

    /// Why it cannot take part; installs it first if it may.
    pub(super) fn absence(self, may_install: bool) -> Result<Option<String>, Failure> {
        if self == Self::OursOnDisk {
            let help = Command::new(binary()?).arg("--help").output()?;
            let has_it = String::from_utf8_lossy(&help.stdout).contains("--data-dir");
            return Ok((!has_it).then(|| "this server has no --data-dir".to_owned()));
        }
        if let Some(package) = self.package().filter(|_| may_install) {
            // What it says goes where ours goes; whether it worked is seen below.
            Command::new("perf/compare/install.sh")
                .arg(package)
                .status()?;
        }
        let reason = "not installed (perf/compare/install.sh)".to_owned();
        Ok((!self.is_installed()).then_some(reason))
    }

    /// The command line; what it needs on disk is made.
    fn command(self, port: u16, folder: &Path) -> Result<Command, Failure> {
        let here = format!("127.0.0.1:{port}");
        match self {
            Self::Ours | Self::OursOnDisk => {
                let mut command = Command::new(binary()?);
                command.args(["serve", "--listen", &here]);
                command.args(["--set", "group.initial.rebalance.delay.ms=0"]);
                if self == Self::OursOnDisk {
                    command.arg("--data-dir").arg(folder.join("data"));
                }
                command.env("RUST_LOG", "warn");
                Ok(command)
            }
            Self::Kafka => kafka(port, folder),
            Self::Kfake => {
                let mut command = Command::new(Path::new(PEERS).join("kfake"));
                command.arg(format!("-port={port}"));
                Ok(command)
            }
            Self::Tansu => {
                let mut command = Command::new(Path::new(PEERS).join("tansu"));
                command.args(["broker", "--storage-engine", "memory://tansu/"]);
                for flag in ["--listener-url", "--advertised-listener-url"] {
                    command.args([flag, &format!("tcp://{here}")]);
                }
                Ok(command)
            }
        }
    }

    /// Starts it with nothing of an earlier run, and waits for its first answer.
    pub(super) fn start(self) -> Result<Running, Failure> {
        let folder = Path::new(RUNS).join(self.key());
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        let port = free_ports::<1>()?[0];
        let mut command = self.command(port, &folder)?;
        let log = File::create(folder.join("log"))?;
        command.stdout(log.try_clone()?).stderr(log);
        let shown = shown(&command);
        let begun = clock::now();
        let mut process = Process::start(&mut command)?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        while first_answer(address).is_err() {
            if process.has_ended() {
                let log = folder.join("log");
                return Err(Failure::new(format!("it ended: see {}", log.display())));
            }
            if clock::now().saturating_duration_since(begun) > READY_WITHIN {
                return Err(Failure::new("it did not answer in time"));
            }
            std::thread::park_timeout(Duration::from_millis(1));
        }
        Ok(Running {
            first_answer: clock::now().saturating_duration_since(begun),
            address: address.to_string(),
            process,
            command: shown,
        })
    }
}

/// A peer that runs; it is stopped with this value.
#[derive(Debug)]
pub(super) struct Running {
    process: Process,
    pub(super) address: String,
    /// From the start of the process to the answer to `ApiVersions`.
    pub(super) first_answer: Duration,
    /// How it was started.
    pub(super) command: String,
}

impl Running {
    pub(super) fn pid(&self) -> u32 {
        self.process.pid()
    }
}

const KAFKA: &str = "target/kafka-4.4.0";
const PEERS: &str = "target/peers";
/// Where each peer has its data and its log while it runs, and until the next time.
const RUNS: &str = "target/compare";
const READY_WITHIN: Duration = Duration::from_mins(1);

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    let words = words.join(" ");
    // The folder of this run is nobody's business, and long.
    match std::env::current_dir() {
        Ok(root) => words.replace(&format!("{}/", root.display()), ""),
        Err(_) => words,
    }
}

fn first_answer(address: SocketAddr) -> Result<(), Failure> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let header = RequestHeader {
        api: ApiKey::ApiVersions,
        version: 0,
        correlation_id: 1,
        client_id: Some("perf"),
    };
    let mut question = Vec::new();
    frame::append_request(&mut question, &header, &ApiVersionsRequest::default())
        .map_err(|error| Failure::new(error.to_string()))?;
    stream.write_all(&question)?;
    let mut length = [0; frame::LENGTH_BYTES];
    Ok(stream.read_exact(&mut length)?)
}

/// What Kafka's own start script gives the virtual machine.
const JVM: [&str; 8] = [
    "-Xmx1G",
    "-Xms1G",
    "-server",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
    "-Djava.awt.headless=true",
];

/// What differs from Kafka's defaults: that it is one node, and that groups do not wait three
/// seconds for their first members.
pub(super) const KAFKA_SETTINGS: &str = "process.roles=broker,controller
node.id=1
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
";

/// A cluster id: any will do.
const CLUSTER: &str = "dGFraGluLWNvbXBhcmVzQQ";

/// Formats a fresh node; that is not part of its start.
fn kafka(port: u16, folder: &Path) -> Result<Command, Failure> {
    let [controller] = free_ports()?;
    let data = folder.join("data");
    let properties = folder.join("server.properties");
    let text = format!(
        "{KAFKA_SETTINGS}\
         controller.quorum.voters=1@127.0.0.1:{controller}\n\
         listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n\
         log.dirs={}\n",
        data.display()
    );
    fs::write(&properties, text)?;
    let formatted = java()
        .args(["kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c"])
        .arg(&properties)
        .stdin(Stdio::null())
        .output()?;
    if !formatted.status.success() {
        let said = String::from_utf8_lossy(&formatted.stderr);
        return Err(Failure::new(format!(
            "Kafka's data was not formatted: {said}"
        )));
    }
    let mut command = java();
    command.arg("kafka.Kafka").arg(&properties);
    Ok(command)
}

fn java() -> Command {
    let home = PathBuf::from(KAFKA);
    let logging = home.join("log4j2.yaml");
    let mut command = Command::new("java");
    command.args(JVM);
    command.arg(format!("-Dlog4j2.configurationFile={}", logging.display()));
    command.arg("-cp").arg(home.join("libs/*"));
    command
}

/// Bytes of live objects in a Java heap, after a full collection; `None` without the JDK's tools.
pub(super) fn live_heap_bytes(pid: u32) -> Option<f64> {
    let histogram = Command::new("jcmd")
        .arg(pid.to_string())
        .arg("GC.class_histogram")
        .output()
        .ok()?;
    total_of(&String::from_utf8_lossy(&histogram.stdout))
}

fn total_of(histogram: &str) -> Option<f64> {
    let total = histogram
        .lines()
        .find_map(|line| line.strip_prefix("Total"))?;
    total.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_live_heap_is_the_total_of_its_classes() {
        let histogram = " num     #instances         #bytes  class name (module)\n\
                          1:          9000        2161184  [B (java.base@17)\n\
                         Total         90000        8161184\n";
        assert_eq!(total_of(histogram), Some(8_161_184.0));
        assert_eq!(total_of(""), None);
    }
}
