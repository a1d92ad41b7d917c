//! What a shard answers before it is loaded, and what becomes of a load that does not succeed.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_types,
    clippy::panic_in_result_fn,
    reason = "the helpers of a test may fail it; a lock is cheap here"
)]

mod common;

use std::ops::ControlFlow;
use std::sync::{Arc, Condvar, Mutex};

use common::ledger::{Fate, Ledger};
use common::*;
use takhin_coordinator::engine::{Driving, Engine, ShardPhase};
use takhin_coordinator::error::Refusal;
use takhin_coordinator::group::{Heard, ListRequest, OffsetDeleteRequest};
use takhin_coordinator::ids::{GroupId, MemberId, ShardId};
use takhin_coordinator::journal::schema::Encoded;
use takhin_coordinator::journal::{Batch, Done, Durability, Journal, LoadError, Loaded};
use takhin_coordinator::metrics::RefusalCause;
use takhin_coordinator::shard::shard_of;

/// What the load of a shard does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Door {
    Shut,
    Open,
    Fails,
    Panics,
}

/// A ledger whose loads wait at a door.
#[derive(Clone, Debug)]
struct Gated {
    ledger: Ledger,
    doors: Arc<(Mutex<Vec<Door>>, Condvar)>,
}

impl Gated {
    fn new(ledger: &Ledger, doors: &[Door]) -> Self {
        Self {
            ledger: ledger.clone(),
            doors: Arc::new((Mutex::new(doors.to_vec()), Condvar::new())),
        }
    }

    fn set(&self, shard: usize, door: Door) {
        self.doors.0.lock().unwrap()[shard] = door;
        self.doors.1.notify_all();
    }

    /// Opens an engine with threads of its own.
    fn open(&self) -> Engine {
        let shards = u32::try_from(self.doors.0.lock().unwrap().len()).unwrap();
        Engine::builder(config().takhin_shards(shards).build().unwrap())
            .driving(Driving::Threads)
            .journal(self.clone())
            .open()
            .unwrap()
    }
}

impl Journal for Gated {
    fn append(&self, batch: Batch<'_>, done: Done) {
        self.ledger.append(batch, done);
    }

    fn load(
        &self,
        shard: ShardId,
        each: &mut dyn FnMut(Loaded) -> ControlFlow<()>,
    ) -> Result<(), LoadError> {
        let at = usize::try_from(shard.0).unwrap();
        let doors = self.doors.0.lock().unwrap();
        let doors = self.doors.1.wait_while(doors, |it| it[at] == Door::Shut);
        let door = doors.unwrap()[at];
        match door {
            Door::Fails => Err(LoadError::Corrupt("as the test wants it".to_owned())),
            Door::Panics => panic!("the load panics, as the test wants it"),
            Door::Open | Door::Shut => self.ledger.load(shard, each),
        }
    }

    fn keep_heard(&self, shard: ShardId, heard: &[Heard]) {
        self.ledger.keep_heard(shard, heard);
    }

    fn durability(&self) -> Durability {
        self.ledger.durability()
    }
}

/// A group on that one of two shards.
fn group_on(shard: u32) -> String {
    let mut names = (0..).map(|n| format!("g{n}"));
    let name = names.find(|it| shard_of(&GroupId::from(it.as_str()), 2) == ShardId(shard));
    name.unwrap()
}

fn list(engine: &Engine) -> Result<Vec<String>, Refusal> {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let listed = runtime
        .unwrap()
        .block_on(engine.list(ListRequest::default()))?;
    let mut names: Vec<_> = listed.into_iter().map(|it| it.group.to_string()).collect();
    names.sort();
    Ok(names)
}

