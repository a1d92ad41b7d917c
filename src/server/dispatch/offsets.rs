//! Offsets: commit, fetch, delete.
//!
//! Whether topics and partitions exist is asked here, as Kafka's broker does before it asks the
//! coordinator; the coordinator takes any name.

use std::sync::Arc;

use super::call::{Call, Head};
use super::known_topics::Named;
use super::offset_rows::{Rows, known};
use crate::engine::{
    CommitPartition, CommitRequest, CommitResult, CommitTopic, FetchRequest, FetchResult,
    FetchTopic, FetchedPartition, FetchedTopic, OffsetDeleteRequest, OffsetDeleteResult,
    OffsetDeleteTopic,
};
use crate::error::Refusal;
use crate::ids::{Generation, TopicId, TopicName};
use crate::server::service::Handled;
use crate::time::WallMs;
use crate::topics::{TopicKey, Topics};
use crate::wire::ErrorCode;
use crate::wire::codec::{DecodeError, Message};
use crate::wire::fetched::FetchedWriter;
use crate::wire::messages::{
    OffsetCommitRequest, OffsetCommitRequestTopic, OffsetCommitResponse,
    OffsetCommitResponsePartition, OffsetCommitResponseTopic, OffsetDeleteRequest as DeleteOnWire,
    OffsetDeleteResponse, OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchResponse, OffsetFetchResponsePartition,
    OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
};

