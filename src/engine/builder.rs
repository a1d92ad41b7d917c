//! Opening an engine: its parts, its shards, and the threads that drive them.

use std::fmt;
use std::sync::Arc;

use super::fresh_ids::FreshIds;
use super::shared_names::SharedNames;
use super::{Engine, Inner};
use crate::config::{Config, ConfigError};
use crate::group::Rules;
use crate::ids::ShardId;
use crate::journal::{Durability, Journal, LoadError, MemoryJournal};
use crate::metrics::Metrics;
use crate::session::Directory;
use crate::shard::{Driver, Limits, Quota, Shard, Shared, start_driver};
use crate::time::{Clock, SystemClock};

/// Who fires the timers, and does what else is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Driving {
    /// A thread a shard, asleep until something is due.
    #[default]
    Threads,
    /// The host, by [`Engine::run_due`]: for simulations, tests and hosts with a loop of their
    /// own. Answers of a rebalance with many members leave by it too, a portion at a time.
    Host,
}

/// An engine that could not be opened.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// The configuration contradicts itself.
    Config(ConfigError),
    /// A shard's journal could not be read.
    Load {
        /// The shard.
        shard: ShardId,
        /// Why.
        error: Arc<LoadError>,
    },
    /// The operating system gave no thread.
    Thread(std::io::Error),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => write!(f, "the configuration is not valid: {error}"),
            Self::Load { shard, error } => write!(f, "shard {} cannot be loaded: {error}", shard.0),
            Self::Thread(error) => write!(f, "no thread for a shard: {error}"),
        }
    }
}

impl std::error::Error for OpenError {}

/// The parts of an engine; see [`Engine::builder`].
#[derive(Debug)]
pub struct Builder {
    config: Config,
    clock: Arc<dyn Clock>,
    journal: Arc<dyn Journal>,
    driving: Driving,
    load_later: bool,
}

impl Builder {
    pub(super) fn new(config: Config) -> Self {
        Self {
            config,
            clock: Arc::new(SystemClock::new()),
            journal: Arc::new(MemoryJournal),
            driving: Driving::default(),
            load_later: false,
        }
    }

    /// Another source of time.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Another journal, perhaps the host's own log.
    #[must_use]
    pub fn journal(mut self, journal: impl Journal + 'static) -> Self {
        self.journal = Arc::new(journal);
        self
    }

    /// Who fires the timers, and does what else is due.
    #[must_use]
    pub fn driving(mut self, driving: Driving) -> Self {
        self.driving = driving;
        self
    }

    /// Does not load within [`Self::open`]: with [`Driving::Host`], one shard is loaded by each
    /// [`Engine::load_next`], and all that are left by [`Engine::run_due`].
    #[must_use]
    pub fn load_later(mut self) -> Self {
        self.load_later = true;
        self
    }

    /// Opens the engine and has its shards loaded.
    ///
    /// With [`Driving::Threads`] each shard is loaded by its own thread, all at one time, and
    /// serves as soon as it is: this returns at once, and until then requests are answered
    /// [`Refusal::LoadInProgress`](crate::error::Refusal::LoadInProgress), heartbeats that all is
    /// well. [`Engine::wait_until_loaded`] tells when, and what failed. With [`Driving::Host`],
    /// and with a journal that is memory ([`Durability::Memory`], there is next to nothing to
    /// load), everything is loaded when this returns, unless [`Self::load_later`] is set.
    ///
    /// # Errors
    ///
    /// [`OpenError`] for a configuration that contradicts itself, a journal that cannot be read
    /// (where it is read in here), or a thread that cannot be had.
    pub fn open(self) -> Result<Engine, OpenError> {
        self.config.validate().map_err(OpenError::Config)?;
        let config = &self.config;
        let durability = self.journal.durability();
        let shards = shard_count(config, self.journal.keeps_nothing());
        let metrics = Arc::new(Metrics::new(shards as usize));
        let directory = Arc::new(Directory::new(shards, config.takhin_members_max));
        let shared = Arc::new(Shared {
            journal: Arc::clone(&self.journal),
            directory: Arc::clone(&directory),
            limits: Arc::new(limits(config)),
            metrics: Arc::clone(&metrics),
            clock: Arc::clone(&self.clock),
            has_drivers: self.driving == Driving::Threads,
            write_timeout_ms: u64::try_from(config.offsets_commit_timeout_ms).unwrap_or(0),
        });
        let capacity = config.takhin_mailbox_capacity as usize;
        let now = self.clock.now();
        let new = |index| {
            let rules = rules(config, durability);
            Shard::new(ShardId(index), rules, Arc::clone(&shared), capacity, now)
        };
        let opened: Vec<_> = (0..shards).map(new).collect();
        let shards: Box<[_]> = opened.iter().map(|(shard, _)| Arc::clone(shard)).collect();
        let is_memory = durability == Durability::Memory;
        if !self.load_later && (is_memory || self.driving == Driving::Host) {
            for shard in &shards {
                shard.load();
                failure_of(shard)?;
            }
        }
        start_drivers(self.driving, opened, &self.clock).map_err(OpenError::Thread)?;
        let inner = Inner {
            shards,
            journal: self.journal,
            directory,
            names: SharedNames::new(),
            fresh_ids: FreshIds::new(),
            clock: self.clock,
            metrics,
            durability,
        };
        Ok(Engine {
            inner: Arc::new(inner),
        })
    }
}

