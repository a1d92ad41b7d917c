//! Which topics there are, by name and by id (KIP-516).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use super::budget::Resources;
use super::config::TopicsConfig;
use super::disk::Line;
use super::error::TopicError;
use super::partition::Partition;
use super::settings::{Effective, Settings};
use super::topic::Topic;
use crate::ids::{PartitionIndex, TopicId, TopicName};

/// How a request names a topic.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum TopicKey {
    /// By its name.
    Name(TopicName),
    /// By its id.
    Id(TopicId),
}

/// A topic to be created.
#[derive(Clone, Debug)]
pub struct NewTopic {
    /// Its name.
    pub name: TopicName,
    /// The number of partitions, -1 for the node's default.
    pub partitions: i32,
    /// 1, or -1 for the default, which is 1.
    pub replication_factor: i16,
    /// Replicas by hand; counts must be -1 then. Empty: the node decides.
    pub assignments: Vec<ReplicaAssignment>,
    /// Configuration values.
    pub configs: Vec<(String, Option<String>)>,
}

/// The replicas of one partition, chosen by hand.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReplicaAssignment {
    /// The partition.
    pub partition: PartitionIndex,
    /// The nodes.
    pub nodes: Vec<i32>,
}

/// What there is to know of a topic; its partitions are 0 to `partitions` - 1.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TopicSummary {
    /// Its name.
    pub name: TopicName,
    /// Its id.
    pub id: TopicId,
    /// The number of its partitions.
    pub partitions: i32,
}

/// A topic that was deleted; what others keep for it, committed offsets for one, can go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeletedTopic {
    /// Its name.
    pub name: TopicName,
    /// Its id.
    pub id: TopicId,
}

/// All topics; guarded by its owner.
#[derive(Debug, Default)]
pub(super) struct Registry {
    by_name: BTreeMap<TopicName, Arc<Topic>>,
    // Never iterated.
    by_id: HashMap<TopicId, Arc<Topic>>,
    // All names as metrics show them, which must differ, too.
    folded: BTreeSet<String>,
    partitions: usize,
}

impl Registry {
    pub(super) fn find(&self, key: &TopicKey) -> Result<&Arc<Topic>, TopicError> {
        match key {
            TopicKey::Name(name) => self
                .by_name
                .get(name)
                .ok_or(TopicError::UnknownTopicOrPartition),
            TopicKey::Id(id) => self.by_id.get(id).ok_or(TopicError::UnknownTopicId),
        }
    }

