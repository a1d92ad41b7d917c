//! The journal with its thread, through the trait.

use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Weak};

use super::super::disk::Disk;
use super::disk::{Fault, SimDisk};
use super::workload::{Append, Random, SHARDS, SMALL, collect, facts, facts_of, offset};
use crate::error::Refusal;
use crate::group::Record;
use crate::ids::ShardId;
use crate::journal::{Batch, Done, Durability, Journal, Loaded, Outcomes, Ticket};
use crate::store::{DiskJournal, OpenError, StoreConfig};

type Outcome = (Ticket, Result<(), Refusal>);

/// Where outcomes are collected.
struct Collected(Sender<Outcome>);

impl Outcomes for Collected {
    fn settled(&self, ticket: Ticket, outcome: Result<(), Refusal>) {
        // The test may be over.
        let _ = self.0.send((ticket, outcome));
    }
}

/// A journal as a shard sees it.
struct Host {
    journal: DiskJournal,
    to: Arc<Collected>,
    outcomes: Receiver<Outcome>,
    index: u64,
}

impl Host {
    fn open(disk: &SimDisk) -> Self {
        let (to, outcomes) = channel();
        Self {
            journal: DiskJournal::open_on(Arc::new(disk.clone()), SMALL, SHARDS).unwrap(),
            to: Arc::new(Collected(to)),
            outcomes,
            index: 0,
        }
    }

    fn append(&mut self, append: &Append) -> Ticket {
        self.index += 1;
        let ticket = Ticket {
            index: self.index,
            ..append.ticket()
        };
        let to: Weak<dyn Outcomes> = Arc::<Collected>::downgrade(&self.to);
        let batch = Batch {
            ticket,
            entries: &append.entries,
        };
        self.journal.append(batch, Done::new(ticket, to));
        ticket
    }

    /// Appends a batch and waits for what becomes of it.
    #[expect(
        clippy::panic_in_result_fn,
        reason = "the outcome is what the test looks at"
    )]
    fn settle(&mut self, append: &Append) -> Result<(), Refusal> {
        let ticket = self.append(append);
        let settled = self.outcomes.recv().unwrap();
        assert_eq!(settled.0, ticket);
        settled.1
    }

    fn records(&self, shard: u32) -> Vec<Record> {
        let mut records = Vec::new();
        let load = |each: &mut dyn FnMut(Loaded) -> ControlFlow<()>| {
            self.journal.load(ShardId(shard), each)
        };
        load(&mut collect(&mut records)).unwrap();
        records
    }
}

fn one(serial: i64) -> Append {
    Append::of(0, vec![offset("g", 0, Some(serial))])
}

#[test]
fn batches_are_settled_in_order_and_read_back_after_a_restart() {
    let disk = SimDisk::default();
    let mut host = Host::open(&disk);
    assert_eq!(host.journal.durability(), Durability::LocalFsync);
    let (mut random, mut serial, mut appends) = (Random(3), 0, Vec::new());
    for _ in 0..100 {
        let pair: Vec<_> = (0..2)
            .map(|_| Append::random(&mut random, &mut serial))
            .collect();
        let tickets: Vec<_> = pair.iter().map(|append| host.append(append)).collect();
        let outcomes: Vec<_> = tickets
            .iter()
            .map(|_| host.outcomes.recv().unwrap())
            .collect();
        // Each shard's in their order.
        for shard in 0..SHARDS {
            let of_shard = |ticket: &&Ticket| ticket.shard == ShardId(shard);
            let expected = tickets.iter().filter(of_shard).map(|it| (*it, Ok(())));
            let found = outcomes.iter().filter(|(it, _)| of_shard(&it)).copied();
            assert!(found.eq(expected));
        }
        appends.extend(pair);
    }
    let usage = host.journal.usage();
    assert!(usage.live_bytes > 0 && usage.file_bytes <= 32 << 10 && usage.keys > 0);
    drop(host);
    let host = Host::open(&disk);
    for shard in 0..SHARDS {
        let found = facts(host.records(shard).iter());
        assert_eq!(found, facts_of(shard, &appends));
    }
}

#[test]
fn a_batch_that_waits_grows_and_is_settled_with_all_that_is_in_it() {
    let disk = SimDisk::default();
    let mut host = Host::open(&disk);
    let (mut extended, mut serial) = (0, 0);
    for _ in 0..200 {
        serial += 2;
        let ticket = host.append(&one(serial - 1));
        let more = one(serial);
        let entries = &more.entries;
        if host.journal.extend(Batch { ticket, entries }) {
            extended += 1;
        } else {
            serial -= 1;
        }
        assert_eq!(host.outcomes.recv().unwrap(), (ticket, Ok(())));
        assert_eq!(host.records(0).last(), Some(&offset("g", 0, Some(serial))));
        // It is on its way, and nothing more goes into it.
        assert!(!host.journal.extend(Batch { ticket, entries }));
    }
    assert!(extended > 0, "the writer was always faster");
}

