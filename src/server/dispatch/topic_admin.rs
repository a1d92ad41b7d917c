//! `CreateTopics`, `DeleteTopics` and `CreatePartitions`.
//!
//! What Kafka answers only after its controller has acted is done here before the answer, so the
//! timeouts of the requests never bite.

use std::collections::BTreeSet;

use super::Broker;
use super::call::{Call, finished, later};
use super::topic_errors::Refused;
use crate::engine::TopicDeletion;
use crate::ids::{TopicId, TopicName};
use crate::server::service::Handled;
use crate::topics::{
    ConfigEntry, DeletedTopic, NewTopic, ReplicaAssignment, TopicError, TopicKey, TopicSummary,
};
use crate::wire::ErrorCode;
use crate::wire::codec::{DecodeError, Message};
use crate::wire::messages::{
    CreatableTopic, CreatableTopicResult, CreatePartitionsRequest, CreatePartitionsResponse,
    CreatePartitionsTopic, CreatePartitionsTopicResult, CreateTopicsRequest, CreateTopicsResponse,
    CreatedTopicConfig, DeletableTopicResult, DeleteTopicState, DeleteTopicsRequest,
    DeleteTopicsResponse,
};

impl Call<'_> {
    pub(super) fn create_topics(&mut self) -> Result<Handled, DecodeError> {
        let request = CreateTopicsRequest::decode(self.body, self.header.version)?;
        let repeated = repeated(request.topics.iter().map(|topic| topic.name));
        let is_too_large = partitions_of(&request, self.broker) > PARTITIONS_PER_REQUEST_MAX;
        if self.names_too_many(request.topics.len()) {
            return Ok(Handled::Close);
        }
        let mut told = BTreeSet::new();
        let mut results = Vec::new();
        for topic in &request.topics {
            let created = if is_too_large {
                Err(too_many_partitions())
            } else if !repeated.contains(topic.name) {
                create(self.broker, topic, request.validate_only)
            } else if told.insert(topic.name) {
                Err(duplicate_name())
            } else {
                // Kafka answers a repeated name once.
                continue;
            };
            results.push((topic.name.to_owned(), created));
        }
        Ok(self.when_synced(move |synced, head, out| {
            for (_, created) in &mut results {
                spoil(created, &synced);
            }
            let topics = results
                .iter()
                .map(|(name, created)| tell_created(name, created));
            let response = CreateTopicsResponse {
                topics: topics.collect(),
                ..Default::default()
            };
            head.write(&response, out)
        }))
    }

    pub(super) fn create_partitions(&mut self) -> Result<Handled, DecodeError> {
        let request = CreatePartitionsRequest::decode(self.body, self.header.version)?;
        if self.names_too_many(request.topics.len()) {
            return Ok(Handled::Close);
        }
        let repeated = repeated(request.topics.iter().map(|topic| topic.name));
        let mut told = BTreeSet::new();
        let mut results = Vec::new();
        for topic in &request.topics {
            let grown = if !repeated.contains(topic.name) {
                grow(self.broker, topic, request.validate_only)
            } else if told.insert(topic.name) {
                Err(duplicate_name())
            } else {
                continue;
            };
            results.push((topic.name.to_owned(), grown));
        }
        Ok(self.when_synced(move |synced, head, out| {
            for (_, grown) in &mut results {
                spoil(grown, &synced);
            }
            let results = results
                .iter()
                .map(|(name, grown)| CreatePartitionsTopicResult {
                    name,
                    error_code: grown.as_ref().err().map_or(0, |refused| refused.code.0),
                    error_message: grown.as_ref().err().map(|refused| &refused.message[..]),
                });
            let response = CreatePartitionsResponse {
                results: results.collect(),
                ..Default::default()
            };
            head.write(&response, out)
        }))
    }

    pub(super) fn delete_topics(&mut self) -> Result<Handled, DecodeError> {
        let version = self.header.version;
        let request = DeleteTopicsRequest::decode(self.body, version)?;
        if self.names_too_many(request.topics.len() + request.topic_names.len()) {
            return Ok(Handled::Close);
        }
        let wanted: Vec<Wanted> = if version >= 6 {
            request.topics.iter().map(Wanted::of_state).collect()
        } else {
            request
                .topic_names
                .iter()
                .map(|name| Wanted::of_name(name))
                .collect()
        };
        let mut deletions = if self.broker.config.delete_topic_enable {
            delete_all(self.broker, wanted)
        } else {
            let refused = deletion_disabled(version);
            let all = wanted.into_iter();
            all.map(|wanted| Deletion {
                wanted,
                outcome: Err(refused.clone()),
            })
            .collect()
        };
        let deleted: Vec<TopicDeletion> = deletions
            .iter()
            .filter_map(|deletion| deletion.outcome.as_ref().ok())
            .map(|deleted| TopicDeletion {
                topic: deleted.name.clone(),
                id: deleted.id,
            })
            .collect();
        if deleted.is_empty() {
            return Ok(self.reply(&tell_deleted(&deletions)));
        }
        let head = self.head();
        let engine = self.broker.engine.clone();
        let synced = self.broker.topics.synced();
        Ok(later(async move {
            let synced = synced.await.map_err(Refused::from);
            for deletion in &mut deletions {
                spoil(&mut deletion.outcome, &synced);
            }
            // The topics are gone, whatever the groups say of their offsets.
            if let Err(refusal) = engine.topics_deleted(&deleted).await {
                tracing::warn!("offsets of deleted topics may be left: {refusal}");
            }
            let mut out = Vec::new();
            let handled = head.write(&tell_deleted(&deletions), &mut out);
            finished(handled, out).await
        }))
    }
}

