//! The power goes at every operation of a workload: what was acknowledged is there afterwards,
//! and nothing that was never written.

use super::disk::{Fault, SimDisk};
use super::workload::{
    Append, Random, SHARDS, SMALL, assert_holds, commit, facts_of, loaded, open, records,
};
use crate::store::StoreConfig;

/// What happened before the power went.
struct History {
    acknowledged: Vec<Append>,
    /// The round that was on its way.
    in_flight: Vec<Append>,
}

/// Appends random rounds until the disk fails or there were enough.
fn work(disk: &SimDisk, history: &mut History, rounds: u64, random: &mut Random) {
    let mut serial = 1_000 * i64::try_from(history.acknowledged.len()).unwrap();
    let Ok(mut log) = open(disk, SMALL) else {
        return;
    };
    for _ in 0..rounds {
        let count = 1 + random.below(4);
        let round = (0..count).map(|_| Append::random(random, &mut serial));
        history.in_flight = round.collect();
        while !history.in_flight.is_empty() {
            let Ok(durable) = commit(&mut log, &history.in_flight) else {
                return;
            };
            let settled = history.in_flight.drain(..durable);
            history.acknowledged.extend(settled);
        }
    }
    // A crash while the log is closed must lose nothing either.
    let _ = log.close();
}

/// Finds the log again: it holds what was acknowledged, and perhaps whole batches of the round
/// that was on its way, in order.
fn recover(disk: &SimDisk, history: &mut History, context: &str) {
    let log = open(disk, SMALL).unwrap_or_else(|error| panic!("{context}: {error}"));
    let found: Vec<_> = (0..SHARDS).map(|shard| loaded(&log, shard)).collect();
    let in_flight = std::mem::take(&mut history.in_flight);
    for more in 0..=in_flight.len() {
        let mut appends = history.acknowledged.clone();
        appends.extend_from_slice(&in_flight[..more]);
        let expected: Vec<_> = (0..SHARDS).map(|it| facts_of(it, &appends)).collect();
        if found == expected {
            history.acknowledged = appends;
            return;
        }
    }
    panic!("{context}: what was acknowledged is not what was found");
}

#[test]
fn what_was_acknowledged_survives_a_crash_at_every_operation() {
    let mut at = 1;
    loop {
        let disk = SimDisk::default();
        disk.plan(at, Fault::Crash);
        let mut history = History {
            acknowledged: Vec::new(),
            in_flight: Vec::new(),
        };
        work(&disk, &mut history, 60, &mut Random(1));
        if disk.operations() < at {
            break;
        }
        for seed in 0..4 {
            let survivor = disk.survivor(&mut Random(seed));
            let mut history = History {
                acknowledged: history.acknowledged.clone(),
                in_flight: history.in_flight.clone(),
            };
            let context = format!("crash at operation {at}, survivor {seed}");
            recover(&survivor, &mut history, &context);
            // And the log goes on from there.
            work(&survivor, &mut history, 3, &mut Random(seed));
            recover(&survivor, &mut history, &context);
        }
        at += 1;
    }
    assert!(at > 150, "only {at} operations");
}

/// Histories of several crashes, each at a random operation, recovery included.
fn many_crashes(seed: u64) {
    let mut random = Random(seed);
    let mut disk = SimDisk::default();
    let mut history = History {
        acknowledged: Vec::new(),
        in_flight: Vec::new(),
    };
    for life in 0..5 {
        let operations = usize::try_from(1 + random.below(120)).unwrap();
        disk.plan(operations, Fault::Crash);
        work(&disk, &mut history, 40, &mut random);
        disk = disk.survivor(&mut random);
        let context = format!("seed {seed}, life {life}");
        // The look at what survived is not the recovery that may crash in turn.
        recover(&disk.copy(), &mut history, &context);
    }
}

/// Seeds count from 0; `TAKHIN_HISTORIES=8000` takes a minute.
#[test]
fn replay_is_the_last_acknowledged_state_after_random_crashes() {
    let many = std::env::var("TAKHIN_HISTORIES").ok();
    let many = many.and_then(|it| it.parse().ok()).unwrap_or(300);
    for seed in 0..many {
        many_crashes(seed);
    }
}

#[test]
fn without_a_crash_every_record_is_read_back_in_order() {
    let disk = SimDisk::default();
    let config = StoreConfig {
        log_bytes_min: 1 << 20,
        ..SMALL
    };
    let (mut random, mut serial) = (Random(5), 0);
    let mut log = open(&disk, config).unwrap();
    let mut appends = Vec::new();
    for _ in 0..100 {
        let append = Append::random(&mut random, &mut serial);
        assert_eq!(commit(&mut log, std::slice::from_ref(&append)).unwrap(), 1);
        appends.push(append);
    }
    log.close().unwrap();
    let log = open(&disk, config).unwrap();
    for shard in 0..SHARDS {
        let written = appends.iter().filter(|append| append.shard == shard);
        let written: Vec<_> = written.flat_map(Append::records).cloned().collect();
        assert_eq!(records(&log, shard), written);
    }
    assert_holds(&log, &appends, "after a reopening");
}

#[test]
fn what_a_restart_has_read_survives_the_next_crash() {
    // The process ends between a write and its sync: the system still has the bytes.
    for at in 1..120 {
        let disk = SimDisk::default();
        disk.plan(at, Fault::Eio);
        let mut history = History {
            acknowledged: Vec::new(),
            in_flight: Vec::new(),
        };
        work(&disk, &mut history, 20, &mut Random(2));
        if disk.operations() < at {
            break;
        }
        let mut log = open(&disk, SMALL).unwrap();
        if at % 2 == 0 {
            let append = Append::random(&mut Random(at as u64), &mut 9_000);
            commit(&mut log, &[append]).unwrap();
        }
        let read: Vec<_> = (0..SHARDS).map(|shard| loaded(&log, shard)).collect();
        drop(log);
        for seed in 0..4 {
            let survivor = disk.survivor(&mut Random(seed));
            let log = open(&survivor, SMALL).unwrap();
            let found: Vec<_> = (0..SHARDS).map(|shard| loaded(&log, shard)).collect();
            assert_eq!(found, read, "operation {at}, survivor {seed}");
        }
    }
}
