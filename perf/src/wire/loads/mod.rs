//! Loads that are made of steps, each done whole before the next begins.

mod deaf;
mod flood;
mod rebalances;
mod scrape;

pub(crate) use deaf::Deaf;
pub(crate) use flood::Flood;
pub(crate) use rebalances::Rebalances;
pub(crate) use scrape::Scrape;

use super::forming::{AT_ONCE, Shape};
use crate::failure::Failure;

/// A load on groups of its own, made ready and then done step by step, from within a `LocalSet`.
pub(crate) trait Load {
    /// Does it once more.
    async fn step(&mut self) -> Result<(), Failure>;

    /// Leaves nothing under way, until the next step.
    fn rest(&mut self) {}
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
