//! A simulated member of a consumer group (KIP-848).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use conform_wire::Conn;
use kafka_protocol::messages::consumer_group_describe_response::Assignment;
use kafka_protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use kafka_protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
    GroupId, TopicName,
};
use tokio::time::Instant;
use uuid::Uuid;

use crate::cx::{Cx, Out, err, matches, text};
use crate::offsets::{Commit, Part};

pub type Parts = BTreeMap<Uuid, BTreeSet<i32>>;

pub struct Modern {
    pub cx: Cx,
    pub name: String,
    pub group: String,
    pub id: String,
    pub epoch: i32,
    pub instance: Option<String>,
    pub topics: Option<Vec<String>>,
    pub regex: Option<String>,
    pub assignor: Option<String>,
    pub rack: Option<String>,
    pub rebalance: i32,
    /// As last told.
    pub assigned: Parts,
    pub v: i16,
    /// Whether assignments are shown partition by partition, not just by number.
    pub exact: bool,
    conn: Option<Arc<Conn>>,
}

pub type Beat = ConsumerGroupHeartbeatRequest;
type Answer = Out<ConsumerGroupHeartbeatResponse>;

impl Cx {
    pub fn modern(&self, group: &str, name: &str, topics: &[&str]) -> Modern {
        let id = Uuid::new_v4().to_string();
        self.name_id(&id, name, group);
        Modern {
            cx: self.clone(),
            name: name.into(),
            group: group.into(),
            id,
            epoch: 0,
            instance: None,
            topics: Some(topics.iter().map(|t| t.to_string()).collect()),
            regex: None,
            assignor: None,
            rack: None,
            rebalance: 60_000,
            assigned: Parts::new(),
            v: self.at_most::<Beat>(1).unwrap_or(1),
            exact: true,
            conn: None,
        }
    }

    /// Members of one group that have joined and hold what they are to hold.
    pub async fn settled(
        &self,
        group: &str,
        names: &[&str],
        topics: &[&str],
    ) -> Result<Vec<Modern>> {
        let mut ms: Vec<_> = names
            .iter()
            .map(|n| self.modern(group, n, topics))
            .collect();
        for m in &mut ms {
            let out = m.join_out().await?;
            self.setup(format!("{} joins", m.name), m.show(&out), "NONE");
        }
        self.settle(&mut ms).await?;
        Ok(ms)
    }

    /// Beats for all, acknowledging what each is told, until nothing changes any more.
    /// The number of rounds is bounded.
    pub async fn settle(&self, ms: &mut [Modern]) -> Result<()> {
        let mut quiet = 0;
        let end = self.deadline(15_000);
        while quiet < 3 && Instant::now() < end {
            let before: Vec<_> = ms.iter().map(|m| (m.epoch, m.assigned.clone())).collect();
            for m in ms.iter_mut() {
                m.own_out().await?;
            }
            let after: Vec<_> = ms.iter().map(|m| (m.epoch, m.assigned.clone())).collect();
            quiet = if before == after { quiet + 1 } else { 0 };
            self.sleep(30).await;
        }
        Ok(())
    }

    /// How many partitions each has, largest first, and whether any has two owners.
    pub fn spread(&self, ms: &[Modern]) -> String {
        let mut sizes: Vec<usize> = ms.iter().map(Modern::size).collect();
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        let mut owners: BTreeMap<(Uuid, i32), usize> = BTreeMap::new();
        for m in ms {
            for (t, ps) in &m.assigned {
                for p in ps {
                    *owners.entry((*t, *p)).or_default() += 1;
                }
            }
        }
        let shared = owners.values().filter(|n| **n > 1).count();
        let sizes: Vec<_> = sizes.iter().map(usize::to_string).collect();
        format!("sizes={} shared={shared}", sizes.join(","))
    }

