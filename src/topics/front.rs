//! The front of the data plane: one value, a verb for each thing that a client can ask for.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use super::batch::Batch;
use super::budget::Budget;
use super::config::TopicsConfig;
use super::error::TopicError;
use super::fetch::{Fetch, FetchRequest};
use super::lock::{Lock, Shared};
use super::offsets::{self, EpochEnd, ListedOffset, OffsetSpec};
use super::partition::{Appended, Partition};
use super::producers::ProducerIdentity;
use super::registry::{DeletedTopic, NewTopic, Registry, TopicKey, TopicSummary, check_name};
use super::session::Sessions;
use super::settings::{ConfigChange, ConfigEntry, Effective, Settings};
use super::topic::Topic;
use crate::ids::{PartitionIndex, TopicName};
use crate::time::WallMs;

/// All topics of the node; shared by all connections.
#[derive(Debug)]
pub struct Topics {
    config: TopicsConfig,
    registry: Shared<Registry>,
    budget: Arc<Budget>,
    sessions: Arc<Lock<Sessions>>,
    // Counted up by whoever asks for an id.
    next_producer_id: AtomicI64,
}

impl Topics {
    /// No topics yet.
    pub fn new(config: TopicsConfig) -> Self {
        let sessions = Sessions::new(
            config.fetch_sessions_max,
            config.fetch_session_partitions_max,
        );
        Self {
            registry: Shared::default(),
            budget: Arc::new(Budget::new(config.bytes_max)),
            sessions: Arc::new(Lock::new(sessions)),
            next_producer_id: AtomicI64::new(first_producer_id()),
            config,
        }
    }

    /// The settings of the data plane.
    pub fn config(&self) -> &TopicsConfig {
        &self.config
    }

    /// Creates a topic; with `validate_only` only says whether it could be.
    ///
    /// # Errors
    ///
    /// `InvalidTopic`, `TopicAlreadyExists`, `InvalidRequest`, `InvalidPartitions`,
    /// `InvalidReplicationFactor`, `InvalidReplicaAssignment`, `InvalidConfig`, and
    /// `PolicyViolation` at the node's limits.
    pub fn create(&self, new: &NewTopic, validate_only: bool) -> Result<TopicSummary, TopicError> {
        self.registry
            .write()
            .create(new, &self.config, &self.budget, validate_only)
    }

    /// The topic of that name, which is created with the defaults if it does not exist and
    /// [`TopicsConfig::auto_create`] says so.
    ///
    /// # Errors
    ///
    /// `InvalidTopic`, `UnknownTopicOrPartition`, `PolicyViolation` at the node's limits.
    pub fn describe_or_create(&self, name: &TopicName) -> Result<TopicSummary, TopicError> {
        let key = TopicKey::Name(name.clone());
        match self.describe(&key) {
            Err(TopicError::UnknownTopicOrPartition) if self.config.auto_create => {}
            described => return described,
        }
        let new = NewTopic {
            name: name.clone(),
            partitions: -1,
            replication_factor: -1,
            assignments: Vec::new(),
            configs: Vec::new(),
        };
        match self.create(&new, false) {
            // Somebody else was faster.
            Err(TopicError::TopicAlreadyExists) => self.describe(&key),
            created => created,
        }
    }

    /// Deletes a topic with its records. Who waits for them is answered.
    ///
    /// # Errors
    ///
    /// `UnknownTopicOrPartition` or `UnknownTopicId`.
    pub fn delete(&self, key: &TopicKey) -> Result<DeletedTopic, TopicError> {
        let topic = self.registry.write().remove(key)?;
        topic.close();
        Ok(DeletedTopic {
            name: topic.name.clone(),
            id: topic.id,
        })
    }

    /// Raises a topic's number of partitions to `total`; `replicas` are the nodes of each
    /// new one, or empty. The topic as it is afterwards.
    ///
    /// # Errors
    ///
    /// `UnknownTopicOrPartition`, `InvalidPartitions` if it would not grow,
    /// `InvalidReplicaAssignment`, `PolicyViolation` at the node's limit.
    pub fn create_partitions(
        &self,
        key: &TopicKey,
        total: i32,
        replicas: &[Vec<i32>],
        validate_only: bool,
    ) -> Result<TopicSummary, TopicError> {
        let budget = (!validate_only).then_some(&self.budget);
        self.registry
            .write()
            .grow(key, total, replicas, &self.config, budget)
    }

    /// What there is to know of a topic.
    ///
    /// # Errors
    ///
    /// `UnknownTopicOrPartition`, `UnknownTopicId`; `InvalidTopic` if no topic can have the name.
    pub fn describe(&self, key: &TopicKey) -> Result<TopicSummary, TopicError> {
        check_key(key)?;
        Ok(self.registry.read().find(key)?.summary())
    }

    /// At most `max` topics in the order of their names, beginning after the name `after`.
    pub fn list(&self, after: Option<&str>, max: usize) -> Vec<TopicSummary> {
        self.registry.read().list(after, max)
    }

