//! A simulated member of a classic group.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use conform_wire::Conn;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    GroupId, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest,
    SyncGroupRequest, SyncGroupResponse,
};
use kafka_protocol::protocol::Request;
use tokio::time::Instant;

use crate::blobs::subscription;
use crate::cx::{Cx, Out, err, text};
use crate::parked::Parked;
use crate::show::{show_join, show_leave, show_sync};

pub struct Member {
    pub cx: Cx,
    pub name: String,
    pub group: String,
    pub id: String,
    pub instance: Option<String>,
    pub generation: i32,
    pub leader: String,
    /// Member ids, as the leader was told.
    pub roster: Vec<String>,
    pub session: i32,
    pub rebalance: i32,
    pub ptype: String,
    pub protocols: Vec<(String, Bytes)>,
    /// As chosen in the last join.
    pub chosen: Option<String>,
    pub reason: Option<String>,
    /// The longest wait for an answer.
    pub limit: Duration,
    pub jv: i16,
    pub sv: i16,
    pub hv: i16,
    pub lv: i16,
    conn: Option<Arc<Conn>>,
}

impl Cx {
    /// A member that offers the protocol "range" with metadata of its own, named `m<name>`.
    pub fn member(&self, group: &str, name: &str) -> Member {
        let mut member = Member {
            cx: self.clone(),
            name: name.into(),
            group: group.into(),
            id: String::new(),
            instance: None,
            generation: -1,
            leader: String::new(),
            roster: Vec::new(),
            session: self.env.session,
            rebalance: 60_000,
            ptype: "consumer".into(),
            protocols: Vec::new(),
            chosen: None,
            reason: None,
            limit: self.env.wait,
            jv: self.at_most::<JoinGroupRequest>(9).unwrap_or(9),
            sv: self.at_most::<SyncGroupRequest>(5).unwrap_or(5),
            hv: self.at_most::<HeartbeatRequest>(4).unwrap_or(4),
            lv: self.at_most::<LeaveGroupRequest>(5).unwrap_or(5),
            conn: None,
        };
        member.offer(&["range"], "");
        member
    }

    pub fn static_member(&self, group: &str, name: &str, instance: &str) -> Member {
        self.member(group, name).with_instance(instance)
    }

    /// Metadata named `label`: a subscription to a topic named for the case.
    pub fn metadata(&self, label: &str, topics: &[&str]) -> Bytes {
        self.blob(label, subscription(topics, label, &[]))
    }

    /// A Stable group of members that have to themselves offer the same protocol.
    pub async fn stable(&self, group: &str, names: &[&str]) -> Result<Vec<Member>> {
        let mut members: Vec<_> = names.iter().map(|n| self.member(group, n)).collect();
        self.form(&mut members).await?;
        self.sync_all(&mut members).await?;
        Ok(members)
    }

    /// Joins `members` one after the other. They end in CompletingRebalance, in the
    /// generation that is their number, led by the first.
    pub async fn form(&self, members: &mut [Member]) -> Result<()> {
        for last in 0..members.len() {
            members[last].take_id().await?;
            let newest = members[last].join_start().await?;
            let (old, new) = members.split_at_mut(last);
            let mut parked = Vec::new();
            if !old.is_empty() {
                old[0].await_rebalance().await?;
                for m in old.iter_mut() {
                    parked.push(m.join_start().await?);
                }
            }
            for (m, p) in old.iter_mut().zip(parked) {
                m.joined_quietly(&p.out().await);
            }
            new[0].joined_quietly(&newest.out().await);
        }
        Ok(())
    }

    /// Has the leader assign `asg-<name>` to everyone, and everyone fetch it.
    pub async fn sync_all(&self, members: &mut [Member]) -> Result<()> {
        let lead = members.iter().position(|m| m.id == m.leader).unwrap_or(0);
        let plan = self.plan(members);
        let out = members[lead].sync_out(plan).await?;
        self.setup(
            "leader syncs",
            show_sync(self, &out, members[lead].sv),
            "NONE",
        );
        for (i, m) in members.iter_mut().enumerate() {
            if i != lead {
                let out = m.sync_out(Vec::new()).await?;
                self.setup(
                    format!("{} syncs", m.name),
                    show_sync(self, &out, m.sv),
                    "NONE",
                );
            }
        }
        Ok(())
    }

