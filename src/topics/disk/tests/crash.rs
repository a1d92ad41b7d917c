//! The power goes at every operation of a workload: what was answered is there afterwards, and
//! nothing that was never written.

use std::collections::BTreeMap;

use super::stage::{SMALL, bounds, open, read, try_open};
use crate::disk::simulated::{Fault, Random, SimDisk};
use crate::topics::tests::sample::{NOW, batch, name, new_topic};
use crate::topics::{TopicError, Topics};

const TOPICS: [&str; 3] = ["a", "b", "c"];
const PARTITIONS: i32 = 2;

/// What the partitions of one topic must hold: where each begins, and its batches.
type Held = BTreeMap<i32, (i64, Vec<Vec<u8>>)>;

/// What was asked of the topics.
#[derive(Clone, Debug)]
enum Op {
    Create(&'static str),
    Delete(&'static str),
    /// The bytes without their offset.
    Append(&'static str, i32, Vec<u8>),
    DeleteRecords(&'static str, i32, i64),
}

/// What happened before the power went.
#[derive(Clone, Debug, Default)]
struct History {
    topics: BTreeMap<&'static str, Held>,
    /// What was on its way.
    in_flight: Option<Op>,
}

impl History {
    fn random(&self, random: &mut Random, serial: &mut usize) -> Op {
        let topic = TOPICS[usize::try_from(random.below(3)).unwrap()];
        let Some(held) = self.topics.get(topic) else {
            return Op::Create(topic);
        };
        let partition = i32::try_from(random.below(2)).unwrap();
        let (start, batches) = &held[&partition];
        match random.below(24) {
            0 => Op::Delete(topic),
            1 | 2 => {
                let end = start + i64::try_from(batches.len()).unwrap();
                let more = random.below(1 + (end - start).cast_unsigned());
                Op::DeleteRecords(topic, partition, start + more.cast_signed())
            }
            _ => {
                *serial += 1;
                let size = usize::try_from(random.below(700)).unwrap();
                let id = i64::try_from(*serial).unwrap();
                // Each batch by a producer of its own, so that no two are the same bytes.
                let bytes = batch(1).value_bytes(size).of(id, 0, 0).bytes();
                Op::Append(topic, partition, bytes)
            }
        }
    }

    /// The state after an operation that was carried out.
    fn note(&mut self, op: &Op) {
        match op {
            Op::Create(topic) => {
                let held = (0..PARTITIONS).map(|at| (at, (0, Vec::new())));
                self.topics.insert(topic, held.collect());
            }
            Op::Delete(topic) => {
                self.topics.remove(topic);
            }
            Op::Append(topic, partition, bytes) => {
                let held = self.topics.get_mut(topic).unwrap();
                let (start, batches) = held.get_mut(partition).unwrap();
                let base = *start + i64::try_from(batches.len()).unwrap();
                let mut bytes = bytes.clone();
                bytes[..8].copy_from_slice(&base.to_be_bytes());
                bytes[12..16].fill(0);
                batches.push(bytes);
            }
            Op::DeleteRecords(topic, partition, before) => {
                let held = self.topics.get_mut(topic).unwrap();
                let (start, batches) = held.get_mut(partition).unwrap();
                let gone = usize::try_from(*before - *start).unwrap();
                batches.drain(..gone);
                *start = *before;
            }
        }
    }
}

fn carry_out(topics: &Topics, op: &Op) -> Result<(), TopicError> {
    match op {
        Op::Create(topic) => {
            topics.create(&new_topic(topic, PARTITIONS), false)?;
            topics.synced().wait()
        }
        Op::Delete(topic) => {
            topics.delete(&name(topic))?;
            topics.synced().wait()
        }
        Op::Append(topic, partition, bytes) => topics
            .produce(&name(topic), *partition, bytes, NOW)
            .map(|_| ()),
        Op::DeleteRecords(topic, partition, before) => topics
            .delete_records(&name(topic), *partition, *before)
            .map(|_| ()),
    }
}

/// Works until the disk fails or there was enough.
fn work(
    disk: &SimDisk,
    history: &mut History,
    count: u64,
    random: &mut Random,
    serial: &mut usize,
) {
    let Ok(topics) = try_open(disk, SMALL) else {
        return;
    };
    for _ in 0..count {
        let op = history.random(random, serial);
        history.in_flight = Some(op.clone());
        if carry_out(&topics, &op).is_err() {
            return;
        }
        history.note(&op);
        history.in_flight = None;
    }
}

/// What is held.
fn found(topics: &Topics) -> BTreeMap<&'static str, Held> {
    let mut found = BTreeMap::new();
    for topic in TOPICS {
        if topics.describe(&name(topic)).is_err() {
            continue;
        }
        let held = (0..PARTITIONS).map(|at| {
            let (start, end) = bounds(topics, topic, at);
            let batches = read(topics, topic, at);
            assert_eq!(end - start, i64::try_from(batches.len()).unwrap());
            (at, (start, batches))
        });
        found.insert(topic, held.collect());
    }
    found
}

/// Opens the topics again: they hold what was answered, and perhaps what was on its way.
fn recover(disk: &SimDisk, history: &mut History, context: &str) {
    let topics = try_open(disk, SMALL).unwrap_or_else(|error| panic!("{context}: {error}"));
    let found = found(&topics);
    if found == history.topics {
        history.in_flight = None;
        return;
    }
    let sketch = |topics: &BTreeMap<&'static str, Held>| -> Vec<String> {
        let partitions = topics.iter().flat_map(|(topic, held)| {
            let one = |(at, (start, batches)): (&i32, &(i64, Vec<Vec<u8>>))| {
                format!("{topic}-{at}: {start} and {}", batches.len())
            };
            held.iter().map(one).collect::<Vec<_>>()
        });
        partitions.collect()
    };
    let before = sketch(&history.topics);
    let in_flight = history.in_flight.take();
    let op = in_flight.unwrap_or_else(|| panic!("{context}: nothing was on its way"));
    history.note(&op);
    let (is, wanted) = (sketch(&found), sketch(&history.topics));
    assert!(
        found == history.topics,
        "{context}: {op:?}: {is:?}, not {before:?} or {wanted:?}"
    );
}

#[test]
fn what_was_answered_survives_a_crash_at_every_operation() {
    let mut at = 1;
    loop {
        let disk = SimDisk::default();
        disk.plan(at, Fault::Crash);
        let mut history = History::default();
        work(&disk, &mut history, 60, &mut Random(1), &mut 0);
        if disk.operations() < at {
            break;
        }
        for seed in 0..3 {
            let survivor = disk.survivor(&mut Random(seed));
            let mut history = history.clone();
            let context = format!("crash at operation {at}, survivor {seed}");
            recover(&survivor, &mut history, &context);
            // And the topics go on from there.
            work(&survivor, &mut history, 3, &mut Random(seed), &mut 5_000);
            recover(&survivor, &mut history, &context);
        }
        at += 1;
    }
    assert!(at > 150, "only {at} operations");
}

/// A history of several crashes, each at a random operation, recovery included.
fn many_crashes(seed: u64) {
    let mut random = Random(seed);
    let mut disk = SimDisk::default();
    let mut history = History::default();
    let mut serial = 0;
    for life in 0..5 {
        let operations = usize::try_from(1 + random.below(200)).unwrap();
        disk.plan(operations, Fault::Crash);
        work(&disk, &mut history, 40, &mut random, &mut serial);
        disk = disk.survivor(&mut random);
        // The look at what survived is not the recovery that may crash in turn.
        recover(
            &disk.copy(),
            &mut history,
            &format!("seed {seed}, life {life}"),
        );
    }
}

/// Seeds count from 0; `TAKHIN_HISTORIES=8000` takes a minute.
#[test]
fn random_histories_of_crashes_lose_nothing_that_was_answered() {
    let many = std::env::var("TAKHIN_HISTORIES").ok();
    let many = many.and_then(|it| it.parse().ok()).unwrap_or(150);
    for seed in 0..many {
        many_crashes(seed);
    }
}

#[test]
fn what_a_restart_has_read_survives_the_next_crash() {
    // The process ends between a write and its sync: the system still has the bytes.
    for at in 1..160 {
        let disk = SimDisk::default();
        disk.plan(at, Fault::Eio);
        let mut history = History::default();
        work(&disk, &mut history, 30, &mut Random(2), &mut 0);
        if disk.operations() < at {
            break;
        }
        let topics = open(&disk);
        let read = found(&topics);
        drop(topics);
        for seed in 0..3 {
            let survivor = disk.survivor(&mut Random(seed));
            let kept = found(&open(&survivor));
            assert!(kept == read, "operation {at}, survivor {seed}");
        }
    }
}

#[test]
fn nothing_is_answered_after_the_device_has_failed_and_reading_goes_on() {
    let mut has_failed = 0;
    for at in 1..160 {
        let disk = SimDisk::default();
        disk.plan(at, Fault::Eio);
        let Ok(topics) = try_open(&disk, SMALL) else {
            continue;
        };
        let mut history = History::default();
        let (mut random, mut serial) = (Random(3), 0);
        for _ in 0..30 {
            let op = history.random(&mut random, &mut serial);
            history.in_flight = Some(op.clone());
            if let Err(error) = carry_out(&topics, &op) {
                assert_eq!(error, TopicError::StorageFailed, "operation {at}: {op:?}");
                break;
            }
            history.note(&op);
            history.in_flight = None;
        }
        disk.plan(usize::MAX / 2, Fault::Eio);
        if topics.is_healthy() {
            continue;
        }
        has_failed += 1;
        for _ in 0..10 {
            let op = history.random(&mut random, &mut serial);
            // A topic whose deletion failed is not to be seen any more; all else says why.
            let refused = carry_out(&topics, &op).unwrap_err();
            let is_unknown = refused == TopicError::UnknownTopicOrPartition;
            assert!(is_unknown || refused == TopicError::StorageFailed, "{op:?}");
        }
        for (topic, held) in &history.topics {
            let is_deleted = topics.describe(&name(topic)).is_err();
            for (partition, (_, batches)) in held.iter().filter(|_| !is_deleted) {
                assert!(
                    read(&topics, topic, *partition) == *batches,
                    "operation {at}"
                );
            }
        }
        drop(topics);
        recover(&disk, &mut history, &format!("failure at operation {at}"));
    }
    assert!(has_failed > 20, "only {has_failed}");
}
