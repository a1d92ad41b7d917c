//! A loop that belongs to a shard, not to a thread: whoever has brought an event may run it.
//!
//! ```text
//!   submitter             word            owner                      driver thread
//!   push the event                        turn: drain, step, hand over
//!   set LOOK_AGAIN  --->  RUNNING ...
//!   go on                                 let go: RUNNING -> 0 ?
//!                                         no, LOOK_AGAIN: clear it, another turn
//!                                         let go: RUNNING -> 0
//!                                         earlier deadline? ring  ---->  wake, drive
//! ```
//!
//! Waking a parked thread costs a thousand times an uncontended word, so a request is served by
//! the thread that brought it whenever the loop is free. Nobody ever waits for the loop.
//!
//! # No event is left behind
//!
//! All of it is decided by one word, changed by read-modify-writes only, and so in one order:
//!
//! - A submitter pushes first, then changes the word. If nobody runs, it becomes the owner, and
//!   sees its own event. If somebody runs, it sets `LOOK_AGAIN` in the same swap that finds it so.
//! - An owner lets go by a swap that succeeds only if `LOOK_AGAIN` is not set. If it is set, the
//!   owner clears it by a read-modify-write that acquires what the submitter released, and so the
//!   next turn sees the event.
//! - An owner that has done its maximum leaves `LOOK_AGAIN` set, nobody running, and rings the
//!   driver: the driver, or a submitter that comes before it, takes over.
//!
//! # No deadline is left behind
//!
//! Until when the driver sleeps is part of the owned state: the driver writes it while it is the
//! owner, before it parks. A later owner that arms an earlier deadline sees it and rings; the
//! bell is remembered if the driver is not parked yet. A driver that finds the loop taken sets
//! `DRIVER_WAITS`, parks without a limit, and whoever lets go rings.
//!
//! # A panic in a turn
//!
//! is caught, since it must not end the innocent submitter's thread, and poisons the loop: it is
//! logged, the state is dropped and so are the events that wait, whose senders see their reply
//! channels close; every later submitter gets its event back.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crossbeam_utils::CachePadded;

use super::mailbox::{Batch, Mailbox, MailboxConfig, Rejected};
use crate::atomic::{AtomicU64, Ordering, Owned, Parker, Unparker, spin_loop};
use crate::time::Tick;

/// Turns of one drain at most, so that empty turns end as well.
pub(super) const TURNS_MAX: usize = 16;

/// Someone runs the loop.
const RUNNING: u64 = 1;
/// Something was pushed since the owner looked, or its drain ended before the mailbox did.
const LOOK_AGAIN: u64 = 2;
/// The driver found the loop taken, and wants to be rung.
const DRIVER_WAITS: u64 = 4;
/// A turn panicked. Final.
const POISONED: u64 = 8;

/// What a turn leaves to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Turn {
    /// The next deadline of the state, `None` if it has none.
    pub wake_at: Option<Tick>,
    /// Whether more is due already than this turn did, events in the mailbox aside.
    pub more: bool,
    /// Whether the requests in the mailbox are left there on purpose, until a control event
    /// comes: nobody is to look again for their sake.
    pub holds: bool,
}

/// What became of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ran {
    /// This thread was the owner, and let go with nothing left to do.
    Idle,
    /// This thread was the owner, and did its share; the driver was rung to go on.
    More,
    /// Another thread is the owner, and will look again.
    Busy,
    /// A turn panicked, now or earlier; events that waited were dropped.
    Poisoned,
}

/// What the driver does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Drive {
    /// Drive again at once, with a new `now`.
    Again,
    /// Park until then, or without a limit, and drive again.
    ParkUntil(Option<Tick>),
    /// A turn panicked; there is nothing more to drive.
    Poisoned,
}

/// A state, the mailbox of its events, and the right to step it.
pub struct ShardLoop<S, E> {
    mailbox: Mailbox<E>,
    /// Written by submitters, owner and driver, by read-modify-writes only.
    word: CachePadded<AtomicU64>,
    /// Gone once poisoned.
    held: CachePadded<Owned<Option<Held<S>>>>,
    bell: Unparker,
    drain_max: usize,
    looks_max: u32,
    #[cfg(test)]
    pub(super) rings: std::sync::atomic::AtomicUsize,
    #[cfg(all(test, loom))]
    pub(super) mutation: super::loom_models::Mutation,
}