/// What was done and is not durable is told as a failure; the client asks again.
pub(super) fn spoil<T>(outcome: &mut Result<T, Refused>, synced: &Result<(), Refused>) {
    if let (Ok(_), Err(refused)) = (&outcome, synced) {
        *outcome = Err(refused.clone());
    }
}

/// The partitions that a request wants to create, at least one a topic.
fn partitions_of(request: &CreateTopicsRequest<'_>, broker: &Broker) -> usize {
    let counts = request.topics.iter().map(|topic| {
        let count = match topic.num_partitions {
            -1 if topic.assignments.is_empty() => broker.topics.config().num_partitions,
            count => count,
        };
        usize::try_from(count)
            .unwrap_or(0)
            .max(topic.assignments.len())
            .max(1)
    });
    counts.fold(0, usize::saturating_add)
}

fn too_many_partitions() -> Refused {
    let message = "Excessively large number of partitions per request.";
    Refused::new(ErrorCode::POLICY_VIOLATION, message)
}

/// Kafka's limit; here it also bounds the answer, which describes each topic at length.
const PARTITIONS_PER_REQUEST_MAX: usize = 10_000;

/// A topic as it was created or would be.
#[derive(Debug)]
struct Created {
    summary: TopicSummary,
    configs: Vec<ConfigEntry>,
}

fn create(
    broker: &Broker,
    topic: &CreatableTopic<'_>,
    validate_only: bool,
) -> Result<Created, Refused> {
    let assignments = topic.assignments.iter().map(|one| ReplicaAssignment {
        partition: one.partition_index,
        nodes: one.broker_ids.clone(),
    });
    let configs = topic.configs.iter();
    let new = NewTopic {
        name: TopicName::from(topic.name),
        partitions: topic.num_partitions,
        replication_factor: topic.replication_factor,
        assignments: assignments.collect(),
        configs: configs
            .map(|config| (config.name.to_owned(), config.value.map(str::to_owned)))
            .collect(),
    };
    let summary = broker.topics.create(&new, validate_only).map_err(|error| {
        if error == TopicError::TopicAlreadyExists {
            let message = format!("Topic '{}' already exists.", topic.name);
            return Refused::new(ErrorCode::TOPIC_ALREADY_EXISTS, message);
        }
        Refused::from(error)
    })?;
    let configs = broker.topics.configs_of_new(&new.configs)?;
    Ok(Created { summary, configs })
}

fn tell_created<'a>(
    name: &'a str,
    created: &'a Result<Created, Refused>,
) -> CreatableTopicResult<'a> {
    match created {
        Ok(created) => CreatableTopicResult {
            name,
            topic_id: created.summary.id,
            num_partitions: created.summary.partitions,
            replication_factor: 1,
            configs: Some(created.configs.iter().map(tell_config).collect()),
            ..Default::default()
        },
        Err(refused) => CreatableTopicResult {
            name,
            error_code: refused.code.0,
            error_message: Some(&refused.message),
            configs: Some(Vec::new()),
            ..Default::default()
        },
    }
}

fn tell_config(entry: &ConfigEntry) -> CreatedTopicConfig<'_> {
    CreatedTopicConfig {
        name: entry.name,
        value: Some(&entry.value),
        config_source: config_source(entry),
        ..Default::default()
    }
}