#[test]
fn what_cannot_be_written_with_a_batch_that_waits_leaves_it_as_it_was() {
    let disk = SimDisk::default();
    let mut host = Host::open(&disk);
    let long = "g".repeat(40_000);
    let append = Append::of(0, vec![offset("g", 1, Some(9)), offset(&long, 0, Some(2))]);
    for serial in 1..50 {
        let ticket = host.append(&one(serial));
        let entries = &append.entries;
        assert!(!host.journal.extend(Batch { ticket, entries }));
        assert_eq!(host.outcomes.recv().unwrap(), (ticket, Ok(())));
    }
    let records = facts(host.records(0).iter());
    assert_eq!(records, [offset("g", 0, Some(49))]);
}

#[test]
fn dropping_the_journal_settles_what_was_appended() {
    let disk = SimDisk::default();
    let mut host = Host::open(&disk);
    host.append(&one(1));
    host.append(&one(2));
    drop(host.journal);
    let outcomes: Vec<_> = host
        .outcomes
        .try_iter()
        .map(|(_, outcome)| outcome)
        .collect();
    assert_eq!(outcomes, [Ok(()), Ok(())]);
}

#[test]
fn after_a_failed_sync_nothing_is_acknowledged_and_reads_go_on() {
    let disk = SimDisk::default();
    let mut host = Host::open(&disk);
    assert_eq!(host.settle(&one(1)), Ok(()));
    // A write, then the sync.
    disk.plan(2, Fault::Eio);
    assert_eq!(host.settle(&one(2)), Err(Refusal::NotAvailable));
    assert!(!host.journal.is_healthy());
    assert_eq!(host.settle(&one(3)), Err(Refusal::NotAvailable));
    assert_eq!(host.records(0), [offset("g", 0, Some(1))]);
}

#[test]
fn damage_that_comes_after_the_opening_is_found_by_the_loading() {
    let disk = SimDisk::default();
    let mut host = Host::open(&disk);
    assert_eq!(host.settle(&one(1)), Ok(()));
    let file = disk.open("log-00000001").unwrap();
    // The last byte of the value: the frame has 56 bytes.
    assert_eq!(file.write_at(&[9], 512 + 55).unwrap(), 1);
    let loaded = host
        .journal
        .load(ShardId(0), &mut |_| panic!("a damaged record"));
    let words = "the journal is damaged: log-00000001 at byte 512: the checksum does not fit";
    assert_eq!(loaded.unwrap_err().to_string(), words);
    host.journal
        .load(ShardId(1), &mut |_| ControlFlow::Continue(()))
        .unwrap();
}

#[test]
fn a_full_disk_refuses_and_heals_when_there_is_room() {
    let disk = SimDisk::default();
    let mut host = Host::open(&disk);
    disk.set_capacity(Some(6 << 10));
    let mut accepted = 0;
    // Each lives, so that no segment is used again.
    let another = |at| Append::of(0, vec![offset("g", at, Some(1))]);
    while host.settle(&another(accepted + 1)).is_ok() {
        accepted += 1;
        assert!(accepted < 1_000, "the disk never filled");
    }
    assert!(accepted > 20 && host.journal.is_healthy());
    assert_eq!(host.settle(&one(-1)), Err(Refusal::NotAvailable));
    disk.set_capacity(None);
    assert_eq!(host.settle(&one(2)), Ok(()));
    let records = host.records(0);
    assert_eq!(records.len(), usize::try_from(accepted).unwrap() + 1);
    assert_eq!(records.last(), Some(&offset("g", 0, Some(2))));
}

#[test]
fn a_batch_that_cannot_be_encoded_is_refused_in_its_turn() {
    let disk = SimDisk::default();
    let mut host = Host::open(&disk);
    let long = "g".repeat(40_000);
    let first = host.append(&one(1));
    let second = host.append(&Append::of(0, vec![offset(&long, 0, Some(2))]));
    let outcomes: Vec<_> = (0..2).map(|_| host.outcomes.recv().unwrap()).collect();
    assert_eq!(outcomes, [(first, Ok(())), (second, Err(Refusal::Failed))]);
    assert_eq!(host.settle(&one(3)), Ok(()));
    assert!(host.journal.is_healthy());
}

#[test]
fn a_batch_without_records_is_settled_without_a_write() {
    let disk = SimDisk::default();
    let mut host = Host::open(&disk);
    assert_eq!(host.settle(&one(1)), Ok(()));
    let before = disk.operations();
    let empty = Append {
        shard: 0,
        entries: Vec::new(),
    };
    assert_eq!(host.settle(&empty), Ok(()));
    assert_eq!(disk.operations(), before);
}

#[test]
fn a_directory_is_opened_once_at_a_time() {
    let disk = SimDisk::default();
    let host = Host::open(&disk);
    let second = DiskJournal::open_on(Arc::new(disk.clone()), SMALL, SHARDS);
    assert!(matches!(second, Err(OpenError::Locked)));
    drop(host);
    Host::open(&disk);
}

#[test]
fn sizes_out_of_range_are_refused_before_anything_is_touched() {
    for config in [
        StoreConfig {
            segment_bytes: 100,
            ..SMALL
        },
        StoreConfig {
            log_bytes_min: 0,
            ..SMALL
        },
    ] {
        let disk = SimDisk::default();
        let opened = DiskJournal::open_on(Arc::new(disk.clone()), config, SHARDS);
        assert!(matches!(opened, Err(OpenError::Config(_))));
        assert_eq!(disk.names(), Vec::<String>::new());
    }
}
