//! The files stay within their bound, whatever is written, and what lives is carried along.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::index::Keys;
use super::super::log::Log;
use super::super::recovery::recover;
use super::super::segment::HEADER;
use super::disk::SimDisk;
use super::workload::{
    Append, Random, SMALL, assert_holds, collect, commit, facts_of, loaded, offset, open,
};
use crate::group::Record;
use crate::store::{Repair, StoreConfig};

/// The bound at which the log holds itself right now.
fn assert_within_bound(disk: &SimDisk, log: &Log) {
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
    let mut append = |log: &mut Log, records| {
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
    let write = |log: &mut Log| {
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
    let newest = |log: &Log| {
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

/// Segments beside which their headers hardly count.
const ROOMY: StoreConfig = StoreConfig {
    segment_bytes: 16 << 10,
    log_bytes_min: 256 << 10,
    repair: Repair::Refuse,
};

/// Where the segments of the log end, by their activations.
fn ends(log: &Log) -> BTreeMap<u64, u64> {
    let segments = log.view().segments.into_iter();
    segments
        .map(|it| (it.header.activation, it.end()))
        .collect()
}

/// A log with cold records in it, and rounds of hot ones after them.
struct Rounds {
    disk: SimDisk,
    log: Log,
    cold: Vec<Append>,
    last: Vec<Append>,
    /// Bytes of the largest cold record.
    largest: u64,
    /// Bytes that were carried, and those that were appended since there were any.
    carried: u64,
    appended: u64,
}

impl Rounds {
    fn after(cold: Vec<Record>) -> Self {
        let disk = SimDisk::default();
        let mut log = open(&disk, ROOMY).unwrap();
        let cold: Vec<_> = cold.into_iter().map(|it| Append::of(0, vec![it])).collect();
        let mut largest = 0;
        for append in &cold {
            commit(&mut log, std::slice::from_ref(append)).unwrap();
            largest = largest.max(append.body().len() as u64);
        }
        Self {
            disk,
            log,
            cold,
            last: Vec::new(),
            largest,
            appended: 0,
            carried: 0,
        }
    }

    /// What the living are to be carried for that many bytes: as large a part of them as the
    /// bytes are of the room beside them, and a quarter more.
    fn part(&self, appended: u64) -> u64 {
        let segments = self.log.bound() / ROOMY.segment_bytes - 3;
        let (_, living) = self.log.bytes();
        let beside = segments * (ROOMY.segment_bytes - HEADER) - living;
        (appended * living * 5).div_ceil(beside * 4)
    }

    /// Rounds of so many batches each, until that many bytes were appended.
    fn append(&mut self, batches: usize, bytes: u64) {
        let (mut serial, mut appended) = (0, 0);
        while appended < bytes {
            serial += 1;
            let hot = Append::of(1, vec![offset("hot", 0, Some(serial))]);
            let round = vec![hot; batches];
            let mut rest = &round[..];
            while !rest.is_empty() {
                let before = ends(&self.log);
                let (these, others) = rest.split_at(commit(&mut self.log, rest).unwrap());
                let own = these.iter().map(|it| it.body().len() as u64).sum();
                assert_within_bound(&self.disk, &self.log);
                let grown = ends(&self.log)
                    .into_iter()
                    .map(|(at, end)| end - before.get(&at).copied().unwrap_or(HEADER));
                self.count(own, grown.sum::<u64>() - own);
                appended += own;
                rest = others;
            }
            self.last = round;
        }
    }

    fn count(&mut self, own: u64, carried: u64) {
        // What had no room in the last segment, and the frame with which the part is reached.
        let most = self.part(own) + 2 * self.largest;
        // The first time round ends just when the files are full, but the oldest segment takes its
        // room until all of it was carried: its rest may have to go at once.
        let is_first_time = self.carried < self.log.bytes().1;
        let is_even = carried <= most || is_first_time;
        assert!(is_even, "{carried} beside {own}, {most} at most");
        if self.carried > 0 {
            self.appended += own;
        }
        self.carried += carried;
    }

    fn assert_holds(&self) {
        assert_eq!(loaded(&self.log, 0), facts_of(0, &self.cold));
        assert_eq!(loaded(&self.log, 1), facts_of(1, &self.last));
    }
}

fn cold(count: u64) -> Vec<Record> {
    (0..count).map(|at| offset("cold", at, Some(7))).collect()
}

/// Records of that many bytes and some more.
fn heavy(count: u64, bytes: usize) -> Vec<Record> {
    let mut records = cold(count);
    for record in &mut records {
        if let Record::Offset {
            value: Some(value), ..
        } = record
        {
            value.metadata = "m".repeat(bytes).into();
        }
    }
    records
}

#[test]
fn the_living_are_carried_as_often_as_their_share_asks() {
    for living in [cold(1), cold(20), cold(300), cold(1_000), heavy(20, 2_000)] {
        // A round that fills a segment has no room for all of its part.
        for (batches, slack) in [(1, 50), (16, 10)] {
            let mut rounds = Rounds::after(living.clone());
            rounds.append(batches, 4 * rounds.log.bound());
            let (asked, carried) = (rounds.part(rounds.appended), rounds.carried);
            let slack = asked / slack + rounds.largest;
            assert!(
                asked.abs_diff(carried) <= slack,
                "{carried} bytes for {asked}, {} cold records",
                rounds.cold.len()
            );
            rounds.assert_holds();
        }
    }
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
