//! The handle of a shard: asks go in, the loop is run, outcomes come back.

use std::sync::{Arc, Weak};
use std::thread::yield_now;

use tokio::sync::oneshot;

use super::answer::{Answer, Outcome};
use super::desk::Here;
use super::event::{Asked, Event, Settled};
use super::gate::{Gate, ShardPhase};
use super::look::OffsetsLook;
use super::mailbox::{Batch, MailboxConfig, Rejected};
use super::outbox::Sent;
use super::ownership::{Drive, Driver, Ran, ShardLoop, Turn};
use super::state::{ShardState, Shared};
use crate::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::error::Refusal;
use crate::group::{Reply, Request, Rules};
use crate::ids::ShardId;
use crate::journal::{LoadError, Outcomes, Ticket};
use crate::metrics::{RefusalCause, ShardMetrics};
use crate::time::{Now, Tick};

/// Who takes a turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum By {
    /// The one that drives the shard. What takes long is its work: crowds that die, and groups
    /// that come to rest.
    Driver,
    /// Somebody who has brought an event, and waits for what comes of it.
    Others,
}

impl By {
    /// Timers fired in one turn at most, of sections whose members live: who waits for the turn to
    /// end waits for them. One takes a microsecond or two; of those who die two end the driver's
    /// turn, and one that of others: while thousands are due, each request would carry its part of
    /// them, and more would come than are answered.
    fn fired_max(self) -> usize {
        match self {
            Self::Driver => 32,
            Self::Others => 1,
        }
    }
}

/// Looks at a loop that is taken, where no turn waits for a journal: some two microseconds.
const LOOKS_MAX: u32 = 200;

/// A shard: share it, ask it.
#[derive(Debug)]
pub(crate) struct Shard {
    id: ShardId,
    core: ShardLoop<ShardState, Event>,
    shared: Arc<Shared>,
    me: Weak<Self>,
    /// For how long the host says that nobody was served, in milliseconds. Written by the host,
    /// taken by the owner of a turn.
    unserved_ms: AtomicU64,
    /// Whether it was given up. Written by whoever does it first, so that the control lane holds
    /// one such event at most.
    is_closed: AtomicBool,
    gate: Gate,
    /// Whether no turn waits for a journal.
    answers_at_once: bool,
}

impl Shard {
    /// A shard that is not loaded yet; with it comes the driver's end of its loop. The first that
    /// drives it loads it.
    pub(crate) fn new(
        id: ShardId,
        rules: Rules,
        shared: Arc<Shared>,
        requests_max: usize,
        now: Now,
    ) -> (Arc<Self>, Driver) {
        let answers_at_once = shared.journal.keeps_nothing();
        let state = ShardState::new(id, rules, Arc::clone(&shared), now);
        let config = MailboxConfig {
            requests_max,
            // One outcome a batch, and a close.
            controls_max: ShardState::IN_FLIGHT_MAX + 1,
            looks_max: if answers_at_once { LOOKS_MAX } else { 1 },
            ..MailboxConfig::default()
        };
        let (core, bell) = ShardLoop::new(state, &config);
        let shard = Arc::new_cyclic(|me| Self {
            id,
            core,
            shared,
            me: Weak::clone(me),
            unserved_ms: AtomicU64::new(0),
            is_closed: AtomicBool::new(false),
            gate: Gate::new(),
            answers_at_once,
        });
        (shard, bell)
    }

    /// What stands before its mailbox.
    pub(crate) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Whether a step of it has panicked.
    pub(crate) fn has_failed(&self) -> bool {
        self.core.is_poisoned()
    }

    pub(crate) fn id(&self) -> ShardId {
        self.id
    }

    fn metrics(&self) -> &ShardMetrics {
        self.shared.metrics.shard(self.id.0 as usize)
    }

    /// Asks; the answer is there at once if the shard is idle and nothing is to be waited for.
    pub(crate) fn ask<T: Outcome>(&self, request: Request, now: Now) -> Answer<T> {
        if let Some(reply) = self.at_gate(&request) {
            return Answer::replied(reply);
        }
        let mut own = Own::Asked(request);
        self.run_own(now, &mut own);
        match own {
            Own::Asked(request) => self.ask_by_mailbox(request, now),
            Own::Answered(reply) => Answer::replied(reply),
            Own::Waits(receiver) => Answer::waiting(receiver),
            // The turn panicked.
            Own::Taken | Own::Nothing | Own::Looks(_) => {
                Answer::ready(T::refused(Refusal::NotAvailable))
            }
        }
    }

    /// Takes a turn for what the calling thread has asked itself, if the loop is free.
    pub(super) fn run_own(&self, now: Now, own: &mut Own<'_>) {
        let mut has_served = false;
        self.core.run_if_free(|state, batch| {
            let left = batch.left();
            let turn = self.turn(state, batch, now, own, By::Others);
            has_served |= batch.left() < left;
            turn
        });
        if has_served {
            // Whoever was answered may have been woken on this very core, as by the driver.
            yield_now();
        }
    }

