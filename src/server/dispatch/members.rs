//! Being a member: join, sync, heartbeat, leave.

use std::sync::Arc;

use bytes::Bytes;

use super::call::{Call, Head, never};
use super::repeats::Repeats;
use crate::engine::Heartbeat;
use crate::engine::{
    Client, JoinRefused, JoinRequest, JoinResult, Joined, LeaveRequest, LeaveResult, Leaver,
    Protocol, SyncRequest, SyncResult,
};
use crate::error::Refusal;
use crate::ids::Generation;
use crate::server::service::Handled;
use crate::wire::codec::{DecodeError, Message};
use crate::wire::messages::{
    HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, JoinGroupResponseMember,
    LeaveGroupRequest, LeaveGroupResponse, MemberResponse, SyncGroupRequest, SyncGroupResponse,
};
use crate::wire::{ErrorCode, heartbeat};

impl Call<'_> {
    pub(super) fn heartbeat(&mut self) -> Result<Handled, DecodeError> {
        let request = HeartbeatRequest::decode(self.body, self.header.version)?;
        let beat = Heartbeat {
            group: request.group_id,
            member: request.member_id,
            instance: request.group_instance_id,
            generation: Generation(request.generation_id),
        };
        if let Some(outcome) = self.beat_at_the_door(&beat) {
            return Ok(write_heartbeat(outcome, self.head(), self.out));
        }
        let answer = self.broker.engine.heartbeat_at(&beat, self.now);
        Ok(self.answer(answer, write_heartbeat))
    }

    /// Beats by a handle of the member, which is kept if all is well. `None`: ask by names.
    fn beat_at_the_door(&mut self, beat: &Heartbeat<'_>) -> Option<Result<(), Refusal>> {
        if !Repeats::has_room_for(self.frame) {
            return None;
        }
        let member = self.broker.engine.member(beat.group, beat.member)?;
        let outcome = member.heartbeat(beat.generation, beat.instance, self.now)?;
        if outcome.is_ok() {
            let repeats = &mut self.connection.repeats;
            repeats.remember(self.frame, member, beat.generation, self.now);
        }
        Some(outcome)
    }

    pub(super) fn join_group(&mut self) -> Result<Handled, DecodeError> {
        let version = self.header.version;
        let request = JoinGroupRequest::decode(self.body, version)?;
        let protocols = request.protocols.iter().map(|protocol| Protocol {
            name: protocol.name.into(),
            metadata: Bytes::copy_from_slice(protocol.metadata),
        });
        let join = JoinRequest {
            group: request.group_id.into(),
            member: request.member_id.into(),
            instance: request.group_instance_id.map(Into::into),
            client: Client {
                id: self.header.client_id.unwrap_or_default().into(),
                host: Arc::clone(&self.connection.host),
            },
            session_timeout_ms: request.session_timeout_ms,
            rebalance_timeout_ms: match version {
                0 => request.session_timeout_ms,
                _ => request.rebalance_timeout_ms,
            },
            protocol_type: request.protocol_type.into(),
            protocols: protocols.collect(),
            reason: request.reason.map(Into::into),
            requires_known_member_id: version >= 4,
            can_skip_assignment: version >= 9,
            fresh: uuid::Uuid::nil(),
        };
        let patience = self.patience();
        let answer = self.broker.engine.join(join);
        Ok(self.answer(
            answer,
            move |outcome: JoinResult, head, out| match outcome {
                Ok(joined) => write_joined(&joined, ErrorCode::NONE, head, out),
                Err(refused) if refused.refusal == Refusal::Superseded => never(patience),
                Err(refused) => write_join_refused(refused, head, out),
            },
        ))
    }

    pub(super) fn sync_group(&mut self) -> Result<Handled, DecodeError> {
        let version = self.header.version;
        let request = SyncGroupRequest::decode(self.body, version)?;
        let says_protocol = request.protocol_type.is_some() && request.protocol_name.is_some();
        if version >= 5 && !says_protocol {
            let refused = Err(Refusal::InconsistentGroupProtocol);
            return Ok(write_synced(&refused, self.head(), self.out));
        }
        let assignments = request
            .assignments
            .iter()
            .map(|row| (row.member_id.into(), Bytes::copy_from_slice(row.assignment)));
        let sync = SyncRequest {
            group: request.group_id.into(),
            member: request.member_id.into(),
            instance: request.group_instance_id.map(Into::into),
            generation: Generation(request.generation_id),
            protocol_type: request.protocol_type.map(Into::into),
            protocol: request.protocol_name.map(Into::into),
            assignments: assignments.collect(),
        };
        let patience = self.patience();
        let answer = self.broker.engine.sync(sync);
        Ok(self.answer(
            answer,
            move |outcome: SyncResult, head, out| match outcome {
                Err(Refusal::Superseded) => never(patience),
                outcome => write_synced(&outcome, head, out),
            },
        ))
    }

    pub(super) fn leave_group(&mut self) -> Result<Handled, DecodeError> {
        let version = self.header.version;
        let request = LeaveGroupRequest::decode(self.body, version)?;
        let leavers = if version <= 2 {
            vec![Leaver {
                member: request.member_id.into(),
                instance: None,
                reason: None,
            }]
        } else {
            let leavers = request.members.iter().map(|member| Leaver {
                member: member.member_id.into(),
                instance: member.group_instance_id.map(Into::into),
                reason: member.reason.map(Into::into),
            });
            leavers.collect()
        };
        let leave = LeaveRequest {
            group: request.group_id.into(),
            leavers,
        };
        let answer = self.broker.engine.leave(leave);
        Ok(self.answer(answer, |outcome, head, out| write_left(&outcome, head, out)))
    }
}

