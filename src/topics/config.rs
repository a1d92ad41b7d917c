//! The settings of the data plane as a whole.

/// Limits and defaults of the data plane; the names are Kafka's where Kafka has one.
#[derive(Clone, Debug)]
pub struct TopicsConfig {
    /// `node.id`: the one node, which a manual replica assignment must name.
    pub node_id: i32,
    /// `num.partitions`: of a topic that is created without a count.
    pub num_partitions: i32,
    /// `auto.create.topics.enable`.
    pub auto_create: bool,
    /// `log.retention.bytes` of a partition, -1 for no limit; unlike Kafka finite by default. At
    /// the limit the oldest batches go, never the newest one.
    pub log_retention_bytes: i64,
    /// `log.retention.ms`: shown, without effect: what is kept is bounded by bytes.
    pub log_retention_ms: i64,
    /// `log.segment.bytes`: shown, without effect.
    pub log_segment_bytes: i32,
    /// `message.max.bytes` of one batch; a larger one is refused.
    pub max_message_bytes: i32,
    /// `fetch.max.bytes`: the most that one fetch returns, its first batch excepted.
    pub fetch_max_bytes: i32,
    /// The most topics of the node; at the limit none can be created.
    pub max_topics: usize,
    /// The most partitions of the node; at the limit none can be created.
    pub max_partitions: usize,
    /// `topics.bytes.max`: the most bytes of memory that batches and remembered producers of the
    /// node take, an allowance for bookkeeping included; on disk a batch that is durable takes the
    /// allowance alone. At the limit a produce first drops the oldest
    /// batches of its own partition, if the topic's retention is finite; is that not enough, it is
    /// refused with `KAFKA_STORAGE_ERROR`, which clients retry. Other partitions lose nothing.
    pub bytes_max: u64,
    /// The most idempotent producers that a partition remembers; the one that has not written for
    /// longest is forgotten.
    pub producers_per_partition_max: usize,
    /// `max.incremental.fetch.session.cache.slots`; at the limit an idle session is evicted or the
    /// fetch gets no session.
    pub fetch_sessions_max: usize,
    /// The most partitions of all fetch sessions; at the limit a fetch gets no session.
    pub fetch_session_partitions_max: usize,
}

impl Default for TopicsConfig {
    fn default() -> Self {
        Self {
            node_id: 1,
            num_partitions: 1,
            auto_create: true,
            log_retention_bytes: 64 << 20,
            log_retention_ms: 604_800_000,
            log_segment_bytes: 1 << 30,
            max_message_bytes: 1_048_588,
            fetch_max_bytes: 55 << 20,
            max_topics: 10_000,
            max_partitions: 100_000,
            bytes_max: 1 << 30,
            producers_per_partition_max: 1_000,
            fetch_sessions_max: 1_000,
            fetch_session_partitions_max: 1_000_000,
        }
    }
}