    /// Whether nothing is answered at the gate.
    pub(super) fn is_open(&self) -> bool {
        self.gate.phase() == ShardPhase::Serving
    }

    fn ask_by_mailbox<T: Outcome>(&self, request: Request, now: Now) -> Answer<T> {
        let (answer, receiver) = oneshot::channel();
        let asked = Box::new(Asked { request, answer });
        let refused = match self.core.submit(Event::Request(asked)) {
            Ok(()) => {
                let ran = self.run(|| now);
                return if ran == Ran::Busy && self.answers_at_once {
                    Answer::soon(receiver)
                } else {
                    Answer::waiting(receiver)
                };
            }
            Err(Rejected::Full(event)) => {
                self.metrics().refusals(RefusalCause::MailboxFull).add(1);
                (event, Refusal::Overloaded)
            }
            Err(Rejected::Poisoned(event)) => {
                self.metrics().refusals(RefusalCause::ShardFailed).add(1);
                (event, Refusal::NotAvailable)
            }
        };
        if let (Event::Request(asked), refusal) = refused {
            let Asked { request, answer } = *asked;
            // The receiver is in our own hands.
            let _ = answer.send(Sent::alone(request.refused(refusal)));
        }
        Answer::waiting(receiver)
    }

    fn at_gate(&self, request: &Request) -> Option<Reply> {
        // Relaxed: see `close`.
        let reply = self
            .gate
            .answer(request, self.is_closed.load(Ordering::Relaxed))?;
        let cause = match self.gate.phase() {
            ShardPhase::Failed => RefusalCause::ShardFailed,
            ShardPhase::Loading | ShardPhase::Serving => RefusalCause::Loading,
        };
        self.metrics().refusals(cause).add(1);
        Some(reply)
    }

    fn control(&self, event: Event, now: impl Fn() -> Now) {
        match self.core.submit_control(event) {
            Ok(()) => {
                self.run(now);
            }
            // Whoever waited was told when the state was dropped.
            Err(Rejected::Poisoned(_)) => {}
            Err(rejected @ Rejected::Full(_)) => {
                // Cannot be: the lane has room for every batch that may be on its way.
                tracing::error!(shard = self.id.0, "a control event was lost: {rejected}");
            }
        }
    }

    /// Nobody was served for that long, says the host.
    pub(crate) fn stalled(&self, ms: u64) {
        // Relaxed: only the number counts, and the turn that takes it needs nothing else of ours.
        self.unserved_ms.fetch_add(ms, Ordering::Relaxed);
        self.run_due();
    }

    /// Gives the groups up; later requests are refused with this. Idempotent.
    pub(crate) fn close(&self, refusal: Refusal, now: Now) {
        // Relaxed: only who is first is decided here.
        if self.is_closed.swap(true, Ordering::Relaxed) {
            return;
        }
        self.control(Event::Close { refusal }, || now);
        // What waits may be more than one drain.
        self.run_due();
    }

    fn run(&self, now: impl Fn() -> Now) -> Ran {
        self.core.run(|state, batch| {
            let own = &mut Own::Nothing;
            self.turn(state, batch, now(), own, By::Others)
        })
    }

    /// Serves what waits and what is due; for the one that drives the shard.
    pub(super) fn drive(&self, now: Now) -> Drive {
        self.core
            .drive(|state, batch| self.turn(state, batch, now, &mut Own::Nothing, By::Driver))
    }

    /// Serves what waits and what is due until nothing is; when something will be due next. A
    /// shard with a thread of its own leaves it to that.
    pub(crate) fn run_due(&self) -> Option<Tick> {
        if self.shared.has_drivers {
            self.core.ring();
            return None;
        }
        loop {
            match self.drive(self.shared.clock.now()) {
                // As in the driver's thread.
                Drive::Again => yield_now(),
                Drive::ParkUntil(at) => return at,
                Drive::Poisoned => return None,
            }
        }
    }

    /// Loads the shard on the calling thread, unless somebody has begun.
    pub(crate) fn load(&self) {
        self.drive(self.shared.clock.now());
    }

