//! The loop's promises, one sentence each.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::mailbox::{Batch, MailboxConfig, Rejected};
use super::ownership::{Drive, Driver, Ran, ShardLoop, TURNS_MAX, Turn};
use crate::time::Tick;

const CONFIG: MailboxConfig = MailboxConfig {
    requests_max: 8,
    controls_max: 2,
    drain_max: 4,
    looks_max: 2,
};

type Log = Vec<u32>;

fn shard() -> (ShardLoop<Log, u32>, Driver) {
    ShardLoop::new(Log::new(), &CONFIG)
}

fn serve(log: &mut Log, batch: &mut Batch<'_, u32>) -> Turn {
    log.extend(batch);
    Turn::default()
}

fn served(shard: &ShardLoop<Log, u32>) -> Log {
    let mut seen = Log::new();
    shard.drive(|log, _| {
        seen.clone_from(log);
        Turn::default()
    });
    seen
}

fn due(tick: u64) -> Turn {
    Turn {
        wake_at: Some(Tick(tick)),
        ..Turn::default()
    }
}

/// How often the bell was rung since the last call.
fn rings(shard: &ShardLoop<Log, u32>) -> usize {
    shard.rings.swap(0, Ordering::SeqCst)
}

#[test]
fn who_submits_serves_and_nobody_is_woken() {
    let (shard, _driver) = shard();
    shard.submit(1).unwrap();
    shard.submit_control(10).unwrap();
    assert_eq!(shard.run(serve), Ran::Idle);
    assert_eq!(served(&shard), [10, 1]);
    assert_eq!(rings(&shard), 0);
}

#[test]
fn a_run_with_nothing_to_serve_takes_no_turn() {
    let (shard, _driver) = shard();
    assert_eq!(shard.run(|_, _| unreachable!()), Ran::Idle);
}

#[test]
fn an_event_of_a_turn_is_served_by_the_run_that_is_under_way() {
    let (shard, _driver) = shard();
    shard.submit(1).unwrap();
    let ran = shard.run(|log, batch| {
        let turn = serve(log, batch);
        if log.len() == 1 {
            shard.submit_control(2).unwrap();
            assert_eq!(shard.run(serve), Ran::Busy);
        }
        turn
    });
    assert_eq!(ran, Ran::Idle);
    assert_eq!(served(&shard), [1, 2]);
}

#[test]
fn a_turn_that_takes_less_than_its_batch_is_followed_by_another() {
    let (shard, _driver) = shard();
    for event in 0..3 {
        shard.submit(event).unwrap();
    }
    let ran = shard.run(|log, batch| {
        log.extend(batch.next());
        Turn::default()
    });
    assert_eq!(ran, Ran::Idle);
    assert_eq!(served(&shard), [0, 1, 2]);
}

