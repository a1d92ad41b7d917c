//! The disk journal beside its floors: commits in flight, bytes written, carrying, cold starts.
//!
//! Figures of one run only are comparable, as ratios: floor and engine take turns, and the median
//! of their turns counts.

mod cold;
mod commits;
mod floor;

pub(crate) use commits::run;
