//! Transactions through restarts, and through a log that is carried round and round.

use std::path::Path;

use takhin_coordinator::engine::{CommitRequest, EndTxnRequest, Engine, FetchRequest, Producer};
use takhin_coordinator::error::Refusal;
use takhin_coordinator::store::{DiskJournal, StoreConfig};

use super::{committed, engine, image, journal, journal_of, place};

const GROUPS: i64 = 8;

fn group(at: i64) -> String {
    format!("group-{at}")
}

fn stage(engine: &Engine, group: &str, producer: Producer, offset: i64) -> Result<(), Refusal> {
    let commit = CommitRequest::new(group).offset("topic", 0, offset);
    let answer = engine.txn_commit(commit.in_transaction(producer));
    answer.wait().map(|_| ())
}

fn end(engine: &Engine, group: &str, producer: Producer, committed: bool) {
    let end = EndTxnRequest {
        group: group.into(),
        producer,
        committed,
    };
    engine.end_txn(end).wait().unwrap();
}

fn is_unstable(engine: &Engine, group: &str) -> bool {
    let fetched = engine.fetch(FetchRequest::all(group).stable()).wait();
    fetched.unwrap()[0].partitions[0].is_unstable
}

/// In each group something is committed, and three producers have staged: the first is overtaken
/// by the plain commit, the second by the third, which has ended, and a fourth staged last.
fn stage_all(engine: &Engine) {
    for at in 0..GROUPS {
        let group = group(at);
        stage(engine, &group, Producer::new(1, 4), 10).unwrap();
        let commit = CommitRequest::new(group.as_str()).offset("topic", 0, 20);
        engine.commit(commit).wait().unwrap();
        stage(engine, &group, Producer::new(2, 4), 30).unwrap();
        stage(engine, &group, Producer::new(3, 4), 40).unwrap();
        end(engine, &group, Producer::new(3, 4), true);
        stage(engine, &group, Producer::new(4, 4), 50).unwrap();
    }
}

/// Checks that all of it was found again, and ends it group by group.
fn assert_found(engine: &Engine) {
    for at in 0..GROUPS {
        let group = group(at);
        assert_eq!(committed(engine, &group), Some(40));
        assert!(is_unstable(engine, &group));
        let old = stage(engine, &group, Producer::new(4, 3), 60);
        assert_eq!(old, Err(Refusal::InvalidProducerEpoch));
        end(engine, &group, Producer::new(1, 4), true);
        end(engine, &group, Producer::new(2, 4), true);
        assert_eq!(committed(engine, &group), Some(40));
        assert!(is_unstable(engine, &group));
        let is_committed = at % 2 == 0;
        end(engine, &group, Producer::new(4, 5), is_committed);
        let offset = if is_committed { 50 } else { 40 };
        assert_eq!(committed(engine, &group), Some(offset));
        assert!(!is_unstable(engine, &group));
    }
}

/// That the ends are durable, too.
fn assert_ended(engine: &Engine) {
    for at in 0..GROUPS {
        let group = group(at);
        assert!(!is_unstable(engine, &group));
        let offset = if at % 2 == 0 { 50 } else { 40 };
        assert_eq!(committed(engine, &group), Some(offset));
    }
}

fn staged_then_found(dir: &Path, open: impl Fn(&Path) -> DiskJournal, meanwhile: impl Fn(&Engine)) {
    let before = engine(open(dir));
    stage_all(&before);
    meanwhile(&before);
    // A process that is killed leaves the files as they are, in mid-flight.
    let killed = dir.with_extension("image");
    if killed.exists() {
        std::fs::remove_dir_all(&killed).unwrap();
    }
    image(dir, &killed);
    drop(before);
    for dir in [dir, &killed] {
        let found = engine(open(dir));
        assert_found(&found);
        meanwhile(&found);
        drop(found);
        assert_ended(&engine(open(dir)));
    }
}

#[test]
fn transactions_are_as_they_were_after_the_process_ended() {
    staged_then_found(&place("txn"), journal, |_| ());
}

#[test]
fn transactions_are_as_they_were_after_the_log_was_carried_round() {
    let config = StoreConfig {
        segment_bytes: 64 << 10,
        log_bytes_min: 1 << 20,
        ..StoreConfig::default()
    };
    let carry = |engine: &Engine| {
        // More than the log holds, so that whatever still lives was carried along.
        for round in 0..120 {
            let commits: Vec<_> = (0..256)
                .map(|at| {
                    let group = format!("busy-{}", at % 32);
                    engine.commit(CommitRequest::new(group).offset("topic", 0, round))
                })
                .collect();
            for answer in commits {
                answer.wait().unwrap();
            }
        }
    };
    staged_then_found(&place("txn-carried"), |dir| journal_of(dir, config), carry);
}

#[test]
fn a_deleted_group_takes_what_was_staged_along_for_good() {
    let dir = place("txn-deleted");
    let before = engine(journal(&dir));
    stage_all(&before);
    before
        .delete_group(group(0).as_str().into())
        .wait()
        .unwrap();
    drop(before);
    let found = engine(journal(&dir));
    end(&found, &group(0), Producer::new(4, 4), true);
    assert_eq!(committed(&found, &group(0)), None);
    drop(found);
    assert_eq!(committed(&engine(journal(&dir)), &group(0)), None);
}