    /// How many topics and partitions there are.
    pub fn counts(&self) -> (usize, usize) {
        self.registry.read().counts()
    }

    /// The bytes that count against [`TopicsConfig::bytes_max`].
    pub fn bytes_used(&self) -> u64 {
        self.budget.used()
    }

    /// How many fetch sessions are open.
    pub fn fetch_sessions(&self) -> usize {
        self.sessions.lock().len()
    }

    /// All configuration values of a topic in force, in the order of their keys.
    ///
    /// # Errors
    ///
    /// `UnknownTopicOrPartition`, `UnknownTopicId`; `InvalidTopic` if no topic can have the name.
    pub fn describe_configs(&self, key: &TopicKey) -> Result<Vec<ConfigEntry>, TopicError> {
        check_key(key)?;
        Ok(self.topic(key)?.describe_configs(&self.config))
    }

    /// The configuration values that would be in force for a topic created with these.
    ///
    /// # Errors
    ///
    /// `InvalidConfig`.
    pub fn configs_of_new(
        &self,
        configs: &[(String, Option<String>)],
    ) -> Result<Vec<ConfigEntry>, TopicError> {
        Ok(Settings::of_new(configs)?.entries(&self.config))
    }

    /// Changes configuration values of a topic, all or none (KIP-339).
    ///
    /// # Errors
    ///
    /// `UnknownTopicOrPartition`, `InvalidConfig`, and `InvalidRequest` for a key that comes twice
    /// or without a value.
    pub fn alter_configs(
        &self,
        key: &TopicKey,
        changes: &[ConfigChange],
        validate_only: bool,
    ) -> Result<(), TopicError> {
        let topic = self.topic(key)?;
        topic.alter_configs(changes, &self.config, validate_only)
    }

    /// A new id for an idempotent producer. As in Kafka one that already has an id gets a new one,
    /// too: it bumps the epoch of the old one by itself (KIP-360).
    ///
    /// # Errors
    ///
    /// `InvalidRequest` if only one of the present id and epoch is given; -1 stands for none.
    pub fn init_producer(&self, present: ProducerIdentity) -> Result<ProducerIdentity, TopicError> {
        if (present.id == -1) != (present.epoch == -1) {
            return Err(TopicError::InvalidRequest);
        }
        // Relaxed: the numbers only have to differ.
        let id = self.next_producer_id.fetch_add(1, Ordering::Relaxed);
        Ok(ProducerIdentity { id, epoch: 0 })
    }

    /// Appends a record batch of magic 2, exactly one, and copies it for that. A duplicate of an
    /// idempotent producer's recent batch is answered with the offset of the first time.
    ///
    /// # Errors
    ///
    /// `UnknownTopicOrPartition` and `UnknownTopicId`; `CorruptMessage`, `MessageTooLarge`,
    /// `InvalidRecord`, `InvalidTimestamp`, `InvalidTxnState` and `UnsupportedCompressionType` for
    /// the batch; `OutOfOrderSequence` and `InvalidProducerEpoch` for its producer; `StorageFull`
    /// at [`TopicsConfig::bytes_max`].
    pub fn produce(
        &self,
        key: &TopicKey,
        partition: PartitionIndex,
        records: &[u8],
        now: WallMs,
    ) -> Result<Appended, TopicError> {
        let nobody = |_| Err(TopicError::InvalidTxnState);
        self.produce_in(key, partition, records, now, nobody)
    }

    /// The same for a batch that may be transactional: where the producer has no open transaction
    /// in the partition, `is_in_transaction` says whether it may begin one. It is called under the
    /// partition's lock and must not come back here.
    ///
    /// # Errors
    ///
    /// Those of [`Topics::produce`] and of `is_in_transaction`; `InvalidTxnState` for a plain
    /// batch of a producer that has an open transaction in the partition.
    pub fn produce_in(
        &self,
        key: &TopicKey,
        partition: PartitionIndex,
        records: &[u8],
        now: WallMs,
        is_in_transaction: impl FnOnce(ProducerIdentity) -> Result<(), TopicError>,
    ) -> Result<Appended, TopicError> {
        let (partition, effective) = self.partition(key, partition)?;
        let batch = Batch::check(records, &effective)?;
        let ahead_ms = batch.max_timestamp.saturating_sub(now.0);
        if !effective.log_append_time && ahead_ms > effective.ahead_max_ms {
            return Err(TopicError::InvalidTimestamp);
        }
        let producer = ProducerIdentity {
            id: batch.producer_id,
            epoch: batch.producer_epoch,
        };
        let ask = || is_in_transaction(producer);
        partition
            .append(&batch, records, (&effective, now), ask)
            .map_err(|error| gone_by(key, error))
    }

    /// Whether a producer has an open transaction in a partition; not in one that is not there.
    pub fn has_open_transaction(
        &self,
        key: &TopicKey,
        partition: PartitionIndex,
        producer_id: i64,
    ) -> bool {
        self.partition(key, partition)
            .is_ok_and(|(partition, _)| partition.has_open_transaction(producer_id))
    }

