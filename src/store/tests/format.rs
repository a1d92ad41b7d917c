//! The format on disk: what is refused, and with which words.

use super::disk::SimDisk;
use super::workload::{Append, SMALL, commit, offset, open};
use crate::store::OpenError;

fn with_one_record() -> SimDisk {
    let disk = SimDisk::default();
    let mut log = open(&disk, SMALL).unwrap();
    let append = Append::of(0, vec![offset("g", 0, Some(1))]);
    commit(&mut log, &[append]).unwrap();
    log.close().unwrap();
    disk
}

#[test]
fn the_files_begin_as_drawn() {
    let disk = with_one_record();
    assert_eq!(disk.names(), ["MANIFEST", "log-00000001"]);
    let manifest = disk.contents("MANIFEST");
    assert_eq!(
        manifest[..24],
        *b"TAKHINJ\n\x02\0\0\0\x02\0\0\0\x07\0\0\0\0\0\0\0"
    );
    let log = disk.contents("log-00000001");
    assert_eq!(log.len(), 2 << 10);
    assert_eq!(log[..8], *b"TAKHSEG\n");
    // Activation, base and start are 1; then the first frame: its length and flags, its place and
    // lag, its shard and the length of its key.
    assert_eq!(
        log[12..36],
        *b"\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0"
    );
    let key = b"\0\x01\0\x01g\0\x01t\0\0\0\0";
    let value = b"\0\x03\0\0\0\0\0\0\0\x01\xff\xff\xff\xff\0\x01m\0\0\0\0\0\0\0\x01";
    let len = u32::try_from(19 + key.len() + value.len()).unwrap();
    let frame = &log[512..];
    assert_eq!(frame[4..8], (len | (1 | 2 | 4) << 26).to_le_bytes());
    assert_eq!(frame[8..15], [0; 7]);
    assert_eq!(frame[15..19], [0, 0, 12, 0]);
    assert_eq!(frame[19..31], *key);
    assert_eq!(frame[31..len as usize], *value);
}

/// A manifest whose checksum fits.
fn manifest(version: u32, more: &[u8]) -> Vec<u8> {
    let mut bytes = b"TAKHINJ\n".to_vec();
    bytes.extend_from_slice(&version.to_le_bytes());
    bytes.extend_from_slice(&2_u32.to_le_bytes());
    bytes.extend_from_slice(&7_u64.to_le_bytes());
    bytes.extend_from_slice(more);
    let crc = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes
}

#[test]
fn an_unknown_version_is_refused_whatever_its_layout() {
    for more in [&b""[..], b"something new"] {
        let disk = with_one_record();
        disk.put("MANIFEST", manifest(3, more));
        let refused = open(&disk, SMALL).unwrap_err();
        assert!(matches!(refused, OpenError::Version(3)));
        let words = "the journal is of format version 3, and only 2 is known";
        assert_eq!(refused.to_string(), words);
    }
}

#[test]
fn another_number_of_shards_is_refused() {
    let disk = with_one_record();
    let log = super::super::log::Log::open(std::sync::Arc::new(disk), SMALL, 3, 7);
    let words = "the journal is of 2 shards and cannot be opened with 3";
    assert_eq!(log.unwrap_err().to_string(), words);
}

#[test]
fn segments_without_a_manifest_are_refused() {
    let disk = with_one_record();
    let stray = SimDisk::default();
    stray.put("log-00000001", disk.contents("log-00000001"));
    let refused = open(&stray, SMALL).unwrap_err();
    let words = "the journal is damaged: log-00000001 at byte 0: a segment, but the directory has \
                 no manifest";
    assert_eq!(refused.to_string(), words);
    assert_eq!(stray.names(), ["log-00000001"], "nothing was changed");
}

#[test]
fn files_of_others_are_left_alone() {
    let disk = with_one_record();
    for name in ["log-1", "log-0000000x", "notes.txt", "log-00000002.bak"] {
        disk.put(name, b"mine".to_vec());
    }
    open(&disk, SMALL).unwrap();
    assert_eq!(disk.names().len(), 6);
}

#[test]
fn a_missing_segment_is_refused() {
    let disk = SimDisk::default();
    let mut log = open(&disk, SMALL).unwrap();
    // All of them live: a segment in which nothing counts is no part of the log for long.
    for at in 0..150 {
        let append = Append::of(0, vec![offset("g", at, Some(1))]);
        commit(&mut log, &[append]).unwrap();
    }
    drop(log);
    for (missing, words) in [
        ("log-00000001", "but the log ends before record"),
        ("log-00000002", "is damaged or missing"),
    ] {
        let copy = SimDisk::default();
        for name in disk.names().iter().filter(|name| *name != missing) {
            copy.put(name, disk.contents(name));
        }
        let refused = open(&copy, SMALL).unwrap_err().to_string();
        assert!(refused.contains(words), "{refused}");
    }
}