    /// The first turn. All that is asked meanwhile is answered at the gate.
    fn load_in_turn(&self, state: &mut ShardState, now: Now) -> Turn {
        // A panic must not leave the gate as it is.
        let passing = Passing { gate: &self.gate };
        // Relaxed: see `close`; it is seen sooner or later.
        let stop = || self.is_closed.load(Ordering::Relaxed);
        let replayed = state.replay(&self.gate, stop, now);
        let replayed_at = self.shared.clock.now();
        match replayed {
            Ok(()) => {
                state.revive(replayed_at);
                let load_ms = replayed_at.tick.since_ms(now.tick);
                tracing::debug!(
                    shard = self.id.0,
                    records = self.gate.records(),
                    load_ms,
                    "loaded"
                );
                state.count_load(self.gate.records(), load_ms);
                self.gate.open();
            }
            Err(error) => {
                if !matches!(error, LoadError::Interrupted) {
                    tracing::error!(
                        shard = self.id.0,
                        %error,
                        "the shard could not be loaded and its groups are not available; all \
                         others serve. Look at the disk, or restore the journal from a copy, \
                         then start again"
                    );
                }
                self.gate.fail(error);
            }
        }
        drop(passing);
        Turn {
            wake_at: None,
            // Whatever is due is due by a later reading of the clock.
            more: true,
            holds: false,
        }
    }

    /// One turn; `own` is what the thread that takes it has asked itself.
    fn turn(
        &self,
        state: &mut ShardState,
        batch: &mut Batch<'_, Event>,
        now: Now,
        own: &mut Own<'_>,
        by: By,
    ) -> Turn {
        if self.gate.is_loading() {
            return self.load_in_turn(state, now);
        }
        // Before anything else: who could not be heard is not to be expired for it.
        // A load first: a turn is short, and this is news once in a blue moon.
        let unserved_ms = match self.unserved_ms.load(Ordering::Relaxed) {
            0 => 0,
            _ => self.unserved_ms.swap(0, Ordering::Relaxed),
        };
        let now = state.begin_turn(now, unserved_ms);
        own.take_up(state, batch, now);
        let mut taken = 0;
        // While the journal has enough to do, only its outcomes are taken.
        while let Some(event) = if state.takes_requests() {
            batch.next()
        } else {
            batch.next_control()
        } {
            taken += usize::from(matches!(event, Event::Request(_)));
            state.step(event, now);
        }
        let held = !state.takes_requests();
        // An outcome that came just in time counts.
        state.refuse_overdue(now);
        let left = self.core.mailbox().requests();
        let is_drained = batch.left() > 0 || left == 0;
        let mut more = state.fire_due(is_drained, taken, left, now, by.fired_max());
        state.hand_over(&self.me, now);
        state.answers.send_on(now.tick);
        own.answered(state);
        if by == By::Driver {
            more |= state.rest(now.tick);
        }
        state.show();
        self.metrics()
            .mailbox_depth
            .set(i64::try_from(left).unwrap_or(i64::MAX));
        state.end_turn();
        let holds = !state.takes_requests();
        Turn {
            wake_at: state.wake_at(now),
            // What was held and is now to be refused.
            more: more || (held && !holds),
            holds,
        }
    }
}

/// A request of the thread that runs the turn: it needs no mailbox, nor, if it can be answered
/// within the turn, a channel.
pub(super) enum Own<'o> {
    /// There is none, or it is done.
    Nothing,
    /// Not taken up: the shard takes no requests now.
    Asked(Request),
    /// No request, but a look; the same.
    Looks(OffsetsLook<'o>),
    /// Being carried out.
    Taken,
    Answered(Reply),
    Waits(oneshot::Receiver<Sent>),
}

impl Own<'_> {
    /// Carries it out, if the shard takes requests.
    fn take_up(&mut self, state: &mut ShardState, batch: &mut Batch<'_, Event>, now: Now) {
        if !matches!(self, Self::Asked(_) | Self::Looks(_)) {
            return;
        }
        // They go before any request.
        while let Some(event) = batch.next_control() {
            state.step(event, now);
        }
        if !state.takes_requests() {
            return;
        }
        match std::mem::replace(self, Self::Taken) {
            Self::Asked(request) => state.step_here(request, now),
            Self::Looks(mut look) => {
                state.look_at_offsets(&mut look);
                *self = Self::Nothing;
            }
            Self::Nothing | Self::Taken | Self::Answered(_) | Self::Waits(_) => {}
        }
    }

    /// The turn ends: its answer, or where it will come.
    fn answered(&mut self, state: &mut ShardState) {
        match state.take_here() {
            Here::Answered(reply) => *self = Self::Answered(reply),
            Here::Waits(receiver) => *self = Self::Waits(receiver),
            Here::None | Here::Asks(_) => {}
        }
    }
}

/// Fails the gate of a load that did not come to its end.
struct Passing<'g> {
    gate: &'g Gate,
}

impl Drop for Passing<'_> {
    fn drop(&mut self) {
        if self.gate.is_loading() {
            self.gate.fail(LoadError::Interrupted);
        }
    }
}

impl Outcomes for Shard {
    fn settled(&self, ticket: Ticket, outcome: Result<(), Refusal>) {
        // A journal has no time to offer. The clock is read only if the loop is free.
        let settled = Box::new(Settled { ticket, outcome });
        self.control(Event::Settled(settled), || self.shared.clock.now());
    }
}

impl Drop for Shard {
    fn drop(&mut self) {
        self.core.ring();
    }
}
