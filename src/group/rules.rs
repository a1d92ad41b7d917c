//! The settings that the group protocol obeys.

/// Limits and timings of the group protocol; the comments name Kafka's keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// `group.min.session.timeout.ms`.
    pub session_timeout_ms_min: i32,
    /// `group.max.session.timeout.ms`.
    pub session_timeout_ms_max: i32,
    /// `group.initial.rebalance.delay.ms`: how long the first join of an empty group waits.
    pub initial_rebalance_delay_ms: u64,
    /// `group.max.size` (KIP-389): members in one group.
    pub group_members_max: usize,
    /// `offset.metadata.max.bytes`, compared with the UTF-16 code units of the metadata, as Kafka.
    pub offset_metadata_length_max: usize,
    /// `offsets.retention.minutes` in milliseconds (KIP-211).
    pub offsets_retention_ms: i64,
    /// `offsets.retention.check.interval.ms`: the pace at which expiry is looked for.
    pub retention_check_interval_ms: u64,
    /// `takhin.offsets.refresh.ms`: how old what is stored may be for a commit that repeats it not
    /// to be written, and how much later than that offsets expire that age from their commit.
    pub offsets_refresh_ms: i64,
    /// Committed offsets in one group; a commit beyond it is refused as overloaded.
    pub group_offsets_max: usize,
    /// `session.grace.after.load.ms`: how long each member may be silent after a load at least.
    pub session_grace_after_load_ms: u64,
}

impl Rules {
    /// How long a member may take from its first join to the end of that rebalance: a constant of
    /// Kafka's, so that joiners that went away do not linger.
    pub const NEW_MEMBER_TIMEOUT_MS: u64 = 300_000;
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            session_timeout_ms_min: 6_000,
            session_timeout_ms_max: 1_800_000,
            initial_rebalance_delay_ms: 3_000,
            group_members_max: i32::MAX as usize,
            offset_metadata_length_max: 4_096,
            offsets_retention_ms: 10_080 * 60_000,
            retention_check_interval_ms: 600_000,
            offsets_refresh_ms: 30_000,
            group_offsets_max: 1_000_000,
            session_grace_after_load_ms: 10_000,
        }
    }
}