    /// ConsumerGroupDescribe of several groups. `exact` shows partitions.
    pub async fn cg_describe(
        &self,
        label: &str,
        groups: &[&str],
        exact: bool,
        spec: &str,
    ) -> Result<()> {
        let v = self.at_most::<ConsumerGroupDescribeRequest>(1)?;
        let request = ConsumerGroupDescribeRequest::default()
            .with_group_ids(groups.iter().map(|g| GroupId(text(g))).collect());
        let out = self.ask(&request, v).await?;
        let mut messages = Vec::new();
        let seen = out.show(|r| {
            let rows: Vec<String> = r
                .groups
                .iter()
                .map(|g| {
                    messages.extend(g.error_message.as_ref().map(|m| m.to_string()));
                    let show = |a: &Assignment| {
                        let mut rows: Vec<String> = a
                            .topic_partitions
                            .iter()
                            .map(|t| {
                                let mut ps = t.partitions.clone();
                                ps.sort_unstable();
                                let ps: Vec<_> = ps.iter().map(i32::to_string).collect();
                                let ps = if exact {
                                    ps.join(",")
                                } else {
                                    format!("#{}", ps.len())
                                };
                                format!("{}:{ps}", self.show(&t.topic_name.0))
                            })
                            .collect();
                        rows.sort();
                        format!("{{{}}}", rows.join(";"))
                    };
                    let mut members: Vec<String> = g
                        .members
                        .iter()
                        .map(|m| {
                            let names = m.subscribed_topic_names.iter();
                            let mut names: Vec<_> = names.map(|t| self.show(&t.0)).collect();
                            names.sort();
                            format!(
                                " {}/{}@{}[{}]type={},names={},regex={},is={},target={}",
                                self.who(&m.member_id),
                                self.show_opt(m.instance_id.as_ref()),
                                m.member_epoch,
                                m.client_id,
                                m.member_type,
                                names.join("+"),
                                self.show_opt(m.subscribed_topic_regex.as_ref()),
                                show(&m.assignment),
                                show(&m.target_assignment)
                            )
                        })
                        .collect();
                    members.sort();
                    let id = self.show(&g.group_id.0);
                    format!(
                        "{id}={} state={} epoch={} target-epoch={} assignor={}{}",
                        err(g.error_code),
                        self.show(&g.group_state),
                        g.group_epoch,
                        g.assignment_epoch,
                        self.show(&g.assignor_name),
                        members.concat()
                    )
                })
                .collect();
            if rows.is_empty() {
                "no-rows".into()
            } else {
                rows.join(" ")
            }
        });
        let detail = (!messages.is_empty()).then(|| messages.join("; "));
        self.note_with(label, seen, spec, detail);
        Ok(())
    }
}

impl Modern {
    pub fn with_instance(mut self, instance: &str) -> Self {
        self.instance = Some(instance.into());
        self
    }

    pub fn with_assignor(mut self, assignor: &str) -> Self {
        self.assignor = Some(assignor.into());
        self
    }

    pub fn loose(mut self) -> Self {
        self.exact = false;
        self
    }

    /// The same instance with a new member id, not joined yet.
    pub fn restarted(&self) -> Self {
        let topics: Vec<&str> = self.topics.iter().flatten().map(String::as_str).collect();
        let mut again = self.cx.modern(&self.group, &self.name, &topics);
        again.instance.clone_from(&self.instance);
        again.assignor.clone_from(&self.assignor);
        again.regex.clone_from(&self.regex);
        again.exact = self.exact;
        again
    }

    pub fn size(&self) -> usize {
        self.assigned.values().map(BTreeSet::len).sum()
    }

    pub fn beat_request(&self) -> Beat {
        Beat::default()
            .with_group_id(GroupId(text(&self.group)))
            .with_member_id(text(&self.id))
            .with_member_epoch(self.epoch)
            .with_instance_id(self.instance.as_ref().map(text))
            .with_rebalance_timeout_ms(-1)
            .with_subscribed_topic_names(None)
            .with_topic_partitions(None)
    }

    pub fn names(&self) -> Option<Vec<TopicName>> {
        self.topics
            .as_ref()
            .map(|ts| ts.iter().map(|t| TopicName(text(t))).collect())
    }