    /// An assignment of `asg-<name>` to each.
    pub fn plan(&self, members: &[Member]) -> Vec<(String, Bytes)> {
        members
            .iter()
            .map(|m| (m.id.clone(), Bytes::from(format!("asg-{}", m.name))))
            .collect()
    }
}

impl Member {
    pub fn with_instance(mut self, instance: &str) -> Self {
        self.instance = Some(instance.into());
        self
    }

    /// Offers `protocols` in this order, with metadata `m<name><tag>-<protocol>`.
    pub fn offer(&mut self, protocols: &[&str], tag: &str) {
        let topic = format!("cf-{}-t1", self.cx.salt);
        self.protocols = protocols
            .iter()
            .map(|p| {
                let label = format!("m{}{tag}-{p}", self.name);
                (p.to_string(), self.cx.metadata(&label, &[&topic]))
            })
            .collect();
    }

    pub fn offering(mut self, protocols: &[&str]) -> Self {
        self.offer(protocols, "");
        self
    }

    /// A copy that has a connection of its own.
    pub fn twin(&self) -> Self {
        let mut twin = self.cx.member(&self.group, &self.name);
        twin.id.clone_from(&self.id);
        twin.instance.clone_from(&self.instance);
        twin.generation = self.generation;
        twin.leader.clone_from(&self.leader);
        twin.session = self.session;
        twin.rebalance = self.rebalance;
        twin.ptype.clone_from(&self.ptype);
        twin.protocols.clone_from(&self.protocols);
        twin.chosen.clone_from(&self.chosen);
        (twin.jv, twin.sv, twin.hv, twin.lv) = (self.jv, self.sv, self.hv, self.lv);
        twin
    }

    /// A twin that has forgotten its member id, as after a restart.
    pub fn restarted(&self) -> Self {
        let mut twin = self.twin();
        twin.id.clear();
        twin
    }

    /// A connection on which nothing waits.
    pub async fn conn(&mut self) -> Result<Arc<Conn>> {
        if let Some(conn) = &self.conn
            && conn.is_idle()
        {
            return Ok(conn.clone());
        }
        let conn = self.cx.connect().await?;
        self.conn = Some(conn.clone());
        Ok(conn)
    }

    pub async fn send<R>(&mut self, request: R, v: i16) -> Result<Parked<R>>
    where
        R: Request + Send + Sync + 'static,
        R::Response: Send,
    {
        self.cx.need::<R>(v)?;
        let conn = self.conn().await?;
        // Queued here, so that requests of one task leave in the order of its calls.
        let reply = conn.send(&request, v);
        let limit = self.limit;
        let task = tokio::spawn(async move {
            let _keep = conn;
            match reply {
                Ok(reply) => match reply.within(limit).await {
                    Ok(response) => Out::Got(response),
                    Err(e) => Out::Not(crate::cx::not(&e)),
                },
                Err(e) => Out::Not(crate::cx::not(&e)),
            }
        });
        tokio::task::yield_now().await;
        Ok(Parked {
            task,
            since: Instant::now(),
        })
    }

    // --- Join ----------------------------------------------------------------------------

    pub fn join_request(&self) -> JoinGroupRequest {
        let protocols = self
            .protocols
            .iter()
            .map(|(name, metadata)| {
                JoinGroupRequestProtocol::default()
                    .with_name(text(name))
                    .with_metadata(metadata.clone())
            })
            .collect();
        let mut request = JoinGroupRequest::default()
            .with_group_id(GroupId(text(&self.group)))
            .with_session_timeout_ms(self.session)
            .with_member_id(text(&self.id))
            .with_protocol_type(text(&self.ptype))
            .with_protocols(protocols);
        if self.jv >= 1 {
            request.rebalance_timeout_ms = self.rebalance;
        }
        if self.jv >= 5 {
            request.group_instance_id = self.instance.as_ref().map(text);
        }
        if self.jv >= 8 {
            request.reason = self.reason.as_ref().map(text);
        }
        request
    }