    /// Ends a producer's transaction in a partition, and shuts out its older epochs there. May be
    /// repeated.
    ///
    /// # Errors
    ///
    /// `UnknownTopicOrPartition`: it was deleted, and the transaction in it.
    pub fn end_transaction(
        &self,
        topic: &TopicName,
        partition: PartitionIndex,
        of: ProducerIdentity,
        committed: bool,
        now: WallMs,
    ) -> Result<(), TopicError> {
        let key = TopicKey::Name(topic.clone());
        let (partition, effective) = self.partition(&key, partition)?;
        partition.append_marker(of, committed, &effective, now)
    }

    /// Begins a fetch; [`Fetch`] says how to go on.
    ///
    /// # Errors
    ///
    /// Those of the session as a whole: `FetchSessionIdNotFound`, `InvalidFetchSessionEpoch`,
    /// `FetchSessionTopicIdError`. What is wrong with a partition is in the answer.
    pub fn fetch(&self, request: FetchRequest, now: WallMs) -> Result<Fetch, TopicError> {
        let max_bytes = self.config.fetch_max_bytes;
        Fetch::open(request, max_bytes, now, &self.sessions, |ask| {
            let (partition, _) = self.partition(&ask.topic, ask.partition)?;
            Ok(partition)
        })
    }

    /// Finds an offset; `current_leader_epoch` is what the caller takes for current, -1 for none.
    ///
    /// # Errors
    ///
    /// `UnknownTopicOrPartition`, `UnknownTopicId`, `UnknownLeaderEpoch`.
    pub fn list_offset(
        &self,
        key: &TopicKey,
        partition: PartitionIndex,
        current_leader_epoch: i32,
        spec: OffsetSpec,
    ) -> Result<ListedOffset, TopicError> {
        let (partition, _) = self.partition(key, partition)?;
        offsets::check_current_epoch(current_leader_epoch)?;
        offsets::list(&partition, spec, false)
    }

    /// The same for a reader of committed records: only what is before the last stable offset
    /// counts, which takes the place of the end.
    ///
    /// # Errors
    ///
    /// As above.
    pub fn list_committed_offset(
        &self,
        key: &TopicKey,
        partition: PartitionIndex,
        current_leader_epoch: i32,
        spec: OffsetSpec,
    ) -> Result<ListedOffset, TopicError> {
        let (partition, _) = self.partition(key, partition)?;
        offsets::check_current_epoch(current_leader_epoch)?;
        offsets::list(&partition, spec, true)
    }

    /// Where a leader epoch ends (`OffsetForLeaderEpoch`).
    ///
    /// # Errors
    ///
    /// `UnknownTopicOrPartition`, `UnknownTopicId`, `UnknownLeaderEpoch`.
    pub fn epoch_end(
        &self,
        key: &TopicKey,
        partition: PartitionIndex,
        current_leader_epoch: i32,
        leader_epoch: i32,
    ) -> Result<EpochEnd, TopicError> {
        let (partition, _) = self.partition(key, partition)?;
        offsets::check_current_epoch(current_leader_epoch)?;
        offsets::epoch_end(&partition, leader_epoch)
    }

    /// Deletes the records before an offset, -1 for all; the log start that results.
    ///
    /// # Errors
    ///
    /// `UnknownTopicOrPartition`, `UnknownTopicId`; `OffsetOutOfRange` beyond the log end,
    /// `PolicyViolation` if the topic is only to be compacted.
    pub fn delete_records(
        &self,
        key: &TopicKey,
        partition: PartitionIndex,
        before: i64,
    ) -> Result<i64, TopicError> {
        let (partition, effective) = self.partition(key, partition)?;
        if effective.compacts && !effective.deletes {
            return Err(TopicError::PolicyViolation);
        }
        partition.delete_before(before)
    }

    fn topic(&self, key: &TopicKey) -> Result<Arc<Topic>, TopicError> {
        self.registry.read().find(key).map(Arc::clone)
    }

    pub(super) fn partition(
        &self,
        key: &TopicKey,
        partition: PartitionIndex,
    ) -> Result<(Arc<Partition>, Effective), TopicError> {
        self.registry.read().find(key)?.partition(partition)
    }
}

fn check_key(key: &TopicKey) -> Result<(), TopicError> {
    match key {
        TopicKey::Name(name) => check_name(name.as_str()),
        TopicKey::Id(_) => Ok(()),
    }
}

/// A topic that vanished under way is unknown by what it was named.
fn gone_by(key: &TopicKey, error: TopicError) -> TopicError {
    match (key, error) {
        (TopicKey::Id(_), TopicError::UnknownTopicOrPartition) => TopicError::UnknownTopicId,
        (_, error) => error,
    }
}

/// Where this process begins to count producer ids: at random, so that a producer of an earlier
/// life, which still uses its id, does not share it with a new one.
fn first_producer_id() -> i64 {
    let [a, b, c, d, ..] = uuid::Uuid::new_v4().into_bytes();
    i64::from(u32::from_be_bytes([a & 0x3f, b, c, d])) << 20
}