struct Held<S> {
    state: S,
    driver: DriverSleeps,
}

/// Until when the driver sleeps, as far as it concerns who arms a deadline.
#[derive(Clone, Copy)]
enum DriverSleeps {
    /// It will drive before it parks: it has not begun, was told to go on, or was rung.
    No,
    /// Until this deadline; `None` is without a limit.
    Until(Option<Tick>),
}

/// The driver's end of a loop: the only one that parks.
pub struct Driver {
    parker: Parker,
}

impl Driver {
    /// Sleeps until rung or until the time is over; may return early. `None` is without a limit.
    pub fn park(&self, timeout: Option<Duration>) {
        match timeout {
            Some(timeout) => self.parker.park_timeout(timeout),
            None => self.parker.park(),
        }
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").finish_non_exhaustive()
    }
}

impl<S, E> ShardLoop<S, E> {
    /// A loop around `state`, and the end for the thread that serves its deadlines.
    ///
    /// The driver's thread calls [`drive`](Self::drive) until it says to park, parks, and drives
    /// again. Without a driver (in a simulation) whoever holds the clock calls `drive`.
    ///
    /// # Panics
    ///
    /// If a bound of the mailbox is 0.
    pub fn new(state: S, config: &MailboxConfig) -> (Self, Driver) {
        assert!(config.drain_max > 0, "a drain takes at least one event");
        assert!(config.looks_max > 0, "who does not look never runs");
        let parker = Parker::new();
        let this = Self {
            mailbox: Mailbox::new(config),
            word: CachePadded::new(AtomicU64::new(0)),
            held: CachePadded::new(Owned::new(Some(Held {
                state,
                driver: DriverSleeps::No,
            }))),
            bell: parker.unparker().clone(),
            drain_max: config.drain_max,
            looks_max: config.looks_max,
            #[cfg(test)]
            rings: std::sync::atomic::AtomicUsize::new(0),
            #[cfg(all(test, loom))]
            mutation: super::loom_models::Mutation::None,
        };
        (this, Driver { parker })
    }

    /// Puts a request into the mailbox. After `Ok` the caller calls [`run`](Self::run): it is the
    /// run that sees to it that the event is served.
    ///
    /// # Errors
    ///
    /// The event, if the lane is full or the shard poisoned.
    pub fn submit(&self, event: E) -> Result<(), Rejected<E>> {
        if self.is_poisoned() {
            return Err(Rejected::Poisoned(event));
        }
        self.mailbox.push_request(event).map_err(Rejected::Full)
    }

    /// Puts a control event (a completion) into the mailbox, before all requests; otherwise as
    /// [`submit`](Self::submit).
    ///
    /// # Errors
    ///
    /// The event, if the shard is poisoned, or if the lane is full, which its producers rule out.
    pub fn submit_control(&self, event: E) -> Result<(), Rejected<E>> {
        if self.is_poisoned() {
            return Err(Rejected::Poisoned(event));
        }
        self.mailbox.push_control(event).map_err(Rejected::Full)
    }

