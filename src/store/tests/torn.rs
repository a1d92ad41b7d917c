//! Torn tails of which later parts are whole: they must never come to light again.

use super::disk::SimDisk;
use super::workload::{Append, SMALL, assert_holds, commit, open};
use crate::group::{OffsetValue, Record};
use crate::ids::TopicId;
use crate::store::StoreConfig;
use crate::time::WallMs;

const LARGER: StoreConfig = StoreConfig {
    segment_bytes: 8 << 10,
    log_bytes_min: 128 << 10,
    ..SMALL
};

/// A batch whose one frame fills that many sectors.
fn of_sectors(sectors: usize, offset: i64) -> Append {
    let record = Record::Offset {
        group: "g".into(),
        topic: "t".into(),
        partition: i32::try_from(offset).unwrap(),
        value: Some(OffsetValue {
            offset,
            leader_epoch: -1,
            metadata: "m".repeat(512 * sectors - 64).into(),
            committed_at: WallMs(0),
            expires_at: None,
            topic_id: TopicId::ZERO,
        }),
    };
    Append::of(0, vec![record])
}

/// Loses that sector of the first segment.
fn lose(disk: &SimDisk, sector: usize) {
    let mut bytes = disk.contents("log-00000001");
    bytes[512 * sector..512 * (sector + 1)].fill(0);
    disk.put("log-00000001", bytes);
}

#[test]
fn whole_frames_after_a_torn_one_do_not_follow_what_is_written_in_its_place() {
    let disk = SimDisk::default();
    let mut log = open(&disk, LARGER).unwrap();
    let first = of_sectors(1, 1);
    commit(&mut log, std::slice::from_ref(&first)).unwrap();
    let torn: Vec<_> = (2..8).map(|offset| of_sectors(1, offset)).collect();
    assert_eq!(commit(&mut log, &torn).unwrap(), 6);
    drop(log);
    // The header, the first frame, and then the torn round.
    lose(&disk, 2);
    let mut log = open(&disk, LARGER).unwrap();
    let mut appends = vec![first];
    assert_holds(&log, &appends, "the torn round is gone");
    let other = of_sectors(1, 100);
    commit(&mut log, std::slice::from_ref(&other)).unwrap();
    appends.push(other);
    drop(log);
    assert_holds(&open(&disk, LARGER).unwrap(), &appends, "and stays gone");
}

#[test]
fn whole_frames_of_an_earlier_life_do_not_follow_what_is_written_over_it() {
    let disk = SimDisk::default();
    let mut log = open(&disk, LARGER).unwrap();
    let torn: Vec<_> = (1..16).map(|offset| of_sectors(1, offset)).collect();
    assert_eq!(commit(&mut log, &torn).unwrap(), 15);
    drop(log);
    // Nothing is left of the segment then, and its file is used again: once another segment is
    // full, a frame ends just where one of the torn round begins, whose number is the next.
    lose(&disk, 1);
    let mut log = open(&disk, LARGER).unwrap();
    let appends = [of_sectors(15, 100), of_sectors(2, 200)];
    for append in &appends {
        assert_eq!(commit(&mut log, std::slice::from_ref(append)).unwrap(), 1);
    }
    drop(log);
    assert_eq!(disk.contents("log-00000001")[20], 2, "it is used again");
    assert_holds(&open(&disk, LARGER).unwrap(), &appends, "no more than that");
}

#[test]
fn a_torn_batch_is_there_whole_or_not_at_all() {
    for lost in 1..=15 {
        let disk = SimDisk::default();
        let mut log = open(&disk, LARGER).unwrap();
        let mut append = of_sectors(1, 0);
        for offset in 1..15 {
            append.entries.extend(of_sectors(1, offset).entries);
        }
        commit(&mut log, &[append]).unwrap();
        drop(log);
        lose(&disk, lost);
        assert_holds(&open(&disk, LARGER).unwrap(), &[], "the whole batch is cut");
    }
}
