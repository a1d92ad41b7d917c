//! The one thread that writes: it takes what is pending, makes it durable, and answers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{JoinHandle, Thread};

use super::super::durable::{Durable, Teller};
use super::super::error::TopicError;
use super::super::lock::{Lock, Shared};
use super::super::partition::Partition;
use super::super::producer_ids::ProducerIds;
use super::super::registry::Registry;
use super::super::topic::Topic;
use super::catalog::Catalog;
use super::error::Failed;
use super::files::Files;
use super::shelf::Written;
use crate::disk::Disk;

/// Partitions that are written before their files are synced: so many files are open at least.
const TOGETHER_MAX: usize = 64;
/// What is written of a partition before it is synced, and one batch more.
const WRITE_BYTES_MAX: usize = 4 << 20;

/// What partitions, the flusher and the front share.
#[derive(Debug)]
pub(in crate::topics) struct Store {
    pub(super) files: Files,
    pub(super) salt: u64,
    pub(super) segment_bytes: u64,
    // At most one entry a partition, and what the callers in flight wait for.
    jobs: Lock<Jobs>,
    // Set by the flusher, once: nothing more is acknowledged.
    is_poisoned: AtomicBool,
    // The flusher, as soon as there is one.
    thread: OnceLock<Thread>,
}

#[derive(Debug, Default)]
struct Jobs {
    partitions: Vec<Arc<Partition>>,
    /// Deleted topics whose files are to go once the catalog does not name them.
    doomed: Vec<Arc<Topic>>,
    is_catalog_changed: bool,
    synced: Vec<Teller<()>>,
    is_stopping: bool,
    has_ended: bool,
}

impl Jobs {
    fn is_empty(&self) -> bool {
        self.partitions.is_empty()
            && self.doomed.is_empty()
            && !self.is_catalog_changed
            && self.synced.is_empty()
    }
}

impl Store {
    pub(super) fn new(disk: Arc<dyn Disk>, salt: u64, segment_bytes: u64) -> Self {
        Self {
            files: Files::new(disk),
            salt,
            segment_bytes,
            jobs: Lock::default(),
            is_poisoned: AtomicBool::new(false),
            thread: OnceLock::new(),
        }
    }

    /// Drawn from the salt, which is the directory's for good, and does not tell it.
    pub(in crate::topics) fn cluster_id(&self) -> String {
        let halves = [b"cluster-a", b"cluster-b"].map(|part| {
            let salted = u64::from(crc32c::crc32c(&self.salt.to_le_bytes()));
            let low = u64::from(crc32c::crc32c_append(
                crc32c::crc32c(part),
                &self.salt.to_le_bytes(),
            ));
            salted << 32 | low
        });
        uuid::Uuid::from_u64_pair(halves[0], halves[1])
            .simple()
            .to_string()
    }

    pub(in crate::topics) fn is_healthy(&self) -> bool {
        // Relaxed: a flag that stands alone.
        !self.is_poisoned.load(Ordering::Relaxed)
    }

    /// Lets the flusher look at a partition; `false`: there is no flusher any more.
    pub(in crate::topics) fn queue(&self, partition: &Arc<Partition>) -> bool {
        {
            let jobs = &mut *self.jobs.lock();
            if jobs.has_ended {
                return false;
            }
            jobs.partitions.push(Arc::clone(partition));
        }
        self.wake();
        true
    }

    /// The catalog must be written before anything that is queued from now on.
    pub(in crate::topics) fn catalog_changed(&self) {
        self.jobs.lock().is_catalog_changed = true;
        self.wake();
    }

    /// The topic was taken out of the registry.
    pub(in crate::topics) fn topic_removed(&self, topic: &Arc<Topic>) {
        {
            let jobs = &mut *self.jobs.lock();
            jobs.doomed.push(Arc::clone(topic));
            jobs.is_catalog_changed = true;
        }
        self.wake();
    }

