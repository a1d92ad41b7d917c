//! ListGroups, DescribeGroups, DeleteGroups, and what else administrators do.

use anyhow::Result;
use kafka_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use kafka_protocol::messages::{
    DeleteGroupsRequest, DescribeGroupsRequest, GroupId, IncrementalAlterConfigsRequest,
    ListGroupsRequest,
};

use crate::cx::{Cx, err, text};

pub struct List {
    cx: Cx,
    label: String,
    pub states: Vec<String>,
    pub types: Vec<String>,
    pub v: i16,
}

impl List {
    pub fn v(mut self, v: i16) -> Self {
        self.v = v;
        self
    }

    pub fn states(mut self, states: &[&str]) -> Self {
        self.states = states.iter().map(|s| s.to_string()).collect();
        self
    }

    pub fn types(mut self, types: &[&str]) -> Self {
        self.types = types.iter().map(|s| s.to_string()).collect();
        self
    }

    /// The case's own groups as `g1=state/type/protocol type`, or absent.
    pub async fn seen(&self) -> Result<String> {
        let mut request = ListGroupsRequest::default();
        if self.v >= 4 {
            request.states_filter = self.states.iter().map(text).collect();
        }
        if self.v >= 5 {
            request.types_filter = self.types.iter().map(text).collect();
        }
        let out = self.cx.ask(&request, self.v).await?;
        Ok(out.show(|r| {
            let mut seen = format!("top={}", err(r.error_code));
            for group in self.cx.groups() {
                let rows: Vec<_> = r
                    .groups
                    .iter()
                    .filter(|g| *g.group_id.0 == *group)
                    .map(|g| {
                        let or_none = |s: &str| {
                            if s.is_empty() {
                                "\"\"".to_owned()
                            } else {
                                s.to_owned()
                            }
                        };
                        let mut row = String::new();
                        if self.v >= 4 {
                            row += &format!("{}/", or_none(&g.group_state));
                        }
                        if self.v >= 5 {
                            row += &format!("{}/", or_none(&g.group_type));
                        }
                        row + &or_none(&g.protocol_type)
                    })
                    .collect();
                let rows = if rows.is_empty() {
                    "absent".into()
                } else {
                    rows.join("+")
                };
                seen += &format!(" {}={rows}", self.cx.show(&group));
            }
            seen
        }))
    }

    pub async fn send(self, spec: &str) -> Result<()> {
        let seen = self.seen().await?;
        self.cx.note(self.label.clone(), seen, spec);
        Ok(())
    }

    /// Asks again until the answer is as specified, for `ms` at most.
    pub async fn until(self, ms: u64, spec: &str) -> Result<()> {
        let end = self.cx.deadline(ms);
        loop {
            let seen = self.seen().await?;
            if crate::cx::matches(spec, &seen) || tokio::time::Instant::now() >= end {
                self.cx.note(self.label.clone(), seen, spec);
                return Ok(());
            }
            self.cx.sleep(50).await;
        }
    }
}

impl Cx {
    pub fn list(&self, label: &str) -> List {
        let v = self.at_most::<ListGroupsRequest>(5).unwrap_or(5);
        List {
            cx: self.clone(),
            label: label.into(),
            states: vec![],
            types: vec![],
            v,
        }
    }

    /// `g1=error/state/protocol type/protocol data members=[...] ops=...`, each group in turn.
    pub async fn describe(&self, label: &str, v: i16, groups: &[&str], spec: &str) -> Result<()> {
        self.describe_ops(label, v, groups, false, spec).await
    }

