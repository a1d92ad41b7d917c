//! Loads over the wire, on any server that speaks Kafka.
//!
//! Groups are formed as clients form them ([`forming`], [`life`]); then they are loaded, [`open`]
//! at a rate that is fixed before, or [`closed`] with a fixed number of requests in flight on each
//! connection, also turn by turn ([`fleet`]). A [`crowd`] is one big group, formed and rebalanced
//! against the watch. What is done over and over is in [`loads`].

pub(crate) mod closed;
pub(crate) mod crowd;
pub(crate) mod fleet;
pub(crate) mod forming;
mod gathered;
mod life;
pub(crate) mod loads;
pub(crate) mod open;
mod pacer;
mod readers;
mod requests;
mod schedule;
mod socket;
mod together;
pub(crate) mod versions;

/// What is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// `Heartbeat` 4.
    Heartbeats,
    /// `OffsetCommit` 9, each an offset ahead of the last.
    Commits,
    /// The same, each of the same offset.
    Recommits,
    /// `OffsetFetch` 9 of what was committed.
    Fetches,
    /// `OffsetFetch` 9 of all that a group has.
    FetchesOfAll,
}

impl Kind {
    /// The API and its version.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Heartbeats => "Heartbeat 4",
            Self::Commits => "OffsetCommit 9",
            Self::Recommits => "OffsetCommit 9 of the same offsets",
            Self::Fetches => "OffsetFetch 9",
            Self::FetchesOfAll => "OffsetFetch 9 of all",
        }
    }
}