    pub async fn join_start(&mut self) -> Result<Parked<JoinGroupRequest>> {
        let request = self.join_request();
        let v = self.jv;
        self.send(request, v).await
    }

    /// Takes over what a JoinGroup response says.
    pub fn joined_quietly(&mut self, out: &Out<JoinGroupResponse>) {
        let seen = self.absorb(out);
        self.cx.setup(format!("{} joins", self.name), seen, "NONE");
    }

    pub fn absorb(&mut self, out: &Out<JoinGroupResponse>) -> String {
        if let Out::Got(r) = out {
            self.cx.name_id(&r.member_id, &self.name, &self.group);
            // Others may have an id of which only the leader has been told so far.
            for m in &r.members {
                if let Some(name) = self.cx.owner_of(&m.metadata) {
                    self.cx.name_id(&m.member_id, &name, &self.group);
                }
            }
            if (r.error_code == 0 || r.error_code == 79) && !r.member_id.is_empty() {
                self.id = r.member_id.to_string();
            }
            if r.error_code == 0 {
                self.generation = r.generation_id;
                self.leader = r.leader.to_string();
                self.chosen = r.protocol_name.as_ref().map(|p| p.to_string());
                self.roster = r.members.iter().map(|m| m.member_id.to_string()).collect();
            }
        }
        show_join(&self.cx, out, self.jv)
    }

    pub async fn joined(&mut self, parked: Parked<JoinGroupRequest>, label: &str, spec: &str) {
        let out = parked.out().await;
        let seen = self.absorb(&out);
        self.cx.note(label, seen, spec);
    }

    /// One JoinGroup and its answer.
    pub async fn join(&mut self, label: &str, spec: &str) -> Result<()> {
        let parked = self.join_start().await?;
        self.joined(parked, label, spec).await;
        Ok(())
    }

    /// The first of the two steps of a dynamic member's join, where it needs one.
    pub async fn take_id(&mut self) -> Result<()> {
        if self.jv >= 4 && self.id.is_empty() && self.instance.is_none() {
            let out = self.join_start().await?.out().await;
            let seen = self.absorb(&out);
            self.cx.setup(
                format!("{} takes an id", self.name),
                seen,
                "MEMBER_ID_REQUIRED",
            );
        }
        Ok(())
    }

    /// Polls heartbeats until the group rebalances (for two seconds at most).
    pub async fn await_rebalance(&mut self) -> Result<()> {
        let end = self.cx.deadline(2000);
        let mut seen = String::new();
        while Instant::now() < end {
            seen = self.hb_out().await?;
            if seen == "REBALANCE_IN_PROGRESS" {
                return Ok(());
            }
            self.cx.sleep(10).await;
        }
        self.cx.setup(
            format!("{} is told of the rebalance", self.name),
            seen,
            "REBALANCE_IN_PROGRESS",
        );
        Ok(())
    }

    // --- Sync ----------------------------------------------------------------------------

    pub fn sync_request(&self, plan: Vec<(String, Bytes)>) -> SyncGroupRequest {
        let plan = plan
            .into_iter()
            .map(|(id, bytes)| {
                SyncGroupRequestAssignment::default()
                    .with_member_id(text(id))
                    .with_assignment(bytes)
            })
            .collect();
        let mut request = SyncGroupRequest::default()
            .with_group_id(GroupId(text(&self.group)))
            .with_generation_id(self.generation)
            .with_member_id(text(&self.id))
            .with_assignments(plan);
        if self.sv >= 3 {
            request.group_instance_id = self.instance.as_ref().map(text);
        }
        if self.sv >= 5 {
            request.protocol_type = Some(text(&self.ptype));
            let first = self.protocols.first().map(|(name, _)| name.clone());
            request.protocol_name = self.chosen.clone().or(first).map(text);
        }
        request
    }

