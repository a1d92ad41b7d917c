//! Loads that are made of steps, each done whole before the next begins.

mod crowds;
mod deaf;
mod deploy;
mod flood;
mod idle;
mod kill;
mod rebalances;
mod scrape;
mod seen;
mod storm;

pub(crate) use deaf::Deaf;
pub(crate) use deploy::Deploy;
pub(crate) use flood::Flood;
pub(crate) use idle::Idle;
pub(crate) use kill::Kill;
pub(crate) use rebalances::Rebalances;
pub(crate) use scrape::Scrape;
pub(crate) use seen::Seen;
pub(crate) use storm::Storm;

use super::forming::{AT_ONCE, Shape};
use crate::failure::Failure;

/// A load on groups of its own, made ready and then done step by step, from within a `LocalSet`.
pub(crate) trait Load {
    /// Does it once more, and tells what it has shown.
    async fn step(&mut self, seen: &mut Seen) -> Result<(), Failure>;

    /// Leaves nothing under way, until the next step.
    fn rest(&mut self) {}
}

/// As many as there may be in memory.
fn number(of: u64) -> usize {
    usize::try_from(of).unwrap_or(usize::MAX)
}

/// Groups of one member for a load.
fn shape(groups: u64, partitions: i32) -> Shape {
    Shape {
        groups,
        group_size: 1,
        partitions,
        session_ms: SESSION_MS,
        at_once: AT_ONCE,
    }
}

/// No member of a load dies of silence meanwhile.
const SESSION_MS: i32 = 300_000;
