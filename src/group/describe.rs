//! `DescribeGroups` and the rows of `ListGroups`: specification 1.10 and 1.11.

use std::sync::Arc;

use super::Phase;
use super::effects::{Effect, GroupKey};
use super::groups::{Group, Groups};
use super::reply::{Described, DescribedMember, GroupType, Listed, Reply};
use super::request::{ListRequest, ReplyTo, Request};

impl Groups {
    /// What needs no more than a look at the group.
    pub(super) fn read_for(
        &mut self,
        key: GroupKey,
        request: Request,
        to: ReplyTo,
        fx: &mut Vec<Effect>,
    ) {
        let Some(group) = self.read(key) else {
            return;
        };
        let reply = if let Request::Fetch(request) = request {
            let offsets = group.committed(request.require_stable);
            Reply::Fetch(Ok(offsets.fetch(request.topics)))
        } else {
            Reply::Describe(Ok(group.describe()))
        };
        fx.push(Effect::Reply { to, reply });
    }
}

impl Group {
    /// The group as a description shows it: protocol and metadata only while it is stable.
    pub(super) fn describe(&self) -> Described {
        let classic = &self.classic;
        let protocol = match (&classic.protocol, classic.phase) {
            (Some(protocol), Phase::Stable) => Arc::clone(protocol),
            _ => "".into(),
        };
        let is_stable = classic.phase == Phase::Stable;
        let members = classic
            .roster
            .iter()
            .map(|(id, member)| DescribedMember {
                member: id.clone(),
                instance: member.instance.clone(),
                client_id: Arc::clone(&member.client.id),
                client_host: Arc::clone(&member.client.host),
                metadata: if is_stable {
                    member.metadata(&protocol)
                } else {
                    bytes::Bytes::new()
                },
                assignment: member.assignment.clone(),
            })
            .collect();
        Described {
            phase: classic.phase,
            protocol_type: classic.protocol_type.clone().unwrap_or_else(|| "".into()),
            protocol,
            members,
        }
    }

    pub(super) fn list(&self) -> Listed {
        Listed {
            group: self.id.clone(),
            protocol_type: self
                .classic
                .protocol_type
                .clone()
                .unwrap_or_else(|| "".into()),
            phase: self.classic.phase,
            group_type: GroupType::Classic,
        }
    }
}

impl ListRequest {
    /// The phases whose names pass the filter: names are compared without case and surrounding
    /// blanks. Asked once a list, so that a long filter does not meet every group.
    pub(super) fn phases(&self) -> Vec<Phase> {
        let is_wanted = |phase: &Phase| {
            let is_it = |state: &String| state.trim().eq_ignore_ascii_case(phase.name());
            self.states.is_empty() || self.states.iter().any(is_it)
        };
        Phase::ALL.into_iter().filter(is_wanted).collect()
    }

    /// Whether classic groups pass the filter of types, compared without case.
    pub(super) fn wants_classic(&self) -> bool {
        let is_it = |name: &String| name.eq_ignore_ascii_case(GroupType::Classic.name());
        self.types.is_empty() || self.types.iter().any(is_it)
    }
}