    pub fn owned(parts: &Parts) -> Option<Vec<TopicPartitions>> {
        Some(
            parts
                .iter()
                .map(|(id, ps)| {
                    TopicPartitions::default()
                        .with_topic_id(*id)
                        .with_partitions(ps.iter().copied().collect())
                })
                .collect(),
        )
    }

    /// A request with every field set, owning what was last assigned.
    pub fn full_request(&self) -> Beat {
        let mut request = self
            .beat_request()
            .with_rebalance_timeout_ms(self.rebalance)
            .with_rack_id(self.rack.as_ref().map(text))
            .with_server_assignor(self.assignor.as_ref().map(text))
            .with_subscribed_topic_names(self.names())
            .with_topic_partitions(Self::owned(&self.assigned));
        if self.v >= 1 {
            request.subscribed_topic_regex = self.regex.as_ref().map(text);
        }
        request
    }

    pub fn join_request(&self) -> Beat {
        self.full_request()
            .with_member_epoch(0)
            .with_topic_partitions(Some(Vec::new()))
    }

    pub async fn out(&mut self, request: Beat) -> Result<Answer> {
        let v = self.cx.need::<Beat>(self.v)?;
        let conn = match &self.conn {
            Some(conn) if conn.is_idle() => conn.clone(),
            _ => self.cx.connect().await?,
        };
        self.conn = Some(conn.clone());
        let out = self.cx.call(&conn, &request, v).await;
        if let Out::Got(r) = &out
            && r.error_code == 0
        {
            if let Some(id) = &r.member_id
                && !id.is_empty()
            {
                self.cx.name_id(id, &self.name, &self.group);
                self.id = id.to_string();
            }
            if r.member_epoch > 0 || request.member_epoch >= 0 {
                self.epoch = r.member_epoch;
            }
            if let Some(a) = &r.assignment {
                self.assigned = a
                    .topic_partitions
                    .iter()
                    .map(|t| (t.topic_id, t.partitions.iter().copied().collect()))
                    .collect();
            }
        }
        Ok(out)
    }

    pub fn show(&self, out: &Answer) -> String {
        let cx = &self.cx;
        out.show(|r| {
            let me = r
                .member_id
                .as_ref()
                .map_or_else(|| "null".into(), |id| cx.who(id));
            let assign = match &r.assignment {
                None => "null".to_owned(),
                Some(a) => {
                    let mut rows: Vec<String> = a
                        .topic_partitions
                        .iter()
                        .map(|t| {
                            let mut ps = t.partitions.clone();
                            ps.sort_unstable();
                            let ps: Vec<_> = ps.iter().map(i32::to_string).collect();
                            format!("{}:{}", cx.show_topic(t.topic_id), ps.join(","))
                        })
                        .collect();
                    rows.sort();
                    match (self.exact, rows.is_empty()) {
                        (false, false) => "some".into(),
                        _ => format!("{{{}}}", rows.join(";")),
                    }
                }
            };
            format!(
                "{} epoch={} me={me} hb={} assign={assign}",
                err(r.error_code),
                r.member_epoch,
                r.heartbeat_interval_ms
            )
        })
    }

    pub async fn send(&mut self, request: Beat, label: &str, spec: &str) -> Result<()> {
        let out = self.out(request).await?;
        let detail = out
            .as_ref()
            .and_then(|r| r.error_message.as_ref())
            .map(|m| m.to_string());
        let message = match &out {
            Out::Got(r) if r.error_code != 0 => {
                if r.error_message.is_some() {
                    " message=yes"
                } else {
                    " message=no"
                }
            }
            _ => "",
        };
        self.cx
            .note_with(label, self.show(&out) + message, spec, detail);
        Ok(())
    }

    pub async fn join_out(&mut self) -> Result<Answer> {
        let request = self.join_request();
        self.out(request).await
    }

    /// Joins with epoch 0.
    pub async fn join(&mut self, label: &str, spec: &str) -> Result<()> {
        let request = self.join_request();
        self.send(request, label, spec).await
    }

    /// A heartbeat that says nothing new.
    pub async fn beat(&mut self, label: &str, spec: &str) -> Result<()> {
        let request = self.beat_request();
        self.send(request, label, spec).await
    }

