//! Bit rot, foreign directories, and what quarantine makes of them.

use super::super::{DiskConfig, OpenError, Repair};
use super::stage::{SMALL, bounds, open, read_from, try_open, write};
use crate::disk::simulated::SimDisk;
use crate::topics::tests::sample::new_topic;

const QUARANTINE: DiskConfig = DiskConfig {
    repair: Repair::Quarantine,
    ..SMALL
};

/// A partition of some files, closed in order.
fn sample() -> (SimDisk, Vec<Vec<u8>>) {
    let disk = SimDisk::default();
    let topics = open(&disk);
    topics.create(&new_topic("t", 1), false).unwrap();
    for at in 0..20 {
        write(&topics, "t", 0, 150 + at).unwrap();
    }
    let batches = read_from(&topics, "t", 0, 0);
    drop(topics);
    (disk, batches)
}

fn logs(disk: &SimDisk) -> Vec<String> {
    disk.names_ending(".log")
}

fn image(disk: &SimDisk) -> Vec<(String, Vec<u8>)> {
    let names = disk.names().into_iter();
    names
        .map(|name| (name.clone(), disk.contents(&name)))
        .collect()
}

#[test]
fn any_byte_flipped_is_refused_or_costs_no_more_than_the_unsynced_tail() {
    let (disk, batches) = sample();
    let names = logs(&disk);
    assert!(names.len() > 2);
    let mut refused = 0;
    for name in disk.names() {
        let bytes = disk.contents(&name);
        let is_newest = Some(&name) == names.last();
        for at in (0..bytes.len()).step_by(3) {
            let rotten = disk.copy();
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at % 8);
            rotten.put(&name, flipped);
            let before = image(&rotten);
            match try_open(&rotten, SMALL) {
                Err(error) => {
                    assert!(matches!(
                        error,
                        OpenError::Corrupt(_) | OpenError::Version(_)
                    ));
                    assert!(
                        error.to_string().contains(&name) || name == "CATALOG",
                        "{error}"
                    );
                    assert_eq!(image(&rotten), before, "a refusal changed something");
                    refused += 1;
                }
                Ok(topics) => {
                    // The last write alone cannot be told from one that was not synced.
                    assert!(is_newest, "{name} byte {at}");
                    let found = read_from(&topics, "t", 0, 0);
                    assert!(batches.starts_with(&found), "{name} byte {at}");
                    assert!(found.len() + 1 >= batches.len(), "{name} byte {at}");
                }
            }
        }
    }
    assert!(refused > 500, "only {refused}");
}

#[test]
fn quarantine_skips_the_damaged_batch_and_keeps_the_offsets_of_the_others() {
    let (disk, batches) = sample();
    for name in logs(&disk) {
        let bytes = disk.contents(&name);
        for at in (0..bytes.len()).step_by(97) {
            let rotten = disk.copy();
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x10;
            rotten.put(&name, flipped);
            let topics = try_open(&rotten, QUARANTINE).unwrap();
            let found = read_from(&topics, "t", 0, bounds(&topics, "t", 0).0);
            assert!(found.len() + 1 >= batches.len(), "{name} byte {at}");
            assert!(found.iter().all(|one| batches.contains(one)));
            let end = bounds(&topics, "t", 0).1;
            assert_eq!(write(&topics, "t", 0, 9), Ok(end));
            drop(topics);
            let topics = try_open(&rotten, QUARANTINE).unwrap();
            assert_eq!(bounds(&topics, "t", 0).1, end + 1, "{name} byte {at}");
        }
    }
}

#[test]
fn a_missing_file_between_others_is_named() {
    let (disk, _) = sample();
    let names = logs(&disk);
    let holed = SimDisk::default();
    for name in disk.names().into_iter().filter(|name| *name != names[1]) {
        holed.put(&name, disk.contents(&name));
    }
    let error = try_open(&holed, SMALL).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains(&names[0]) && text.contains("missing"),
        "{text}"
    );
    let topics = try_open(&holed, QUARANTINE).unwrap();
    assert_eq!(bounds(&topics, "t", 0), (0, 20));
}

#[test]
fn a_directory_of_somebody_else_is_refused_and_left_alone() {
    let (disk, _) = sample();
    let alien = SimDisk::default();
    alien.put("notes.txt", b"mine".to_vec());
    let headless = disk.copy();
    let name = logs(&disk).remove(0);
    headless.put(&name, disk.contents(&name));
    for names in [vec!["notes.txt".to_owned()], vec![name]] {
        let strange = SimDisk::default();
        for name in &names {
            strange.put(name, b"strange".to_vec());
        }
        for config in [SMALL, QUARANTINE] {
            let error = try_open(&strange, config).unwrap_err();
            assert!(error.to_string().contains("has no catalog"), "{error}");
            assert_eq!(strange.names(), names);
        }
    }
}

#[test]
fn a_later_version_is_refused_by_its_number() {
    let (disk, _) = sample();
    let mut bytes = disk.contents("CATALOG");
    bytes[8] = 2;
    let end = bytes.len() - 4;
    let crc = crc32c::crc32c(&bytes[..end]);
    bytes[end..].copy_from_slice(&crc.to_le_bytes());
    disk.put("CATALOG", bytes);
    let error = try_open(&disk, QUARANTINE).unwrap_err();
    assert!(matches!(error, OpenError::Version(2)), "{error}");
    assert!(error.to_string().contains("version 2"), "{error}");
}
