//! The command line and the configuration file.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::{Parser, ValueEnum};

use super::data::DataError;
use crate::config::{Config, ConfigBuilder, ConfigError, Properties, PropertiesError};

/// A Kafka consumer-group coordinator.
///
/// Kafka's broker properties are accepted by their own names, in a file and by --set; one that
/// means nothing here is taken with a warning. Later wins: defaults, file, --set.
#[derive(Parser, Debug)]
#[command(name = "takhin-coordinator", version, after_help = TOOLS)]
pub(super) struct Cli {
    /// What to do.
    #[arg(value_enum, default_value = "serve")]
    pub(super) command: Command,
    /// Listens for Kafka clients; port 0 takes a free one [default: 127.0.0.1:9092].
    #[arg(long, value_name = "HOST:PORT")]
    pub(super) listen: Vec<HostPort>,
    /// The address that clients are told, if it is not the one that they reached.
    #[arg(long, value_name = "HOST:PORT", value_parser = advertised)]
    pub(super) advertise: Option<HostPort>,
    /// Sets a property.
    #[arg(long, value_name = "PROPERTY=VALUE", value_parser = assignment)]
    pub(super) set: Vec<(String, String)>,
    /// Reads properties from a file in Kafka's server.properties format.
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Serves /livez, /readyz and /metrics over HTTP.
    #[arg(long, value_name = "HOST:PORT")]
    pub(super) admin: Option<HostPort>,
    /// Keeps groups, offsets, topics and records in this directory, which is made if it is not
    /// there; without it they are in memory and end with the process.
    #[arg(long, value_name = "DIR")]
    pub(super) data_dir: Option<PathBuf>,
    /// What to do about damage in the data directory.
    #[arg(long, value_enum, default_value = "refuse", requires = "data_dir")]
    pub(super) repair: RepairMode,
}

/// What to do about damage in the data directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum RepairMode {
    /// Does not start, and says where the damage is.
    Refuse,
    /// Skips what is damaged, says so, and goes on.
    Quarantine,
}

/// What the binary can do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum Command {
    /// Runs the server.
    Serve,
}

impl Cli {
    /// The configuration from file and flags, and the properties in it that have no effect.
    pub(super) fn config(&self) -> Result<(Config, Vec<String>), StartError> {
        let mut builder = Config::builder();
        if let Some(path) = &self.config {
            builder = read_file(builder, path)?;
        }
        for (key, value) in &self.set {
            builder = builder.set(key, value).map_err(StartError::Property)?;
        }
        let ignored = builder.ignored().to_vec();
        let config = builder.build().map_err(StartError::Property)?;
        Ok((config, ignored))
    }

    /// The addresses to listen on.
    pub(super) fn listeners(&self) -> Vec<HostPort> {
        if self.listen.is_empty() {
            return vec![HostPort {
                host: "127.0.0.1".to_owned(),
                port: 9092,
            }];
        }
        self.listen.clone()
    }
}

fn read_file(mut builder: ConfigBuilder, path: &Path) -> Result<ConfigBuilder, StartError> {
    let file = || path.display().to_string();
    let unreadable = |error: std::io::Error| StartError::Unreadable(file(), error);
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|open| open.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
        .map_err(unreadable)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(StartError::TooLarge(file()));
    }
    let text = String::from_utf8(bytes).map_err(|_| StartError::NotText(file()))?;
    let properties = Properties::parse(&text).map_err(|error| StartError::Line(file(), error))?;
    for (key, value) in properties.pairs {
        builder = builder
            .set(&key, &value)
            .map_err(|error| StartError::FileProperty(file(), error))?;
    }
    Ok(builder)
}

/// Why the server was not even tried: each is one sentence and exit code 2.
#[derive(Debug)]
pub(super) enum StartError {
    /// The file cannot be read.
    Unreadable(String, std::io::Error),
    /// The file is too long to be a configuration.
    TooLarge(String),
    /// The file is not UTF-8.
    NotText(String),
    /// The file is no `.properties` text.
    Line(String, PropertiesError),
    /// A property of the file is wrong.
    FileProperty(String, ConfigError),
    /// A property of a flag is wrong, or two do not fit.
    Property(ConfigError),
    /// A host has no address.
    NoAddress(HostPort),
    /// The data directory cannot be used.
    DataDir(String, DataError),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(file, error) => write!(f, "cannot read '{file}': {error}"),
            Self::TooLarge(file) => write!(
                f,
                "'{file}' is longer than the {FILE_BYTES_MAX} bytes that a configuration may have"
            ),
            Self::NotText(file) => write!(f, "'{file}' is not UTF-8 text"),
            Self::Line(file, error) => write!(f, "cannot read '{file}': {error}"),
            Self::FileProperty(file, error) => write!(f, "in '{file}': {error}"),
            Self::Property(error) => write!(f, "{error}"),
            Self::NoAddress(host_port) => write!(f, "'{host_port}' has no address to listen on"),
            Self::DataDir(dir, error) => {
                write!(f, "cannot use the data directory '{dir}': {error}")
            }
        }
    }
}

/// A host name or address with a port; IPv6 addresses stand in brackets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct HostPort {
    pub(super) host: String,
    pub(super) port: u16,
}

impl FromStr for HostPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || "expected HOST:PORT, such as 127.0.0.1:9092 or [::1]:9092".to_owned();
        let (host, port) = text.rsplit_once(':').ok_or_else(expected)?;
        let host = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
            Some(inner) => inner,
            None if host.contains([':', '[', ']']) => return Err(expected()),
            None => host,
        };
        if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c == '/') {
            return Err(expected());
        }
        let port = port
            .parse()
            .map_err(|_| "the port must be a number from 0 to 65535".to_owned())?;
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

fn advertised(text: &str) -> Result<HostPort, String> {
    let host_port: HostPort = text.parse()?;
    if host_port.port == 0 {
        return Err("clients cannot be told port 0".to_owned());
    }
    Ok(host_port)
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let (key, value) = text
        .split_once('=')
        .ok_or_else(|| "expected PROPERTY=VALUE, such as group.max.size=100".to_owned())?;
    Ok((key.trim().to_owned(), value.to_owned()))
}

/// They have command lines of their own.
const TOOLS: &str = "Offline tools: inspect, export, import (each with a --help of its own).";

/// Far more than any `server.properties` has.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_are_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn a_host_and_port_reads_back_as_it_was_written() {
        for text in ["127.0.0.1:9092", "localhost:0", "[::1]:65535", "a.b-c:1"] {
            assert_eq!(text.parse::<HostPort>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "9092",
            ":9092",
            "host",
            "host:",
            "host:x",
            "host:65536",
            "::1:9092",
        ] {
            assert!(text.parse::<HostPort>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_last_value_of_a_property_counts() {
        let cli = Cli::try_parse_from([
            "takhin-coordinator",
            "--set",
            "num.partitions=2",
            "serve",
            "--set",
            "num.partitions = 3",
        ])
        .unwrap();
        assert_eq!(cli.config().unwrap().0.num_partitions, 3);
    }
}