impl Call<'_> {
    pub(super) fn offset_commit(&mut self) -> Result<Handled, DecodeError> {
        let version = self.header.version;
        let request = OffsetCommitRequest::decode(self.body, version)?;
        let mut rows = Rows::default();
        let mut asked = Vec::with_capacity(request.topics.len());
        for topic in &request.topics {
            let commit = self.commit_topic(topic, &mut rows);
            if !commit.partitions.is_empty() {
                let indexes = commit.partitions.iter().map(|it| it.partition);
                rows.ask(&commit.topic, commit.id, indexes);
                asked.push(commit);
            }
        }
        if asked.is_empty() {
            // The group is not even looked at.
            return Ok(write_committed(
                rows,
                &Ok(Vec::new()),
                self.head(),
                self.out,
            ));
        }
        let commit = CommitRequest {
            group: request.group_id.into(),
            member: request.member_id.into(),
            instance: request.group_instance_id.map(Into::into),
            generation: Generation(request.generation_id_or_member_epoch),
            retention_ms: (request.retention_time_ms != -1).then_some(request.retention_time_ms),
            topics: asked,
        };
        let answer = self.broker.engine.commit_at(commit, self.now);
        Ok(self.answer(answer, |outcome, head, out| {
            write_committed(rows, &outcome, head, out)
        }))
    }

    fn commit_topic(
        &mut self,
        topic: &OffsetCommitRequestTopic<'_>,
        rows: &mut Rows,
    ) -> CommitTopic {
        let partitions = topic.partitions.iter().map(|it| CommitPartition {
            partition: it.partition_index,
            offset: it.committed_offset,
            leader_epoch: it.committed_leader_epoch,
            metadata: it.committed_metadata.unwrap_or_default().into(),
            committed_at: (it.commit_timestamp != -1).then_some(WallMs(it.commit_timestamp)),
        });
        let has_id = self.header.version >= 10;
        self.known_part((topic.name, topic.topic_id), has_id, partitions, rows)
    }

    /// What of a commit the coordinator is asked about: the partitions that exist. The broker
    /// itself refuses the others.
    pub(super) fn known_part(
        &mut self,
        (name, id): (&str, TopicId),
        has_id: bool,
        partitions: impl ExactSizeIterator<Item = CommitPartition>,
        rows: &mut Rows,
    ) -> CommitTopic {
        let (named, unknown) = if has_id {
            (Named::Id(id), ErrorCode::UNKNOWN_TOPIC_ID)
        } else {
            let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
            (Named::Name(name), unknown)
        };
        let found = self.find_topic(named);
        let count = found.as_ref().map(|it| it.partitions);
        let (topic, id) = match found {
            Some(found) => (found.name, found.id),
            None => (name.into(), id),
        };
        let mut asked = Vec::with_capacity(partitions.len());
        for partition in partitions {
            match known(count, partition.partition, unknown) {
                Some(code) => rows.refuse(&topic, id, partition.partition, code),
                None => asked.push(partition),
            }
        }
        CommitTopic {
            topic,
            id,
            partitions: asked,
        }
    }

    pub(super) fn offset_fetch(&mut self) -> Result<Handled, DecodeError> {
        let version = self.header.version;
        let request = OffsetFetchRequest::decode(self.body, version)?;
        if version <= 7 {
            return Ok(self.fetch_one(&request));
        }
        let groups = request.groups.iter();
        let groups: Arc<[FetchRows]> = groups.map(|group| self.fetch_rows(group)).collect();
        let require_stable = request.require_stable;
        let (engine, asked, now) = (self.broker.engine.clone(), Arc::clone(&groups), self.now);
        let asks = (0..groups.len()).map(move |at| {
            let group = &asked[at];
            let fetch = FetchRequest {
                group: group.group.as_str().into(),
                topics: group.asked(),
                require_stable,
            };
            engine.fetch_at(fetch, now)
        });
        let partitions = |outcome: &FetchResult| {
            let topics = outcome.as_deref().unwrap_or_default().iter();
            1 + topics.map(|topic| topic.partitions.len()).sum::<usize>()
        };
        let topics = Arc::clone(&self.broker.topics);
        Ok(
            self.answer_each(asks, partitions, move |outcomes, head, out| {
                let outcomes: Vec<FetchResult> = outcomes
                    .into_iter()
                    .map(|outcome| outcome.map_err(|it| fetch_refusal(it, require_stable)))
                    .collect();
                write_fetched(&groups, &outcomes, &topics, head, out)
            }),
        )
    }

    fn fetch_rows(&mut self, group: &OffsetFetchRequestGroup<'_>) -> FetchRows {
        let rows = group.topics.as_ref().map(|asked| {
            let rows = asked.iter().map(|topic| {
                let name = if self.header.version >= 10 {
                    self.find_topic(Named::Id(topic.topic_id)).map(|it| it.name)
                } else {
                    Some(topic.name.into())
                };
                (name, topic.topic_id, topic.partition_indexes.clone())
            });
            rows.collect()
        });
        FetchRows {
            group: group.group_id.to_owned(),
            topics: rows,
        }
    }

    fn fetch_one(&mut self, request: &OffsetFetchRequest<'_>) -> Handled {
        let topics = request.topics.as_ref().map(|topics| {
            let topics = topics.iter().map(|topic| FetchTopic {
                topic: topic.name.into(),
                partitions: topic.partition_indexes.clone(),
            });
            topics.collect::<Vec<_>>()
        });
        let asked = topics.clone().unwrap_or_default();
        let fetch = FetchRequest {
            group: request.group_id.into(),
            topics,
            require_stable: request.require_stable,
        };
        let answer = self.broker.engine.fetch_at(fetch, self.now);
        let require_stable = request.require_stable;
        self.answer(answer, move |outcome, head, out| {
            let outcome = outcome.map_err(|it| fetch_refusal(it, require_stable));
            write_fetched_one(&asked, &outcome, head, out)
        })
    }

    pub(super) fn offset_delete(&mut self) -> Result<Handled, DecodeError> {
        let request = DeleteOnWire::decode(self.body, self.header.version)?;
        let mut rows = Rows::default();
        let mut asked = Vec::with_capacity(request.topics.len());
        for topic in &request.topics {
            let found = self.find_topic(Named::Name(topic.name));
            let partition_count = found.as_ref().map(|it| it.partitions);
            let name = found.map_or_else(|| topic.name.into(), |it| it.name);
            let mut open = Vec::new();
            for partition in &topic.partitions {
                let index = partition.partition_index;
                match known(
                    partition_count,
                    index,
                    ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                ) {
                    Some(code) => rows.refuse(&name, TopicId::ZERO, index, code),
                    None => open.push(index),
                }
            }
            if !open.is_empty() {
                rows.ask(&name, TopicId::ZERO, open.iter().copied());
                asked.push(OffsetDeleteTopic {
                    topic: name,
                    partitions: open,
                });
            }
        }
        let delete = OffsetDeleteRequest {
            group: request.group_id.into(),
            topics: asked,
        };
        let answer = self.broker.engine.delete_offsets(delete);
        Ok(self.answer(answer, |outcome, head, out| {
            write_deleted(rows, outcome, head, out)
        }))
    }
}

