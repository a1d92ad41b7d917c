//! Heartbeats in process: by handle and by names, of members that lie anywhere in memory.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use crossbeam_utils::CachePadded;
use takhin_coordinator::engine::{Answer, MemberHandle};
use takhin_coordinator::error::Refusal;
use takhin_coordinator::ids::Generation;
use takhin_coordinator::time::Now;

use super::Size;
use super::row::{Goal, Row};
use super::turns::{by_turns, ns_a_step};
use crate::beats::{Beats, Steps, pass_through};
use crate::clock;
use crate::failure::Failure;
use crate::steady::Steady;

/// Requests that are asked together.
const BURST: usize = 16;

/// One of so many heartbeats, another member joins or leaves.
const BEATS_PER_CHANGE: usize = 100;

pub(super) fn rows(size: &Size) -> Result<Vec<Row>, Failure> {
    let of = Members::new(size.members);
    let (turns, members) = (size.turns, size.members);
    Ok(vec![
        by_turns(
            &format!("heartbeat by handle of {members} / a store to a random padded word"),
            (turns, "ns", Goal::AtMost(1.6)),
            || Ok(of.store()),
            || Ok(of.by_handle()),
        )?,
        by_turns(
            "heartbeat by handle, two threads / one",
            (turns, "M/s", Goal::AtLeast(1.8)),
            || Ok(1e3 / of.by_handle()),
            || Ok(2e3 / of.by_handle_on_two()),
        )?,
        by_turns(
            "heartbeat by names, each waits for the last / load, wait, store at random",
            (turns, "ns", Goal::AtMost(3.0)),
            || Ok(of.store_one_at_a_time()),
            || Ok(of.by_names_one_at_a_time()),
        )?,
        by_turns(
            "heartbeat by names / a store to a random padded word",
            (turns, "ns", Goal::AtMost(15.0)),
            || Ok(of.store()),
            || Ok(of.by_names()),
        )?,
        by_turns(
            "heartbeat by names, 16 together / a store to a random padded word",
            (turns, "ns", Goal::AtMost(6.0)),
            || Ok(of.store()),
            || Ok(of.by_names_together()),
        )?,
        by_turns(
            "heartbeat by names while 1 % come or go / while nobody does",
            (turns, "ns", Goal::AtMost(1.2)),
            || Ok(of.by_names()),
            || Ok(of.by_names_during_churn()),
        )?,
    ])
}

/// Members at rest, their words as the floor has them, and the order in which they beat.
pub(crate) struct Members {
    steady: Steady,
    beats: Beats,
    handles: Vec<(MemberHandle, Generation)>,
    words: Vec<CachePadded<AtomicU64>>,
}

fn assert_heard(answer: Answer<Result<(), Refusal>>) {
    assert_eq!(black_box(answer.now().ok()), Some(Ok(())));
}

impl Members {
    pub(crate) fn new(count: usize) -> Self {
        let steady = Steady::new(count);
        let beats = Beats::of(&steady);
        Self {
            handles: beats.handles(&steady),
            words: beats.order.iter().map(|_| CachePadded::default()).collect(),
            steady,
            beats,
        }
    }

    fn count(&self) -> usize {
        self.words.len()
    }

    /// Nanoseconds a step of as many steps as there are members.
    fn timed(&self, mut step: impl FnMut(usize, Now)) -> f64 {
        let mut steps = Steps::new(self.count());
        ns_a_step(self.count(), |_| {
            let (at, now) = steps.next();
            step(at, now);
        })
    }

    /// Nanoseconds of a store to a random padded word.
    pub(crate) fn store(&self) -> f64 {
        self.timed(|at, now| {
            // Relaxed: only the cost of the store is of interest.
            self.words[self.beats.order[at]].store(now.tick.0, Ordering::Relaxed);
        })
    }

    fn beat_by_handle(&self, at: usize, now: Now) {
        let (handle, generation) = &self.handles[at];
        let heard = handle.heartbeat(*generation, None, now);
        assert_eq!(black_box(heard), Some(Ok(())));
    }

    /// Nanoseconds of a heartbeat by handle.
    pub(crate) fn by_handle(&self) -> f64 {
        self.timed(|at, now| self.beat_by_handle(at, now))
    }