    /// Tells when every change of the catalog so far is durable.
    pub(in crate::topics) fn synced(&self) -> Durable<()> {
        let (teller, durable) = Durable::later();
        {
            let jobs = &mut *self.jobs.lock();
            // A teller that is dropped says that it failed.
            if !jobs.has_ended {
                jobs.synced.push(teller);
            }
        }
        self.wake();
        durable
    }

    fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }
}

/// The flusher; dropping it waits until everything that was queued is answered.
#[derive(Debug)]
pub(in crate::topics) struct Flusher {
    store: Arc<Store>,
    thread: Option<JoinHandle<()>>,
}

impl Flusher {
    pub(in crate::topics) fn start(
        store: &Arc<Store>,
        registry: Arc<Shared<Registry>>,
        ids: Arc<ProducerIds>,
        lock: Box<dyn std::fmt::Debug + Send>,
    ) -> std::io::Result<Self> {
        let mut work = Work {
            store: Arc::clone(store),
            registry,
            ids,
            is_full: false,
            owes_catalog: false,
            doomed: Vec::new(),
        };
        let thread = std::thread::Builder::new().name("takhin-topics".to_owned());
        let thread = thread.spawn(move || {
            work.run();
            // Others may come in only now.
            drop(lock);
        })?;
        // What was queued before is found by the first look.
        let _ = store.thread.set(thread.thread().clone());
        thread.thread().unpark();
        Ok(Self {
            store: Arc::clone(store),
            thread: Some(thread),
        })
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        self.store.jobs.lock().is_stopping = true;
        self.store.wake();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the topics' flusher panicked");
        }
    }
}

/// Says that nothing more is written, also when the flusher panics.
struct Ending(Arc<Store>);

impl Drop for Ending {
    fn drop(&mut self) {
        // Relaxed: a flag that stands alone.
        self.0.is_poisoned.store(true, Ordering::Relaxed);
        let ended = Jobs {
            has_ended: true,
            ..Jobs::default()
        };
        let jobs = std::mem::replace(&mut *self.0.jobs.lock(), ended);
        for partition in jobs.partitions {
            partition.refuse_pending(&TopicError::StorageFailed);
        }
    }
}

pub(super) struct Work {
    store: Arc<Store>,
    registry: Arc<Shared<Registry>>,
    ids: Arc<ProducerIds>,
    /// The disk was full the last time.
    is_full: bool,
    /// The catalog changed and could not be written.
    owes_catalog: bool,
    doomed: Vec<Arc<Topic>>,
}

impl Work {
    fn run(&mut self) {
        let _ending = Ending(Arc::clone(&self.store));
        loop {
            let jobs = {
                let jobs = &mut *self.store.jobs.lock();
                let is_stopping = jobs.is_stopping;
                if jobs.is_empty() && is_stopping {
                    return;
                }
                let taken = std::mem::take(jobs);
                jobs.is_stopping = is_stopping;
                taken
            };
            if jobs.is_empty() {
                // A token that came since the look makes this return at once.
                std::thread::park();
            } else {
                self.round(jobs);
            }
        }
    }

    fn round(&mut self, jobs: Jobs) {
        self.owes_catalog |= jobs.is_catalog_changed;
        self.doomed.extend(jobs.doomed);
        let written = if !self.store.is_healthy() {
            Err(TopicError::StorageFailed)
        } else if self.owes_catalog {
            self.write_catalog().map_err(|failed| self.failed(&failed))
        } else {
            Ok(())
        };
        for teller in jobs.synced {
            // Whoever asked may have given up.
            let _ = teller.send(written.clone());
        }
        if let Err(error) = written {
            for partition in &jobs.partitions {
                partition.unwritten(0);
                partition.refuse_pending(&error);
            }
            return;
        }
        for topic in self.doomed.drain(..) {
            topic.clear_shelves();
        }
        for together in jobs.partitions.chunks(TOGETHER_MAX) {
            self.flush(together);
        }
    }