#[test]
fn while_a_shard_loads_everything_is_told_so_at_once_but_heartbeats_that_all_is_well() {
    let ledger = Ledger::new(Fate::AtOnce);
    let joined = Host::with_journal(config(), ledger.clone()).alone_in("g", 10_000);
    let journal = Gated::new(&ledger, &[Door::Shut]);
    let engine = journal.open();
    let loading = Refusal::LoadInProgress;
    assert_eq!(ask_beat(&engine, "g", &joined).now().unwrap(), Ok(()));
    let nobody = MemberId::default();
    let join = ask_join(&engine, "g", &nobody, 10_000).now().unwrap();
    assert_eq!(join.unwrap_err().refusal, loading);
    let echo = ask_join(&engine, "g", &joined.member, 10_000).now();
    assert_eq!(echo.unwrap().unwrap_err().member, joined.member);
    assert_eq!(ask_sync(&engine, "g", &joined).now().unwrap(), Err(loading));
    let left = engine.leave(leave("g", &joined.member)).now();
    assert_eq!(left.unwrap(), Err(loading));
    let committed = engine.commit(commit("g", Some(&joined), 1)).now();
    assert_eq!(committed.unwrap(), Err(loading));
    assert_eq!(engine.fetch(fetch("g", 0)).now().unwrap(), Err(loading));
    let delete = OffsetDeleteRequest {
        group: "g".into(),
        topics: Vec::new(),
    };
    assert_eq!(engine.delete_offsets(delete).now().unwrap(), Err(loading));
    assert_eq!(engine.describe("g".into()).now().unwrap(), Err(loading));
    assert_eq!(engine.delete_group("g".into()).now().unwrap(), Err(loading));
    assert_eq!(list(&engine), Err(loading));
    // What is wrong with the request itself is said before.
    let unnamed = ask_join(&engine, "", &nobody, 10_000).now().unwrap();
    assert_eq!(unnamed.unwrap_err().refusal, Refusal::InvalidGroupId);
    let refusals = engine.metrics().shard(0).refusals(RefusalCause::Loading);
    assert!(refusals.value() >= 10);
    journal.set(0, Door::Open);
    engine.wait_until_loaded().wait().unwrap();
    assert_eq!(beat(&engine, "g", &joined), Ok(()));
    assert_eq!(list(&engine).unwrap(), ["g"]);
}

#[test]
fn each_shard_serves_as_soon_as_it_is_loaded() {
    let ledger = Ledger::new(Fate::AtOnce);
    let before = Host::with_journal(config().takhin_shards(2), ledger.clone());
    let (slow, quick) = (group_on(0), group_on(1));
    for group in [&slow, &quick] {
        let commit = before.engine.commit(commit(group, None, 7));
        commit.wait().unwrap();
    }
    let journal = Gated::new(&ledger, &[Door::Shut, Door::Open]);
    let engine = journal.open();
    let phases = || {
        engine
            .shards()
            .iter()
            .map(|it| it.phase)
            .collect::<Vec<_>>()
    };
    while phases()[1] == ShardPhase::Loading {
        std::thread::yield_now();
    }
    assert_eq!(phases(), [ShardPhase::Loading, ShardPhase::Serving]);
    assert_eq!(engine.shards()[1].records, 1);
    let found = engine.fetch(fetch(&quick, 0)).wait().unwrap();
    assert_eq!(found[0].partitions[0].committed.as_ref().unwrap().offset, 7);
    let refused = engine.fetch(fetch(&slow, 0)).wait();
    assert_eq!(refused, Err(Refusal::LoadInProgress));
    assert_eq!(list(&engine), Err(Refusal::LoadInProgress));
    journal.set(0, Door::Open);
    engine.wait_until_loaded().wait().unwrap();
    assert_eq!(engine.fetch(fetch(&slow, 0)).wait().unwrap(), found);
}

