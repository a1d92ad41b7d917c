//! A producer that commits offsets in transactions.

use anyhow::Result;
use bytes::Buf;
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, EndTxnRequest, FindCoordinatorRequest, GroupId, InitProducerIdRequest,
    ProducerId, TopicName, TransactionalId, TxnOffsetCommitRequest,
};
use tokio::time::Instant;
use uuid::Uuid;

use crate::cx::{Cx, err, text};
use crate::offsets::{Part, by_topic};
use crate::raw::{Body, call};

/// A producer in a transaction.
pub struct Txn {
    cx: Cx,
    pub id: TransactionalId,
    pub pid: ProducerId,
    pub epoch: i16,
}

fn again(code: i16) -> bool {
    matches!(code, 14 | 15 | 16 | 51)
}

impl Txn {
    pub async fn open(cx: &Cx) -> Result<Self> {
        let name = format!("cf-{}-txn-{}", cx.salt, Uuid::new_v4().simple());
        let mut txn = Self {
            cx: cx.clone(),
            id: TransactionalId(text(&name)),
            pid: ProducerId(-1),
            epoch: -1,
        };
        let find = FindCoordinatorRequest::default()
            .with_key(text(&name))
            .with_key_type(1);
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(txn.id.clone()))
            .with_transaction_timeout_ms(60_000)
            .with_producer_id(ProducerId(-1))
            .with_producer_epoch(-1);
        cx.need::<TxnOffsetCommitRequest>(3)?;
        cx.need::<EndTxnRequest>(3)?;
        let end = cx.deadline(30_000);
        loop {
            let _ = cx.ask(&find, 3).await?;
            let out = cx.ask(&request, 4).await?;
            if let Some(r) = out.as_ref() {
                if r.error_code == 0 {
                    (txn.pid, txn.epoch) = (r.producer_id, r.producer_epoch);
                    return Ok(txn);
                }
                if again(r.error_code) && Instant::now() < end {
                    cx.sleep(100).await;
                    continue;
                }
            }
            cx.setup("InitProducerId", out.show(|r| err(r.error_code)), "NONE");
            return Ok(txn);
        }
    }

    pub async fn add(&self, group: &str, label: &str, spec: &str) -> Result<()> {
        let request = AddOffsetsToTxnRequest::default()
            .with_transactional_id(self.id.clone())
            .with_producer_id(self.pid)
            .with_producer_epoch(self.epoch)
            .with_group_id(GroupId(text(group)));
        let end = self.cx.deadline(8000);
        loop {
            let out = self.cx.ask(&request, 3).await?;
            match out.as_ref() {
                Some(r) if again(r.error_code) && Instant::now() < end => self.cx.sleep(50).await,
                _ => {
                    self.cx.note(label, out.show(|r| err(r.error_code)), spec);
                    return Ok(());
                }
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "a row of the script")]
    pub async fn commit(
        &self,
        v: i16,
        group: &str,
        member: (&str, i32, Option<&str>),
        parts: &[Part],
        label: &str,
        spec: &str,
    ) -> Result<()> {
        let seen = self.commit_out(v, group, member, parts).await?;
        self.cx.note(label, seen, spec);
        Ok(())
    }

    pub async fn commit_out(
        &self,
        v: i16,
        group: &str,
        member: (&str, i32, Option<&str>),
        parts: &[Part],
    ) -> Result<String> {
        let topics = by_topic(parts)
            .into_iter()
            .map(|(topic, parts)| {
                let parts = parts
                    .into_iter()
                    .map(|p| {
                        TxnOffsetCommitRequestPartition::default()
                            .with_partition_index(p.partition)
                            .with_committed_offset(p.offset)
                            .with_committed_leader_epoch(p.epoch)
                            .with_committed_metadata(p.meta.map(text))
                    })
                    .collect();
                TxnOffsetCommitRequestTopic::default()
                    .with_name(TopicName(text(topic)))
                    .with_partitions(parts)
            })
            .collect();
        let mut request = TxnOffsetCommitRequest::default()
            .with_transactional_id(self.id.clone())
            .with_group_id(GroupId(text(group)))
            .with_producer_id(self.pid)
            .with_producer_epoch(self.epoch)
            .with_topics(topics);
        if v >= 3 {
            request.member_id = text(member.0);
            request.generation_id = member.1;
            request.group_instance_id = member.2.map(text);
        }
        let end = self.cx.deadline(8000);
        loop {
            let out = self.cx.ask(&request, v).await?;
            let retry = out.as_ref().is_some_and(|r| {
                r.topics
                    .iter()
                    .flat_map(|t| &t.partitions)
                    .any(|p| again(p.error_code))
            });
            if retry && Instant::now() < end {
                self.cx.sleep(50).await;
                continue;
            }
            let seen = out.show(|r| {
                let rows: Vec<_> = r
                    .topics
                    .iter()
                    .flat_map(|t| {
                        t.partitions.iter().map(|p| {
                            format!(
                                "{}-{}={}",
                                self.cx.show(&t.name.0),
                                p.partition_index,
                                err(p.error_code)
                            )
                        })
                    })
                    .collect();
                if rows.is_empty() {
                    "no-rows".into()
                } else {
                    rows.join(" ")
                }
            });
            return Ok(seen);
        }
    }

    /// Version 6, with a topic id.
    #[expect(clippy::too_many_arguments, reason = "a row of the script")]
    pub async fn commit_by_id(
        &self,
        group: &str,
        member: (&str, i32),
        topic: Uuid,
        partition: i32,
        label: &str,
        spec: &str,
    ) -> Result<()> {
        let end = self.cx.deadline(8000);
        loop {
            let body = Body::default()
                .string(&self.id.0)
                .string(group)
                .i64(self.pid.0)
                .i16(self.epoch);
            let body = body
                .i32(member.1)
                .string(member.0)
                .raw(&[0, 2])
                .raw(topic.as_bytes());
            let body = body
                .raw(&[2])
                .i32(partition)
                .i64(5)
                .i32(-1)
                .string("")
                .raw(&[0, 0, 0]);
            let seen = match call(&self.cx, 28, 6, body).await? {
                Err(why) => why,
                Ok(mut b) if b.remaining() >= 4 + 1 + 16 + 1 + 6 => {
                    b.advance(5);
                    let id = Uuid::from_slice(&b.split_to(16))?;
                    b.advance(1);
                    let (index, code) = (b.get_i32(), b.get_i16());
                    if again(code) && Instant::now() < end {
                        self.cx.sleep(50).await;
                        continue;
                    }
                    format!("{}-{index}={}", self.cx.show_topic(id), err(code))
                }
                Ok(b) => format!("short#{}", b.remaining()),
            };
            self.cx.note(label, seen, spec);
            return Ok(());
        }
    }

    pub async fn end(&mut self, v: i16, commit: bool, label: &str) -> Result<()> {
        let request = EndTxnRequest::default()
            .with_transactional_id(self.id.clone())
            .with_producer_id(self.pid)
            .with_producer_epoch(self.epoch)
            .with_committed(commit);
        let end = self.cx.deadline(8000);
        loop {
            let out = self.cx.ask(&request, v).await?;
            match out.as_ref() {
                Some(r) if again(r.error_code) && Instant::now() < end => self.cx.sleep(50).await,
                _ => {
                    if let Some(r) = out.as_ref()
                        && v >= 5
                        && r.error_code == 0
                    {
                        (self.pid, self.epoch) = (r.producer_id, r.producer_epoch);
                    }
                    self.cx.note(label, out.show(|r| err(r.error_code)), "NONE");
                    return Ok(());
                }
            }
        }
    }
}