    /// Of the thread that took longer.
    fn by_handle_on_two(&self) -> f64 {
        let count = self.count();
        std::thread::scope(|scope| {
            let threads = Steps::pair(count).map(|mut steps| {
                scope.spawn(move || {
                    ns_a_step(count, |_| {
                        let (at, now) = steps.next();
                        self.beat_by_handle(at, now);
                    })
                })
            });
            let times = threads.map(|it| it.join().expect("no step panics"));
            times.into_iter().fold(0.0, f64::max)
        })
    }

    fn beat_by_names(&self, at: usize, now: Now) {
        let beat = self.beats.beat(at);
        assert_heard(self.steady.engine.heartbeat_at(black_box(&beat), now));
    }

    /// Nanoseconds of a heartbeat by names.
    pub(crate) fn by_names(&self) -> f64 {
        self.timed(|at, now| self.beat_by_names(at, now))
    }

    /// Nanoseconds of a heartbeat by names, of those that are asked together.
    pub(crate) fn by_names_together(&self) -> f64 {
        let mut burst = Vec::with_capacity(BURST);
        self.timed(|at, now| {
            burst.push(self.beats.beat(at));
            if burst.len() == BURST {
                let engine = &self.steady.engine;
                engine.heartbeats_at(black_box(&burst), now, |_, answer| assert_heard(answer));
                burst.clear();
            }
        })
    }

    /// Nanoseconds of a member of another group that joins and leaves again.
    pub(crate) fn passing(&self, steps: usize) -> f64 {
        ns_a_step(steps, |nth| pass_through(&self.steady.engine, nth as u64))
    }

    /// Nanoseconds of a heartbeat by names while a thread has a member of another group join or
    /// leave for each hundred beats.
    fn by_names_during_churn(&self) -> f64 {
        let (beaten, is_done) = (AtomicUsize::new(0), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut number = 0;
                // Relaxed, here and below: nothing is read because of it.
                while !is_done.load(Ordering::Relaxed) {
                    // One that passes through is two changes.
                    if beaten.load(Ordering::Relaxed) > 2 * BEATS_PER_CHANGE * number {
                        pass_through(&self.steady.engine, number as u64);
                        number += 1;
                    } else {
                        std::thread::yield_now();
                    }
                }
            });
            let mut count = 0;
            let ns = self.timed(|at, now| {
                self.beat_by_names(at, now);
                count += 1;
                if count % BEATS_PER_CHANGE == 0 {
                    beaten.store(count, Ordering::Relaxed);
                }
            });
            is_done.store(true, Ordering::Relaxed);
            ns
        })
    }

    /// A word at random is read and then written, and the next is not known before that.
    fn store_one_at_a_time(&self) -> f64 {
        let mut wait = Wait::new();
        let ns = self.timed(|at, now| {
            let word = &self.words[self.beats.order[at + wait.zero]];
            black_box(word.load(Ordering::Relaxed));
            wait.for_all();
            word.store(now.tick.0, Ordering::Relaxed);
        });
        ns - Wait::ns()
    }

    fn by_names_one_at_a_time(&self) -> f64 {
        let mut wait = Wait::new();
        let ns = self.timed(|at, now| {
            self.beat_by_names(at + wait.zero, now);
            wait.for_all();
        });
        ns - Wait::ns()
    }
}

/// Keeps the processor from looking ahead.
///
/// That is what an instruction fence is for, which a crate without unsafe code has not, and the
/// fences of the language do not do it. But a processor reads its clock when all that was to be
/// read before has come, so that what is computed from the time waits for all of that.
struct Wait {
    start: Instant,
    /// The processor does not know before it has read the clock.
    zero: usize,
}

impl Wait {
    fn new() -> Self {
        Self {
            start: clock::now(),
            zero: 0,
        }
    }

    fn for_all(&mut self) {
        let nanos = (clock::now() - self.start).subsec_nanos();
        // Less than 2^30, which the compiler must not know.
        self.zero = (black_box(nanos) >> 30) as usize;
    }

    /// What the waiting takes where there is nothing to wait for.
    fn ns() -> f64 {
        let mut wait = Self::new();
        ns_a_step(100_000, |_| wait.for_all())
    }
}
