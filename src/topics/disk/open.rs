//! Opening topics in two steps: looking, which changes nothing and may refuse, and going on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::budget::Resources;
use super::super::config::TopicsConfig;
use super::super::front::Topics;
use super::super::partition::Partition;
use super::super::producer_ids::{ProducerIds, random_id};
use super::super::registry::Registry;
use super::catalog::{self, Catalog};
use super::error::{Damage, Failed, OpenError, Repair, at};
use super::flusher::Store;
use super::recovery::recover;
use super::segment::Id;
use crate::disk::{Disk, RealDisk, read_full, write_all};
use crate::ids::{PartitionIndex, TopicId};

const LOCK: &str = "LOCK";

/// How topics are kept on disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DiskConfig {
    /// Bytes of a partition's file, at which another one is begun; a batch that does not fit gets a
    /// file of its own size.
    pub segment_bytes: u64,
    /// What to do about damage.
    pub repair: Repair,
}

impl Default for DiskConfig {
    fn default() -> Self {
        Self {
            segment_bytes: 16 << 20,
            repair: Repair::Refuse,
        }
    }
}

/// Topics that were found on disk and read, and nothing there was changed yet.
#[derive(Debug)]
pub struct Examined {
    config: TopicsConfig,
    disk_config: DiskConfig,
    // None: the directory is not there, and will be made.
    disk: Option<Arc<dyn Disk>>,
    dir: PathBuf,
    found: Option<Found>,
}

/// What was read.
#[derive(Debug)]
struct Found {
    lock: Box<dyn std::fmt::Debug + Send>,
    registry: Registry,
    resources: Resources,
    store: Arc<Store>,
    producer_ids_end: i64,
    /// Files that hold nothing that counts.
    stale: Vec<String>,
    tails: Vec<Tail>,
}

/// Bytes at the end of a file that were read, and perhaps never synced.
#[derive(Debug)]
struct Tail {
    name: String,
    from: u32,
    to: u32,
}

impl Topics {
    /// Reads the topics in a directory; [`Examined::open`] goes on. Every byte is read once and
    /// held against its checksum. Nothing is changed, so a host may still refuse to start.
    ///
    /// # Errors
    ///
    /// [`OpenError`] where the directory is in use, of another version, damaged, not one of topics,
    /// or cannot be read.
    pub fn examine(
        dir: impl AsRef<Path>,
        config: TopicsConfig,
        disk: DiskConfig,
    ) -> Result<Examined, OpenError> {
        let dir = dir.as_ref();
        let opened: Option<Arc<dyn Disk>> = if dir.exists() {
            let opened = RealDisk::new(dir).map_err(at("opening the directory"))?;
            Some(Arc::new(opened))
        } else {
            None
        };
        Examined::look(dir, opened, config, disk)
    }
}

impl Examined {
    pub(super) fn look(
        dir: &Path,
        disk: Option<Arc<dyn Disk>>,
        config: TopicsConfig,
        disk_config: DiskConfig,
    ) -> Result<Self, OpenError> {
        let names = match &disk {
            Some(disk) => disk.list().map_err(at("listing the directory"))?,
            None => Vec::new(),
        };
        let found = match &disk {
            Some(disk) if names.iter().any(|name| name == catalog::NAME) => {
                Some(Found::read(disk, &config, disk_config)?)
            }
            _ => {
                refuse_strays(&names)?;
                None
            }
        };
        Ok(Self {
            config,
            disk_config,
            disk,
            dir: dir.to_owned(),
            found,
        })
    }

    /// Makes durable what was read, removes what does not count, and serves.
    ///
    /// # Errors
    ///
    /// [`OpenError`] where the disk fails, or another process has opened the directory meanwhile.
    pub fn open(self) -> Result<Topics, OpenError> {
        let found = match (self.found, self.disk) {
            (Some(found), _) => found,
            (None, Some(disk)) => Found::nothing(&disk, &self.config, self.disk_config)?,
            (None, None) => {
                let disk = RealDisk::new(&self.dir).map_err(at("making the directory"))?;
                let disk: Arc<dyn Disk> = Arc::new(disk);
                Found::nothing(&disk, &self.config, self.disk_config)?
            }
        };
        let disk = Arc::clone(&found.store.files.disk);
        for tail in &found.tails {
            tail.make_durable(&*disk).map_err(at("syncing a segment"))?;
        }
        let ids = ProducerIds::from(found.producer_ids_end);
        let catalog = Catalog {
            salt: found.store.salt,
            producer_ids_end: ids.wanted_end(),
            lines: found.registry.lines(),
        };
        catalog.write(&*disk).map_err(|failed| OpenError::Io {
            doing: "writing the catalog",
            error: match failed {
                Failed::Full(error) => error,
                Failed::Broken(what) => std::io::Error::other(what),
            },
        })?;
        ids.extend(catalog.producer_ids_end);
        for name in &found.stale {
            disk.remove(name).map_err(at("removing a stale file"))?;
        }
        disk.sync_dir().map_err(at("syncing the directory"))?;
        let topics = Topics::on_disk(self.config, found.registry, found.resources, ids);
        topics.start(&found.store, found.lock)
    }
}