    /// A heartbeat at some epoch.
    pub async fn beat_at(&mut self, epoch: i32, label: &str, spec: &str) -> Result<()> {
        let kept = self.epoch;
        let request = self.beat_request().with_member_epoch(epoch);
        self.send(request, label, spec).await?;
        self.epoch = kept;
        Ok(())
    }

    /// A heartbeat that tells what is owned: all that was last assigned.
    pub async fn own(&mut self, label: &str, spec: &str) -> Result<()> {
        let request = self
            .beat_request()
            .with_topic_partitions(Self::owned(&self.assigned));
        self.send(request, label, spec).await
    }

    pub async fn own_out(&mut self) -> Result<Answer> {
        let request = self
            .beat_request()
            .with_topic_partitions(Self::owned(&self.assigned));
        self.out(request).await
    }

    pub async fn full(&mut self, label: &str, spec: &str) -> Result<()> {
        let request = self.full_request();
        self.send(request, label, spec).await
    }

    pub async fn leave(&mut self, label: &str, spec: &str) -> Result<()> {
        let request = self.beat_request().with_member_epoch(-1);
        self.send(request, label, spec).await
    }

    pub async fn leave_quietly(&mut self) -> Result<()> {
        let request = self.beat_request().with_member_epoch(-1);
        let out = self.out(request).await?;
        self.cx
            .setup(format!("{} leaves", self.name), self.show(&out), "NONE");
        Ok(())
    }

    /// Steps down for a while (epoch -2).
    pub async fn pause(&mut self, label: &str, spec: &str) -> Result<()> {
        let request = self.beat_request().with_member_epoch(-2);
        self.send(request, label, spec).await
    }

    /// Beats, acknowledging all, until the answer is as specified; records the last.
    pub async fn until(&mut self, ms: u64, label: &str, spec: &str) -> Result<()> {
        let end = Instant::now() + Duration::from_millis(ms);
        loop {
            let out = self.own_out().await?;
            let seen = self.show(&out);
            if matches(spec, &seen) || Instant::now() >= end {
                self.cx.note(label, seen, spec);
                return Ok(());
            }
            self.cx.sleep(60).await;
        }
    }

    pub fn commit(&self, parts: &[Part]) -> Commit {
        self.cx
            .commit(&self.group, parts)
            .as_member(&self.id, self.epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use conform_wire::encode_frame;

    /// Every heartbeat that a member makes can be encoded in the versions it uses.
    #[test]
    fn requests_can_be_encoded() {
        let cx = Cx::for_tests();
        let mut m = cx
            .modern("g", "A", &["t"])
            .with_instance("i")
            .with_assignor("range");
        m.regex = Some("x.*".into());
        m.assigned = [(Uuid::new_v4(), [1, 2].into())].into();
        for v in [0, 1] {
            m.v = v;
            for request in [m.beat_request(), m.full_request(), m.join_request()] {
                encode_frame(&mut Vec::new(), "c", 1, v, &request).expect("encodable");
            }
        }
    }

    #[test]
    fn answers_are_shown_by_label() {
        use kafka_protocol::messages::consumer_group_heartbeat_response::{
            Assignment, TopicPartitions,
        };
        let cx = Cx::for_tests();
        let name = cx.topic_name();
        let topic = Uuid::new_v4();
        cx.call_topic(topic, &name);
        let mut m = cx.modern("g", "A", &[&name]);
        let parts = TopicPartitions::default()
            .with_topic_id(topic)
            .with_partitions(vec![2, 0]);
        let answer = Out::Got(
            ConsumerGroupHeartbeatResponse::default()
                .with_member_id(Some(text(&m.id)))
                .with_member_epoch(3)
                .with_assignment(Some(
                    Assignment::default().with_topic_partitions(vec![parts]),
                )),
        );
        assert_eq!(m.show(&answer), "NONE epoch=3 me=A hb=0 assign={t1:0,2}");
        m.exact = false;
        assert_eq!(m.show(&answer), "NONE epoch=3 me=A hb=0 assign=some");
        assert_eq!(m.show(&Out::Not("no-reply".into())), "no-reply");
    }
}