    fn write_catalog(&mut self) -> Result<(), Failed> {
        let producer_ids_end = self.ids.wanted_end();
        let catalog = Catalog {
            salt: self.store.salt,
            producer_ids_end,
            lines: self.registry.read().lines(),
        };
        catalog.write(&*self.store.files.disk)?;
        self.ids.extend(producer_ids_end);
        self.owes_catalog = false;
        Ok(())
    }

    /// Makes what is pending in some partitions durable, and answers.
    fn flush(&mut self, partitions: &[Arc<Partition>]) {
        let written = match self.write_all(partitions) {
            Ok(written) => written,
            Err(failed) => {
                let error = self.failed(&failed);
                for partition in partitions {
                    partition.unwritten(0);
                    partition.refuse_pending(&error);
                }
                return;
            }
        };
        for (partition, written) in written {
            if let Some(shelf) = &partition.shelf {
                shelf.synced(&written);
            }
            partition.settle(&written.places);
        }
        self.sweep(partitions);
    }

    /// Writes and syncs. A full disk concerns the partition that it hit; anything else all.
    fn write_all<'p>(
        &mut self,
        partitions: &'p [Arc<Partition>],
    ) -> Result<Vec<(&'p Arc<Partition>, Written)>, Failed> {
        if !self.store.is_healthy() {
            return Err(Failed::Broken("it failed before".to_owned()));
        }
        let mut all = Vec::new();
        for partition in partitions {
            let (start, end, changes) = partition.unwritten(WRITE_BYTES_MAX);
            let Some(shelf) = partition.shelf.as_ref().filter(|_| !changes.is_empty()) else {
                continue;
            };
            match shelf.write((start, end), &changes) {
                Ok(written) => all.push((partition, written)),
                Err(failed @ Failed::Full(_)) => {
                    let error = self.failed(&failed);
                    partition.refuse_pending(&error);
                }
                Err(failed @ Failed::Broken(_)) => return Err(failed),
            }
        }
        if all.iter().any(|(_, written)| written.is_new) {
            let synced = self.store.files.disk.sync_dir();
            synced.map_err(|error| Failed::of_sync("the directory", &error))?;
        }
        for (_, written) in &all {
            let synced = written.file.sync_data();
            synced.map_err(|error| Failed::of_sync(&written.name, &error))?;
        }
        if !all.is_empty() {
            self.is_full = false;
        }
        Ok(all)
    }

    /// Removes files of dropped records, one a partition at a time.
    fn sweep(&mut self, partitions: &[Arc<Partition>]) {
        loop {
            let mut has_removed = false;
            for partition in partitions {
                // Of a topic that is being deleted nothing goes before the catalog says so.
                if let (Some(start), Some(shelf)) = (partition.swept_before(), &partition.shelf) {
                    has_removed |= shelf.sweep(start);
                }
            }
            if !has_removed {
                return;
            }
            if let Err(error) = self.store.files.disk.sync_dir() {
                self.failed(&Failed::of_sync("the directory", &error));
                return;
            }
        }
    }

    /// Says what is the matter, and what it means for whoever waits.
    fn failed(&mut self, failed: &Failed) -> TopicError {
        match failed {
            Failed::Full(error) => {
                if !self.is_full {
                    tracing::warn!(
                        %error,
                        "the topics' disk is full: records are refused until there is room"
                    );
                }
                self.is_full = true;
                TopicError::StorageFull
            }
            Failed::Broken(what) => {
                if self.store.is_healthy() {
                    tracing::error!(
                        what,
                        "the topics' disk failed and no record is acknowledged any more: look at \
                         the disk, then start again; what was acknowledged is read back"
                    );
                }
                // Relaxed: a flag that stands alone.
                self.store.is_poisoned.store(true, Ordering::Relaxed);
                TopicError::StorageFailed
            }
        }
    }
}
