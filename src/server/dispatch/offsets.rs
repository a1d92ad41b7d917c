//! Offsets: commit and delete.
//!
//! Whether topics and partitions exist is asked here, as Kafka's broker does before it asks the
//! coordinator; the coordinator takes any name.

use super::call::{Call, Head};
use super::known_topics::Named;
use super::offset_rows::{Rows, known};
use crate::engine::{
    CommitPartition, CommitRequest, CommitResult, CommitTopic, OffsetDeleteRequest,
    OffsetDeleteResult, OffsetDeleteTopic,
};
use crate::error::Refusal;
use crate::ids::{Generation, TopicId};
use crate::server::service::Handled;
use crate::time::WallMs;
use crate::wire::ErrorCode;
use crate::wire::codec::{DecodeError, Message};
use crate::wire::messages::{
    OffsetCommitRequest, OffsetCommitRequestTopic, OffsetCommitResponse,
    OffsetCommitResponsePartition, OffsetCommitResponseTopic, OffsetDeleteRequest as DeleteOnWire,
    OffsetDeleteResponse, OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
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
