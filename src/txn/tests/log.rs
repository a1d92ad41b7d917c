//! The log on a disk that owns the bytes that survive.

use std::collections::BTreeMap;
use std::path::Path;

use super::sample::{groups, partitions, producer};
use crate::disk::simulated::{Fault, Random, SimDisk};
use crate::ids::TransactionalId;
use crate::time::WallMs;
use crate::txn::log::Log;
use crate::txn::{Change, Damage, Facts, OpenError, TransactionState};

/// Where the first frame begins.
const HEAD: usize = 20;

type Known = BTreeMap<TransactionalId, Facts>;

fn open(disk: &SimDisk) -> Result<(Log, Known), OpenError> {
    open_with(disk, Damage::Refuse)
}

fn open_with(disk: &SimDisk, damage: Damage) -> Result<(Log, Known), OpenError> {
    let (log, changes) = Log::open(Box::new(disk.clone()), Path::new("dir"), (damage, 7))?;
    let known = changes
        .into_iter()
        .filter_map(|it| Some((it.id, it.facts?)));
    Ok((log, known.collect()))
}

/// The facts of the turn-th change of an id; every third is the end of the id.
fn change(id: u64, turn: u64) -> Change {
    let id = TransactionalId::from(format!("id-{id}"));
    if turn % 3 == 2 {
        return Change { id, facts: None };
    }
    let number = i64::try_from(turn).unwrap();
    let mut facts = Facts::new(number);
    facts.producer = producer(number, 3);
    facts.last_epoch = 2;
    facts.previous_id = 8;
    facts.next_id = 9;
    facts.timeout_ms = 60_000;
    facts.state = TransactionState::ALL[usize::try_from(turn % 6).unwrap()];
    facts.is_v2 = turn.is_multiple_of(2);
    facts.partitions = partitions(&[0, 1, 2]);
    facts.groups = groups(&["a", "b"]);
    facts.started = WallMs(number);
    facts.updated = WallMs(number + 1);
    Change {
        id,
        facts: Some(facts),
    }
}

fn note(known: &mut Known, changes: &[Change]) {
    for change in changes {
        match &change.facts {
            Some(facts) => known.insert(change.id.clone(), facts.clone()),
            None => known.remove(&change.id),
        };
    }
}

/// Appends frames until one fails: what is durable, and what may be besides.
fn work(log: &mut Log, turns: u64) -> (Known, Option<Known>) {
    let mut known = Known::new();
    for turn in 0..turns {
        let changes = [change(turn % 4, turn), change(turn % 5, turn + 1)];
        let mut next = known.clone();
        note(&mut next, &changes);
        if log.append(&changes).is_err() {
            return (known, Some(next));
        }
        known = next;
    }
    (known, None)
}

#[test]
fn what_was_written_is_read_again() {
    let disk = SimDisk::default();
    let (mut log, known) = open(&disk).unwrap();
    assert_eq!(known, Known::new());
    let (expected, _) = work(&mut log, 50);
    drop(log);
    for _ in 0..2 {
        assert_eq!(open(&disk).unwrap().1, expected);
    }
}

#[test]
fn a_crash_anywhere_loses_nothing_that_was_acknowledged() {
    let disk = SimDisk::default();
    let (mut log, _) = open(&disk).unwrap();
    work(&mut log, 12);
    let operations = disk.operations();
    for at in 1..=operations {
        for seed in 0..4 {
            let disk = SimDisk::default();
            disk.plan(at, Fault::Crash);
            let Ok((mut log, _)) = open(&disk) else {
                let survivor = disk.survivor(&mut Random(seed));
                assert_eq!(open(&survivor).unwrap().1, Known::new());
                continue;
            };
            let (durable, maybe) = work(&mut log, 12);
            let survivor = disk.survivor(&mut Random(seed));
            let (_, found) = open(&survivor).unwrap();
            assert!(
                found == durable || Some(&found) == maybe.as_ref(),
                "at {at}, seed {seed}: {found:?}"
            );
        }
    }
}

