//! A turn of a thread that has asked something itself, while others ask too.

use std::convert::Infallible;
use std::ops::ControlFlow;
use std::sync::{Arc, Weak};

use crossbeam_queue::SegQueue;
use tokio::sync::oneshot;

use super::desk::Here;
use super::event::{Asked, Event};
use super::limits::{Limits, Quota};
use super::outbox::Sent;
use super::state::{ShardState, Shared};
use crate::error::Refusal;
use crate::group::{CommitRequest, Reply, Request, Rules};
use crate::ids::ShardId;
use crate::journal::{
    Batch, Done, Durability, Journal, LoadError, Loaded, MemoryJournal, Outcomes, Ticket,
};
use crate::metrics::Metrics;
use crate::session::Directory;
use crate::time::{Clock as _, ManualClock, Now};

/// Settles nothing by itself.
#[derive(Debug, Default)]
struct Silent(SegQueue<Done>);

impl Journal for Silent {
    fn append(&self, _batch: Batch<'_>, done: Done) {
        self.0.push(done);
    }

    fn load(
        &self,
        _shard: ShardId,
        _each: &mut dyn FnMut(Loaded) -> ControlFlow<()>,
    ) -> Result<(), LoadError> {
        Ok(())
    }

    fn durability(&self) -> Durability {
        Durability::LocalFsync
    }
}

pub(super) struct Nowhere(Infallible);

impl Outcomes for Nowhere {
    fn settled(&self, _ticket: Ticket, _outcome: Result<(), Refusal>) {
        match self.0 {}
    }
}

/// What the only shard of an engine shares with it.
pub(super) fn shared(
    journal: impl Journal + 'static,
    clock: ManualClock,
    has_drivers: bool,
) -> Shared {
    Shared {
        journal: Arc::new(journal),
        directory: Arc::new(Directory::new(1, 10)),
        limits: Arc::new(Limits {
            groups: Quota::new(10),
            members: Quota::new(10),
            offsets: Quota::new(100),
        }),
        metrics: Arc::new(Metrics::new(1)),
        clock: Arc::new(clock),
        has_drivers,
        write_timeout_ms: 5_000,
    }
}

fn state(journal: impl Journal + 'static) -> (ShardState, Now) {
    let clock = ManualClock::new();
    let now = clock.now();
    let shared = shared(journal, clock, false);
    let state = ShardState::new(ShardId(0), Rules::default(), Arc::new(shared), now);
    (state, now)
}

fn commit(partition: i32) -> Request {
    Request::Commit(CommitRequest::new("orders").offset("clicks", partition, 7))
}

fn asked(partition: i32) -> (Event, oneshot::Receiver<Sent>) {
    let (answer, receiver) = oneshot::channel();
    let request = commit(partition);
    let asked = Asked { request, answer };
    (Event::Request(Box::new(asked)), receiver)
}

fn end_turn(state: &mut ShardState, now: Now) -> Here {
    state.hand_over(&Weak::<Nowhere>::new(), now);
    let here = state.take_here();
    state.end_turn();
    here
}

/// The partition that was committed.
fn partition_of(reply: &Reply) -> i32 {
    let Reply::Commit(Ok(topics)) = reply else {
        panic!("no commit: {reply:?}");
    };
    topics[0].partitions[0].0
}

#[test]
fn what_is_answered_within_its_turn_waits_nowhere() {
    let (mut state, now) = state(MemoryJournal);
    state.begin_turn(now, 0);
    state.step_here(commit(1), now);
    let Here::Answered(reply) = end_turn(&mut state, now) else {
        panic!("it was not answered");
    };
    assert_eq!(partition_of(&reply), 1);
    assert_eq!(state.answers.len(), 0);
}

#[test]
fn who_takes_the_turn_and_who_asks_meanwhile_get_each_their_own_answer() {
    let (mut state, now) = state(MemoryJournal);
    state.begin_turn(now, 0);
    state.step_here(commit(1), now);
    let (event, mut other) = asked(2);
    state.step(event, now);
    let Here::Answered(own) = end_turn(&mut state, now) else {
        panic!("it was not answered");
    };
    assert_eq!(partition_of(&own), 1);
    assert_eq!(partition_of(&other.try_recv().unwrap().reply), 2);
    assert_eq!(state.answers.len(), 0);
}

#[test]
fn who_waits_for_the_journal_keeps_its_place_among_those_who_come_later() {
    let (mut state, now) = state(Silent::default());
    let mut waiting = Vec::new();
    for partition in 0..3 {
        state.begin_turn(now, 0);
        state.step_here(commit(partition), now);
        waiting.push(end_turn(&mut state, now));
    }
    assert!(waiting.iter().all(|it| matches!(it, Here::Waits(_))));
    assert_eq!(state.answers.len(), 3);
}

#[test]
fn who_waits_is_found_though_others_were_answered_within_the_turn() {
    let (mut state, now) = state(Silent::default());
    let ticket = |index| Ticket {
        shard: ShardId(0),
        term: 1,
        index,
    };
    state.begin_turn(now, 0);
    let (event, mut other) = asked(1);
    state.step(event, now);
    assert!(matches!(end_turn(&mut state, now), Here::None));
    state.begin_turn(now, 0);
    state.step_here(commit(2), now);
    state.settled(ticket(1), Ok(()), now);
    assert_eq!(partition_of(&other.try_recv().unwrap().reply), 1);
    let Here::Waits(mut own) = end_turn(&mut state, now) else {
        panic!("the journal has not told of it");
    };
    state.settled(ticket(2), Ok(()), now);
    assert_eq!(partition_of(&own.try_recv().unwrap().reply), 2);
    assert_eq!(state.answers.len(), 0);
}

#[test]
fn what_finds_the_journal_full_is_left_for_the_turn_of_another_thread() {
    let (mut state, now) = state(Silent::default());
    let decide = |state: &mut ShardState, partition| {
        state.begin_turn(now, 0);
        state.step_here(commit(partition), now);
        let left_over = state.desk.batch.len();
        assert!(matches!(end_turn(state, now), Here::Waits(_)));
        left_over
    };
    for partition in 0..i32::try_from(ShardState::IN_FLIGHT_MAX).unwrap() {
        assert_eq!(decide(&mut state, partition), 1);
    }
    // As many as may are on their way.
    assert_eq!(decide(&mut state, 50), 1);
    let elsewhere = std::thread::scope(|scope| {
        let turn = scope.spawn(|| decide(&mut state, 51));
        turn.join().unwrap()
    });
    assert_eq!(elsewhere, 2);
    assert_eq!(decide(&mut state, 52), 3);
}
