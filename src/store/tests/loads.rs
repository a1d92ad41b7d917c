//! What a load hands out beside the records: what cannot be read, and who was heard of when.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::super::frame::{self, Flags};
use super::super::log::{Body, Log};
use super::disk::SimDisk;
use super::workload::{Append, Random, SHARDS, SMALL, commit, offset, open};
use crate::group::Heard;
use crate::ids::ShardId;
use crate::journal::schema::encode;
use crate::journal::{Journal, LoadError, Loaded};
use crate::store::DiskJournal;
use crate::time::WallMs;

const SHARD: ShardId = ShardId(0);

fn journal(disk: &SimDisk) -> DiskJournal {
    DiskJournal::open_on(Arc::new(disk.clone()), SMALL, SHARDS).unwrap()
}

fn loads(journal: &DiskJournal) -> Result<Vec<Loaded>, LoadError> {
    let mut loads = Vec::new();
    let taken = journal.load(SHARD, &mut |loaded| {
        loads.push(loaded);
        ControlFlow::Continue(())
    });
    taken.map(|()| loads)
}

/// Appends a batch of one record, whatever it says.
fn append_raw(log: &mut Log, key: &[u8], value: &[u8]) {
    let mut body = Body::default();
    let flags = Flags::FIRST_OF_ENTRY
        .with(Flags::LAST_OF_ENTRY)
        .with(Flags::LAST_OF_BATCH);
    frame::append(&mut body, SHARD.0, flags, key, Some(value)).unwrap();
    assert_eq!(log.commit(&[&body]).unwrap(), 1);
}

#[test]
fn a_value_that_cannot_be_read_is_handed_out_as_such_and_outlives_restarts_and_carrying() {
    let disk = SimDisk::default();
    let mut log = open(&disk, SMALL).unwrap();
    let key = encode(&offset("bad", 1, None)).unwrap().key;
    append_raw(&mut log, &key, b"\0\x63from another age");
    for serial in 0..2_000 {
        let append = Append::of(0, vec![offset("good", 1, Some(serial))]);
        commit(&mut log, &[append]).unwrap();
    }
    drop(log);
    for _ in 0..2 {
        let loads = loads(&journal(&disk)).unwrap();
        let unreadable = loads.iter().filter_map(|loaded| match loaded {
            Loaded::Unreadable { group, key, reason } => Some((group, key, reason)),
            Loaded::Record(_) | Loaded::Heard(_) => None,
        });
        let unreadable: Vec<_> = unreadable.collect();
        // What was carried last is there twice until the next segment begins.
        assert!((1..=2).contains(&unreadable.len()), "{unreadable:?}");
        for (group, found, reason) in unreadable {
            assert_eq!((group.as_str(), found), ("bad", &key));
            assert!(reason.starts_with("the record is damaged: "), "{reason}");
        }
        let last = Loaded::Record(offset("good", 1, Some(1_999)));
        assert!(loads.contains(&last));
    }
}

#[test]
fn a_key_of_no_group_fails_the_load_and_says_where() {
    let disk = SimDisk::default();
    let mut log = open(&disk, SMALL).unwrap();
    append_raw(&mut log, b"\0\x01\0\x09g", b"");
    drop(log);
    let error = loads(&journal(&disk)).unwrap_err().to_string();
    let place = "the journal is damaged: log-00000001 at byte 512: the record is damaged: ";
    assert!(error.starts_with(place), "{error}");
}

#[test]
fn who_was_heard_is_handed_out_once_and_before_the_records() {
    let disk = SimDisk::default();
    let mut log = open(&disk, SMALL).unwrap();
    let record = offset("g", 0, Some(1));
    commit(&mut log, &[Append::of(0, vec![record.clone()])]).unwrap();
    drop(log);
    let heard = Heard {
        group: "g".into(),
        member: "m".into(),
        at: WallMs(1),
    };
    journal(&disk).keep_heard(SHARD, std::slice::from_ref(&heard));
    let again = Arc::new(journal(&disk));
    let record = Loaded::Record(record);
    let first = loads(&again).unwrap();
    assert_eq!(first, [Loaded::Heard(heard), record.clone()]);
    // Not even a crash brings it back.
    drop(again);
    let survived = journal(&disk.survivor(&mut Random(1)));
    assert_eq!(loads(&survived).unwrap(), [record]);
}

#[test]
fn a_load_that_is_broken_off_hands_out_no_more() {
    let disk = SimDisk::default();
    let mut log = open(&disk, SMALL).unwrap();
    for serial in 0..10 {
        let append = Append::of(0, vec![offset("g", 0, Some(serial))]);
        commit(&mut log, &[append]).unwrap();
    }
    drop(log);
    let mut count = 0;
    let broken = journal(&disk).load(SHARD, &mut |_| {
        count += 1;
        if count == 3 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    assert!(broken.is_ok());
    assert_eq!(count, 3);
}