#[test]
fn a_shard_that_cannot_be_loaded_is_not_available_and_the_others_serve() {
    for door in [Door::Fails, Door::Panics] {
        let ledger = Ledger::new(Fate::AtOnce);
        let journal = Gated::new(&ledger, &[door, Door::Open]);
        let engine = journal.open();
        let error = engine.wait_until_loaded().wait().unwrap_err().to_string();
        assert!(error.starts_with("shard 0 cannot be loaded: "), "{error}");
        let (failed, healthy) = (group_on(0), group_on(1));
        let refused = engine.commit(commit(&failed, None, 1)).wait();
        assert_eq!(refused, Err(Refusal::NotAvailable));
        assert_eq!(list(&engine), Err(Refusal::NotAvailable));
        assert_eq!(engine.failed_shards(), [ShardId(0)]);
        while engine.shards()[1].phase == ShardPhase::Loading {
            std::thread::yield_now();
        }
        engine.commit(commit(&healthy, None, 1)).wait().unwrap();
    }
}

#[test]
fn the_end_of_the_loading_wakes_a_task_and_every_thread_that_waits() {
    let ledger = Ledger::new(Fate::AtOnce);
    let journal = Gated::new(&ledger, &[Door::Shut, Door::Shut]);
    let engine = journal.open();
    let threads: Vec<_> = (0..3)
        .map(|_| engine.wait_until_loaded())
        .map(|loading| std::thread::spawn(move || loading.wait().is_ok()))
        .collect();
    let opener = std::thread::spawn(move || {
        journal.set(1, Door::Open);
        journal.set(0, Door::Open);
    });
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime
        .unwrap()
        .block_on(engine.wait_until_loaded())
        .unwrap();
    opener.join().unwrap();
    for thread in threads {
        assert!(thread.join().unwrap());
    }
    // It stays so.
    engine.wait_until_loaded().wait().unwrap();
}

#[test]
fn an_engine_that_is_shut_down_while_it_loads_is_not_available() {
    let ledger = Ledger::new(Fate::AtOnce);
    Host::with_journal(config(), ledger.clone()).alone_in("g", 10_000);
    let journal = Gated::new(&ledger, &[Door::Shut]);
    let engine = journal.open();
    engine.shutdown();
    let refused = engine.commit(commit("g", None, 1)).now().unwrap();
    assert_eq!(refused, Err(Refusal::NotAvailable));
    journal.set(0, Door::Open);
    let error = engine.wait_until_loaded().wait().unwrap_err().to_string();
    assert_eq!(error, "shard 0 cannot be loaded: the load was broken off");
    assert_eq!(engine.shards()[0].records, 0, "nobody needs it any more");
    let refused = engine.commit(commit("g", None, 1)).wait();
    assert_eq!(refused, Err(Refusal::NotAvailable));
}

#[test]
fn a_host_may_load_one_shard_after_the_other() {
    let ledger = Ledger::new(Fate::AtOnce);
    let open = || {
        Engine::builder(config().takhin_shards(2).build().unwrap())
            .driving(Driving::Host)
            .journal(ledger.clone())
            .load_later()
            .open()
            .unwrap()
    };
    let engine = open();
    let (first, second) = (group_on(0), group_on(1));
    let commit_to = |group| engine.commit(commit(group, None, 1)).wait().map(|_| ());
    assert_eq!(commit_to(&first), Err(Refusal::LoadInProgress));
    assert_eq!(engine.load_next().unwrap(), Some(ShardId(0)));
    assert_eq!(commit_to(&first), Ok(()));
    assert_eq!(commit_to(&second), Err(Refusal::LoadInProgress));
    assert_eq!(engine.load_next().unwrap(), Some(ShardId(1)));
    assert_eq!(commit_to(&second), Ok(()));
    assert_eq!(engine.load_next().unwrap(), None);
    let engine = open();
    engine.run_due();
    assert_eq!(engine.load_next().unwrap(), None);
    assert_eq!(fetched(&engine, &first, 0), Some(1));
}