/// Up to version 8 clients do not know that a group may be missing: to them the generation is.
fn commit_code(refusal: Refusal, version: i16) -> ErrorCode {
    if refusal == Refusal::GroupIdNotFound && version < 9 {
        return ErrorCode::ILLEGAL_GENERATION;
    }
    refusal.into()
}

fn write_committed(
    mut rows: Rows,
    outcome: &CommitResult,
    head: Head,
    out: &mut Vec<u8>,
) -> Handled {
    let version = head.version;
    rows.fill_committed(outcome, |refusal| commit_code(refusal, version));
    let mut rows = rows.merged();
    let topics = rows.iter_mut().map(|row| {
        let partitions = row
            .take()
            .map(|(partition_index, code)| OffsetCommitResponsePartition {
                partition_index,
                error_code: code.0,
            });
        OffsetCommitResponseTopic {
            partitions: partitions.collect(),
            name: row.name.as_str(),
            topic_id: row.id,
        }
    });
    let response = OffsetCommitResponse {
        topics: topics.collect(),
        ..Default::default()
    };
    head.write(&response, out)
}

fn write_deleted(
    mut rows: Rows,
    outcome: OffsetDeleteResult,
    head: Head,
    out: &mut Vec<u8>,
) -> Handled {
    let topics = match outcome {
        Ok(topics) => topics,
        Err(refusal) => {
            let error_code = ErrorCode::from(refusal).0;
            return head.write(
                &OffsetDeleteResponse {
                    error_code,
                    ..Default::default()
                },
                out,
            );
        }
    };
    rows.fill(topics.iter().map(|it| &it.partitions), Into::into);
    let mut rows = rows.merged();
    let topics = rows.iter_mut().map(|row| {
        let partitions = row
            .take()
            .map(|(partition_index, code)| OffsetDeleteResponsePartition {
                partition_index,
                error_code: code.0,
            });
        OffsetDeleteResponseTopic {
            partitions: partitions.collect(),
            name: row.name.as_str(),
        }
    });
    let response = OffsetDeleteResponse {
        topics: topics.collect(),
        ..Default::default()
    };
    head.write(&response, out)
}

/// A topic of a fetch: its name, if it is known, its id, if it was asked by one, its partitions.
type AskedTopic = (Option<TopicName>, TopicId, Vec<i32>);

/// One group of a fetch of many: topics as they were asked, `None` as the name of an id that is
/// not known.
#[derive(Debug)]
struct FetchRows {
    group: String,
    /// `None`: everything.
    topics: Option<Vec<AskedTopic>>,
}

impl FetchRows {
    fn asked(&self) -> Option<Vec<FetchTopic>> {
        let topics = self.topics.as_ref()?;
        let asked = topics.iter().filter_map(|(name, _, partitions)| {
            Some(FetchTopic {
                topic: name.clone()?,
                partitions: partitions.clone(),
            })
        });
        Some(asked.collect())
    }
}

/// Clients that ask for what is stable try again after this refusal, but not all of them after
/// that of a coordinator which is not available.
fn fetch_refusal(refusal: Refusal, require_stable: bool) -> Refusal {
    if require_stable && matches!(refusal, Refusal::NotAvailable | Refusal::Overloaded) {
        return Refusal::NotCoordinator;
    }
    refusal
}

fn fetched(partition: &FetchedPartition) -> OffsetFetchResponsePartitions<'_> {
    let value = partition.committed.as_ref();
    OffsetFetchResponsePartitions {
        partition_index: partition.partition,
        committed_offset: value.map_or(-1, |it| it.offset),
        committed_leader_epoch: value.map_or(-1, |it| it.leader_epoch),
        metadata: Some(value.map_or("", |it| &*it.metadata)),
        error_code: if partition.is_unstable {
            ErrorCode::UNSTABLE_OFFSET_COMMIT.0
        } else {
            0
        },
    }
}

fn not_fetched(index: i32, code: ErrorCode) -> OffsetFetchResponsePartitions<'static> {
    OffsetFetchResponsePartitions {
        partition_index: index,
        committed_offset: -1,
        committed_leader_epoch: -1,
        metadata: Some(""),
        error_code: code.0,
    }
}

