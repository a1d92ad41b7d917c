//! The disk journal under an engine, on a real file system.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test may fail it as the test itself"
)]

mod engine;
mod killed;
mod txn;

use std::path::{Path, PathBuf};

use takhin_coordinator::config::Config;
use takhin_coordinator::engine::{Engine, FetchRequest};
use takhin_coordinator::journal::Journal;
use takhin_coordinator::store::{DiskJournal, OpenError, StoreConfig};

const SHARDS: u32 = 2;

/// An empty place for the test of that name; what an earlier run left there is removed.
fn place(name: &str) -> PathBuf {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("store-{name}"));
    if place.exists() {
        std::fs::remove_dir_all(&place).unwrap();
    }
    place
}

fn journal(dir: &Path) -> DiskJournal {
    journal_of(dir, StoreConfig::default())
}

/// Opens a journal as soon as its last owner is gone: an engine that was dropped still has its
/// threads for a moment, and they the journal.
fn journal_of(dir: &Path, config: StoreConfig) -> DiskJournal {
    loop {
        match DiskJournal::open(dir, config, SHARDS) {
            Err(OpenError::Locked) => std::thread::yield_now(),
            opened => return opened.unwrap(),
        }
    }
}

fn engine(journal: impl Journal + 'static) -> Engine {
    let config = Config::builder()
        .group_initial_rebalance_delay_ms(0)
        .takhin_shards(SHARDS)
        .build()
        .unwrap();
    let engine = Engine::builder(config).journal(journal).open().unwrap();
    engine.wait_until_loaded().wait().unwrap();
    engine
}

/// The committed offset of partition 0 of the first topic.
fn committed(engine: &Engine, group: &str) -> Option<i64> {
    let fetched = engine.fetch(FetchRequest::all(group)).wait().unwrap();
    let partition = fetched.first()?.partitions.first()?;
    partition.committed.as_ref().map(|value| value.offset)
}

/// What a process that ends right now would leave behind.
fn image(of: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(of).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}
