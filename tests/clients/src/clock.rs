//! The only clock of these tests: real clients live in real time.

use std::time::Instant;

/// Reads the clock.
#[expect(
    clippy::disallowed_methods,
    reason = "real clients live in real time, none is virtual"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}
