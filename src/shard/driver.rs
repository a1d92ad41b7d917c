//! The thread that fires a shard's timers.

use std::sync::{Arc, Weak};
use std::thread::yield_now;
use std::time::Duration;

use super::ownership::{Drive, Driver};
use super::worker::Shard;
use crate::time::Clock;

/// Starts the thread. It holds the shard only while it drives it, and ends with it: a shard that
/// goes rings its bell.
pub(crate) fn start(
    shard: &Arc<Shard>,
    bell: Driver,
    clock: Arc<dyn Clock>,
) -> std::io::Result<()> {
    let name = format!("takhin-shard-{}", shard.id().0);
    let shard = Arc::downgrade(shard);
    std::thread::Builder::new()
        .name(name)
        .spawn(move || drive(&shard, &bell, &*clock))?;
    Ok(())
}

fn drive(shard: &Weak<Shard>, bell: &Driver, clock: &dyn Clock) {
    while let Some(shard) = shard.upgrade() {
        let mut now = clock.now();
        let mut next = shard.drive(now);
        // Held until nothing is left to do: the engine may be gone, and its close be what waits.
        while next == Drive::Again {
            // Whoever was answered may have been woken on this very core, and would wait there for
            // the system to interrupt us, for milliseconds.
            yield_now();
            now = clock.now();
            next = shard.drive(now);
        }
        drop(shard);
        match next {
            Drive::Again => {}
            Drive::Poisoned => return,
            Drive::ParkUntil(at) => {
                bell.park(at.map(|at| Duration::from_millis(at.since_ms(now.tick))));
            }
        }
    }
}