/// An offset of partition 0 whose value is of a version that nobody knows.
fn unreadable(group: &str) -> Encoded {
    let length = u8::try_from(group.len()).unwrap();
    let mut key = vec![0, 1, 0, length];
    key.extend_from_slice(group.as_bytes());
    key.extend_from_slice(b"\0\x05topic\0\0\0\0");
    let value = Some(vec![0, 99]);
    Encoded { key, value }
}

#[test]
fn a_record_that_cannot_be_read_takes_its_one_group_out_of_service() {
    let ledger = Ledger::new(Fate::AtOnce);
    let before = Host::with_journal(config(), ledger.clone());
    let (bad, good) = (
        before.alone_in("bad", 10_000),
        before.alone_in("good", 10_000),
    );
    for group in ["bad", "good"] {
        before
            .engine
            .commit(commit_of(group, None, [3], 5))
            .wait()
            .unwrap_err();
    }
    before
        .engine
        .commit(commit("bad", Some(&bad), 1))
        .wait()
        .unwrap();
    before
        .engine
        .commit(commit("good", Some(&good), 1))
        .wait()
        .unwrap();
    ledger.keep(0, unreadable("bad"));
    // The same after a second restart.
    for _ in 0..2 {
        let kept = ledger.kept(0);
        let host = Host::with_journal(config(), ledger.clone());
        let engine = &host.engine;
        let refused = Refusal::NotAvailable;
        assert_eq!(beat(engine, "bad", &bad), Err(refused));
        let join = ask_join(engine, "bad", &MemberId::default(), 10_000);
        assert_eq!(join.wait().unwrap_err().refusal, refused);
        assert_eq!(engine.commit(commit("bad", None, 2)).wait(), Err(refused));
        assert_eq!(engine.fetch(fetch("bad", 0)).wait(), Err(refused));
        assert_eq!(engine.describe("bad".into()).wait(), Err(refused));
        assert_eq!(engine.delete_group("bad".into()).wait(), Err(refused));
        assert_eq!(list(engine).unwrap(), ["good"]);
        assert_eq!(beat(engine, "good", &good), Ok(()));
        assert_eq!(fetched(engine, "good", 0), Some(1));
        let shard = engine.metrics().shard(0);
        assert_eq!(shard.groups_quarantined.value(), 1);
        assert_eq!((shard.members.value(), shard.offsets.value()), (1, 1));
        assert_eq!(ledger.kept(0), kept, "nothing is written for it");
    }
}

#[test]
fn a_record_that_was_overwritten_by_a_readable_one_harms_nobody() {
    let ledger = Ledger::new(Fate::AtOnce);
    ledger.keep(0, unreadable("g"));
    ledger.keep(0, unreadable("removed"));
    let before = Host::with_journal(config(), Ledger::new(Fate::AtOnce));
    drop(before);
    // Another engine, of a time when the records could be read, wrote on.
    let writer = Ledger::new(Fate::AtOnce);
    let host = Host::with_journal(config(), writer.clone());
    host.engine.commit(commit("g", None, 4)).wait().unwrap();
    host.engine
        .commit(commit("removed", None, 4))
        .wait()
        .unwrap();
    host.engine.delete_group("removed".into()).wait().unwrap();
    for record in writer.kept(0) {
        ledger.keep(0, record);
    }
    let host = Host::with_journal(config(), ledger);
    assert_eq!(fetched(&host.engine, "g", 0), Some(4));
    assert_eq!(list(&host.engine).unwrap(), ["g"]);
}

#[test]
fn a_key_whose_group_cannot_be_told_fails_the_load() {
    let ledger = Ledger::new(Fate::AtOnce);
    let key = vec![0, 1, 0, 9, b'g'];
    ledger.keep(0, Encoded { key, value: None });
    let opened = Engine::builder(config().build().unwrap())
        .driving(Driving::Host)
        .journal(ledger)
        .open();
    let error = opened.unwrap_err().to_string();
    assert!(
        error.starts_with("shard 0 cannot be loaded: the journal is damaged: "),
        "{error}"
    );
}
