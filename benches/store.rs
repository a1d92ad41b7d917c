//! Durable commits through the engine, and loading, on this machine's disk.
//!
//! `cargo bench --bench store`. The floor of the commits is the bare log: as many frames of the
//! same size, each with its CRC32C, written over zeros with one write and one `fdatasync`. The
//! floor of the loading is reading the same files and checking their bytes.

use std::fs::File;
use std::hint::black_box;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use takhin_coordinator::config::Config;
use takhin_coordinator::engine::{CommitRequest, Engine};
use takhin_coordinator::ids::ShardId;
use takhin_coordinator::journal::Journal;
use takhin_coordinator::store::{DiskJournal, OpenError, StoreConfig};

mod profiled;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SHARDS: u32 = 2;
/// Bytes of a frame of one commit below: 28 of framing, 33 of key, 24 of value.
const FRAME_BYTES: usize = 28 + 33 + 25;
const SEGMENT_BYTES: usize = 4 << 20;

/// Whether this run only shows that the benchmarks work; criterion's own rule.
fn is_trial() -> bool {
    let has = |flag: &str| std::env::args().any(|it| it == flag);
    has("--test") || !has("--bench")
}

/// An empty place on the disk of the build's own folder.
fn place(name: &str) -> PathBuf {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bench-store-{name}"));
    if place.exists() {
        std::fs::remove_dir_all(&place).expect("what an earlier run left can be removed");
    }
    place
}

fn journal(dir: &Path) -> DiskJournal {
    journal_of(dir, StoreConfig::default())
}

fn journal_of(dir: &Path, sizes: StoreConfig) -> DiskJournal {
    loop {
        match DiskJournal::open(dir, sizes, SHARDS) {
            // An engine that was dropped still has its threads for a moment.
            Err(OpenError::Locked) => std::thread::yield_now(),
            opened => return opened.expect("an empty directory can be opened"),
        }
    }
}

fn engine(dir: &Path) -> Engine {
    engine_of(journal(dir))
}

fn engine_of(journal: DiskJournal) -> Engine {
    let config = Config::builder().takhin_shards(SHARDS).build();
    let config = config.expect("the configuration is valid");
    let engine = Engine::builder(config).journal(journal).open();
    let engine = engine.expect("the engine opens");
    let loaded = engine.wait_until_loaded().wait();
    loaded.expect("the journal is whole");
    engine
}

/// A log with nothing around it.
struct Bare {
    file: File,
    at: usize,
    round: Vec<u8>,
}

impl Bare {
    fn new(dir: &Path) -> Self {
        std::fs::create_dir_all(dir).expect("a folder can be made");
        let file = File::create(dir.join("bare")).expect("a file can be made");
        let zeros = vec![0; SEGMENT_BYTES];
        file.write_all_at(&zeros, 0).expect("there is room");
        file.sync_all().expect("the disk works");
        Self {
            file,
            at: 0,
            round: Vec::new(),
        }
    }

    fn commit(&mut self, count: usize) {
        self.round.clear();
        for at in 0..count {
            let from = self.round.len();
            self.round.extend_from_slice(&[0; 4]);
            self.round.resize(from + FRAME_BYTES, at.to_le_bytes()[0]);
            let crc = crc32c::crc32c(&self.round[from + 4..]);
            self.round[from..from + 4].copy_from_slice(&crc.to_le_bytes());
        }
        if self.at + self.round.len() > SEGMENT_BYTES {
            self.at = 0;
        }
        let written = self.file.write_all_at(&self.round, self.at as u64);
        written.expect("the disk works");
        self.file.sync_data().expect("the disk works");
        self.at += self.round.len();
    }
}

