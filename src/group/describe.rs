//! `DescribeGroups` and `ListGroups`: specification 1.10 and 1.11.

use std::sync::Arc;

use super::Phase;
use super::groups::Group;
use super::reply::{Described, DescribedMember, GroupType, Listed};
use super::request::ListRequest;

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
    /// Whether the row passes both filters: names compared without case and surrounding blanks.
    pub(super) fn wants(&self, row: &Listed) -> bool {
        let matches = |filter: &[String], name: &str| {
            filter.is_empty() || filter.iter().any(|it| it.trim().eq_ignore_ascii_case(name))
        };
        let types_match = self.types.is_empty()
            || self
                .types
                .iter()
                .any(|it| it.eq_ignore_ascii_case(row.group_type.name()));
        matches(&self.states, row.phase.name()) && types_match
    }
}
