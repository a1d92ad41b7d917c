//! The device fails at every operation of a workload, is full, or writes half.

use super::super::log::Failed;
use super::disk::{Fault, SimDisk};
use super::workload::{Append, Random, SMALL, assert_holds, commit, facts_of, loaded, open};

/// Appends batches, one a round, until one is refused for good; those that were acknowledged,
/// and the one on which the log failed.
fn work(disk: &SimDisk) -> (Vec<Append>, Option<Append>) {
    let mut acknowledged = Vec::new();
    let (mut random, mut serial) = (Random(11), 0);
    let Ok(mut log) = open(disk, SMALL) else {
        return (acknowledged, None);
    };
    for _ in 0..150 {
        let append = Append::random(&mut random, &mut serial);
        match commit(&mut log, std::slice::from_ref(&append)) {
            Ok(_) => acknowledged.push(append),
            // Refused, and never seen: the next one is taken.
            Err(Failed::Full(_)) => assert_holds(&log, &acknowledged, "after a full disk"),
            Err(Failed::Poisoned(_)) => {
                assert_holds(&log, &acknowledged, "reads of a poisoned log");
                return (acknowledged, Some(append));
            }
        }
    }
    (acknowledged, None)
}

fn at_every_operation(fault: Fault) -> (usize, usize) {
    let (mut poisoned, mut went_on) = (0, 0);
    for at in 1.. {
        let disk = SimDisk::default();
        disk.plan(at, fault);
        let (mut acknowledged, failed) = work(&disk);
        if disk.operations() < at {
            break;
        }
        match failed {
            Some(_) => poisoned += 1,
            None => went_on += 1,
        }
        // The batch on which it failed is there or not; nothing is known of it.
        let log = open(&disk, SMALL).unwrap_or_else(|error| panic!("operation {at}: {error}"));
        if (0..2).any(|shard| loaded(&log, shard) != facts_of(shard, &acknowledged)) {
            acknowledged.extend(failed);
        }
        assert_holds(&log, &acknowledged, &format!("{fault:?} at operation {at}"));
    }
    (poisoned, went_on)
}

#[test]
fn a_failing_device_poisons_the_log_and_loses_nothing() {
    let (poisoned, went_on) = at_every_operation(Fault::Eio);
    // Only what is done at the opening, and removing a file that is not needed, may fail.
    assert!(poisoned > 300, "{poisoned}");
    assert!(went_on < 40, "{went_on}");
}

#[test]
fn a_disk_that_is_full_for_a_moment_loses_nothing() {
    let (poisoned, went_on) = at_every_operation(Fault::Enospc);
    assert!(poisoned > 200 && went_on > 20, "{poisoned} {went_on}");
}

#[test]
fn short_writes_are_written_to_the_end() {
    let disk = SimDisk::default();
    disk.set_short_writes();
    let (acknowledged, failed) = work(&disk);
    assert_eq!((acknowledged.len(), failed), (150, None));
    assert_holds(&open(&disk, SMALL).unwrap(), &acknowledged, "short writes");
}

#[test]
fn a_full_disk_leaves_no_half_made_file_behind() {
    let disk = SimDisk::default();
    let mut log = open(&disk, SMALL).unwrap();
    disk.set_capacity(Some(1_000));
    let append = Append::of(0, vec![super::workload::offset("g", 0, Some(1))]);
    for _ in 0..3 {
        let refused = commit(&mut log, std::slice::from_ref(&append));
        assert!(matches!(refused, Err(Failed::Full(_))));
        assert_eq!(disk.names(), ["MANIFEST"]);
    }
    disk.set_capacity(None);
    assert_eq!(commit(&mut log, std::slice::from_ref(&append)).unwrap(), 1);
}
