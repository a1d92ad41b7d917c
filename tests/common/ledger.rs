//! A journal of the tests' own: it keeps bytes, and settles as it is told.

use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, mpsc};

use takhin_coordinator::error::Refusal;
use takhin_coordinator::group::Heard;
use takhin_coordinator::ids::ShardId;
use takhin_coordinator::journal::schema::{Encoded, encode, loaded};
use takhin_coordinator::journal::{Batch, Done, Durability, Journal, LoadError, Loaded};

/// What becomes of the next batches.
#[derive(Clone, Debug)]
pub enum Fate {
    /// Kept, and settled before `append` returns.
    AtOnce,
    /// Kept or refused when the test says so, by [`Ledger::settle_next`].
    OnCommand,
    /// Kept, and settled by another thread.
    ByThread(mpsc::Sender<Done>),
    /// Refused before `append` returns.
    Fails(Refusal),
    /// Forgotten: nobody ever says what became of it.
    Forgotten,
    /// `append` panics.
    Panics,
}

/// A journal that the test holds in its hand; clones are the same journal.
#[derive(Clone, Debug)]
pub struct Ledger {
    pages: Arc<Mutex<Pages>>,
    /// Batches that its own thread has settled.
    settled: Arc<AtomicUsize>,
    durability: Durability,
}

#[derive(Debug)]
struct Pages {
    fate: Fate,
    kept: BTreeMap<u32, Vec<Encoded>>,
    heard: BTreeMap<u32, Vec<Heard>>,
    waiting: VecDeque<(u32, Vec<Encoded>, Done)>,
    appended: usize,
}

impl Ledger {
    pub fn new(fate: Fate) -> Self {
        Self {
            pages: Arc::new(Mutex::new(Pages {
                fate,
                kept: BTreeMap::new(),
                heard: BTreeMap::new(),
                waiting: VecDeque::new(),
                appended: 0,
            })),
            settled: Arc::default(),
            durability: Durability::LocalFsync,
        }
    }

    /// The same with another promise.
    pub fn promising(self, durability: Durability) -> Self {
        Self { durability, ..self }
    }

    /// A journal whose batches are settled by a thread of its own, in order.
    pub fn by_thread() -> Self {
        let (settle, to_settle) = mpsc::channel::<Done>();
        let ledger = Self::new(Fate::ByThread(settle));
        let settled = Arc::clone(&ledger.settled);
        std::thread::spawn(move || {
            for done in to_settle {
                done.settle(Ok(()));
                settled.fetch_add(1, Ordering::Release);
            }
        });
        ledger
    }

    /// Whether its own thread has settled all that was handed over.
    pub fn is_quiet(&self) -> bool {
        self.settled.load(Ordering::Acquire) == self.appended()
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        // A panic on command comes while nothing is half done.
        self.pages
            .lock()
            .unwrap_or_else(|poison| poison.into_inner())
    }

    pub fn set(&self, fate: Fate) {
        self.pages().fate = fate;
    }

    /// Batches that were handed over and are not settled.
    pub fn waiting(&self) -> usize {
        self.pages().waiting.len()
    }

    /// Batches that were handed over so far.
    pub fn appended(&self) -> usize {
        self.pages().appended
    }

    /// What is kept of a shard, in order.
    pub fn kept(&self, shard: u32) -> Vec<Encoded> {
        let kept = self.pages().kept.get(&shard).cloned();
        kept.unwrap_or_default()
    }

    /// Keeps a record that came from elsewhere.
    pub fn keep(&self, shard: u32, record: Encoded) {
        self.pages().kept.entry(shard).or_default().push(record);
    }

    /// Says what became of the oldest batch that waits; whether there was one.
    pub fn settle_next(&self, outcome: Result<(), Refusal>) -> bool {
        let done = {
            let mut pages = self.pages();
            let Some((shard, records, done)) = pages.waiting.pop_front() else {
                return false;
            };
            if outcome.is_ok() {
                pages.kept.entry(shard).or_default().extend(records);
            }
            done
        };
        done.settle(outcome);
        true
    }

    /// Takes the newest batch that waits out of the order, kept as durable.
    pub fn take_newest(&self) -> Option<Done> {
        let mut pages = self.pages();
        let (shard, records, done) = pages.waiting.pop_back()?;
        pages.kept.entry(shard).or_default().extend(records);
        Some(done)
    }

    /// Settles until nothing waits any more.
    pub fn settle_all(&self) {
        while self.settle_next(Ok(())) {}
    }
}

impl Journal for Ledger {
    fn append(&self, batch: Batch<'_>, done: Done) {
        let records = batch.entries.iter().flat_map(|entry| &entry.records);
        let records: Vec<Encoded> = records.map(|it| encode(it).unwrap()).collect();
        let shard = batch.ticket.shard.0;
        let mut pages = self.pages();
        pages.appended += 1;
        let fate = pages.fate.clone();
        match fate {
            Fate::AtOnce | Fate::ByThread(_) => {
                pages.kept.entry(shard).or_default().extend(records);
            }
            Fate::OnCommand => return pages.waiting.push_back((shard, records, done)),
            Fate::Fails(_) | Fate::Forgotten | Fate::Panics => {}
        }
        drop(pages);
        match fate {
            Fate::AtOnce => done.settle(Ok(())),
            Fate::ByThread(settle) => settle.send(done).unwrap(),
            Fate::Fails(refusal) => done.settle(Err(refusal)),
            Fate::Panics => panic!("the journal panics, as the test wants it"),
            Fate::OnCommand | Fate::Forgotten => {}
        }
    }

    fn load(
        &self,
        shard: ShardId,
        each: &mut dyn FnMut(Loaded) -> ControlFlow<()>,
    ) -> Result<(), LoadError> {
        let heard = self.pages().heard.remove(&shard.0);
        let kept = self.pages().kept.get(&shard.0).cloned();
        for heard in heard.into_iter().flatten() {
            if each(Loaded::Heard(heard)).is_break() {
                return Ok(());
            }
        }
        for record in kept.into_iter().flatten() {
            let read = loaded(&record.key, record.value.as_deref());
            let read = read.map_err(|error| LoadError::Corrupt(error.to_string()))?;
            if read.is_some_and(|read| each(read).is_break()) {
                return Ok(());
            }
        }
        Ok(())
    }

    fn keep_heard(&self, shard: ShardId, heard: &[Heard]) {
        self.pages().heard.insert(shard.0, heard.to_vec());
    }

    fn durability(&self) -> Durability {
        self.durability
    }
}
