//! The command line of this room.

use std::path::PathBuf;

use clap::{Args as Flags, ValueEnum};

use crate::args::between;

/// Who disturbs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Disturbance {
    /// A group of many members that rebalances all the time.
    Crowd,
    /// A client that asks and never reads the answers.
    Deaf,
    /// A client that commits as fast as it can.
    Flood,
    /// A monitor that asks for everything each second.
    Scrape,
}

impl Disturbance {
    /// Its name on the command line.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Crowd => "crowd",
            Self::Deaf => "deaf",
            Self::Flood => "flood",
            Self::Scrape => "scrape",
        }
    }
}

/// What one who disturbs is felt by others.
#[derive(Flags, Debug)]
pub(crate) struct FairnessArgs {
    /// How long a turn lasts.
    #[arg(long, default_value_t = 2, value_parser = between(1, 600))]
    pub(crate) seconds: u64,
    /// How often quiet and disturbed take turns.
    #[arg(long, default_value_t = 5, value_parser = between(1, 99))]
    pub(crate) rounds: u64,
    /// Who disturbs, one after the other; all of them if none is named.
    #[arg(long, value_enum, value_name = "WHO", value_delimiter = ',')]
    pub(crate) only: Vec<Disturbance>,
    /// Heartbeats a second of the others.
    #[arg(long, default_value_t = 2_000, value_parser = between(100, 1_000_000))]
    pub(crate) heartbeats: u64,
    /// Commits a second of the others.
    #[arg(long, default_value_t = 1_000, value_parser = between(100, 1_000_000))]
    pub(crate) commits: u64,
    /// Members of the group that rebalances.
    #[arg(long, default_value_t = 10_000, value_parser = between(1, 18_000))]
    pub(crate) members: u64,
    /// Groups that the monitor asks for.
    #[arg(long, default_value_t = 20_000, value_parser = between(1, 1_000_000))]
    pub(crate) groups: u64,
    /// A property for the servers.
    #[arg(long, value_name = "PROPERTY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Where the servers keep groups and offsets, a directory for each; in memory if it is
    /// not said.
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Prints JSON instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}

impl FairnessArgs {
    pub(super) fn disturbances(&self) -> Vec<Disturbance> {
        if self.only.is_empty() {
            Disturbance::value_variants().to_vec()
        } else {
            self.only.clone()
        }
    }

    /// How much of a disturbance there is.
    pub(super) fn size(&self, disturbance: Disturbance) -> u64 {
        match disturbance {
            Disturbance::Crowd => self.members,
            Disturbance::Scrape => self.groups,
            Disturbance::Deaf | Disturbance::Flood => 1,
        }
    }

    pub(super) fn asked(&self) -> Vec<(&'static str, String)> {
        let data_dir = self.data_dir.as_ref().map(|dir| dir.display().to_string());
        vec![
            ("seconds", self.seconds.to_string()),
            ("rounds", self.rounds.to_string()),
            ("heartbeats", self.heartbeats.to_string()),
            ("commits", self.commits.to_string()),
            ("members", self.members.to_string()),
            ("groups", self.groups.to_string()),
            ("set", self.set.join(" ")),
            ("data-dir", data_dir.unwrap_or_else(|| "none".to_owned())),
        ]
    }
}

/// One who disturbs, as told by the lines "go" and "rest" on its input.
#[derive(Flags, Debug)]
pub(crate) struct DisturbArgs {
    /// Who.
    #[arg(value_enum)]
    pub(crate) disturbance: Disturbance,
    /// Whom.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) bootstrap: String,
    /// Where that server's metrics are.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) admin: String,
    /// Members or groups.
    #[arg(long)]
    pub(crate) size: u64,
}
