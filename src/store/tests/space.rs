//! The files stay within their bound, whatever is written, and what lives is carried along.

use std::sync::Arc;

use super::super::index::Keys;
use super::super::recovery::recover;
use super::disk::SimDisk;
use super::workload::{Append, Random, SMALL, assert_holds, collect, commit, loaded, offset, open};
use crate::group::Record;
use crate::store::{Repair, StoreConfig};

/// The bound at which the log holds itself right now.
fn assert_within_bound(disk: &SimDisk, log: &super::super::log::Log) {
    let (bytes, _) = log.bytes();
    // A file that is being made counts as a whole.
    assert!(disk.log_bytes() as u64 <= bytes);
    assert!(
        bytes <= log.bound(),
        "{bytes} bytes of {} with {} live",
        log.bound(),
        log.bytes().1
    );
}

#[test]
fn a_long_overwrite_stays_within_the_bound() {
    let disk = SimDisk::default();
    let mut log = open(&disk, SMALL).unwrap();
    let mut serial = 0;
    let mut random = Random(1);
    // Sixty cold keys, written once, and forty hot ones.
    let cold = (0..60).map(|at| offset("cold", at, Some(7))).collect();
    let mut appends = vec![Append::of(0, cold)];
    commit(&mut log, &appends).unwrap();
    for _ in 0..5_000 {
        serial += 1;
        let record = offset("hot", random.below(40), Some(serial));
        let append = Append::of(1, vec![record]);
        commit(&mut log, std::slice::from_ref(&append)).unwrap();
        appends.push(append);
        assert_within_bound(&disk, &log);
    }
    assert_holds(&log, &appends, "live");
    drop(log);
    assert_holds(&open(&disk, SMALL).unwrap(), &appends, "replayed");
}

#[test]
fn a_large_state_stays_within_twice_its_size_and_shrinks_again() {
    let disk = SimDisk::default();
    let mut log = open(&disk, SMALL).unwrap();
    let mut appends = Vec::new();
    let mut append = |log: &mut super::super::log::Log, records| {
        let append = Append::of(0, records);
        assert_eq!(commit(log, std::slice::from_ref(&append)).unwrap(), 1);
        appends.push(append);
        assert_within_bound(&disk, log);
    };
    let group = |at: u64| format!("group{}", at % 50);
    for at in 0..4_000_u64 {
        append(&mut log, vec![offset(&group(at), at / 50, Some(1))]);
    }
    let (_, live) = log.bytes();
    assert!(live > 240_000, "{live}");
    for at in 0..4_000_u64 {
        append(&mut log, vec![offset(&group(at), at / 50, None)]);
    }
    append(&mut log, vec![offset("last", 0, Some(1))]);
    assert!(disk.log_bytes() <= 32 << 10);
    assert_holds(&log, &appends, "live");
    drop(log);
    let log = open(&disk, SMALL).unwrap();
    assert_eq!(loaded(&log, 0), [offset("last", 0, Some(1))]);
}

#[test]
fn a_batch_larger_than_a_segment_gets_one_of_its_own() {
    let disk = SimDisk::default();
    let mut log = open(&disk, SMALL).unwrap();
    let large: Vec<Record> = (0..300).map(|at| offset("g", at, Some(1))).collect();
    let appends = [
        Append::of(0, vec![offset("g", 0, Some(9))]),
        Append::of(0, large),
        Append::of(1, vec![offset("h", 0, Some(9))]),
    ];
    assert_eq!(commit(&mut log, &appends).unwrap(), 1);
    assert_eq!(commit(&mut log, &appends[1..]).unwrap(), 1);
    assert_eq!(commit(&mut log, &appends[2..]).unwrap(), 1);
    drop(log);
    assert_holds(&open(&disk, SMALL).unwrap(), &appends, "replayed");
}

#[test]
fn a_removed_group_takes_its_offsets_along_when_they_would_be_carried() {
    let disk = SimDisk::default();
    let mut log = open(&disk, SMALL).unwrap();
    let removed = Record::Group {
        group: "gone".into(),
        value: None,
    };
    let mut appends = vec![
        Append::of(
            0,
            vec![offset("gone", 0, Some(1)), offset("kept", 0, Some(1))],
        ),
        Append::of(0, vec![removed]),
    ];
    for append in &appends {
        commit(&mut log, std::slice::from_ref(append)).unwrap();
    }
    for serial in 0..2_000 {
        let append = Append::of(0, vec![offset("kept", 1, Some(serial))]);
        commit(&mut log, std::slice::from_ref(&append)).unwrap();
        appends.push(append);
    }
    assert_holds(&log, &appends, "live");
    assert_eq!(log.len(), 2, "the dead are forgotten");
}

