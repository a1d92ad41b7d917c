//! The only place that reads a clock.

use std::fmt;
use std::ops::Add;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Milliseconds of monotonic time since the clock's own beginning.
///
/// Ticks of different clocks must not be compared.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct Tick(pub u64);

impl Tick {
    /// Milliseconds from `earlier` to here, 0 if `earlier` is later.
    pub fn since_ms(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// The tick that many milliseconds later; saturates.
impl Add<u64> for Tick {
    type Output = Self;

    fn add(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }
}

/// Milliseconds of wall time since 1970-01-01 UTC, as Kafka's timestamps.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct WallMs(pub i64);

/// One reading of a clock: monotonic for deadlines, wall for timestamps that are stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Now {
    /// Monotonic time.
    pub tick: Tick,
    /// Wall time.
    pub wall: WallMs,
}

/// A source of time; several engines may share one.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Reads the clock. The tick never goes back.
    fn now(&self) -> Now;
}

/// The operating system's clocks.
#[derive(Debug)]
pub struct SystemClock {
    started: std::time::Instant,
}

impl SystemClock {
    /// A clock whose tick 0 is now.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the clock"
    )]
    pub fn new() -> Self {
        Self {
            started: std::time::Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the clock"
    )]
    fn now(&self) -> Now {
        let tick = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let wall = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| {
                i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
            });
        Now {
            tick: Tick(tick),
            wall: WallMs(wall),
        }
    }
}

/// A clock that moves only when it is told to: for tests, simulations and hosts with a clock of
/// their own. Clones share the time.
#[derive(Clone, Debug, Default)]
pub struct ManualClock {
    // Written by whoever drives the test or simulation, read by any.
    elapsed_ms: Arc<AtomicU64>,
}

impl ManualClock {
    /// The wall time of tick 0: 2026-01-01 UTC.
    pub const WALL_START_MS: i64 = 1_767_225_600_000;

    /// A clock at tick 0.
    pub fn new() -> Self {
        Self::default()
    }

    /// Moves both times forward by that many milliseconds.
    pub fn advance_ms(&self, ms: u64) {
        // Release: what the driver did before it moved the clock is seen by who reads the new time.
        self.elapsed_ms.fetch_add(ms, Ordering::Release);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Now {
        // Acquire: pairs with the release in `advance_ms`.
        let ms = self.elapsed_ms.load(Ordering::Acquire);
        let wall = Self::WALL_START_MS.saturating_add(i64::try_from(ms).unwrap_or(i64::MAX));
        Now {
            tick: Tick(ms),
            wall: WallMs(wall),
        }
    }
}
