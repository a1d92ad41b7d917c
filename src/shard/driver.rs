//! The thread that fires a shard's timers, and notices when it was not let.

use std::sync::Arc;
use std::time::Duration;

use super::ownership::{Drive, Driver};
use super::worker::Shard;
use crate::atomic::{AtomicBool, Ordering};
use crate::time::{Clock, Tick};

/// While members are watched the driver looks up at least this often, in milliseconds, so that
/// it can tell how long the process was stopped. Two wake-ups a second cost nothing.
const PULSE_MS: u64 = 500;

/// A wake-up that is later than this, in milliseconds, is no matter of scheduling any more.
const STALL_MS: u64 = 250;

/// The right to stop a shard's thread.
#[derive(Debug)]
pub(crate) struct DriverThread {
    shard: Arc<Shard>,
    // Written once by whoever stops the engine, read by the driver's thread.
    stops: Arc<AtomicBool>,
}

impl DriverThread {
    /// Starts the thread.
    pub(crate) fn start(
        shard: &Arc<Shard>,
        bell: Driver,
        clock: Arc<dyn Clock>,
    ) -> std::io::Result<Self> {
        let stops = Arc::new(AtomicBool::new(false));
        let driver = Self {
            shard: Arc::clone(shard),
            stops: Arc::clone(&stops),
        };
        let shard = Arc::clone(shard);
        std::thread::Builder::new()
            .name(format!("takhin-shard-{}", shard.id().0))
            .spawn(move || drive(&shard, &bell, &*clock, &stops))?;
        Ok(driver)
    }

    /// Tells the thread to end; does not wait for it.
    pub(crate) fn stop(&self) {
        // Release: pairs with the acquire in `drive`; what was done before the stop is seen.
        self.stops.store(true, Ordering::Release);
        self.shard.ring();
    }
}

fn drive(shard: &Shard, bell: &Driver, clock: &dyn Clock, stops: &AtomicBool) {
    let mut is_watching = false;
    while !stops.load(Ordering::Acquire) {
        let before = clock.now();
        let (next, has_members) = shard.drive(before);
        // A loop that somebody else runs tells nothing: what was known holds.
        is_watching = has_members || (is_watching && next == Drive::ParkUntil(None));
        let wake_at = match next {
            Drive::Again => continue,
            Drive::Poisoned => return,
            Drive::ParkUntil(at) => at,
        };
        let wait_ms = wait_ms(wake_at, before.tick, is_watching);
        bell.park(wait_ms.map(Duration::from_millis));
        let after = clock.now();
        let gone_ms = after.tick.since_ms(before.tick);
        if is_watching && wait_ms.is_some_and(|wait_ms| gone_ms > wait_ms + STALL_MS) {
            shard.stalled(gone_ms, after);
        }
    }
}

fn wait_ms(wake_at: Option<Tick>, now: Tick, is_watching: bool) -> Option<u64> {
    let pulse = is_watching.then_some(PULSE_MS);
    let due = wake_at.map(|at| at.since_ms(now));
    match (due, pulse) {
        (Some(due), Some(pulse)) => Some(due.min(pulse)),
        (due, pulse) => due.or(pulse),
    }
}
