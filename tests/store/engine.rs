//! Groups, members and offsets through a restart.

use std::sync::Arc;

use bytes::Bytes;
use takhin_coordinator::engine::{CommitRequest, Engine, Heartbeat, JoinRequest};
use takhin_coordinator::group::{Joined, Phase, SyncRequest};
use takhin_coordinator::journal::Durability;
use takhin_coordinator::store::{DiskJournal, OpenError, StoreConfig};

use super::{SHARDS, committed, engine, image, journal, journal_of, place};

/// One member, stable, with an assignment.
fn alone_in(engine: &Engine, group: &str) -> Joined {
    let join = JoinRequest::new(group, "consumer").client("client", "/127.0.0.1");
    let join = join.protocol("range", b"subscription".as_slice());
    let member = engine.join(join.clone()).wait().unwrap_err().member;
    let joined = engine.join(join.member(member)).wait().unwrap();
    let synced = engine.sync(SyncRequest {
        group: group.into(),
        member: joined.member.clone(),
        instance: None,
        generation: joined.generation,
        protocol_type: None,
        protocol: None,
        assignments: vec![(joined.member.clone(), Bytes::from("all"))],
    });
    assert_eq!(synced.wait().unwrap().assignment, Bytes::from("all"));
    joined
}

fn commit(engine: &Engine, group: &str, offset: i64) {
    let request = CommitRequest::new(group).offset("topic", 0, offset);
    engine.commit(request).wait().unwrap();
}

/// What the test leaves in every group, found again.
fn assert_found(engine: &Engine, members: &[Joined]) {
    for (at, joined) in (0..).zip(members) {
        let group = format!("group-{at}");
        assert_eq!(committed(engine, &group), Some(40 + at));
        let described = engine.describe(group.as_str().into()).wait().unwrap();
        assert_eq!(described.phase, Phase::Stable);
        assert_eq!(described.members[0].member, joined.member);
        assert_eq!(described.members[0].assignment, Bytes::from("all"));
        // The member goes on as if nothing had happened.
        let beat = Heartbeat::new(&group, joined.member.as_str(), joined.generation);
        assert_eq!(engine.heartbeat(&beat).wait(), Ok(()));
    }
    for at in 0..20 {
        assert_eq!(committed(engine, &format!("simple-{at}")), Some(at));
    }
    assert_eq!(committed(engine, "deleted"), None);
}

#[test]
fn groups_members_and_offsets_are_there_after_the_process_ended() {
    let dir = place("ended");
    let kept = Arc::new(journal(&dir));
    let before = engine(Arc::clone(&kept));
    assert_eq!(before.durability(), Durability::LocalFsync);
    let mut members = Vec::new();
    for at in 0..8 {
        let group = format!("group-{at}");
        let joined = alone_in(&before, &group);
        let request = CommitRequest::new(group.as_str())
            .of_member(joined.member.as_str(), joined.generation)
            .offset("topic", 0, 40 + at);
        before.commit(request).wait().unwrap();
        members.push(joined);
    }
    for at in 0..20 {
        commit(&before, &format!("simple-{at}"), at - 1);
        commit(&before, &format!("simple-{at}"), at);
    }
    commit(&before, "deleted", 1);
    before.delete_group("deleted".into()).wait().unwrap();

    assert!(kept.is_healthy() && kept.quarantined().is_empty());
    let usage = kept.usage();
    assert!(usage.live_bytes > 1_000 && usage.file_bytes == 4 << 20);
    drop(kept);

    // A process that is killed leaves the files as they are, in mid-flight.
    let killed = place("ended-image");
    image(&dir, &killed);
    assert_found(&engine(journal(&killed)), &members);

    drop(before);
    assert_found(&engine(journal(&dir)), &members);
}

#[test]
fn a_directory_that_is_in_use_is_refused() {
    let dir = place("in-use");
    let first = journal(&dir);
    let second = DiskJournal::open(&dir, StoreConfig::default(), SHARDS);
    let refused = second.unwrap_err();
    assert!(matches!(refused, OpenError::Locked));
    let words = "another process has the journal's directory open";
    assert_eq!(refused.to_string(), words);
    drop(first);
    journal(&dir);
}

#[test]
fn an_engine_of_another_number_of_shards_cannot_take_over_a_directory() {
    let dir = place("shards");
    drop(journal(&dir));
    let refused = DiskJournal::open(&dir, StoreConfig::default(), SHARDS + 1).unwrap_err();
    let words = "the journal is of 2 shards and cannot be opened with 3";
    assert_eq!(refused.to_string(), words);
}

#[test]
fn many_commits_of_few_offsets_stay_within_the_bound() {
    let dir = place("bound");
    let config = StoreConfig {
        segment_bytes: 64 << 10,
        log_bytes_min: 1 << 20,
        ..StoreConfig::default()
    };
    let open = || journal_of(&dir, config);
    let engine = engine(open());
    for round in 0..100 {
        let requests = (0..256).map(|at| {
            let group = format!("group-{}", at % 32);
            engine.commit(CommitRequest::new(group).offset("topic", 0, round * 256 + at))
        });
        for answer in requests.collect::<Vec<_>>() {
            answer.wait().unwrap();
        }
    }
    let files = std::fs::read_dir(&dir).unwrap();
    let bytes: u64 = files
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum();
    assert!(bytes <= (1 << 20) + 4_096, "{bytes}");
    drop(engine);
    let engine = super::engine(open());
    for at in 0..32 {
        assert_eq!(
            committed(&engine, &format!("group-{at}")),
            Some(99 * 256 + 224 + at)
        );
    }
}