#[test]
fn a_drain_ends_at_its_maximum_and_rings_the_driver() {
    let (shard, _driver) = shard();
    for event in 0..6 {
        shard.submit(event).unwrap();
    }
    assert_eq!(shard.run(serve), Ran::More);
    assert_eq!(rings(&shard), 1);
    assert_eq!(shard.mailbox().requests(), 2);
    assert_eq!(shard.drive(serve), Drive::ParkUntil(None));
    assert_eq!(served(&shard), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn a_drain_of_exactly_its_maximum_is_complete() {
    let (shard, _driver) = shard();
    for event in 0..4 {
        shard.submit(event).unwrap();
    }
    assert_eq!(shard.run(serve), Ran::Idle);
    assert_eq!(rings(&shard), 0);
}

#[test]
fn requests_that_are_held_wait_for_a_control_event_and_nobody_spins() {
    let (shard, _driver) = shard();
    let hold = |log: &mut Log, batch: &mut Batch<'_, u32>| {
        log.extend(std::iter::from_fn(|| batch.next_control()));
        Turn {
            holds: true,
            ..Turn::default()
        }
    };
    let mut turns = 0;
    for event in [1, 2] {
        shard.submit(event).unwrap();
        let ran = shard.run(|log, batch| {
            turns += 1;
            hold(log, batch)
        });
        assert_eq!(ran, Ran::Idle);
    }
    assert_eq!((turns, rings(&shard)), (2, 0));
    assert_eq!(shard.drive(hold), Drive::ParkUntil(None));
    assert_eq!(shard.mailbox().requests(), 2);
    shard.submit_control(10).unwrap();
    assert_eq!(shard.run(serve), Ran::Idle);
    assert_eq!(served(&shard), [10, 1, 2]);
}

#[test]
fn turns_end_though_each_brings_the_next() {
    let (shard, _driver) = shard();
    shard.submit(1).unwrap();
    let mut turns = 0;
    let ran = shard.run(|_, _| {
        turns += 1;
        assert_eq!(shard.run(serve), Ran::Busy);
        Turn::default()
    });
    assert_eq!((ran, turns), (Ran::More, TURNS_MAX));
}

#[test]
fn a_full_mailbox_gives_the_event_back_and_takes_again_once_drained() {
    let (shard, _driver) = shard();
    for event in 0..8 {
        shard.submit(event).unwrap();
    }
    assert_eq!(shard.submit(8), Err(Rejected::Full(8)));
    while shard.drive(serve) == Drive::Again {}
    shard.submit(8).unwrap();
}

#[test]
fn more_that_is_due_is_left_to_the_driver() {
    let (shard, _driver) = shard();
    shard.submit(1).unwrap();
    let more = Turn {
        more: true,
        ..Turn::default()
    };
    assert_eq!(shard.run(|_, _| more), Ran::More);
    assert_eq!(rings(&shard), 1);
    assert_eq!(shard.drive(|_, _| more), Drive::Again);
    assert_eq!(rings(&shard), 0);
}

#[test]
fn an_earlier_deadline_rings_the_driver_once_and_a_later_one_does_not() {
    let (shard, _driver) = shard();
    assert_eq!(
        shard.drive(|_, _| due(100)),
        Drive::ParkUntil(Some(Tick(100)))
    );
    for (deadline, rung) in [(100, 0), (150, 0), (90, 1), (80, 0)] {
        shard.submit(1).unwrap();
        shard.run(|log, batch| {
            serve(log, batch);
            due(deadline)
        });
        assert_eq!(rings(&shard), rung, "{deadline}");
    }
    assert_eq!(
        shard.drive(|_, _| due(80)),
        Drive::ParkUntil(Some(Tick(80)))
    );
}

#[test]
fn a_driver_that_sleeps_without_a_limit_is_rung_for_the_first_deadline() {
    let (shard, _driver) = shard();
    assert_eq!(shard.drive(serve), Drive::ParkUntil(None));
    shard.submit(1).unwrap();
    shard.run(|log, batch| {
        serve(log, batch);
        due(5)
    });
    assert_eq!(rings(&shard), 1);
}

#[test]
fn a_driver_that_finds_the_loop_taken_is_rung_when_it_is_free() {
    let (shard, _driver) = shard();
    shard.submit(1).unwrap();
    shard.run(|log, batch| {
        assert_eq!(shard.drive(serve), Drive::ParkUntil(None));
        serve(log, batch)
    });
    assert_eq!(rings(&shard), 1);
}

#[test]
fn a_panic_poisons_the_loop_and_drops_what_waits() {
    let waits = Arc::new(());
    let (shard, _driver) = ShardLoop::new(Arc::clone(&waits), &CONFIG);
    shard.submit(Arc::clone(&waits)).unwrap();
    shard.submit(Arc::clone(&waits)).unwrap();
    let ran = shard.run(|_, batch| {
        batch.next();
        panic!("a step that fails, on purpose")
    });
    assert_eq!(ran, Ran::Poisoned);
    assert!(shard.is_poisoned());
    assert_eq!(Arc::strong_count(&waits), 1, "state and events are gone");
    let event = Arc::clone(&waits);
    assert!(matches!(shard.submit(event), Err(Rejected::Poisoned(_))));
    assert_eq!(shard.run(|_, _| unreachable!()), Ran::Poisoned);
    assert_eq!(shard.drive(|_, _| unreachable!()), Drive::Poisoned);
}

/// What the models check with two events, with many and real threads.
#[test]
fn many_submitters_and_a_driver_serve_every_event_once() {
    const EACH: u32 = 20_000;
    let (shard, driver) = shard();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (shard, done) = (&shard, &done);
        let drives = scope.spawn(move || {
            loop {
                match shard.drive(serve) {
                    Drive::Again => {}
                    Drive::ParkUntil(_) if done.load(Ordering::SeqCst) => return,
                    Drive::ParkUntil(_) => driver.park(None),
                    Drive::Poisoned => panic!("no turn panics"),
                }
            }
        });
        let submitters: Vec<_> = (0..4)
            .map(|thread| {
                scope.spawn(move || {
                    for n in 0..EACH {
                        let mut event = thread * EACH + n;
                        while let Err(back) = shard.submit(event) {
                            event = back.into_event();
                            shard.run(serve);
                            std::thread::yield_now();
                        }
                        assert_ne!(shard.run(serve), Ran::Poisoned);
                    }
                })
            })
            .collect();
        for submitter in submitters {
            submitter.join().unwrap();
        }
        done.store(true, Ordering::SeqCst);
        shard.ring();
        drives.join().unwrap();
    });
    assert!(shard.mailbox().is_empty());
    let mut log = served(&shard);
    log.sort_unstable();
    assert!(log.into_iter().eq(0..4 * EACH));
}
