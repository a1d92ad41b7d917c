//! The front of the data plane: one value, a verb for each thing that a client can ask for.

use std::sync::Arc;

use super::batch::Batch;
use super::budget::Resources;
use super::changes::Changes;
use super::config::TopicsConfig;
use super::disk::{Flusher, OpenError, Store};
use super::durable::Durable;
use super::error::TopicError;
use super::fetch::{Fetch, FetchRequest};
use super::lock::{Lock, Shared};
use super::offsets::{self, EpochEnd, ListedOffset, OffsetSpec};
use super::partition::{Appended, Partition};
use super::producer_ids::ProducerIds;
use super::producers::ProducerIdentity;
use super::registry::{DeletedTopic, NewTopic, Registry, TopicKey, TopicSummary, check_name};
use super::session::Sessions;
use super::settings::{ConfigChange, ConfigEntry, Effective, Settings};
use super::topic::Topic;
use crate::ids::{PartitionIndex, TopicName};
use crate::time::WallMs;

/// All topics of the node; shared by all connections.
///
/// In memory a change is done when its verb returns. On disk it is seen by all at once, too, but
/// batches are not before they are durable; whoever answers a client awaits the [`Durable`] of the
/// verb, or for topics and their settings that of [`Topics::synced`].
#[derive(Debug)]
pub struct Topics {
    // The first to be dropped: it settles what is on its way.
    flusher: Option<Flusher>,
    config: TopicsConfig,
    registry: Arc<Shared<Registry>>,
    pub(super) changes: Changes,
    resources: Resources,
    sessions: Arc<Lock<Sessions>>,
    ids: Arc<ProducerIds>,
    /// Described here, kept elsewhere.
    pub(super) internal: Option<TopicSummary>,
}

impl Topics {
    /// No topics yet, and in memory alone; [`Topics::examine`] is for a directory.
    pub fn new(config: TopicsConfig) -> Self {
        let resources = Resources::new(&config, None);
        let ids = ProducerIds::in_memory();
        Self::of(config, Registry::default(), resources, ids)
    }

    /// Topics that were read back.
    pub(super) fn on_disk(
        config: TopicsConfig,
        registry: Registry,
        resources: Resources,
        ids: ProducerIds,
    ) -> Self {
        Self::of(config, registry, resources, ids)
    }

    fn of(
        config: TopicsConfig,
        registry: Registry,
        resources: Resources,
        ids: ProducerIds,
    ) -> Self {
        let sessions = Sessions::new(
            config.fetch_sessions_max,
            config.fetch_session_partitions_max,
        );
        Self {
            flusher: None,
            registry: Arc::new(Shared::new(registry)),
            changes: Changes::default(),
            resources,
            sessions: Arc::new(Lock::new(sessions)),
            ids: Arc::new(ids),
            config,
            internal: None,
        }
    }

    /// Begins to write; the lock is held until the last write.
    pub(super) fn start(
        mut self,
        store: &Arc<Store>,
        lock: Box<dyn std::fmt::Debug + Send>,
    ) -> Result<Self, OpenError> {
        let registry = Arc::clone(&self.registry);
        let flusher = Flusher::start(store, registry, Arc::clone(&self.ids), lock);
        self.flusher = Some(flusher.map_err(|error| OpenError::Io {
            doing: "starting the flusher",
            error,
        })?);
        Ok(self)
    }

    /// The id of the cluster that this node is, as clients know it: 32 hexadecimal digits. On disk
    /// it is the directory's own; in memory it is new with each process.
    pub fn cluster_id(&self) -> String {
        match &self.resources.disk {
            Some(store) => store.cluster_id(),
            None => uuid::Uuid::new_v4().simple().to_string(),
        }
    }

    /// Whether anything can still be acknowledged. Once `false` it stays so: the disk failed. A
    /// disk that is full is not that.
    pub fn is_healthy(&self) -> bool {
        self.resources.is_healthy()
    }

