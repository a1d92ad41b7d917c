//! Commits, fetches and deletions of offsets, and topics to have them for.

use anyhow::Result;
use conform_wire::ensure_topic;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::{
    ConsumerGroupHeartbeatRequest, GroupId, OffsetCommitRequest, OffsetDeleteRequest,
    OffsetFetchRequest, OffsetFetchResponse, TopicName,
};
use kafka_protocol::protocol::{Request, StrBytes};
use tokio::time::Instant;
use uuid::Uuid;

use crate::cx::{Cx, err, text};
use crate::member::Member;

#[derive(Clone)]
pub struct Part {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub epoch: i32,
    pub meta: Option<String>,
}

pub fn part(topic: &str, partition: i32, offset: i64) -> Part {
    Part {
        topic: topic.into(),
        partition,
        offset,
        epoch: -1,
        meta: Some(String::new()),
    }
}

/// Parts of one topic, side by side.
pub fn by_topic(parts: &[Part]) -> Vec<(String, Vec<Part>)> {
    let mut topics: Vec<(String, Vec<Part>)> = Vec::new();
    for p in parts {
        match topics.last_mut() {
            Some((topic, list)) if *topic == p.topic => list.push(p.clone()),
            _ => topics.push((p.topic.clone(), vec![p.clone()])),
        }
    }
    topics
}

pub struct Commit {
    cx: Cx,
    pub group: String,
    pub member: String,
    pub generation: i32,
    pub instance: Option<String>,
    pub retention: i64,
    pub v: i16,
    pub parts: Vec<Part>,
}

pub struct Fetch {
    cx: Cx,
    pub groups: Vec<(String, Option<String>, i32)>,
    /// `None` for all topics.
    pub parts: Option<Vec<(String, i32)>>,
    pub stable: bool,
    pub v: i16,
}

impl Cx {
    /// A fresh topic; returns its name and id.
    pub async fn topic(&self, partitions: usize) -> Result<(String, Uuid)> {
        let name = self.topic_name();
        let id = self.create_topic(&name, partitions).await?;
        Ok((name, id))
    }

    pub async fn create_topic(&self, name: &str, partitions: usize) -> Result<Uuid> {
        let conn = self.connect().await?;
        let topic = ensure_topic(&conn, &text(name), partitions, self.deadline(10_000)).await?;
        self.call_topic(topic.id, name);
        self.await_assignable(name).await?;
        Ok(topic.id)
    }

    /// Coordinators learn of a topic a little after those who answer Metadata: waits until one
    /// assigns it. Where consumer groups aren't to be had, nothing depends on it.
    async fn await_assignable(&self, name: &str) -> Result<()> {
        if !self.offers(ConsumerGroupHeartbeatRequest::KEY, 0) {
            return Ok(());
        }
        let mut probe = self.modern(&format!("{name}-probe"), "probe", &[name]);
        let end = self.deadline(3000);
        let mut out = probe.join_out().await?;
        while out.as_ref().is_some_and(|r| r.error_code == 0) {
            if probe.size() > 0 || Instant::now() >= end {
                return probe.leave_quietly().await;
            }
            self.sleep(10).await;
            out = probe.own_out().await?;
        }
        Ok(())
    }

    /// A commit as of an administrator: no member, generation -1.
    pub fn commit(&self, group: &str, parts: &[Part]) -> Commit {
        Commit {
            cx: self.clone(),
            group: group.into(),
            member: String::new(),
            generation: -1,
            instance: None,
            retention: -1,
            v: self.at_most::<OffsetCommitRequest>(9).unwrap_or(9),
            parts: parts.to_vec(),
        }
    }

    pub fn fetch(&self, group: &str, parts: &[(&str, i32)]) -> Fetch {
        let parts = parts.iter().map(|(t, p)| (t.to_string(), *p)).collect();
        Fetch {
            cx: self.clone(),
            groups: vec![(group.into(), None, -1)],
            parts: Some(parts),
            stable: false,
            v: self.at_most::<OffsetFetchRequest>(9).unwrap_or(9),
        }
    }

    pub fn fetch_all(&self, group: &str) -> Fetch {
        Fetch {
            parts: None,
            ..self.fetch(group, &[])
        }
    }

