//! Bit rot: any one byte of any file is flipped. It is refused with the place and a reason, or
//! skipped and reported; it is never taken for something else.

use std::collections::BTreeSet;

use super::disk::SimDisk;
use super::workload::{
    Append, Random, SHARDS, SMALL, commit, facts_of, loaded, open, records, reopen,
};
use crate::group::{Entry, Record};
use crate::store::{OpenError, Repair, StoreConfig};

/// A log of several segments, closed in order.
fn sample() -> (SimDisk, Vec<Append>) {
    let disk = SimDisk::default();
    let (mut random, mut serial) = (Random(21), 0);
    let mut log = open(&disk, SMALL).unwrap();
    let mut appends = Vec::new();
    for _ in 0..12 {
        let append = Append::random(&mut random, &mut serial);
        commit(&mut log, std::slice::from_ref(&append)).unwrap();
        appends.push(append);
    }
    log.close().unwrap();
    assert!(disk.names().len() > 2);
    (disk, appends)
}

/// Every place of every file, with a flip of one of its bits.
fn for_every_flip(disk: &SimDisk, mut check: impl FnMut(&SimDisk, &str, usize)) {
    for name in disk.names() {
        let bytes = disk.contents(&name);
        for at in 0..bytes.len() {
            let damaged = disk.copy();
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at % 8);
            damaged.put(&name, flipped);
            check(&damaged, &name, at);
        }
    }
}

#[test]
fn one_flipped_bit_is_refused_or_changes_nothing() {
    let (disk, appends) = sample();
    let mut refused = 0;
    for_every_flip(&disk, |damaged, name, at| match open(damaged, SMALL) {
        Ok(log) => {
            for shard in 0..SHARDS {
                let found = loaded(&log, shard);
                assert_eq!(found, facts_of(shard, &appends), "{name} at {at}");
            }
        }
        Err(OpenError::Corrupt(damage)) => {
            refused += 1;
            assert_eq!(damage.file, name);
            assert!(damage.offset <= at as u64 && !damage.reason.is_empty());
        }
        Err(other) => panic!("{name} at {at}: {other}"),
    });
    // Whatever holds a record or a header is refused, but for the mark at the very end.
    let written: usize = appends.iter().flat_map(Append::records).count() * 50;
    assert!(refused > written, "{refused} of {written}");
}

/// Whether these records are some of the entries, in order, each whole.
fn are_whole(records: &[Record], entries: &[&Entry]) -> bool {
    // How many records may be accounted for by the entries so far.
    let mut counts = BTreeSet::from([0]);
    for entry in entries {
        let longer: Vec<_> = counts
            .iter()
            .filter(|from| records[**from..].starts_with(&entry.records))
            .map(|from| from + entry.records.len())
            .collect();
        counts.extend(longer);
    }
    counts.contains(&records.len())
}

#[test]
fn a_flipped_bit_can_be_skipped_and_is_reported() {
    let (disk, appends) = sample();
    let quarantine = StoreConfig {
        repair: Repair::Quarantine,
        ..SMALL
    };
    let mut skipped = 0;
    for_every_flip(&disk, |damaged, name, at| {
        let (log, quarantined) = match reopen(damaged, quarantine) {
            Ok(opened) => opened,
            Err(_) if name == "MANIFEST" => return,
            Err(other) => panic!("{name} at {at}: {other}"),
        };
        let mut is_whole = true;
        for shard in 0..SHARDS {
            let found = records(&log, shard);
            let written = appends.iter().filter(|append| append.shard == shard);
            let entries: Vec<_> = written.flat_map(|append| &append.entries).collect();
            is_whole &= found.len() == entries.iter().map(|it| it.records.len()).sum::<usize>();
            assert!(are_whole(&found, &entries), "{name} at {at}");
        }
        if quarantined.is_empty() {
            assert!(
                is_whole,
                "{name} at {at}: records are missing and nobody says so"
            );
            return;
        }
        skipped += 1;
        for report in &quarantined {
            assert!(!report.damage.reason.is_empty());
        }
        let groups: BTreeSet<_> = quarantined.iter().flat_map(|it| &it.groups).collect();
        assert!(groups.len() <= 8);
    });
    assert!(skipped > 500, "{skipped}");
}

#[test]
fn a_quarantined_log_takes_new_records_and_entries_stay_whole() {
    let (disk, _) = sample();
    let quarantine = StoreConfig {
        repair: Repair::Quarantine,
        ..SMALL
    };
    let mut bytes = disk.contents("log-00000001");
    bytes[1_000] ^= 4;
    disk.put("log-00000001", bytes);
    let (mut log, quarantined) = reopen(&disk, quarantine).unwrap();
    assert_eq!(quarantined.len(), 1);
    assert!(quarantined[0].records > 0 && !quarantined[0].groups.is_empty());
    // The log goes round once: what was damaged is gone then, and it opens as any other.
    let (mut random, mut serial) = (Random(4), 1_000);
    for _ in 0..400 {
        let append = Append::random(&mut random, &mut serial);
        commit(&mut log, std::slice::from_ref(&append)).unwrap();
    }
    let before: Vec<_> = (0..SHARDS).map(|shard| loaded(&log, shard)).collect();
    drop(log);
    let log = open(&disk, SMALL).unwrap();
    let after: Vec<_> = (0..SHARDS).map(|shard| loaded(&log, shard)).collect();
    assert_eq!(before, after);
}

#[test]
fn random_bytes_are_no_log() {
    let (disk, _) = sample();
    let mut random = Random(8);
    for _ in 0..200 {
        let damaged = disk.copy();
        for name in ["log-00000001", "MANIFEST"] {
            let len = usize::try_from(random.below(3_000)).unwrap();
            let bytes = (0..len)
                .map(|_| random.below(256).to_le_bytes()[0])
                .collect();
            damaged.put(name, bytes);
            let names = damaged.names();
            assert!(open(&damaged, SMALL).is_err() || len == 0);
            assert_eq!(damaged.names(), names, "a refused start changes nothing");
        }
    }
}
