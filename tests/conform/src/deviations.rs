//! Where the server differs from Kafka on purpose, and what it does not offer yet. An entry
//! that no longer applies is an error of the check, so these tables cannot rot.

/// A deliberate deviation from what Kafka answers.
#[derive(Debug, Clone, Copy)]
pub struct Deviation {
    /// The case, as `group/name`.
    pub case: &'static str,
    /// The step's label; `*` for any step of the case.
    pub step: &'static str,
    /// Why the server is right to differ.
    pub reason: &'static str,
}

/// Cases that need an API which the server does not offer yet.
#[derive(Debug, Clone, Copy)]
pub struct NotOffered {
    /// The case, as `group/name`, or a whole group, as `group/`.
    pub cases: &'static str,
    /// Which API, and when it comes.
    pub reason: &'static str,
}

const CONSUMER: &str = "the consumer protocol (KIP-848) is not offered yet";
const MIGRATION: &str = "migration between protocols needs the consumer protocol (KIP-848)";
const SHARE: &str = "share groups (KIP-932) are not offered yet";
const STREAMS: &str = "streams groups (KIP-1071) are not offered yet";

/// A step of the case that writes down the versions of each API.
const fn version(api: &'static str, reason: &'static str) -> Deviation {
    Deviation {
        case: "discovery/versions-offered",
        step: api,
        reason,
    }
}

const fn lacks(cases: &'static str, reason: &'static str) -> NotOffered {
    NotOffered { cases, reason }
}

/// All deliberate deviations.
pub const DEVIATIONS: &[Deviation] = &[
    version("ConsumerGroupHeartbeat", CONSUMER),
    version("ConsumerGroupDescribe", CONSUMER),
    version("ShareGroupHeartbeat", SHARE),
    version("ShareGroupDescribe", SHARE),
    version("DescribeShareGroupOffsets", SHARE),
    version("StreamsGroupHeartbeat", STREAMS),
    version("StreamsGroupDescribe", STREAMS),
];

/// All that is not offered yet.
pub const NOT_OFFERED: &[NotOffered] = &[
    lacks("consumer-protocol/", CONSUMER),
    lacks("consumer-static/", CONSUMER),
    lacks("consumer-regex/", CONSUMER),
    lacks("walk/consumer-1", CONSUMER),
    lacks("walk/consumer-2", CONSUMER),
    lacks("walk/consumer-3", CONSUMER),
    lacks("walk/consumer-4", CONSUMER),
    lacks("walk/consumer-5", CONSUMER),
    lacks("walk/consumer-6", CONSUMER),
    lacks("walk/consumer-7", CONSUMER),
    lacks("walk/consumer-8", CONSUMER),
    lacks("timed/consumer-session", CONSUMER),
    lacks("timed/consumer-static-silent", CONSUMER),
    lacks("timed/classic-member-inside-doesnt-rejoin", MIGRATION),
    lacks("timed/classic-member-inside-doesnt-sync", MIGRATION),
    lacks("migration/", MIGRATION),
    lacks("share/", SHARE),
    lacks("txn/consumer-group", CONSUMER),
    lacks("txn/version-6-in-a-consumer-group", CONSUMER),
    lacks("small-group/consumer-group", CONSUMER),
    lacks("small-group/consumer-group-static-restart", CONSUMER),
    lacks("small-group/too-large-to-upgrade", MIGRATION),
    lacks("no-migration/no-upgrade", MIGRATION),
    lacks("classic-only/consumer-protocol-disabled", CONSUMER),
];
