//! Groups as an administrator sees them: list, describe, delete.

use std::sync::Arc;

use super::call::{Call, Head, later};
use super::large::written;
use crate::engine::{Described, ListRequest, Listed};
use crate::error::Refusal;
use crate::ids::GroupId;
use crate::server::service::Handled;
use crate::wire::ErrorCode;
use crate::wire::codec::{DecodeError, Message};
use crate::wire::messages::{
    DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest,
    DescribeGroupsResponse, DescribedGroup, DescribedGroupMember, ListGroupsRequest,
    ListGroupsResponse, ListedGroup,
};

/// What everyone may do with a group where nobody is refused anything: read, delete, describe,
/// describe and alter its configuration; a bit an operation.
const ALL_OPERATIONS: i32 = 3_400;

impl Call<'_> {
    pub(super) fn list_groups(&mut self) -> Result<Handled, DecodeError> {
        let request = ListGroupsRequest::decode(self.body, self.header.version)?;
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let list = ListRequest {
            states: owned(&request.states_filter),
            types: owned(&request.types_filter),
        };
        let (engine, head) = (self.broker.engine.clone(), self.head());
        let large = self.broker.large.clone();
        Ok(later(async move {
            let turn = large.turn().await;
            let outcome = engine.list(list).await;
            let rows = outcome.as_ref().map_or(0, Vec::len);
            let answer = written(rows, move |out| write_listed(&outcome, head, out)).await;
            drop(turn);
            answer
        }))
    }

    pub(super) fn describe_groups(&mut self) -> Result<Handled, DecodeError> {
        let request = DescribeGroupsRequest::decode(self.body, self.header.version)?;
        let groups: Arc<[GroupId]> = request.groups.iter().map(|it| (*it).into()).collect();
        let (engine, asked) = (self.broker.engine.clone(), Arc::clone(&groups));
        let asks = (0..groups.len()).map(move |at| engine.describe(asked[at].clone()));
        let members = |outcome: &Result<Described, Refusal>| match outcome {
            Ok(described) => 1 + described.members.len(),
            Err(_) => 1,
        };
        let operations = if request.include_authorized_operations {
            ALL_OPERATIONS
        } else {
            i32::MIN
        };
        Ok(self.answer_each(asks, members, move |outcomes, head, out| {
            write_described(&groups, &outcomes, operations, head, out)
        }))
    }

    pub(super) fn delete_groups(&mut self) -> Result<Handled, DecodeError> {
        let request = DeleteGroupsRequest::decode(self.body, self.header.version)?;
        // A group that is named twice is deleted and answered once.
        let names: indexmap::IndexSet<&str> = request.groups_names.iter().copied().collect();
        let names: Arc<[GroupId]> = names.into_iter().map(GroupId::from).collect();
        let (engine, asked) = (self.broker.engine.clone(), Arc::clone(&names));
        let asks = (0..names.len()).map(move |at| engine.delete_group(asked[at].clone()));
        Ok(self.answer_each(
            asks,
            |_| 1,
            move |outcomes: Vec<Result<(), Refusal>>, head, out| {
                let results =
                    names
                        .iter()
                        .zip(outcomes)
                        .map(|(group, outcome)| DeletableGroupResult {
                            group_id: group.as_str(),
                            error_code: outcome.err().map_or(ErrorCode::NONE, Into::into).0,
                            error_message: None,
                        });
                let response = DeleteGroupsResponse {
                    results: results.collect(),
                    ..Default::default()
                };
                head.write(&response, out)
            },
        ))
    }
}

fn write_listed(outcome: &Result<Vec<Listed>, Refusal>, head: Head, out: &mut Vec<u8>) -> Handled {
    let rows = outcome.as_deref().unwrap_or_default();
    let groups = rows.iter().map(|row| ListedGroup {
        group_id: row.group.as_str(),
        protocol_type: &row.protocol_type,
        group_state: row.phase.name(),
        group_type: row.group_type.name(),
    });
    let response = ListGroupsResponse {
        error_code: outcome
            .as_ref()
            .err()
            .map_or(0, |refusal| ErrorCode::from(*refusal).0),
        groups: groups.collect(),
        ..Default::default()
    };
    head.write(&response, out)
}

fn write_described(
    groups: &[GroupId],
    outcomes: &[Result<Described, Refusal>],
    operations: i32,
    head: Head,
    out: &mut Vec<u8>,
) -> Handled {
    // From version 6 on a group that does not exist is an error with a message (KIP-1043).
    let messages: Vec<String> = groups
        .iter()
        .map(|group| format!("Group {group} not found."))
        .collect();
    let rows = groups
        .iter()
        .zip(outcomes)
        .zip(&messages)
        .map(|((group, outcome), message)| {
            let row = DescribedGroup {
                group_id: group.as_str(),
                ..Default::default()
            };
            match outcome {
                Ok(described) => described_group(described, operations, group.as_str()),
                Err(Refusal::GroupIdNotFound) if head.version < 6 => DescribedGroup {
                    group_state: "Dead",
                    authorized_operations: operations,
                    ..row
                },
                Err(refusal) => {
                    let is_absent = *refusal == Refusal::GroupIdNotFound;
                    DescribedGroup {
                        error_code: ErrorCode::from(*refusal).0,
                        error_message: is_absent.then_some(message.as_str()),
                        group_state: if is_absent { "Dead" } else { "" },
                        ..row
                    }
                }
            }
        });
    let response = DescribeGroupsResponse {
        groups: rows.collect(),
        ..Default::default()
    };
    head.write(&response, out)
}

fn described_group<'d>(
    described: &'d Described,
    operations: i32,
    group_id: &'d str,
) -> DescribedGroup<'d> {
    let members = described.members.iter().map(|member| DescribedGroupMember {
        member_id: member.member.as_str(),
        group_instance_id: member.instance.as_ref().map(|it| it.as_str()),
        client_id: &member.client_id,
        client_host: &member.client_host,
        member_metadata: &member.metadata,
        member_assignment: &member.assignment,
    });
    DescribedGroup {
        group_state: described.phase.name(),
        protocol_type: &described.protocol_type,
        protocol_data: &described.protocol,
        members: members.collect(),
        authorized_operations: operations,
        group_id,
        ..Default::default()
    }
}