    /// Serves what waits, if the loop is free; else leaves it to the owner. Never waits.
    ///
    /// Calls `turn` until the mailbox is empty or the drain has had its maximum of events; not at
    /// all if another owner has served the event by then. Within a turn `submit` and `run` of the
    /// same loop are allowed: the event is served by this turn's batch or by the next turn.
    pub fn run(&self, turn: impl FnMut(&mut S, &mut Batch<'_, E>) -> Turn) -> Ran {
        match self.enter(LOOK_AGAIN) {
            Entered::Owner if self.mailbox.is_empty() => match self.leave() {
                Left::Idle => Ran::Idle,
                Left::LookAgain => self.drain(false, turn),
            },
            Entered::Owner => self.drain(false, turn),
            Entered::Busy => Ran::Busy,
            Entered::Poisoned => self.discard(),
        }
    }

    /// Runs the loop if it is free and nothing waits, at least one turn: for whoever has
    /// something to do that needs no event. `None`: it is not so, and nothing was done; then
    /// [`submit`](Self::submit) and [`run`](Self::run).
    ///
    /// What a thread has submitted before was served when this finds the mailbox empty and the
    /// loop free: its own things stay in order.
    pub fn run_if_free(&self, turn: impl FnMut(&mut S, &mut Batch<'_, E>) -> Turn) -> Option<Ran> {
        for look in 0..self.looks_max {
            if look > 0 {
                spin_loop();
            }
            // Relaxed: only a guess; what counts is the swap.
            let word = self.word.load(Ordering::Relaxed);
            if word & POISONED != 0 {
                return None;
            }
            // As in `enter`. What others push from here on they leave a mark for.
            if word & RUNNING == 0
                && self.mailbox.is_empty()
                && self
                    .word
                    .compare_exchange(word, RUNNING, Ordering::AcqRel, Ordering::Relaxed)
                    .is_ok()
            {
                return Some(self.drain(false, turn));
            }
        }
        None
    }

    /// Serves what waits and what is due; for the driver.
    ///
    /// At least one turn even if no event waits, since a deadline may have passed.
    pub fn drive(&self, mut turn: impl FnMut(&mut S, &mut Batch<'_, E>) -> Turn) -> Drive {
        match self.enter(DRIVER_WAITS) {
            Entered::Owner => {}
            Entered::Busy => return Drive::ParkUntil(None),
            Entered::Poisoned => {
                self.discard();
                return Drive::Poisoned;
            }
        }
        let mut wake_at = None;
        let ran = self.drain(true, |state, batch| {
            let done = turn(state, batch);
            wake_at = done.wake_at;
            done
        });
        match ran {
            Ran::Idle => Drive::ParkUntil(wake_at),
            Ran::More | Ran::Busy => Drive::Again,
            Ran::Poisoned => Drive::Poisoned,
        }
    }

    /// Wakes the driver, to drive once whatever its deadline; for shutdown.
    pub fn ring(&self) {
        #[cfg(test)]
        self.rings.fetch_add(1, Ordering::Relaxed);
        #[cfg(all(test, loom))]
        if self.mutation == super::loom_models::Mutation::NoBell {
            return;
        }
        self.bell.unpark();
    }

    /// Whether a turn has panicked.
    pub fn is_poisoned(&self) -> bool {
        // Relaxed: early news. Whoever pushes in spite of it learns it for certain in `enter`.
        self.word.load(Ordering::Relaxed) & POISONED != 0
    }

    /// The mailbox, to see how full it is.
    pub fn mailbox(&self) -> &Mailbox<E> {
        &self.mailbox
    }

    /// Turns until nothing is left or the drain has had its maximum. The caller is the owner.
    fn drain(
        &self,
        is_driver: bool,
        mut turn: impl FnMut(&mut S, &mut Batch<'_, E>) -> Turn,
    ) -> Ran {
        let mut left = self.drain_max;
        for turns_left in (0..TURNS_MAX).rev() {
            let Some(done) = self.turn(is_driver, &mut left, &mut turn) else {
                return self.poison();
            };
            let spent = left == 0 || turns_left == 0;
            let waits = if done.holds {
                self.mailbox.controls() > 0
            } else {
                !self.mailbox.is_empty()
            };
            if done.more || (spent && waits) {
                break;
            }
            if waits {
                continue;
            }
            match self.leave() {
                Left::Idle => return Ran::Idle,
                Left::LookAgain if spent => break,
                Left::LookAgain => {}
            }
        }
        self.leave_to_driver(is_driver);
        Ran::More
    }

    /// One turn; `None` if it panicked.
    fn turn(
        &self,
        is_driver: bool,
        left: &mut usize,
        turn: &mut impl FnMut(&mut S, &mut Batch<'_, E>) -> Turn,
    ) -> Option<Turn> {
        // The word has made this thread the only one to come here, so the lock is free; that it
        // is not, or that the state is gone, would be a panic's doing.
        let mut guard = self.held.try_lock().ok()?;
        let held = guard.as_mut()?;
        let mut batch = Batch::new(&self.mailbox, *left);
        let done = catch_unwind(AssertUnwindSafe(|| turn(&mut held.state, &mut batch)));
        let done = done.map_err(|panic| report(&*panic)).ok()?;
        *left = batch.left();
        if is_driver {
            held.driver = if done.more {
                DriverSleeps::No
            } else {
                DriverSleeps::Until(done.wake_at)
            };
        } else if !done.more && held.driver.misses(done.wake_at) {
            held.driver = DriverSleeps::No;
            self.ring();
        }
        Some(done)
    }

    /// Becomes the owner, or leaves a mark for the owner that there is.
    fn enter(&self, mark: u64) -> Entered {
        // Relaxed: only a guess; what counts is the swap below.
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            if word & POISONED != 0 {
                return Entered::Poisoned;
            }
            let (wanted, entered) = if word & RUNNING != 0 {
                (word | mark, Entered::Busy)
            } else {
                (RUNNING, Entered::Owner)
            };
            // Release: the event pushed before is seen by the owner that takes the mark; partner:
            // the acquire in `leave`. Acquire: a new owner sees the events of those who left a
            // mark with an earlier owner that did not clear it (`leave_to_driver`).
            // Also where the mark is set already: the swap must follow this push.
            match self
                .word
                .compare_exchange_weak(word, wanted, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => return entered,
                Err(newer) => word = newer,
            }
        }
    }

    /// Lets go, unless somebody wants another look.
    fn leave(&self) -> Left {
        #[cfg(all(test, loom))]
        if self.mutation == super::loom_models::Mutation::NoSecondLook {
            self.word.swap(0, Ordering::AcqRel);
            return Left::Idle;
        }
        let mut word = RUNNING;
        loop {
            let again = word & LOOK_AGAIN != 0;
            let wanted = if again { word & !LOOK_AGAIN } else { 0 };
            // Acquire: sees the events of those who set the mark; partner: the release in
            // `enter`. Release: the next owner sees what was popped, by its acquire there.
            match self
                .word
                .compare_exchange_weak(word, wanted, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) if again => return Left::LookAgain,
                Ok(_) => {
                    if word & DRIVER_WAITS != 0 {
                        self.ring();
                    }
                    return Left::Idle;
                }
                Err(newer) => word = newer,
            }
        }
    }

    /// Lets go with work left.
    fn leave_to_driver(&self, is_driver: bool) {
        // As in `leave`; the mark tells nobody anything here, it keeps the word's story whole.
        self.word.swap(LOOK_AGAIN, Ordering::AcqRel);
        if !is_driver {
            self.ring();
        }
    }

    /// The end of the loop: this thread is the owner, and stays it for ever.
    #[cold]
    fn poison(&self) -> Ran {
        let held = self.held.try_lock().ok().and_then(|mut held| held.take());
        // The state may be half changed: if its drop panics too, that is no more news.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(held)));
        // As in `leave`: whoever changes the word after this knows of the end, and drops what it
        // has pushed.
        self.word.swap(POISONED, Ordering::AcqRel);
        self.ring();
        self.discard()
    }

    /// Drops what waits, so that nobody waits for its answer.
    #[cold]
    fn discard(&self) -> Ran {
        while self.mailbox.pop().is_some() {}
        Ran::Poisoned
    }
}

impl<S, E> fmt::Debug for ShardLoop<S, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShardLoop")
            .field("mailbox", &self.mailbox)
            .field("poisoned", &self.is_poisoned())
            .finish_non_exhaustive()
    }
}

impl DriverSleeps {
    /// Whether the driver would sleep past that deadline.
    fn misses(self, wake_at: Option<Tick>) -> bool {
        match (self, wake_at) {
            (Self::No, _) | (_, None) => false,
            (Self::Until(None), Some(_)) => true,
            (Self::Until(Some(sleeps_until)), Some(wake_at)) => wake_at < sleeps_until,
        }
    }
}

enum Entered {
    Owner,
    Busy,
    Poisoned,
}

enum Left {
    Idle,
    LookAgain,
}

#[cold]
fn report(panic: &(dyn std::any::Any + Send)) {
    let what = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("of unknown content");
    tracing::error!(
        panic = what,
        "a step of the shard panicked: the shard is poisoned"
    );
}
