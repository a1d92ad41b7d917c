//! The data directory: what `--data-dir` names, and why it cannot be used.
//!
//! ```text
//!   DIR/groups     the journal of groups and offsets
//!   DIR/topics     topics and their records
//!   DIR/transactions     who is in which transaction
//! ```
//!
//! A directory that is refused is left as it was, to the byte.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::cli::RepairMode;
use crate::config::Config;
use crate::store::{DiskJournal, OpenError, Repair, StoreConfig};
use crate::topics::{self, DiskConfig, Topics, TopicsConfig};
use crate::txn::{self, Coordinator};

/// What a data directory holds, opened.
#[derive(Debug)]
pub(super) struct Data {
    pub(super) journal: Arc<DiskJournal>,
    pub(super) topics: Topics,
    /// Where transactions are, and what is to be done about damage.
    pub(super) transactions: (PathBuf, txn::Damage),
}

impl Data {
    /// Opens the directory, or makes it. Where the configuration leaves the number of shards open,
    /// the journal's own is taken and set in it.
    ///
    /// The topics are only looked at before the journal is open, so that whichever of the two
    /// refuses, nothing was changed.
    pub(super) fn open(
        dir: &Path,
        repair: RepairMode,
        config: &mut Config,
        topics: TopicsConfig,
    ) -> Result<Self, DataError> {
        refuse_alien(dir)?;
        let groups = dir.join(GROUPS);
        if config.takhin_shards == 0 {
            let found = DiskJournal::shards_of(&groups).map_err(DataError::Groups)?;
            config.takhin_shards = found.unwrap_or_else(one_a_core);
        }
        let store = StoreConfig {
            repair: match repair {
                RepairMode::Refuse => Repair::Refuse,
                RepairMode::Quarantine => Repair::Quarantine,
            },
            ..StoreConfig::default()
        };
        let disk = DiskConfig {
            repair: match repair {
                RepairMode::Refuse => topics::Repair::Refuse,
                RepairMode::Quarantine => topics::Repair::Quarantine,
            },
            ..DiskConfig::default()
        };
        let transactions = dir.join(TRANSACTIONS);
        let damage = match repair {
            RepairMode::Refuse => txn::Damage::Refuse,
            RepairMode::Quarantine => txn::Damage::CutOff,
        };
        Coordinator::examine(&transactions, damage).map_err(DataError::Transactions)?;
        let examined = Topics::examine(dir.join(TOPICS), topics, disk);
        let examined = examined.map_err(DataError::Topics)?;
        let journal = DiskJournal::open(&groups, store, config.takhin_shards);
        let journal = Arc::new(journal.map_err(DataError::Groups)?);
        let topics = examined.open().map_err(DataError::Topics)?;
        Ok(Self {
            journal,
            topics,
            transactions: (transactions, damage),
        })
    }
}

/// A directory that holds something, and nothing of ours, is somebody else's.
fn refuse_alien(dir: &Path) -> Result<(), DataError> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(DataError::Unreadable(error)),
    };
    let mut is_empty = true;
    for entry in entries {
        let name = entry.map_err(DataError::Unreadable)?.file_name();
        if [GROUPS, TOPICS, TRANSACTIONS]
            .iter()
            .any(|ours| name == *ours)
        {
            return Ok(());
        }
        // A file system of its own has this one from the start.
        is_empty &= name == "lost+found";
    }
    if is_empty {
        Ok(())
    } else {
        Err(DataError::Alien)
    }
}

fn one_a_core() -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    u32::try_from(cores).unwrap_or(1)
}

/// Why a data directory cannot be used; nothing in it was changed.
#[derive(Debug)]
pub(super) enum DataError {
    /// It cannot be read, or is none.
    Unreadable(io::Error),
    /// It is not empty, and nothing of ours is in it.
    Alien,
    /// The journal of groups and offsets.
    Groups(OpenError),
    /// The topics.
    Topics(topics::OpenError),
    /// The log of transactions.
    Transactions(txn::OpenError),
}

impl fmt::Display for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "it cannot be read: {error}"),
            Self::Alien => f.write_str("it is not empty, and nothing of this server is in it"),
            Self::Groups(error @ OpenError::Corrupt(_)) => {
                write!(f, "in '{GROUPS}', {error}; {HINT}")
            }
            Self::Topics(error @ topics::OpenError::Corrupt(_)) => {
                write!(f, "in '{TOPICS}', {error}; {HINT}")
            }
            Self::Transactions(error @ txn::OpenError::Damaged { .. }) => {
                write!(f, "{error}; {HINT}")
            }
            Self::Transactions(error) => error.fmt(f),
            Self::Topics(error) => write!(f, "in '{TOPICS}', {error}"),
            Self::Groups(error) => write!(f, "in '{GROUPS}', {error}"),
        }
    }
}

const HINT: &str = "'--repair quarantine' skips what is damaged, where that can be done";
const GROUPS: &str = "groups";
const TOPICS: &str = "topics";
const TRANSACTIONS: &str = "transactions";