/// Why the shard could not be loaded, if it is so.
pub(super) fn failure_of(shard: &Shard) -> Result<(), OpenError> {
    shard.gate().failure().map_or(Ok(()), |error| {
        Err(OpenError::Load {
            shard: shard.id(),
            error: Arc::clone(error),
        })
    })
}

/// As many as it says, else as many as there are cores. Where nothing is kept a turn is so short
/// that two threads in one shard hinder each other: there are more, so that they rarely meet. A
/// journal would have to settle a batch for each.
fn shard_count(config: &Config, keeps_nothing: bool) -> u32 {
    if config.takhin_shards > 0 {
        return config.takhin_shards;
    }
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let cores = u32::try_from(cores).unwrap_or(1);
    if keeps_nothing {
        (SHARDS_A_CORE * cores).min(SHARDS_MAX).max(cores)
    } else {
        cores
    }
}

/// Shards for each core where nothing is kept. With four of them threads meet still less, but an
/// idle shard takes 0.7 MiB.
const SHARDS_A_CORE: u32 = 2;
/// Each has a thread that fires its timers: where there are many cores, they rarely meet anyway.
const SHARDS_MAX: u32 = 64;

fn limits(config: &Config) -> Limits {
    Limits {
        groups: Quota::new(config.takhin_groups_max as usize),
        members: Quota::new(config.takhin_members_max as usize),
        offsets: Quota::new(usize::try_from(config.takhin_offsets_max).unwrap_or(usize::MAX)),
    }
}

fn rules(config: &Config, durability: Durability) -> Rules {
    let size = |n: i32| usize::try_from(n).unwrap_or(0);
    Rules {
        session_timeout_ms_min: config.group_min_session_timeout_ms,
        session_timeout_ms_max: config.group_max_session_timeout_ms,
        initial_rebalance_delay_ms: u64::try_from(config.group_initial_rebalance_delay_ms)
            .unwrap_or(0),
        group_members_max: size(config.group_max_size),
        offset_metadata_length_max: size(config.offset_metadata_max_bytes),
        offsets_retention_ms: i64::from(config.offsets_retention_minutes) * 60_000,
        retention_check_interval_ms: u64::try_from(config.offsets_retention_check_interval_ms)
            .unwrap_or(0),
        offsets_refresh_ms: match durability {
            Durability::Memory | Durability::LocalFsync => {
                i64::from(config.takhin_offsets_refresh_ms)
                    .min(config.offsets_retention_check_interval_ms)
            }
            // Only a write tells whether another machine has taken over.
            Durability::Quorum => 0,
        },
        group_offsets_max: config.takhin_offsets_per_group_max as usize,
        session_grace_after_load_ms: u64::try_from(config.session_grace_after_load_ms).unwrap_or(0),
    }
}

/// Starts the threads that drive the shards, if the host does not.
fn start_drivers(
    driving: Driving,
    shards: Vec<(Arc<Shard>, Driver)>,
    clock: &Arc<dyn Clock>,
) -> std::io::Result<()> {
    match driving {
        Driving::Threads => shards
            .into_iter()
            .try_for_each(|(shard, bell)| start_driver(&shard, bell, Arc::clone(clock))),
        Driving::Host => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_nothing_is_kept_there_are_more_shards_unless_their_number_is_said() {
        let open = Config::default();
        let (kept, not_kept) = (shard_count(&open, false), shard_count(&open, true));
        assert!(kept >= 1 && not_kept >= kept, "{kept} {not_kept}");
        assert!(not_kept == SHARDS_A_CORE * kept || not_kept >= SHARDS_MAX);
        let said = Config::builder().takhin_shards(3).build().unwrap();
        assert_eq!(
            (shard_count(&said, false), shard_count(&said, true)),
            (3, 3)
        );
    }
}