fn commits(c: &mut Criterion) {
    for count in [1_usize, 64, 1_024] {
        let mut group = c.benchmark_group(format!("{count} durable commits"));
        group.throughput(Throughput::Elements(count as u64));
        let mut bare = Bare::new(&place("bare"));
        group.bench_function("floor: a bare log", |b| b.iter(|| bare.commit(count)));
        let engine = engine(&place("engine"));
        let mut offset = 0;
        group.bench_function("as one batch", |b| {
            b.iter(|| {
                offset += 1;
                let mut request = CommitRequest::new("group-of-many");
                for partition in (0..).take(count) {
                    request = request.offset("topic-name", partition, offset);
                }
                engine.commit(request).wait().expect("the disk works");
            });
        });
        let groups: Vec<String> = (0..count).map(|at| format!("group-{at:08}")).collect();
        group.bench_function("as requests in flight", |b| {
            b.iter(|| {
                offset += 1;
                let ask = |group: &String| {
                    let request = CommitRequest::new(group.as_str());
                    engine.commit(request.offset("topic-name", 0, offset))
                };
                let answers: Vec<_> = groups.iter().map(ask).collect();
                for answer in answers {
                    answer.wait().expect("the disk works");
                }
            });
        });
        group.finish();
    }
}

/// The same commits with 100,000 cold offsets beside them, in a log that has all the room that it
/// wants, and in one that must carry them along all the time.
fn carrying(c: &mut Criterion) {
    let count = if is_trial() { 1_000 } else { 100_000 };
    let tight = StoreConfig {
        segment_bytes: 1 << 20,
        log_bytes_min: 16 << 20,
        ..StoreConfig::default()
    };
    let ample = StoreConfig {
        log_bytes_min: 1 << 40,
        ..tight
    };
    let mut group = c.benchmark_group(format!("64 commits beside {count} offsets"));
    group.throughput(Throughput::Elements(64));
    let mut bare = Bare::new(&place("bare-carrying"));
    group.bench_function("floor: a bare log", |b| b.iter(|| bare.commit(64)));
    for (name, sizes) in [("nothing carried", ample), ("carried along", tight)] {
        let engine = engine_of(journal_of(&place("carrying"), sizes));
        fill(&engine, count);
        let mut offset = 0;
        group.bench_function(name, |b| {
            b.iter(|| {
                offset += 1;
                let ask = |at| {
                    let request = CommitRequest::new(format!("hot-{at}"));
                    engine.commit(request.offset("topic-name", 0, offset))
                };
                let answers: Vec<_> = (0..64).map(ask).collect();
                for answer in answers {
                    answer.wait().expect("the disk works");
                }
            });
        });
    }
    group.finish();
}

/// Commits that many offsets.
fn fill(engine: &Engine, count: usize) {
    for from in (0..count).step_by(1_000) {
        let answers: Vec<_> = (from..count.min(from + 1_000))
            .map(|at| {
                let request = CommitRequest::new(format!("group-{:08}", at / 10));
                let partition = i32::try_from(at % 10).expect("less than ten");
                engine.commit(request.offset("topic-name", partition, 1))
            })
            .collect();
        for answer in answers {
            answer.wait().expect("the disk works");
        }
    }
}

fn loading(c: &mut Criterion) {
    let count = if is_trial() { 1_000 } else { 100_000 };
    let dir = place("load");
    fill(&engine(&dir), count);
    let mut group = c.benchmark_group(format!("loading {count} offsets"));
    group.throughput(Throughput::Elements(count as u64));
    group.bench_function("floor: read and check", |b| {
        b.iter(|| {
            let files = std::fs::read_dir(&dir).expect("the folder is there");
            let mut crc = 0;
            for file in files {
                let bytes = std::fs::read(file.expect("a file").path()).expect("it can be read");
                crc = crc32c::crc32c_append(crc, &bytes);
            }
            black_box(crc)
        });
    });
    group.bench_function("open", |b| b.iter(|| drop(journal(&dir))));
    group.bench_function("open, and hand out the records", |b| {
        b.iter(|| {
            let journal = journal(&dir);
            let mut records = 0;
            for shard in 0..SHARDS {
                let each = &mut |record| {
                    black_box(record);
                    records += 1;
                    ControlFlow::Continue(())
                };
                journal.load(ShardId(shard), each).expect("it is whole");
            }
            assert_eq!(records, count);
        });
    });
    group.bench_function("open, and load the engine", |b| {
        b.iter(|| drop(engine(&dir)));
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = profiled::criterion();
    targets = commits, carrying, loading
}
criterion_main!(benches);
