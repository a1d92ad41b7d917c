//! `OffsetFetch`: what groups have committed.

use std::sync::Arc;

use super::call::{Call, Head};
use super::known_topics::Named;
use crate::engine::{FetchRequest, FetchResult, FetchTopic, FetchedPartition, FetchedTopic};
use crate::error::Refusal;
use crate::ids::{TopicId, TopicName};
use crate::server::service::Handled;
use crate::topics::{TopicKey, Topics};
use crate::wire::ErrorCode;
use crate::wire::codec::{DecodeError, Message as _};
use crate::wire::fetched::FetchedWriter;
use crate::wire::messages::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchResponsePartitions,
};

impl Call<'_> {
    pub(super) fn offset_fetch(&mut self) -> Result<Handled, DecodeError> {
        let version = self.header.version;
        let request = OffsetFetchRequest::decode(self.body, version)?;
        if let Some(handled) = self.fetch_in_place(&request) {
            return Ok(handled);
        }
        Ok(self.fetch_by_values(&request))
    }

    /// The same by way of values, of which the group's shard makes copies.
    pub(super) fn fetch_by_values(&mut self, request: &OffsetFetchRequest<'_>) -> Handled {
        if self.header.version <= 7 {
            return self.fetch_one(request);
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
        self.answer_each(asks, partitions, move |outcomes, head, out| {
            let outcomes: Vec<FetchResult> = outcomes
                .into_iter()
                .map(|outcome| outcome.map_err(|it| fetch_refusal(it, require_stable)))
                .collect();
            write_fetched(&groups, &outcomes, &topics, head, out)
        })
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
    let index = partition.partition;
    match &partition.committed {
        _ if partition.is_unstable => not_fetched(index, ErrorCode::UNSTABLE_OFFSET_COMMIT),
        Some(it) => row(index, it.offset, it.leader_epoch, &it.metadata),
        None => not_fetched(index, ErrorCode::NONE),
    }
}

/// The row of a partition with an offset.
#[inline]
pub(super) fn row(
    index: i32,
    offset: i64,
    leader_epoch: i32,
    metadata: &str,
) -> OffsetFetchResponsePartitions<'_> {
    OffsetFetchResponsePartitions {
        partition_index: index,
        committed_offset: offset,
        committed_leader_epoch: leader_epoch,
        metadata: Some(metadata),
        error_code: ErrorCode::NONE.0,
    }
}

/// The row of a partition without.
#[inline]
pub(super) fn not_fetched(index: i32, code: ErrorCode) -> OffsetFetchResponsePartitions<'static> {
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
        write_none(name, *id, indexes, ErrorCode::UNKNOWN_TOPIC_ID, writer);
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
    head.write_with(out, |writer| {
        let mut writer = FetchedWriter::begin(writer, head.version, 1);
        let code = match outcome {
            Ok(topics) => {
                writer.group("", topics.len());
                for topic in topics {
                    write_topic(topic, TopicId::ZERO, &mut writer);
                }
                ErrorCode::NONE
            }
            Err(refusal) => {
                let code = ErrorCode::from(*refusal);
                let asked = if head.version < 2 { asked } else { &[] };
                writer.group("", asked.len());
                for topic in asked {
                    let (name, partitions) = (topic.topic.as_str(), &topic.partitions);
                    write_none(name, TopicId::ZERO, partitions, code, &mut writer);
                }
                code
            }
        };
        writer.end_group(code.0);
        writer.end();
    })
}

/// A topic of which nothing can be told but why.
pub(super) fn write_none(
    name: &str,
    id: TopicId,
    partitions: &[i32],
    code: ErrorCode,
    writer: &mut FetchedWriter<'_, '_>,
) {
    writer.topic(name, id, partitions.len());
    for partition in partitions {
        writer.row(&not_fetched(*partition, code));
    }
    writer.end_topic();
}