fn code(outcome: Result<(), Refusal>) -> ErrorCode {
    outcome.map_or_else(ErrorCode::from, |()| ErrorCode::NONE)
}

fn write_heartbeat(outcome: Result<(), Refusal>, head: Head, out: &mut Vec<u8>) -> Handled {
    heartbeat::append_reply(out, head.correlation_id, head.version, code(outcome));
    Handled::Done
}

fn write_joined(joined: &Joined, code: ErrorCode, head: Head, out: &mut Vec<u8>) -> Handled {
    let members = joined.members.iter().map(|member| JoinGroupResponseMember {
        member_id: member.member.as_str(),
        group_instance_id: member.instance.as_ref().map(|it| it.as_str()),
        metadata: &member.metadata,
    });
    let response = JoinGroupResponse {
        error_code: code.0,
        generation_id: joined.generation.0,
        protocol_type: joined.protocol_type.as_deref(),
        // An empty name is shown as none where none can be shown.
        protocol_name: joined.protocol.as_deref().filter(|name| !name.is_empty()),
        leader: joined.leader.as_str(),
        skip_assignment: joined.skip_assignment,
        member_id: joined.member.as_str(),
        members: members.collect(),
        ..Default::default()
    };
    head.write(&response, out)
}

fn write_join_refused(refused: JoinRefused, head: Head, out: &mut Vec<u8>) -> Handled {
    let code = ErrorCode::from(refused.refusal);
    if let Some(standing) = refused.standing {
        return write_joined(&standing, code, head, out);
    }
    let response = JoinGroupResponse {
        error_code: code.0,
        protocol_name: None,
        member_id: refused.member.as_str(),
        ..Default::default()
    };
    head.write(&response, out)
}

fn write_synced(outcome: &SyncResult, head: Head, out: &mut Vec<u8>) -> Handled {
    let response = match outcome {
        Ok(synced) => SyncGroupResponse {
            protocol_type: synced.protocol_type.as_deref(),
            protocol_name: synced.protocol.as_deref(),
            assignment: &synced.assignment,
            ..Default::default()
        },
        Err(refusal) => SyncGroupResponse {
            error_code: ErrorCode::from(*refusal).0,
            ..Default::default()
        },
    };
    head.write(&response, out)
}

/// Until version 2 the one member's outcome is the whole answer.
fn write_left(outcome: &LeaveResult, head: Head, out: &mut Vec<u8>) -> Handled {
    let left = match outcome {
        Ok(left) => left.as_slice(),
        Err(_) => &[],
    };
    let top = match (outcome, left) {
        (Err(refusal), _) => ErrorCode::from(*refusal),
        (Ok(_), [member]) if head.version <= 2 => code(member.result),
        (Ok(_), _) => ErrorCode::NONE,
    };
    let members = left.iter().map(|member| MemberResponse {
        member_id: member.member.as_str(),
        group_instance_id: member.instance.as_ref().map(|it| it.as_str()),
        error_code: code(member.result).0,
    });
    let response = LeaveGroupResponse {
        error_code: top.0,
        members: members.collect(),
        ..Default::default()
    };
    head.write(&response, out)
}