    pub async fn sync_start(
        &mut self,
        plan: Vec<(String, Bytes)>,
    ) -> Result<Parked<SyncGroupRequest>> {
        let request = self.sync_request(plan);
        let v = self.sv;
        self.send(request, v).await
    }

    pub async fn sync_out(&mut self, plan: Vec<(String, Bytes)>) -> Result<Out<SyncGroupResponse>> {
        Ok(self.sync_start(plan).await?.out().await)
    }

    pub async fn synced(&mut self, parked: Parked<SyncGroupRequest>, label: &str, spec: &str) {
        let out = parked.out().await;
        self.cx
            .note(label, show_sync(&self.cx, &out, self.sv), spec);
    }

    pub async fn sync(
        &mut self,
        label: &str,
        spec: &str,
        plan: Vec<(String, Bytes)>,
    ) -> Result<()> {
        let parked = self.sync_start(plan).await?;
        self.synced(parked, label, spec).await;
        Ok(())
    }

    // --- Heartbeat and leave -------------------------------------------------------------

    pub async fn hb_out(&mut self) -> Result<String> {
        let mut request = HeartbeatRequest::default()
            .with_group_id(GroupId(text(&self.group)))
            .with_member_id(text(&self.id))
            .with_generation_id(self.generation);
        if self.hv >= 3 {
            request.group_instance_id = self.instance.as_ref().map(text);
        }
        let v = self.hv;
        let out = self.send(request, v).await?.out().await;
        Ok(out.show(|r| err(r.error_code)))
    }

    pub async fn hb(&mut self, label: &str, spec: &str) -> Result<()> {
        let seen = self.hb_out().await?;
        self.cx.note(label, seen, spec);
        Ok(())
    }

    pub async fn leave(&mut self, label: &str, spec: &str) -> Result<()> {
        let who = (self.id.clone(), self.instance.clone());
        self.leave_as(&[(&who.0, who.1.as_deref())], label, spec)
            .await
    }

    /// LeaveGroup for a batch of (member id, instance id).
    pub async fn leave_as(
        &mut self,
        batch: &[(&str, Option<&str>)],
        label: &str,
        spec: &str,
    ) -> Result<()> {
        let v = self.lv;
        let mut request = LeaveGroupRequest::default().with_group_id(GroupId(text(&self.group)));
        if v < 3 {
            request.member_id = text(batch[0].0);
        } else {
            request.members = batch
                .iter()
                .map(|(id, instance)| {
                    let mut m = MemberIdentity::default()
                        .with_member_id(text(id))
                        .with_group_instance_id(instance.map(text));
                    if v >= 5 {
                        m.reason = self.reason.as_ref().map(text);
                    }
                    m
                })
                .collect();
        }
        let out = self.send(request, v).await?.out().await;
        self.cx.note(label, show_leave(&self.cx, &out), spec);
        Ok(())
    }

    /// Leaves without a word in the transcript.
    pub async fn leave_quietly(&mut self) -> Result<()> {
        let mut request = LeaveGroupRequest::default().with_group_id(GroupId(text(&self.group)));
        if self.lv < 3 {
            request.member_id = text(&self.id);
        } else {
            request.members = vec![
                MemberIdentity::default()
                    .with_member_id(text(&self.id))
                    .with_group_instance_id(self.instance.as_ref().map(text)),
            ];
        }
        let v = self.lv;
        let out = self.send(request, v).await?.out().await;
        self.cx.setup(
            format!("{} leaves", self.name),
            show_leave(&self.cx, &out),
            "top=NONE",
        );
        Ok(())
    }

    pub async fn hb_gen(&mut self, generation: i32, label: &str, spec: &str) -> Result<()> {
        let id = self.id.clone();
        self.hb_as(&id, generation, label, spec).await
    }

    pub async fn hb_as(
        &mut self,
        id: &str,
        generation: i32,
        label: &str,
        spec: &str,
    ) -> Result<()> {
        let kept = (std::mem::replace(&mut self.id, id.into()), self.generation);
        self.generation = generation;
        let seen = self.hb_out().await?;
        (self.id, self.generation) = kept;
        self.cx.note(label, seen, spec);
        Ok(())
    }
}