    /// Topics in the order of their names, beginning after that one.
    pub(super) fn list(&self, after: Option<&str>, max: usize) -> Vec<TopicSummary> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.by_name
            .range::<str, _>((from, Bound::Unbounded))
            .take(max)
            .map(|(_, topic)| topic.summary())
            .collect()
    }

    pub(super) fn counts(&self) -> (usize, usize) {
        (self.by_name.len(), self.partitions)
    }

    pub(super) fn create(
        &mut self,
        new: &NewTopic,
        config: &TopicsConfig,
        resources: &Resources,
        validate_only: bool,
    ) -> Result<TopicSummary, TopicError> {
        check_name(new.name.as_str())?;
        if self.by_name.contains_key(&new.name) {
            return Err(TopicError::TopicAlreadyExists);
        }
        let folded = folded(&new.name);
        if self.folded.contains(&folded) {
            return Err(TopicError::InvalidTopic);
        }
        let partitions = partition_count(new, config)?;
        let settings = Settings::of_new(&new.configs)?;
        if self.by_name.len() >= config.max_topics {
            return Err(TopicError::PolicyViolation);
        }
        let total = self.grown(partitions, config)?;
        // Kafka reports no id for what was only validated.
        let id = if validate_only {
            TopicId::ZERO
        } else {
            fresh_id()
        };
        let topic = Topic::new(new.name.clone(), id, settings, config);
        if validate_only {
            return Ok(TopicSummary {
                partitions: i32::try_from(partitions).map_err(|_| TopicError::InvalidPartitions)?,
                ..topic.summary()
            });
        }
        topic.grow(partitions, resources);
        let summary = topic.summary();
        self.insert(topic, folded);
        debug_assert_eq!(self.partitions, total);
        Ok(summary)
    }

    fn insert(&mut self, topic: Topic, folded: String) {
        let topic = Arc::new(topic);
        self.partitions += topic.partition_count();
        self.folded.insert(folded);
        self.by_id.insert(topic.id, Arc::clone(&topic));
        self.by_name.insert(topic.name.clone(), topic);
    }

    /// Takes over a topic as the catalog has it. The node's limits may have become smaller.
    ///
    /// # Errors
    ///
    /// What a creation would say about the name, the settings, or a topic that is there twice.
    pub(super) fn restore(
        &mut self,
        line: &Line,
        config: &TopicsConfig,
        resources: &Resources,
    ) -> Result<(), TopicError> {
        check_name(line.name.as_str())?;
        let folded = folded(&line.name);
        if self.folded.contains(&folded) || self.by_id.contains_key(&line.id) {
            return Err(TopicError::TopicAlreadyExists);
        }
        if line.partitions == 0 || i32::try_from(line.partitions).is_err() {
            return Err(TopicError::InvalidPartitions);
        }
        let configs = line.settings.iter();
        let configs: Vec<_> = configs
            .map(|(key, value)| (key.clone(), Some(value.clone())))
            .collect();
        let settings = Settings::of_new(&configs)?;
        let topic = Topic::new(line.name.clone(), line.id, settings, config);
        topic.grow(line.partitions, resources);
        self.insert(topic, folded);
        Ok(())
    }

    /// All topics as the catalog has them.
    pub(super) fn lines(&self) -> Vec<Line> {
        self.by_name.values().map(|topic| topic.line()).collect()
    }

    /// A partition by its topic's id.
    pub(super) fn partition(
        &self,
        id: TopicId,
        index: PartitionIndex,
    ) -> Option<(Arc<Partition>, Effective)> {
        self.by_id.get(&id)?.partition(index).ok()
    }

    /// Raises the number of partitions to `total`; without resources only says whether it could.
    pub(super) fn grow(
        &mut self,
        key: &TopicKey,
        total: i32,
        replicas: &[Vec<i32>],
        config: &TopicsConfig,
        resources: Option<&Resources>,
    ) -> Result<TopicSummary, TopicError> {
        let topic = Arc::clone(self.find(key)?);
        let current = topic.partition_count();
        let total = usize::try_from(total).map_err(|_| TopicError::InvalidPartitions)?;
        if total <= current {
            return Err(TopicError::InvalidPartitions);
        }
        if !replicas.is_empty() {
            let placed = replicas.len() == total - current
                && replicas.iter().all(|nodes| nodes[..] == [config.node_id]);
            if !placed {
                return Err(TopicError::InvalidReplicaAssignment);
            }
        }
        let all = self.grown(total - current, config)?;
        if let Some(resources) = resources {
            topic.grow(total, resources);
            self.partitions = all;
        }
        Ok(topic.summary())
    }

    /// Takes a topic out; its partitions are the caller's to close.
    pub(super) fn remove(&mut self, key: &TopicKey) -> Result<Arc<Topic>, TopicError> {
        let topic = Arc::clone(self.find(key)?);
        self.by_name.remove(&topic.name);
        self.by_id.remove(&topic.id);
        self.folded.remove(&folded(&topic.name));
        self.partitions -= topic.partition_count();
        Ok(topic)
    }

    /// The node's partitions with that many more.
    fn grown(&self, more: usize, config: &TopicsConfig) -> Result<usize, TopicError> {
        let total = self.partitions.checked_add(more);
        total
            .filter(|total| *total <= config.max_partitions)
            .ok_or(TopicError::PolicyViolation)
    }
}

/// Kafka's rule for the names of topics.
pub(super) fn check_name(name: &str) -> Result<(), TopicError> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let fits = (1..=NAME_BYTES_MAX).contains(&name.len());
    if fits && name != "." && name != ".." && name.bytes().all(legal) {
        Ok(())
    } else {
        Err(TopicError::InvalidTopic)
    }
}

/// A name with `.` taken for `_`, as in the names of Kafka's metrics.
fn folded(name: &TopicName) -> String {
    name.as_str().replace('.', "_")
}

/// How many partitions a new topic gets, by count or by assignment.
fn partition_count(new: &NewTopic, config: &TopicsConfig) -> Result<usize, TopicError> {
    if !new.assignments.is_empty() {
        if new.partitions != -1 || new.replication_factor != -1 {
            return Err(TopicError::InvalidRequest);
        }
        let mut indices: Vec<i32> = new.assignments.iter().map(|one| one.partition).collect();
        indices.sort_unstable();
        let in_order = (0..)
            .zip(&indices)
            .all(|(expected, index)| expected == *index);
        let mut nodes = new.assignments.iter().map(|one| &one.nodes[..]);
        return if in_order && nodes.all(|nodes| nodes == [config.node_id]) {
            Ok(indices.len())
        } else {
            Err(TopicError::InvalidReplicaAssignment)
        };
    }
    if !matches!(new.replication_factor, -1 | 1) {
        return Err(TopicError::InvalidReplicationFactor);
    }
    let wanted = match new.partitions {
        -1 => config.num_partitions,
        count => count,
    };
    let wanted = usize::try_from(wanted).unwrap_or(0);
    if wanted == 0 {
        return Err(TopicError::InvalidPartitions);
    }
    Ok(wanted)
}

fn fresh_id() -> TopicId {
    TopicId(uuid::Uuid::new_v4().into_bytes())
}

const NAME_BYTES_MAX: usize = 249;
