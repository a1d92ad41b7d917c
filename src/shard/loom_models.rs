//! The hand-over of the loop, under loom.
//!
//! Bounds: two submitters with an event each and a driver, drains of one event or more, three
//! preemptions (two with the driver). The second look and the bell have a model as well in which
//! the code is wrong on purpose, to show that the models would see it.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --target-dir target/loom --no-default-features --lib loom`

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use super::{Batch, Drive, Driver, MailboxConfig, Ran, ShardLoop, Turn};
use crate::time::Tick;

/// What the loop does wrong, on purpose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mutation {
    /// Nothing.
    None,
    /// An owner lets go without a look at the marks of others.
    NoSecondLook,
    /// Nobody rings the driver.
    NoBell,
}

type Loop = ShardLoop<Vec<u32>, u32>;

fn config(drain_max: usize) -> MailboxConfig {
    MailboxConfig {
        requests_max: 2,
        controls_max: 1,
        drain_max,
        looks_max: 2,
    }
}

fn check(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

fn serve(log: &mut Vec<u32>, batch: &mut Batch<'_, u32>) -> Turn {
    log.extend(batch);
    Turn::default()
}

fn served(shard: &Loop) -> Vec<u32> {
    let mut seen = Vec::new();
    shard.drive(|log, batch| {
        assert_eq!(batch.next(), None);
        seen.clone_from(log);
        Turn::default()
    });
    seen.sort_unstable();
    seen
}

/// Two submitters, nobody else: what both left must be served, and once.
fn hand_over(mutation: Mutation) {
    check(3, move || {
        let (mut shard, _driver) = Loop::new(Vec::new(), &config(4));
        shard.mutation = mutation;
        let shard = Arc::new(shard);
        let other = {
            let shard = Arc::clone(&shard);
            thread::spawn(move || {
                shard.submit(1).expect("there is room");
                assert!(matches!(shard.run(serve), Ran::Idle | Ran::Busy));
            })
        };
        shard.submit_control(2).expect("there is room");
        assert!(matches!(shard.run(serve), Ran::Idle | Ran::Busy));
        other.join().expect("ends");
        assert!(shard.mailbox().is_empty(), "an event is left behind");
        assert_eq!(served(&shard), [1, 2]);
    });
}

#[test]
fn no_event_is_left_behind_and_each_is_served_once() {
    hand_over(Mutation::None);
}

#[test]
#[should_panic(expected = "an event is left behind")]
fn an_owner_that_does_not_look_again_would_be_seen() {
    hand_over(Mutation::NoSecondLook);
}

/// As a thread asks: by its own hand if the loop is free, else through the mailbox.
fn ask(shard: &Loop, event: u32) {
    let mut own = Some(event);
    let ran = shard.run_if_free(|log, batch| {
        log.extend(own.take());
        serve(log, batch)
    });
    if ran.is_none() {
        shard.submit(event).expect("there is room");
        assert!(matches!(shard.run(serve), Ran::Idle | Ran::Busy));
    }
}

#[test]
fn what_is_asked_by_hand_or_by_mailbox_is_served_once_and_in_the_order_of_each_thread() {
    check(3, || {
        let (shard, _driver) = Loop::new(Vec::new(), &config(4));
        let shard = Arc::new(shard);
        let other = {
            let shard = Arc::clone(&shard);
            thread::spawn(move || {
                ask(&shard, 1);
                ask(&shard, 2);
            })
        };
        ask(&shard, 3);
        other.join().expect("ends");
        assert!(shard.mailbox().is_empty(), "an event is left behind");
        let mut seen = Vec::new();
        shard.drive(|log, _| {
            seen.clone_from(log);
            Turn::default()
        });
        let place = |event| seen.iter().position(|it| *it == event);
        assert!(place(1) < place(2), "{seen:?}");
        seen.sort_unstable();
        assert_eq!(seen, [1, 2, 3]);
    });
}

/// The control event that ends the waiting of requests.
const OPENS: u32 = 10;

/// Takes requests only after the event that opens, and says that it holds them till then.
fn hold_until_open(log: &mut Vec<u32>, batch: &mut Batch<'_, u32>) -> Turn {
    while let Some(event) = if log.contains(&OPENS) {
        batch.next()
    } else {
        batch.next_control()
    } {
        log.push(event);
    }
    Turn {
        holds: !log.contains(&OPENS),
        ..Turn::default()
    }
}

#[test]
fn a_request_that_is_held_is_served_after_the_event_that_opens() {
    check(3, || {
        let (shard, _driver) = Loop::new(Vec::new(), &config(4));
        let shard = Arc::new(shard);
        let other = {
            let shard = Arc::clone(&shard);
            thread::spawn(move || {
                shard.submit(1).expect("there is room");
                assert!(matches!(shard.run(hold_until_open), Ran::Idle | Ran::Busy));
            })
        };
        shard.submit_control(OPENS).expect("there is room");
        assert!(matches!(shard.run(hold_until_open), Ran::Idle | Ran::Busy));
        other.join().expect("ends");
        assert!(shard.mailbox().is_empty(), "an event is left behind");
        assert_eq!(served(&shard), [1, OPENS]);
    });
}

/// Drives until all is served; loom reports a deadlock if a ring is lost.
fn drive_until(shard: &Loop, driver: &Driver, count: &AtomicUsize, all: usize) {
    loop {
        let drive = shard.drive(|log, batch| counted(log, batch, count));
        assert_ne!(drive, Drive::Poisoned);
        if count.load(Ordering::Relaxed) == all {
            return;
        }
        if drive != Drive::Again {
            driver.park(None);
        }
    }
}

fn counted(log: &mut Vec<u32>, batch: &mut Batch<'_, u32>, count: &AtomicUsize) -> Turn {
    let before = log.len();
    let mut turn = serve(log, batch);
    count.fetch_add(log.len() - before, Ordering::Relaxed);
    // The deadline of who waits for all to be served: "now", once it is so.
    turn.wake_at = (count.load(Ordering::Relaxed) == 2).then_some(Tick(1));
    turn
}

/// Drains of one event: a submitter leaves the rest to the driver, which sleeps until rung. It is
/// rung as well for the deadline that the last event arms.
fn driver_and_submitters(mutation: Mutation) {
    check(2, move || {
        let (mut shard, driver) = Loop::new(Vec::new(), &config(1));
        shard.mutation = mutation;
        let shard = Arc::new(shard);
        let count = Arc::new(AtomicUsize::new(0));
        let submitters: Vec<_> = [1, 2]
            .map(|event| {
                let (shard, count) = (Arc::clone(&shard), Arc::clone(&count));
                thread::spawn(move || {
                    shard.submit(event).expect("there is room");
                    let ran = shard.run(|log, batch| counted(log, batch, &count));
                    assert_ne!(ran, Ran::Poisoned);
                })
            })
            .into();
        drive_until(&shard, &driver, &count, 2);
        for submitter in submitters {
            submitter.join().expect("ends");
        }
        assert_eq!(served(&shard), [1, 2]);
    });
}

#[test]
fn a_driver_goes_on_where_a_drain_ended_and_wakes_for_a_deadline() {
    driver_and_submitters(Mutation::None);
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_driver_that_is_not_rung_would_be_seen() {
    driver_and_submitters(Mutation::NoBell);
}

/// A panic of one submitter's turn: the other's event is served before or dropped, never kept.
#[test]
fn nothing_waits_in_a_poisoned_loop() {
    check(3, || {
        let (shard, _driver) = Loop::new(Vec::new(), &config(4));
        let shard = Arc::new(shard);
        let other = {
            let shard = Arc::clone(&shard);
            thread::spawn(move || {
                if shard.submit(1).is_ok() {
                    shard.run(serve);
                }
            })
        };
        if shard.submit(2).is_ok() {
            shard.run(|_, _| panic!("on purpose"));
        }
        other.join().expect("ends");
        assert!(shard.mailbox().is_empty());
    });
}
