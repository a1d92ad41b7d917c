//! The disk journal beside its floors: commits in flight, bytes written, carrying, cold starts.
//!
//! Figures of one run only are comparable, as ratios: floor and engine take turns, and the median
//! of their turns counts.

mod cold;
mod commits;
mod floor;

pub(crate) use commits::{Beside, commits_beside_a_bare_log, run};
pub(crate) use floor::{Bare, payload_of_a_commit};