/// A directory that is neither empty nor one of topics is somebody else's.
fn refuse_strays(names: &[String]) -> Result<(), OpenError> {
    let ours = [LOCK, catalog::UNFINISHED];
    let mut strays = names.iter().filter(|name| !ours.contains(&name.as_str()));
    match strays.next() {
        None => Ok(()),
        Some(stray) => {
            let reason = "the directory is not empty and has no catalog of topics";
            Err(OpenError::Corrupt(Damage::new(stray, 0, reason)))
        }
    }
}

fn lock(disk: &dyn Disk) -> Result<Box<dyn std::fmt::Debug + Send>, OpenError> {
    let lock = disk.lock(LOCK).map_err(at("locking the directory"))?;
    lock.ok_or(OpenError::Locked)
}

impl Found {
    /// A directory without topics.
    fn nothing(
        disk: &Arc<dyn Disk>,
        config: &TopicsConfig,
        disk_config: DiskConfig,
    ) -> Result<Self, OpenError> {
        let lock = lock(&**disk)?;
        let (_, salt) = uuid::Uuid::new_v4().as_u64_pair();
        let store = Store::new(Arc::clone(disk), salt, disk_config.segment_bytes);
        let store = Arc::new(store);
        Ok(Self {
            lock,
            registry: Registry::default(),
            resources: Resources::new(config, Some(&store)),
            store,
            producer_ids_end: random_id(),
            stale: Vec::new(),
            tails: Vec::new(),
        })
    }

    fn read(
        disk: &Arc<dyn Disk>,
        config: &TopicsConfig,
        disk_config: DiskConfig,
    ) -> Result<Self, OpenError> {
        let lock = lock(&**disk)?;
        let names = disk.list().map_err(at("listing the directory"))?;
        let catalog = Catalog::read(&**disk)?;
        let store = Store::new(Arc::clone(disk), catalog.salt, disk_config.segment_bytes);
        let store = Arc::new(store);
        let resources = Resources::new(config, Some(&store));
        let mut registry = Registry::default();
        for line in &catalog.lines {
            let restored = registry.restore(line, config, &resources);
            restored.map_err(|error| {
                let reason = format!("topic '{}': {error}", line.name);
                OpenError::Corrupt(Damage::new(catalog::NAME, 0, reason))
            })?;
        }
        let mut found = Self {
            lock,
            registry,
            resources,
            store,
            producer_ids_end: catalog.producer_ids_end,
            stale: Vec::new(),
            tails: Vec::new(),
        };
        let mut files: BTreeMap<(TopicId, PartitionIndex), Vec<Id>> = BTreeMap::new();
        for id in names.iter().filter_map(|name| Id::parse(name)) {
            files.entry((id.topic, id.partition)).or_default().push(id);
        }
        for ((topic, index), mut ids) in files {
            ids.sort_unstable();
            match found.registry.partition(topic, index) {
                Some((partition, effective)) => {
                    let repair = disk_config.repair;
                    found.partition(&**disk, &partition, &effective, &ids, repair)?;
                }
                // The topic was deleted, and its files were about to be.
                None => found.stale.extend(ids.into_iter().map(Id::name)),
            }
        }
        Ok(found)
    }

    /// Reads one partition back.
    fn partition(
        &mut self,
        disk: &dyn Disk,
        partition: &Arc<Partition>,
        effective: &super::super::settings::Effective,
        ids: &[Id],
        repair: Repair,
    ) -> Result<(), OpenError> {
        let recovered = recover(disk, ids, self.store.salt, repair, &mut |found| {
            partition.restore(&found.placed, found.bytes, found.place, effective);
        })?;
        for damage in &recovered.damages {
            tracing::warn!(%damage, "damage in a partition was skipped");
        }
        partition.restored(recovered.start, recovered.end, effective);
        self.stale.extend(recovered.stale);
        if let Some((number, _)) = recovered.segments.back()
            && recovered.newest_durable < recovered.newest_end
            && let Some(id) = ids.iter().find(|id| id.number == *number)
        {
            self.tails.push(Tail {
                name: id.name(),
                from: recovered.newest_durable,
                to: recovered.newest_end,
            });
        }
        if let Some(shelf) = &partition.shelf {
            let newest = ids.last().map_or(0, |id| id.number);
            let end = recovered.newest_end;
            shelf.restore(recovered.segments, end, recovered.is_torn, newest);
        }
        Ok(())
    }
}

impl Tail {
    /// What is read from now on must not be lost to a power cut. After a sync that failed the
    /// system may take bytes for durable that are not: so they are written once more.
    fn make_durable(&self, disk: &dyn Disk) -> std::io::Result<()> {
        let file = disk.open(&self.name)?;
        let mut bytes = vec![0; (self.to - self.from) as usize];
        let read = read_full(&*file, &mut bytes, u64::from(self.from))?;
        write_all(&*file, &bytes[..read], u64::from(self.from))?;
        file.sync_data()
    }
}