#[test]
fn segments_are_used_again_instead_of_made() {
    let disk = SimDisk::default();
    let mut log = open(&disk, SMALL).unwrap();
    let write = |log: &mut super::super::log::Log| {
        for serial in 0..1_000 {
            let append = Append::of(0, vec![offset("g", 0, Some(serial))]);
            commit(log, std::slice::from_ref(&append)).unwrap();
        }
    };
    write(&mut log);
    let made = |disk: &SimDisk| disk.log().iter().filter(|it| **it == "create").count();
    let before = made(&disk);
    write(&mut log);
    assert_eq!(made(&disk), before);
}

#[test]
fn a_segment_in_which_nothing_counts_is_used_again_at_once() {
    let disk = SimDisk::default();
    let mut log = open(&disk, SMALL).unwrap();
    let mut appends = Vec::new();
    for serial in 0..1_000_u32 {
        // Now and then one is deleted: its tombstone counts as long as it is the last word.
        let value = (serial % 7 != 0).then_some(i64::from(serial));
        let append = Append::of(0, vec![offset("g", u64::from(serial) % 5, value)]);
        commit(&mut log, std::slice::from_ref(&append)).unwrap();
        appends.push(append);
        assert!(log.bytes().0 <= 3 * SMALL.segment_bytes);
    }
    assert_holds(&log, &appends, "live");
    drop(log);
    assert_holds(&open(&disk, SMALL).unwrap(), &appends, "replayed");
}

#[test]
fn the_living_are_carried_evenly() {
    let disk = SimDisk::default();
    let mut log = open(&disk, SMALL).unwrap();
    let mut appends: Vec<Append> = (0..150)
        .map(|at| Append::of(0, vec![offset("cold", at, Some(7))]))
        .collect();
    for append in &appends {
        commit(&mut log, std::slice::from_ref(append)).unwrap();
    }
    let newest = |log: &super::super::log::Log| {
        let segments = log.view().segments;
        let newest = segments.last().unwrap();
        (newest.header.activation, newest.end())
    };
    let mut carried = 0;
    for serial in 0..3_000 {
        let append = Append::of(1, vec![offset("hot", 0, Some(serial))]);
        let own = append.body().len() as u64;
        let (segment, end) = newest(&log);
        commit(&mut log, std::slice::from_ref(&append)).unwrap();
        appends.push(append);
        assert_within_bound(&disk, &log);
        let (segment_now, end_now) = newest(&log);
        if segment_now == segment {
            let written = end_now - end;
            assert!(written <= 3 * own, "{written} bytes for {own}");
            carried += written - own;
        }
    }
    assert!(carried > 3 * log.bytes().1, "the cold went round");
    assert_holds(&log, &appends, "live");
    drop(log);
    assert_holds(&open(&disk, SMALL).unwrap(), &appends, "replayed");
}

#[test]
fn what_is_being_read_is_not_used_again() {
    let disk = SimDisk::default();
    let mut log = open(&disk, SMALL).unwrap();
    let first = Append::of(0, vec![offset("g", 0, Some(1))]);
    commit(&mut log, &[first]).unwrap();
    let view = log.view();
    for serial in 0..2_000 {
        let append = Append::of(0, vec![offset("g", 1, Some(serial))]);
        commit(&mut log, std::slice::from_ref(&append)).unwrap();
    }
    let mut records = Vec::new();
    let mut each = collect(&mut records);
    super::super::journal::read(&view, 0, Repair::Refuse, &mut each).unwrap();
    drop(each);
    assert_eq!(records, [offset("g", 0, Some(1))]);
    drop(view);
    let append = Append::of(0, vec![offset("g", 1, Some(0))]);
    for _ in 0..200 {
        commit(&mut log, std::slice::from_ref(&append)).unwrap();
    }
    assert_within_bound(&disk, &log);
}

#[test]
fn the_index_after_a_restart_is_the_index_before() {
    let disk = SimDisk::default();
    let config = StoreConfig { ..SMALL };
    let mut log = open(&disk, config).unwrap();
    let (mut random, mut serial) = (Random(9), 0);
    for _ in 0..600 {
        let append = Append::random(&mut random, &mut serial);
        commit(&mut log, std::slice::from_ref(&append)).unwrap();
    }
    let names = disk.names();
    let disk: Arc<dyn super::super::disk::Disk> = Arc::new(disk);
    let found = recover(&*disk, &names, 7, Repair::Refuse, &Keys::default()).unwrap();
    assert!(found.index.live_bytes() >= log.bytes().1);
    assert!(found.index.len() >= log.len());
}