fn write_fetched(
    groups: &[FetchRows],
    outcomes: &[FetchResult],
    topics: &Topics,
    head: Head,
    out: &mut Vec<u8>,
) -> Handled {
    head.write_with(out, |writer| {
        let mut writer = FetchedWriter::begin(writer, head.version, groups.len());
        for (group, outcome) in groups.iter().zip(outcomes) {
            let code = match (outcome, &group.topics) {
                (Err(refusal), _) => {
                    writer.group(&group.group, 0);
                    ErrorCode::from(*refusal)
                }
                (Ok(outcome), Some(asked)) => {
                    writer.group(&group.group, asked.len());
                    write_asked(asked, outcome, &mut writer);
                    ErrorCode::NONE
                }
                (Ok(outcome), None) => {
                    let known = with_ids(outcome, topics, head.version);
                    writer.group(&group.group, known.len());
                    for (topic, id) in known {
                        write_topic(topic, id, &mut writer);
                    }
                    ErrorCode::NONE
                }
            };
            writer.end_group(code.0);
        }
        writer.end();
    })
}

/// Topics with their ids.
fn with_ids<'t>(
    fetched: &'t [FetchedTopic],
    topics: &Topics,
    version: i16,
) -> Vec<(&'t FetchedTopic, TopicId)> {
    let known = fetched.iter().filter_map(|topic| {
        let key = TopicKey::Name(topic.topic.clone());
        let id = topics.describe(&key).map(|it| it.id);
        // Where topics go by their ids, one that has none any more cannot be told.
        if version >= 10 && id.is_err() {
            None
        } else {
            Some((topic, id.unwrap_or_default()))
        }
    });
    known.collect()
}

/// Topics as they were asked for.
fn write_asked(asked: &[AskedTopic], outcome: &[FetchedTopic], writer: &mut FetchedWriter<'_, '_>) {
    let mut outcome = outcome.iter();
    for (name, id, indexes) in asked {
        if let Some(found) = name.as_ref().and_then(|_| outcome.next()) {
            write_topic(found, *id, writer);
            continue;
        }
        let name = name.as_ref().map_or("", TopicName::as_str);
        writer.topic(name, *id, indexes.len());
        for index in indexes {
            writer.row(&not_fetched(*index, ErrorCode::UNKNOWN_TOPIC_ID));
        }
        writer.end_topic();
    }
}

fn write_topic(topic: &FetchedTopic, id: TopicId, writer: &mut FetchedWriter<'_, '_>) {
    writer.topic(topic.topic.as_str(), id, topic.partitions.len());
    for partition in &topic.partitions {
        writer.row(&fetched(partition));
    }
    writer.end_topic();
}

/// The one group of a fetch until version 7; until version 1 its error stands at each partition.
fn write_fetched_one(
    asked: &[FetchTopic],
    outcome: &FetchResult,
    head: Head,
    out: &mut Vec<u8>,
) -> Handled {
    let plain = |it: OffsetFetchResponsePartitions<'_>| OffsetFetchResponsePartition {
        partition_index: it.partition_index,
        committed_offset: it.committed_offset,
        committed_leader_epoch: it.committed_leader_epoch,
        metadata: Some(""),
        error_code: it.error_code,
    };
    let mut response = OffsetFetchResponse::default();
    match outcome {
        Ok(topics) => {
            let topics = topics.iter().map(|topic| OffsetFetchResponseTopic {
                name: topic.topic.as_str(),
                partitions: topic
                    .partitions
                    .iter()
                    .map(|partition| {
                        let row = fetched(partition);
                        OffsetFetchResponsePartition {
                            metadata: row.metadata,
                            ..plain(row)
                        }
                    })
                    .collect(),
            });
            response.topics = topics.collect();
        }
        Err(refusal) => {
            let code = ErrorCode::from(*refusal);
            response.error_code = code.0;
            if head.version < 2 {
                let topics = asked.iter().map(|topic| OffsetFetchResponseTopic {
                    name: topic.topic.as_str(),
                    partitions: topic
                        .partitions
                        .iter()
                        .map(|index| plain(not_fetched(*index, code)))
                        .collect(),
                });
                response.topics = topics.collect();
            }
        }
    }
    head.write(&response, out)
}