    pub async fn describe_ops(
        &self,
        label: &str,
        v: i16,
        groups: &[&str],
        ops: bool,
        spec: &str,
    ) -> Result<()> {
        let v = self.at_most::<DescribeGroupsRequest>(v)?;
        let mut request = DescribeGroupsRequest::default()
            .with_groups(groups.iter().map(|g| GroupId(text(g))).collect());
        if v >= 3 {
            request.include_authorized_operations = ops;
        }
        let out = self.ask(&request, v).await?;
        let mut messages = Vec::new();
        let seen = out.show(|r| {
            let groups: Vec<String> = r
                .groups
                .iter()
                .map(|g| {
                    if let Some(message) = &g.error_message {
                        messages.push(message.to_string());
                    }
                    let mut members: Vec<String> = g
                        .members
                        .iter()
                        .map(|m| {
                            let instance = m.group_instance_id.as_ref();
                            let instance = instance.map(|i| format!("/{i}")).unwrap_or_default();
                            format!(
                                "{}{instance}:{}:{}:{}:{}",
                                self.who(&m.member_id),
                                m.client_id,
                                m.client_host,
                                self.show_bytes(&m.member_metadata),
                                self.show_bytes(&m.member_assignment)
                            )
                        })
                        .collect();
                    members.sort();
                    let mut seen = format!(
                        "{}={}/{}/{}/{} members=[{}]",
                        self.show(&g.group_id.0),
                        err(g.error_code),
                        g.group_state,
                        self.show(&g.protocol_type),
                        self.show(&g.protocol_data),
                        members.join(",")
                    );
                    if v >= 3 {
                        seen += &format!(" ops={}", g.authorized_operations);
                    }
                    if v >= 6 {
                        let message = if g.error_message.is_some() {
                            "yes"
                        } else {
                            "no"
                        };
                        seen += &format!(" message={message}");
                    }
                    seen
                })
                .collect();
            groups.join(" ")
        });
        let detail = (!messages.is_empty()).then(|| messages.join("; "));
        self.note_with(label, seen, spec, detail);
        Ok(())
    }

    pub async fn delete_groups(&self, label: &str, groups: &[&str], spec: &str) -> Result<()> {
        self.delete_groups_v(label, 2, groups, spec).await
    }

    pub async fn delete_groups_v(
        &self,
        label: &str,
        v: i16,
        groups: &[&str],
        spec: &str,
    ) -> Result<()> {
        let v = self.at_most::<DeleteGroupsRequest>(v)?;
        let request = DeleteGroupsRequest::default()
            .with_groups_names(groups.iter().map(|g| GroupId(text(g))).collect());
        let out = self.ask(&request, v).await?;
        let seen = out.show(|r| {
            let mut rows: Vec<_> = r
                .results
                .iter()
                .map(|g| format!("{}={}", self.show(&g.group_id.0), err(g.error_code)))
                .collect();
            rows.sort();
            if rows.is_empty() {
                "no-rows".into()
            } else {
                rows.join(" ")
            }
        });
        self.note(label, seen, spec);
        Ok(())
    }

    /// IncrementalAlterConfigs of a group: `None` deletes.
    pub async fn group_config(
        &self,
        label: &str,
        group: &str,
        configs: &[(&str, Option<&str>)],
        spec: &str,
    ) -> Result<()> {
        let v = self.at_most::<IncrementalAlterConfigsRequest>(1)?;
        let configs = configs
            .iter()
            .map(|(name, value)| {
                AlterableConfig::default()
                    .with_name(text(name))
                    .with_config_operation(i8::from(!value.is_some()))
                    .with_value(value.map(text))
            })
            .collect();
        let resource = AlterConfigsResource::default()
            .with_resource_type(32)
            .with_resource_name(text(group))
            .with_configs(configs);
        let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
        let out = self.ask(&request, v).await?;
        let detail = out.as_ref().and_then(|r| {
            r.responses
                .first()
                .and_then(|x| x.error_message.as_ref())
                .map(|m| m.to_string())
        });
        let seen = out.show(|r| {
            r.responses
                .first()
                .map_or("none".into(), |x| err(x.error_code))
        });
        self.note_with(label, seen, spec, detail);
        Ok(())
    }
}