/// Where the value of a topic's key comes from, in Kafka's numbers.
pub(super) fn config_source(entry: &ConfigEntry) -> i8 {
    if entry.is_dynamic {
        DYNAMIC_TOPIC_CONFIG
    } else {
        DEFAULT_CONFIG
    }
}

/// The topic sets it.
pub(super) const DYNAMIC_TOPIC_CONFIG: i8 = 1;
/// Nobody sets it.
pub(super) const DEFAULT_CONFIG: i8 = 5;

fn grow(
    broker: &Broker,
    topic: &CreatePartitionsTopic<'_>,
    validate_only: bool,
) -> Result<(), Refused> {
    let key = TopicKey::Name(TopicName::from(topic.name));
    let assignments = topic.assignments.iter().flatten();
    let replicas: Vec<Vec<i32>> = assignments.map(|one| one.broker_ids.clone()).collect();
    broker
        .topics
        .create_partitions(&key, topic.count, &replicas, validate_only)?;
    Ok(())
}

/// Names that come more than once.
fn repeated<'a>(names: impl Iterator<Item = &'a str>) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    names.filter(|name| !seen.insert(*name)).collect()
}

fn duplicate_name() -> Refused {
    Refused::new(ErrorCode::INVALID_REQUEST, "Duplicate topic name.")
}

/// A topic that is to be deleted, as the request names it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Wanted {
    name: Option<TopicName>,
    id: TopicId,
}

impl Wanted {
    fn of_name(name: &str) -> Self {
        Self {
            name: Some(TopicName::from(name)),
            id: TopicId::ZERO,
        }
    }

    fn of_state(state: &DeleteTopicState<'_>) -> Self {
        Self {
            name: state.name.map(TopicName::from),
            id: state.topic_id,
        }
    }

    /// By name or by id (KIP-516), never both, never neither.
    fn key(&self) -> Result<TopicKey, Refused> {
        let contradicts = |message| Err(Refused::new(ErrorCode::INVALID_REQUEST, message));
        match &self.name {
            None if self.id.is_zero() => contradicts("Neither topic name nor id were specified."),
            None => Ok(TopicKey::Id(self.id)),
            Some(name) if self.id.is_zero() => Ok(TopicKey::Name(name.clone())),
            Some(_) => contradicts("You may not specify both topic name and topic id."),
        }
    }
}

/// What became of one.
#[derive(Debug)]
struct Deletion {
    wanted: Wanted,
    outcome: Result<DeletedTopic, Refused>,
}

fn delete_all(broker: &Broker, wanted: Vec<Wanted>) -> Vec<Deletion> {
    let mut seen = BTreeSet::new();
    let mut repeated = BTreeSet::new();
    for one in &wanted {
        if !seen.insert(one.clone()) {
            repeated.insert(one.clone());
        }
    }
    let mut told = BTreeSet::new();
    let mut deletions = Vec::new();
    for wanted in wanted {
        let outcome = if !repeated.contains(&wanted) {
            wanted
                .key()
                .and_then(|key| broker.topics.delete(&key).map_err(Refused::from))
        } else if told.insert(wanted.clone()) {
            let what = if wanted.name.is_some() { "name" } else { "id" };
            let message = format!("Duplicate topic {what}.");
            Err(Refused::new(ErrorCode::INVALID_REQUEST, message))
        } else {
            continue;
        };
        deletions.push(Deletion { wanted, outcome });
    }
    deletions
}

fn deletion_disabled(version: i16) -> Refused {
    // The code of its own came with version 3.
    let code = if version < 3 {
        ErrorCode::INVALID_REQUEST
    } else {
        ErrorCode::TOPIC_DELETION_DISABLED
    };
    Refused::new(code, "Topic deletion is disabled.")
}

fn tell_deleted(deletions: &[Deletion]) -> DeleteTopicsResponse<'_> {
    let responses = deletions.iter().map(|deletion| match &deletion.outcome {
        Ok(deleted) => DeletableTopicResult {
            name: Some(deleted.name.as_str()),
            topic_id: deleted.id,
            ..Default::default()
        },
        Err(refused) => DeletableTopicResult {
            name: deletion.wanted.name.as_ref().map(TopicName::as_str),
            topic_id: deletion.wanted.id,
            error_code: refused.code.0,
            error_message: Some(&refused.message),
        },
    });
    DeleteTopicsResponse {
        responses: responses.collect(),
        ..Default::default()
    }
}
