//! The handle of a shard: asks go in, the loop is run, outcomes come back.

use std::sync::{Arc, Weak};

use tokio::sync::oneshot;

use super::answer::{Answer, Outcome};
use super::event::Event;
use super::mailbox::{Batch, MailboxConfig, Rejected};
use super::ownership::{Drive, Driver, Ran, ShardLoop, Turn};
use super::state::{ShardState, Shared};
use crate::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::error::Refusal;
use crate::group::{Request, Rules};
use crate::ids::ShardId;
use crate::journal::{LoadError, Outcomes, Ticket};
use crate::metrics::{RefusalCause, ShardMetrics};
use crate::time::{Now, Tick};

/// Timers fired in one turn at most; at some 80 ns each, 1,024 are below a tenth of a millisecond.
const FIRED_MAX: usize = 1_024;

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
}

impl Shard {
    /// Loads the shard from its journal; with it comes the driver's end of its loop.
    pub(crate) fn open(
        id: ShardId,
        rules: Rules,
        shared: Arc<Shared>,
        requests_max: usize,
        now: Now,
    ) -> Result<(Arc<Self>, Driver), LoadError> {
        let mut state = ShardState::new(id, rules, Arc::clone(&shared), now);
        state.load(now)?;
        let config = MailboxConfig {
            requests_max,
            // One outcome a batch, and a close.
            controls_max: ShardState::IN_FLIGHT_MAX + 1,
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
        });
        Ok((shard, bell))
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
        let (answer, receiver) = oneshot::channel();
        let refused = match self.core.submit(Event::Request { request, answer }) {
            Ok(()) => {
                self.run(|| now);
                return Answer::waiting(receiver);
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
        if let (Event::Request { request, answer }, refusal) = refused {
            // The receiver is in our own hands.
            let _ = answer.send(request.refused(refusal));
        }
        Answer::waiting(receiver)
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
        self.core.run(|state, batch| self.turn(state, batch, now()))
    }

    /// Serves what waits and what is due; for the one that drives the shard.
    pub(super) fn drive(&self, now: Now) -> Drive {
        self.core.drive(|state, batch| self.turn(state, batch, now))
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
                Drive::Again => {}
                Drive::ParkUntil(at) => return at,
                Drive::Poisoned => return None,
            }
        }
    }

    fn turn(&self, state: &mut ShardState, batch: &mut Batch<'_, Event>, now: Now) -> Turn {
        // Before anything else: who could not be heard is not to be expired for it.
        // A load first: a turn is short, and this is news once in a blue moon.
        let unserved_ms = match self.unserved_ms.load(Ordering::Relaxed) {
            0 => 0,
            _ => self.unserved_ms.swap(0, Ordering::Relaxed),
        };
        let now = state.begin_turn(now, unserved_ms);
        let mut taken = 0;
        // While the journal has enough to do, only its outcomes are taken.
        while let Some(event) = if state.takes_requests() {
            batch.next()
        } else {
            batch.next_control()
        } {
            taken += usize::from(matches!(event, Event::Request { .. }));
            state.step(event, now);
        }
        let held = !state.takes_requests();
        // An outcome that came just in time counts.
        state.refuse_overdue(now);
        let left = self.core.mailbox().requests();
        let is_drained = batch.left() > 0 || left == 0;
        let more = state.fire_due(is_drained, taken, left, now, FIRED_MAX);
        state.hand_over(&self.me, now);
        self.metrics()
            .mailbox_depth
            .set(i64::try_from(left).unwrap_or(i64::MAX));
        let holds = !state.takes_requests();
        Turn {
            wake_at: state.wake_at(now),
            // What was held and is now to be refused.
            more: more || (held && !holds),
            holds,
        }
    }
}

impl Outcomes for Shard {
    fn settled(&self, ticket: Ticket, outcome: Result<(), Refusal>) {
        // A journal has no time to offer. The clock is read only if the loop is free.
        self.control(Event::Settled { ticket, outcome }, || {
            self.shared.clock.now()
        });
    }
}

impl Drop for Shard {
    fn drop(&mut self) {
        self.core.ring();
    }
}