    pub async fn delete_offsets(
        &self,
        label: &str,
        group: &str,
        parts: &[(&str, i32)],
        spec: &str,
    ) -> Result<()> {
        let mut topics: Vec<OffsetDeleteRequestTopic> = Vec::new();
        for (topic, partition) in parts {
            let partition =
                OffsetDeleteRequestPartition::default().with_partition_index(*partition);
            match topics.last_mut() {
                Some(t) if *t.name.0 == **topic => t.partitions.push(partition),
                _ => topics.push(
                    OffsetDeleteRequestTopic::default()
                        .with_name(TopicName(text(topic)))
                        .with_partitions(vec![partition]),
                ),
            }
        }
        let request = OffsetDeleteRequest::default()
            .with_group_id(GroupId(text(group)))
            .with_topics(topics);
        let out = self.ask(&request, 0).await?;
        let seen = out.show(|r| {
            let mut rows: Vec<String> = Vec::new();
            for t in &r.topics {
                for p in &t.partitions {
                    let topic = self.show(&t.name.0);
                    rows.push(format!(
                        " {topic}-{}={}",
                        p.partition_index,
                        err(p.error_code)
                    ));
                }
            }
            rows.sort();
            format!("top={}{}", err(r.error_code), rows.concat())
        });
        self.note(label, seen, spec);
        Ok(())
    }
}

impl Commit {
    pub fn of(mut self, m: &Member) -> Self {
        self.member.clone_from(&m.id);
        self.generation = m.generation;
        self.instance.clone_from(&m.instance);
        self
    }

    pub fn as_member(mut self, id: &str, generation: i32) -> Self {
        self.member = id.into();
        self.generation = generation;
        self
    }

    pub fn instance(mut self, instance: &str) -> Self {
        self.instance = Some(instance.into());
        self
    }

    pub fn v(mut self, v: i16) -> Self {
        self.v = v;
        self
    }

    pub fn retention(mut self, ms: i64) -> Self {
        self.retention = ms;
        self
    }

    pub async fn send(self, label: &str, spec: &str) -> Result<()> {
        let seen = self.seen().await?;
        self.cx.note(label, seen, spec);
        Ok(())
    }

    pub async fn seen(&self) -> Result<String> {
        let topics = by_topic(&self.parts)
            .into_iter()
            .map(|(topic, parts)| {
                let parts = parts
                    .into_iter()
                    .map(|p| {
                        let mut row = OffsetCommitRequestPartition::default()
                            .with_partition_index(p.partition)
                            .with_committed_offset(p.offset)
                            .with_committed_metadata(p.meta.map(text));
                        if self.v >= 6 {
                            row.committed_leader_epoch = p.epoch;
                        }
                        row
                    })
                    .collect();
                OffsetCommitRequestTopic::default()
                    .with_name(TopicName(text(topic)))
                    .with_partitions(parts)
            })
            .collect();
        let mut request = OffsetCommitRequest::default()
            .with_group_id(GroupId(text(&self.group)))
            .with_member_id(text(&self.member))
            .with_generation_id_or_member_epoch(self.generation)
            .with_topics(topics);
        if self.v >= 7 {
            request.group_instance_id = self.instance.as_ref().map(text);
        }
        if self.v <= 4 {
            request.retention_time_ms = self.retention;
        }
        let cx = &self.cx;
        let out = cx.ask(&request, self.v).await?;
        Ok(out.show(|r| {
            let rows: Vec<_> = r
                .topics
                .iter()
                .flat_map(|t| {
                    let topic = cx.show(&t.name.0);
                    t.partitions.iter().map(move |p| {
                        format!("{topic}-{}={}", p.partition_index, err(p.error_code))
                    })
                })
                .collect();
            if rows.is_empty() {
                "no-rows".into()
            } else {
                rows.join(" ")
            }
        }))
    }
}

impl Fetch {
    pub fn v(mut self, v: i16) -> Self {
        self.v = v;
        self
    }

    pub fn stable(mut self) -> Self {
        self.stable = true;
        self
    }