#[test]
fn a_crash_while_the_file_is_rewritten_loses_nothing() {
    let disk = SimDisk::default();
    let (mut log, _) = open(&disk).unwrap();
    let renames = |disk: &SimDisk| disk.log().iter().filter(|it| **it == "rename").count();
    let before = renames(&disk);
    let mut first = 0;
    while renames(&disk) == before {
        first = disk.operations();
        log.append(&[change(0, 0), change(1, 1)]).unwrap();
    }
    let (file, live) = log.bytes();
    assert!(file < 64 * 1024 && live < 1_000, "{file} {live}");
    let last = disk.operations();
    for at in first..=last {
        for seed in 0..4 {
            let disk = SimDisk::default();
            disk.plan(at, Fault::Crash);
            let (mut log, _) = open(&disk).unwrap();
            while log.append(&[change(0, 0), change(1, 1)]).is_ok() {}
            let survivor = disk.survivor(&mut Random(seed));
            let mut expected = Known::new();
            note(&mut expected, &[change(0, 0), change(1, 1)]);
            assert_eq!(open(&survivor).unwrap().1, expected, "at {at}");
        }
    }
}

#[test]
fn a_full_disk_refuses_and_heals_and_a_failed_sync_ends_it() {
    let disk = SimDisk::default();
    let (mut log, _) = open(&disk).unwrap();
    log.append(&[change(0, 0)]).unwrap();
    disk.plan(1, Fault::Enospc);
    assert!(log.append(&[change(1, 1)]).is_err());
    log.append(&[change(2, 0)]).unwrap();
    disk.plan(2, Fault::Eio);
    assert!(log.append(&[change(3, 0)]).is_err());
    assert!(log.append(&[change(4, 0)]).is_err());
    let (_, known) = open(&disk.survivor(&mut Random(0))).unwrap();
    let ids: Vec<&str> = known.keys().map(TransactionalId::as_str).collect();
    assert!(ids.starts_with(&["id-0", "id-2"]), "{ids:?}");
    assert!(!ids.contains(&"id-1") && !ids.contains(&"id-4"), "{ids:?}");
}

#[test]
fn one_flipped_byte_is_refused_or_is_in_the_last_frame() {
    let disk = SimDisk::default();
    let (mut log, _) = open(&disk).unwrap();
    log.append(&[change(0, 0), change(1, 1)]).unwrap();
    let last_begins = usize::try_from(log.bytes().0).unwrap();
    log.append(&[change(2, 3)]).unwrap();
    drop(log);
    let bytes = disk.contents("transactions.log");
    let mut before = Known::new();
    note(&mut before, &[change(0, 0), change(1, 1)]);
    for at in 0..bytes.len() {
        let disk = SimDisk::default();
        let mut rotten = bytes.clone();
        rotten[at] ^= 0x10;
        disk.put("transactions.log", rotten.clone());
        match open(&disk) {
            Ok((_, known)) => {
                assert!(at >= last_begins, "byte {at} was not missed");
                assert_eq!(known, before);
            }
            Err(OpenError::Alien(_)) => assert!(at < 8),
            Err(OpenError::Damaged { .. }) => {
                assert!(at < last_begins);
                if at >= HEAD {
                    let (_, kept) = open_with(&disk.copy(), Damage::CutOff).unwrap();
                    assert_eq!(kept, Known::new(), "byte {at}");
                }
            }
            Err(error) => panic!("byte {at}: {error}"),
        }
        if at < last_begins {
            assert_eq!(disk.contents("transactions.log"), rotten);
        }
    }
}

#[test]
fn a_file_of_another_version_and_a_second_process_are_refused() {
    let disk = SimDisk::default();
    let mut head = b"takhintx".to_vec();
    head.extend(2_u32.to_le_bytes());
    head.extend(0_u32.to_le_bytes());
    head.extend(crc32c::crc32c(&head).to_le_bytes());
    disk.put("transactions.log", head);
    let refused = open(&disk).map(|_| ()).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "'dir/transactions.log' has format version 2, which is not known here"
    );
    let disk = SimDisk::default();
    let _first = open(&disk).unwrap();
    let refused = open(&disk).map(|_| ()).unwrap_err();
    assert!(matches!(refused, OpenError::Locked(_)), "{refused}");
}
