//! The loads, and how long they take.

use std::time::Duration;

use clap::builder::PossibleValuesParser;

use crate::wire::Kind;

/// Groups of one member, and requests in flight on their connections.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClosedLoad {
    /// Its name among the figures.
    pub(super) key: &'static str,
    pub(super) title: &'static str,
    pub(super) kind: Kind,
    pub(super) groups: u64,
    pub(super) connections: u64,
    pub(super) in_flight: u64,
    pub(super) partitions: i32,
}

/// Side by side, with a fixed number of requests in flight.
pub(super) const CLOSED: [ClosedLoad; 5] = [
    ClosedLoad {
        key: "heartbeat-100",
        title: "heartbeat, 100 groups, 4 connections x 16 in flight",
        kind: Kind::Heartbeats,
        groups: 100,
        connections: 4,
        in_flight: 16,
        partitions: 1,
    },
    ClosedLoad {
        key: "heartbeat-1",
        title: "heartbeat, 1 connection, 1 in flight",
        kind: Kind::Heartbeats,
        groups: 1,
        connections: 1,
        in_flight: 1,
        partitions: 1,
    },
    ClosedLoad {
        key: "commit-10",
        title: "commit of 10 offsets, 4 groups, 4 x 16",
        kind: Kind::Commits,
        groups: 4,
        connections: 4,
        in_flight: 16,
        partitions: 10,
    },
    ClosedLoad {
        key: "commit-1",
        title: "commit of 1 offset, 100 groups, 4 x 16",
        kind: Kind::Commits,
        groups: 100,
        connections: 4,
        in_flight: 16,
        partitions: 1,
    },
    ClosedLoad {
        key: "fetch-100",
        title: "fetch of 100 offsets, 4 groups, 4 x 8",
        kind: Kind::Fetches,
        groups: 4,
        connections: 4,
        in_flight: 8,
        partitions: 100,
    },
];

/// At a fixed rate, for the latency.
#[derive(Clone, Copy, Debug)]
pub(super) struct OpenLoad {
    pub(super) key: &'static str,
    pub(super) title: &'static str,
    pub(super) kind: Kind,
}

pub(super) const OPEN: [OpenLoad; 2] = [
    OpenLoad {
        key: "open-heartbeat",
        title: "heartbeat",
        kind: Kind::Heartbeats,
    },
    OpenLoad {
        key: "open-commit",
        title: "commit of 1 offset",
        kind: Kind::Commits,
    },
];

/// Groups of the open loads, each of one member.
pub(super) const OPEN_GROUPS: u64 = 64;
pub(super) const OPEN_CONNECTIONS: u64 = 16;

/// The percentiles that are shown, by name.
pub(super) const PERCENTILES: [(&str, f64); 5] = [
    ("p50", 50.0),
    ("p90", 90.0),
    ("p99", 99.0),
    ("p99.9", 99.9),
    ("max", 100.0),
];

/// Figures of many groups, of what they take, of a crowd and of the start, by load.
pub(super) const GROUPS: &str = "groups";
pub(super) const MEMORY: &str = "memory";
pub(super) const CROWD: &str = "crowd";
pub(super) const START: &str = "start";

/// The loads whose cost is shown against the number of groups.
pub(super) const GROWTH: [(&str, &str, Kind); 2] = [
    ("growth-heartbeat", "heartbeat", Kind::Heartbeats),
    ("growth-commit", "commit of 1 offset", Kind::Commits),
];

/// The names by which loads can be chosen.
pub(crate) fn load_names() -> PossibleValuesParser {
    let closed = CLOSED.iter().map(|load| load.key);
    let open = OPEN.iter().map(|load| load.key);
    PossibleValuesParser::new(
        [START, MEMORY, GROUPS, CROWD]
            .into_iter()
            .chain(closed)
            .chain(open),
    )
}

/// How much of everything.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    pub(super) rounds: usize,
    /// A closed or open load, after its warm-up.
    pub(super) length: Duration,
    pub(super) warmup: Duration,
    /// That of Kafka, whose code is compiled while it runs; before its first load thrice as long.
    pub(super) warmup_of_kafka: Duration,
    /// A load at one number of groups.
    pub(super) growth_length: Duration,
    /// Rising numbers of groups; the last is formed against the watch.
    pub(super) growth: [u64; 4],
    pub(super) crowd: usize,
    pub(super) rebalances: usize,
    /// Requests a second of the open loads.
    pub(super) rate: u64,
    /// Between the first answer and the look at idle memory.
    pub(super) settle: Duration,
    /// How long a load may take, its groups' forming included.
    pub(super) load_within: Duration,
    pub(super) groups_within: Duration,
    pub(super) crowd_within: Duration,
    /// No round begins that would probably end later than this.
    pub(super) ends_within: Duration,
}

impl Scale {
    pub(super) const WHOLE: Self = Self {
        rounds: 3,
        length: Duration::from_millis(1_200),
        warmup: Duration::from_millis(300),
        warmup_of_kafka: Duration::from_secs(2),
        growth_length: Duration::from_millis(500),
        growth: [10, 100, 1_000, 10_000],
        crowd: 1_000,
        rebalances: 4,
        rate: 5_000,
        settle: Duration::from_secs(1),
        load_within: Duration::from_secs(20),
        groups_within: Duration::from_mins(1),
        crowd_within: Duration::from_secs(15),
        ends_within: Duration::from_secs(590),
    };

    /// To see that all of it works; the figures are not to be quoted.
    pub(super) const QUICK: Self = Self {
        rounds: 1,
        length: Duration::from_millis(300),
        warmup: Duration::from_millis(100),
        warmup_of_kafka: Duration::from_millis(500),
        growth_length: Duration::from_millis(200),
        growth: [10, 50, 200, 1_000],
        crowd: 200,
        rebalances: 4,
        rate: 1_000,
        settle: Duration::from_millis(300),
        load_within: Duration::from_secs(8),
        groups_within: Duration::from_secs(20),
        crowd_within: Duration::from_secs(5),
        ends_within: Duration::from_mins(1),
    };

    /// Groups that are formed against the watch.
    pub(super) fn groups(&self) -> u64 {
        self.growth[self.growth.len() - 1]
    }
}
