//! The handle of a shard: asks go in, the loop is run, outcomes come back.

use std::sync::{Arc, Weak};

use tokio::sync::oneshot;

use super::answer::{Answer, Outcome};
use super::event::Event;
use super::mailbox::{Batch, MailboxConfig, Rejected};
use super::ownership::{Drive, Driver, Ran, ShardLoop, Turn};
use super::state::{ShardState, Shared};
use crate::atomic::{AtomicU64, Ordering};
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
    /// The latest tick that any turn was given. Written and read by the owner of a turn; threads
    /// read the clock before they own the loop, and time must not run backwards for the groups.
    latest: AtomicU64,
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
            // One outcome a batch, a stall, a close.
            controls_max: ShardState::IN_FLIGHT_MAX + 6,
            ..MailboxConfig::default()
        };
        let (core, bell) = ShardLoop::new(state, &config);
        let shard = Arc::new_cyclic(|me| Self {
            id,
            core,
            shared,
            me: Weak::clone(me),
            latest: AtomicU64::new(now.tick.0),
        });
        Ok((shard, bell))
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
                self.run(now);
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

    fn control(&self, event: Event, now: Option<Now>) {
        if let Err(rejected) = self.core.submit_control(event) {
            // Poisoned: whoever waited was told when the state was dropped. Full cannot be: the
            // lane has room for every batch that may be on its way.
            tracing::error!(shard = self.id.0, "a control event was lost: {rejected}");
            return;
        }
        // A journal has no clock to offer: the latest known time will do.
        self.run(now.unwrap_or_default());
    }

    /// Nobody was served for that long.
    pub(crate) fn stalled(&self, ms: u64, now: Now) {
        self.control(Event::Stalled { ms }, Some(now));
    }

    /// Gives the groups up; later requests are refused with this.
    pub(crate) fn close(&self, refusal: Refusal, now: Now) {
        if !self.core.is_poisoned() {
            self.control(Event::Close { refusal }, Some(now));
        }
    }

    fn run(&self, now: Now) -> Ran {
        self.core.run(|state, batch| self.turn(state, batch, now))
    }

    /// Serves what waits and what is due; for the shard's driver.
    pub(super) fn drive(&self, now: Now) -> (Drive, bool) {
        let mut has_members = false;
        let next = self.core.drive(|state, batch| {
            let turn = self.turn(state, batch, now);
            has_members = state.has_members();
            turn
        });
        (next, has_members)
    }

    /// Serves what waits and what is due until nothing is; when something will be due next.
    pub(crate) fn run_due(&self, now: Now) -> Option<Tick> {
        loop {
            match self.drive(now).0 {
                Drive::Again => {}
                Drive::ParkUntil(at) => return at,
                Drive::Poisoned => return None,
            }
        }
    }

    fn turn(&self, state: &mut ShardState, batch: &mut Batch<'_, Event>, now: Now) -> Turn {
        let now = self.advance(now);
        // While the journal has enough to do, only its outcomes are taken.
        while let Some(event) = if state.can_hand_over() {
            batch.next()
        } else {
            batch.next_control()
        } {
            state.step(event, now);
        }
        // Whoever was heard must be heard before anyone is expired for silence: timers wait until
        // the mailbox is drained, or as full as it may be.
        let more = batch.left() > 0 && state.fire_due(now, FIRED_MAX);
        let outcomes = self.me.upgrade();
        if let Some(outcomes) = outcomes {
            state.hand_over(&(outcomes as Arc<dyn Outcomes>));
        }
        let depth = self.core.mailbox().requests();
        self.metrics()
            .mailbox_depth
            .set(i64::try_from(depth).unwrap_or(i64::MAX));
        Turn {
            wake_at: state.next_deadline(),
            more,
        }
    }

    /// The time of this turn: never before that of the turn before.
    fn advance(&self, now: Now) -> Now {
        // Relaxed, both: only the owner comes here, and owners follow one another through the
        // loop's word.
        let latest = self.latest.load(Ordering::Relaxed);
        if now.tick.0 <= latest {
            let behind = i64::try_from(latest - now.tick.0).unwrap_or(0);
            let wall = crate::time::WallMs(now.wall.0.saturating_add(behind));
            return Now {
                tick: Tick(latest),
                wall,
            };
        }
        self.latest.store(now.tick.0, Ordering::Relaxed);
        now
    }

    pub(super) fn ring(&self) {
        self.core.ring();
    }
}

impl Outcomes for Shard {
    fn settled(&self, ticket: Ticket, outcome: Result<(), Refusal>) {
        self.control(Event::Settled { ticket, outcome }, None);
    }
}