    pub fn as_member(mut self, id: Option<&str>, epoch: i32) -> Self {
        self.groups[0].1 = id.map(str::to_owned);
        self.groups[0].2 = epoch;
        self
    }

    pub fn and(mut self, group: &str) -> Self {
        self.groups.push((group.into(), None, -1));
        self
    }

    pub async fn send(self, label: &str, spec: &str) -> Result<()> {
        let seen = self.seen().await?;
        self.cx.note(label, seen, spec);
        Ok(())
    }

    pub async fn seen(&self) -> Result<String> {
        let mut request = OffsetFetchRequest::default();
        let mut topics: Option<Vec<(String, Vec<i32>)>> = None;
        if let Some(parts) = &self.parts {
            let list = topics.insert(Vec::new());
            for (topic, partition) in parts {
                match list.last_mut() {
                    Some((t, ps)) if t == topic => ps.push(*partition),
                    _ => list.push((topic.clone(), vec![*partition])),
                }
            }
        }
        if self.v >= 7 {
            request.require_stable = self.stable;
        }
        if self.v >= 8 {
            request.groups = self
                .groups
                .iter()
                .map(|(group, member, epoch)| {
                    let mut g =
                        OffsetFetchRequestGroup::default().with_group_id(GroupId(text(group)));
                    g.topics = topics.as_ref().map(|list| {
                        list.iter()
                            .map(|(t, ps)| {
                                OffsetFetchRequestTopics::default()
                                    .with_name(TopicName(text(t)))
                                    .with_partition_indexes(ps.clone())
                            })
                            .collect()
                    });
                    if self.v >= 9 {
                        g.member_id = member.as_ref().map(text);
                        g.member_epoch = *epoch;
                    }
                    g
                })
                .collect();
        } else {
            request.group_id = GroupId(text(&self.groups[0].0));
            request.topics = topics.map(|list| {
                list.into_iter()
                    .map(|(t, ps)| {
                        OffsetFetchRequestTopic::default()
                            .with_name(TopicName(text(t)))
                            .with_partition_indexes(ps)
                    })
                    .collect()
            });
        }
        let out = self.cx.ask(&request, self.v).await?;
        Ok(out.show(|r| self.show(r)))
    }

    fn show(&self, r: &OffsetFetchResponse) -> String {
        let cx = &self.cx;
        let row = |topic: &TopicName,
                   index: i32,
                   offset: i64,
                   epoch: i32,
                   meta: &Option<StrBytes>,
                   code: i16| {
            let code = if code == 0 {
                String::new()
            } else {
                format!(",{}", err(code))
            };
            let meta = cx.show_opt(meta.as_ref());
            format!(
                " {}-{index}={offset},e{epoch},{meta}{code}",
                cx.show(&topic.0)
            )
        };
        if self.v < 8 {
            let mut rows: Vec<_> = Vec::new();
            for t in &r.topics {
                for p in &t.partitions {
                    rows.push(row(
                        &t.name,
                        p.partition_index,
                        p.committed_offset,
                        p.committed_leader_epoch,
                        &p.metadata,
                        p.error_code,
                    ));
                }
            }
            rows.sort();
            let rows = if rows.is_empty() {
                " no-rows".into()
            } else {
                rows.concat()
            };
            return if self.v >= 2 {
                format!("top={}{rows}", err(r.error_code))
            } else {
                format!("top=-{rows}")
            };
        }
        let groups: Vec<String> = r
            .groups
            .iter()
            .map(|g| {
                let mut rows: Vec<_> = Vec::new();
                for t in &g.topics {
                    for p in &t.partitions {
                        rows.push(row(
                            &t.name,
                            p.partition_index,
                            p.committed_offset,
                            p.committed_leader_epoch,
                            &p.metadata,
                            p.error_code,
                        ));
                    }
                }
                rows.sort();
                let rows = if rows.is_empty() {
                    " no-rows".into()
                } else {
                    rows.concat()
                };
                let which = if self.groups.len() > 1 {
                    cx.show(&g.group_id.0)
                } else {
                    "top".into()
                };
                format!("{which}={}{rows}", err(g.error_code))
            })
            .collect();
        if groups.is_empty() {
            "no-groups".into()
        } else {
            groups.join(" ")
        }
    }
}
