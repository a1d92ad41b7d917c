//! `TxnOffsetCommit`: offsets that count once a transaction commits.

use std::collections::BTreeSet;

use super::call::{Call, Head};
use super::offset_rows::Rows;
use super::transactions::coordinator_code;
use crate::engine::{CommitPartition, CommitRequest, CommitResult, CommitTopic, Producer};
use crate::error::Refusal;
use crate::ids::{Generation, GroupId, TransactionalId};
use crate::server::service::Handled;
use crate::txn::{self, TxnError};
use crate::wire::ErrorCode;
use crate::wire::codec::{DecodeError, Message};
use crate::wire::messages::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestTopic, TxnOffsetCommitResponse,
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};

impl Call<'_> {
    pub(super) fn txn_offset_commit(&mut self) -> Result<Handled, DecodeError> {
        let version = self.header.version;
        let request = TxnOffsetCommitRequest::decode(self.body, version)?;
        let mut rows = Rows::default();
        let mut asked = Vec::with_capacity(request.topics.len());
        for topic in &request.topics {
            let commit = self.staged_topic(topic, &mut rows);
            if !commit.partitions.is_empty() {
                let indexes = commit.partitions.iter().map(|it| it.partition);
                rows.ask(&commit.topic, commit.id, indexes);
                asked.push(commit);
            }
        }
        if asked.is_empty() {
            // The group is not even looked at.
            return Ok(write_staged(rows, &Ok(Vec::new()), self.head(), self.out));
        }
        if request.group_id.is_empty() {
            rows.refuse_all(ErrorCode::INVALID_GROUP_ID);
            return Ok(write(rows, self.head(), self.out));
        }
        let added = self.add_group(&request);
        let id = TransactionalId::from(request.transactional_id);
        let by = producer_of(&request);
        let commit = CommitRequest {
            group: request.group_id.into(),
            member: request.member_id.into(),
            instance: request.group_instance_id.map(Into::into),
            generation: Generation(request.generation_id_or_member_epoch),
            retention_ms: None,
            topics: asked,
        };
        let producer = Producer::new(request.producer_id, request.producer_epoch);
        let engine = self.broker.engine.clone();
        let (coordinator, _) = self.coordinator();
        // Asked before anything of the group, as in Kafka. The engine keeps the order in which it
        // is asked, so that nothing is staged behind the end of its transaction.
        let answer = async move {
            added.await?;
            let group = commit.group.clone();
            let stage = || engine.txn_commit(commit.in_transaction(producer));
            let staged = coordinator.in_group(id.as_str(), by, &group, stage)?;
            Ok(staged.await)
        };
        Ok(self.soon(answer, move |outcome, head, out| match outcome {
            Ok(outcome) => write_staged(rows, &outcome, head, out),
            Err(error) => {
                let code = transaction_code(error, version);
                rows.refuse_all(code);
                write(rows, head, out)
            }
        }))
    }

    fn staged_topic(
        &mut self,
        topic: &TxnOffsetCommitRequestTopic<'_>,
        rows: &mut Rows,
    ) -> CommitTopic {
        let partitions = topic.partitions.iter().map(|it| CommitPartition {
            partition: it.partition_index,
            offset: it.committed_offset,
            leader_epoch: it.committed_leader_epoch,
            metadata: it.committed_metadata.unwrap_or_default().into(),
            committed_at: None,
        });
        let has_id = self.header.version >= 6;
        self.known_part((topic.name, topic.topic_id), has_id, partitions, rows)
    }

    /// From version 5 on the group is added by the request itself, in transactions of version 2
    /// (KIP-890).
    fn add_group(
        &self,
        request: &TxnOffsetCommitRequest<'_>,
    ) -> impl Future<Output = Result<(), TxnError>> + Send + 'static {
        let id = TransactionalId::from(request.transactional_id);
        let group = GroupId::from(request.group_id);
        let by = producer_of(request);
        let (coordinator, _) = self.coordinator();
        let how = (txn::Protocol::V2, self.now);
        let adds = self.header.version >= IMPLICIT_SINCE;
        async move {
            if !adds {
                return Ok(());
            }
            let (none, groups) = (BTreeSet::new(), BTreeSet::from([group]));
            coordinator.add(&id, by, none, groups, how).await
        }
    }
}

fn producer_of(request: &TxnOffsetCommitRequest<'_>) -> txn::Producer {
    txn::Producer {
        id: request.producer_id,
        epoch: request.producer_epoch,
    }
}

/// What the transaction coordinator refused, in words that the clients of that version know.
fn transaction_code(error: TxnError, version: i16) -> ErrorCode {
    if error == TxnError::Abortable && version < ABORTABLE_SINCE {
        return ErrorCode::INVALID_TXN_STATE;
    }
    coordinator_code(error, false)
}

/// Old versions are told what their clients know: up to 5 not that a group may be missing, up to
/// 1 not that a coordinator may be loading.
fn stage_code(refusal: Refusal, version: i16) -> ErrorCode {
    if refusal == Refusal::GroupIdNotFound && version < 6 {
        ErrorCode::ILLEGAL_GENERATION
    } else if refusal == Refusal::LoadInProgress && version < 2 {
        ErrorCode::COORDINATOR_NOT_AVAILABLE
    } else {
        refusal.into()
    }
}

fn write_staged(mut rows: Rows, outcome: &CommitResult, head: Head, out: &mut Vec<u8>) -> Handled {
    let version = head.version;
    rows.fill_committed(outcome, |refusal| stage_code(refusal, version));
    write(rows, head, out)
}

fn write(rows: Rows, head: Head, out: &mut Vec<u8>) -> Handled {
    let mut rows = rows.merged();
    let topics = rows.iter_mut().map(|row| {
        let partitions =
            row.take()
                .map(|(partition_index, code)| TxnOffsetCommitResponsePartition {
                    partition_index,
                    error_code: code.0,
                });
        TxnOffsetCommitResponseTopic {
            partitions: partitions.collect(),
            name: row.name.as_str(),
            topic_id: row.id,
        }
    });
    let response = TxnOffsetCommitResponse {
        topics: topics.collect(),
        ..Default::default()
    };
    head.write(&response, out)
}

/// The first version whose clients know `TRANSACTION_ABORTABLE`, and the first that adds its group
/// to the transaction by itself (KIP-890).
const ABORTABLE_SINCE: i16 = 4;
const IMPLICIT_SINCE: i16 = 5;