    /// Tells when all changes of topics and their settings so far are durable; at once in memory.
    ///
    /// The outcome is `StorageFull` or `StorageFailed` if they could not be made durable. They are
    /// in force all the same, and are tried again with the next change.
    pub fn synced(&self) -> Durable<()> {
        match &self.resources.disk {
            Some(store) => store.synced(),
            None => Durable::done(Ok(())),
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
        self.resources.check()?;
        if self.internal(&TopicKey::Name(new.name.clone())).is_some() {
            return Err(TopicError::TopicAlreadyExists);
        }
        let registry = &mut *self.registry.write();
        let created = registry.create(new, &self.config, &self.resources, validate_only)?;
        if !validate_only {
            self.changes.note();
            // Before anybody can see the topic: so no batch is durable before it.
            self.resources.catalog_changed();
        }
        Ok(created)
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
        self.resources.check()?;
        self.refuse_internal(key)?;
        let registry = &mut *self.registry.write();
        let topic = registry.remove(key)?;
        self.changes.note();
        topic.close();
        if let Some(store) = &self.resources.disk {
            store.topic_removed(&topic);
        }
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
        self.resources.check()?;
        self.refuse_internal(key)?;
        let resources = (!validate_only).then_some(&self.resources);
        let registry = &mut *self.registry.write();
        let grown = registry.grow(key, total, replicas, &self.config, resources)?;
        if !validate_only {
            self.changes.note();
            self.resources.catalog_changed();
        }
        Ok(grown)
    }

    /// What there is to know of a topic.
    ///
    /// # Errors
    ///
    /// `UnknownTopicOrPartition`, `UnknownTopicId`; `InvalidTopic` if no topic can have the name.
    pub fn describe(&self, key: &TopicKey) -> Result<TopicSummary, TopicError> {
        if let Some(internal) = self.internal(key) {
            return Ok(internal.clone());
        }
        check_key(key)?;
        Ok(self.registry.read().find(key)?.summary())
    }

    /// At most `max` topics in the order of their names, beginning after the name `after`.
    pub fn list(&self, after: Option<&str>, max: usize) -> Vec<TopicSummary> {
        let mut listed = self.registry.read().list(after, max);
        self.list_internal(&mut listed, after, max);
        listed
    }

    /// How many topics and partitions there are.
    pub fn counts(&self) -> (usize, usize) {
        self.registry.read().counts()
    }

    /// The bytes that count against [`TopicsConfig::bytes_max`].
    pub fn bytes_used(&self) -> u64 {
        self.resources.budget.used()
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
        if self.internal(key).is_some() {
            let compacted = ("cleanup.policy".to_owned(), Some("compact".to_owned()));
            return self.configs_of_new(&[compacted]);
        }
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
        self.resources.check()?;
        self.refuse_internal(key)?;
        let topic = self.topic(key)?;
        topic.alter_configs(changes, &self.config, validate_only)?;
        if !validate_only {
            self.resources.catalog_changed();
        }
        Ok(())
    }

    /// A new id for an idempotent producer. As in Kafka one that already has an id gets a new one,
    /// too: it bumps the epoch of the old one by itself (KIP-360).
    ///
    /// # Errors
    ///
    /// `InvalidRequest` if only one of the present id and epoch is given; -1 stands for none.
    /// `ProducerIdsNotReady` where the disk does not keep up with reserving them.
    pub fn init_producer(&self, present: ProducerIdentity) -> Result<ProducerIdentity, TopicError> {
        if (present.id == -1) != (present.epoch == -1) {
            return Err(TopicError::InvalidRequest);
        }
        let (id, needs_more) = self.ids.take();
        if needs_more {
            self.resources.catalog_changed();
        }
        let id = id.ok_or(TopicError::ProducerIdsNotReady)?;
        Ok(ProducerIdentity { id, epoch: 0 })
    }

    /// Appends as [`Topics::append`] does, and blocks the thread until the batch is durable.
    ///
    /// # Errors
    ///
    /// As [`Topics::append`].
    pub fn produce(
        &self,
        key: &TopicKey,
        partition: PartitionIndex,
        records: &[u8],
        now: WallMs,
    ) -> Result<Appended, TopicError> {
        self.append(key, partition, records, now).wait()
    }

    /// Appends a record batch of magic 2, exactly one, and copies it for that. A duplicate of an
    /// idempotent producer's recent batch is answered with the offset of the first time.
    ///
    /// It has its offset when this returns, and is part of the log when the outcome is there.
    ///
    /// # Errors
    ///
    /// The outcome may be: `UnknownTopicOrPartition` and `UnknownTopicId`; `CorruptMessage`,
    /// `MessageTooLarge`, `InvalidRecord`, `InvalidTimestamp`, `InvalidTxnState` and
    /// `UnsupportedCompressionType` for the batch; `OutOfOrderSequence` and `InvalidProducerEpoch`
    /// for its producer; `StorageFull` at [`TopicsConfig::bytes_max`] or where the disk is full,
    /// `StorageFailed` once it failed.
    pub fn append(
        &self,
        key: &TopicKey,
        partition: PartitionIndex,
        records: &[u8],
        now: WallMs,
    ) -> Durable<Appended> {
        let nobody = |_| Err(TopicError::InvalidTxnState);
        self.append_in(key, partition, records, now, nobody)
    }

    /// Appends as [`Topics::append_in`] does, and blocks the thread until the batch is durable.
    ///
    /// # Errors
    ///
    /// As [`Topics::append_in`].
    pub fn produce_in(
        &self,
        key: &TopicKey,
        partition: PartitionIndex,
        records: &[u8],
        now: WallMs,
        is_in_transaction: impl FnOnce(ProducerIdentity) -> Result<(), TopicError>,
    ) -> Result<Appended, TopicError> {
        self.append_in(key, partition, records, now, is_in_transaction)
            .wait()
    }

    /// The same for a batch that may be transactional: where the producer has no open transaction
    /// in the partition, `is_in_transaction` says whether it may begin one. It is called under the
    /// partition's lock and must not come back here.
    ///
    /// # Errors
    ///
    /// The outcome may be that of [`Topics::append`] or of `is_in_transaction`; `InvalidTxnState`
    /// for a plain batch of a producer that has an open transaction in the partition.
    pub fn append_in(
        &self,
        key: &TopicKey,
        partition: PartitionIndex,
        records: &[u8],
        now: WallMs,
        is_in_transaction: impl FnOnce(ProducerIdentity) -> Result<(), TopicError>,
    ) -> Durable<Appended> {
        let checked = || {
            let (partition, effective) = self.partition(key, partition)?;
            let batch = Batch::check(records, &effective)?;
            let ahead_ms = batch.max_timestamp.saturating_sub(now.0);
            if !effective.log_append_time && ahead_ms > effective.ahead_max_ms {
                return Err(TopicError::InvalidTimestamp);
            }
            Ok((partition, effective, batch))
        };
        let (partition, effective, batch) = match checked() {
            Ok(checked) => checked,
            Err(error) => return Durable::done(Err(error)),
        };
        let producer = ProducerIdentity {
            id: batch.producer_id,
            epoch: batch.producer_epoch,
        };
        let ask = || is_in_transaction(producer);
        let appended = partition.append(&batch, records, (&effective, now), ask);
        appended.named_by(key)
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

    /// Ends a transaction as [`Topics::append_marker`] does, and blocks the thread until it is
    /// durable.
    ///
    /// # Errors
    ///
    /// As [`Topics::append_marker`].
    pub fn end_transaction(
        &self,
        topic: &TopicName,
        partition: PartitionIndex,
        of: ProducerIdentity,
        committed: bool,
        now: WallMs,
    ) -> Result<(), TopicError> {
        self.append_marker(topic, partition, of, committed, now)
            .wait()
            .map(|_| ())
    }

    /// Ends a producer's transaction in a partition, and shuts out its older epochs there. May be
    /// repeated. The marker's place, an offset of -1 if none was needed.
    ///
    /// # Errors
    ///
    /// The outcome may be `UnknownTopicOrPartition`: it was deleted, and the transaction in it;
    /// `StorageFull` and `StorageFailed` as for [`Topics::append`].
    pub fn append_marker(
        &self,
        topic: &TopicName,
        partition: PartitionIndex,
        of: ProducerIdentity,
        committed: bool,
        now: WallMs,
    ) -> Durable<Appended> {
        let key = TopicKey::Name(topic.clone());
        match self.partition(&key, partition) {
            Ok((partition, effective)) => partition.append_marker(of, committed, &effective, now),
            Err(error) => Durable::done(Err(error)),
        }
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

    /// Deletes as [`Topics::delete_before`] does, and blocks the thread until it is durable.
    ///
    /// # Errors
    ///
    /// As [`Topics::delete_before`].
    pub fn delete_records(
        &self,
        key: &TopicKey,
        partition: PartitionIndex,
        before: i64,
    ) -> Result<i64, TopicError> {
        self.delete_before(key, partition, before).wait()
    }

    /// Deletes the records before an offset, -1 for all; the log start that results.
    ///
    /// # Errors
    ///
    /// The outcome may be: `UnknownTopicOrPartition`, `UnknownTopicId`; `OffsetOutOfRange` beyond
    /// the log end, `PolicyViolation` if the topic is only to be compacted; `StorageFull` and
    /// `StorageFailed`.
    pub fn delete_before(
        &self,
        key: &TopicKey,
        partition: PartitionIndex,
        before: i64,
    ) -> Durable<i64> {
        match self.partition(key, partition) {
            Ok((_, effective)) if effective.compacts && !effective.deletes => {
                Durable::done(Err(TopicError::PolicyViolation))
            }
            Ok((partition, _)) => partition.delete_before(before),
            Err(error) => Durable::done(Err(error)),
        }
    }

    fn topic(&self, key: &TopicKey) -> Result<Arc<Topic>, TopicError> {
        self.registry.read().find(key).map(Arc::clone)
    }

    pub(super) fn partition(
        &self,
        key: &TopicKey,
        partition: PartitionIndex,
    ) -> Result<(Arc<Partition>, Effective), TopicError> {
        self.refuse_internal(key)?;
        self.registry.read().find(key)?.partition(partition)
    }
}

fn check_key(key: &TopicKey) -> Result<(), TopicError> {
    match key {
        TopicKey::Name(name) => check_name(name.as_str()),
        TopicKey::Id(_) => Ok(()),
    }
}
