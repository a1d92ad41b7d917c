//! A full disk, and a device that writes less than it was given.

use super::stage::{SMALL, bounds, open, read, try_open, write};
use crate::disk::simulated::{Fault, Random, SimDisk};
use crate::topics::TopicError;
use crate::topics::tests::sample::{name, new_topic};

#[test]
fn a_full_disk_refuses_and_heals_and_leaves_no_trace_of_what_was_refused() {
    for at in 1..60 {
        let disk = SimDisk::default();
        let topics = open(&disk);
        topics.create(&new_topic("t", 1), false).unwrap();
        topics.synced().wait().unwrap();
        disk.plan(at, Fault::Enospc);
        let mut acknowledged = 0;
        let mut was_full = false;
        for round in 0..20 {
            match write(&topics, "t", 0, 100 + round) {
                Ok(base) => {
                    assert_eq!(base, acknowledged);
                    acknowledged += 1;
                }
                // A sync that fails is no full disk, whatever it says.
                Err(error) if !topics.is_healthy() => {
                    assert_eq!(error, TopicError::StorageFailed);
                    break;
                }
                Err(error) => {
                    assert_eq!(error, TopicError::StorageFull);
                    was_full = true;
                }
            }
        }
        disk.plan(usize::MAX / 2, Fault::Enospc);
        assert!(!topics.is_healthy() || acknowledged >= 19, "operation {at}");
        let before = read(&topics, "t", 0);
        assert_eq!(bounds(&topics, "t", 0), (0, acknowledged));
        drop(topics);
        for seed in 0..3 {
            let survivor = disk.survivor(&mut Random(seed));
            let topics = open(&survivor);
            let found = read(&topics, "t", 0);
            let is_all = if was_full {
                found == before
            } else {
                found.starts_with(&before)
            };
            assert!(is_all, "operation {at}");
        }
    }
}

#[test]
fn a_disk_without_room_for_the_catalog_refuses_a_topic_and_has_it_once_there_is_room() {
    let disk = SimDisk::default();
    let topics = open(&disk);
    disk.set_capacity(Some(0));
    topics.create(&new_topic("t", 1), false).unwrap();
    assert_eq!(topics.synced().wait(), Err(TopicError::StorageFull));
    // Nor is anything in it acknowledged, though it can be seen.
    assert_eq!(write(&topics, "t", 0, 10), Err(TopicError::StorageFull));
    assert!(topics.is_healthy());
    disk.set_capacity(None);
    assert_eq!(write(&topics, "t", 0, 10), Ok(0));
    drop(topics);
    let topics = open(&disk);
    assert_eq!(read(&topics, "t", 0).len(), 1);
    topics.delete(&name("t")).unwrap();
}

#[test]
fn short_writes_are_gone_on_with() {
    let disk = SimDisk::default();
    disk.set_short_writes();
    let topics = open(&disk);
    topics.create(&new_topic("t", 1), false).unwrap();
    for at in 0..30 {
        assert_eq!(write(&topics, "t", 0, 100), Ok(at));
    }
    let before = read(&topics, "t", 0);
    drop(topics);
    assert_eq!(read(&try_open(&disk, SMALL).unwrap(), "t", 0), before);
}
