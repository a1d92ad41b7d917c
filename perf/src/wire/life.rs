//! A member on its way to rest, and the roll of its group.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use takhin_coordinator::wire::messages::{
    HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupRequestProtocol,
    JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse, MemberIdentity, SyncGroupRequest,
    SyncGroupRequestAssignment, SyncGroupResponse,
};
use takhin_coordinator::wire::{ApiKey, ErrorCode};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::forming::Member;
use super::socket::Socket;
use super::versions::{HEARTBEAT, JOIN_GROUP, LEAVE_GROUP, SYNC_GROUP};
use crate::failure::Failure;

/// How long is waited before the same is tried again.
pub(super) const RETRY: Duration = Duration::from_millis(50);

/// Members of one group do not beat more often than this, all together: the many that wait must not
/// be a load of their own.
const BEATS_APART: Duration = Duration::from_micros(100);

/// Which generation each member of a group has got its assignment of. Tansu's first generation is
/// 0, so that no number can stand for none.
#[derive(Debug)]
pub(super) struct Roll {
    generations: RefCell<Vec<Option<i32>>>,
    at_rest: Notify,
    /// Between the heartbeats of those who wait for others.
    beats_every: Duration,
}

impl Roll {
    pub(super) fn new(members: usize) -> Self {
        Self {
            generations: RefCell::new(vec![None; members]),
            at_rest: Notify::new(),
            beats_every: RETRY.max(BEATS_APART * u32::try_from(members).unwrap_or(u32::MAX)),
        }
    }

    fn set(&self, at: usize, generation: Option<i32>) {
        self.generations.borrow_mut()[at] = generation;
        if self.is_at_rest() {
            self.at_rest.notify_waiters();
        }
    }

    /// Whether all have their assignments of one generation: nobody is left who would join again.
    fn is_at_rest(&self) -> bool {
        let generations = self.generations.borrow();
        generations[0].is_some() && generations.iter().all(|it| *it == generations[0])
    }
}

/// A member.
#[derive(Debug)]
pub(super) struct Life {
    socket: Socket,
    group: String,
    session_ms: i32,
    /// The name of a static member.
    instance: Option<String>,
    id: String,
    generation: i32,
    /// It has its assignment, as far as it knows.
    is_settled: bool,
    /// What it tells of itself: another number is another subscription.
    edition: u8,
    /// Its place on the roll.
    at: usize,
    roll: Rc<Roll>,
}

/// What a member does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Next {
    Rejoin,
    Rest,
}

impl Life {
    pub(super) fn new(
        socket: Socket,
        group: &str,
        session_ms: i32,
        at: usize,
        roll: &Rc<Roll>,
    ) -> Self {
        Self {
            socket,
            group: group.to_owned(),
            session_ms,
            instance: None,
            id: String::new(),
            generation: 0,
            is_settled: false,
            edition: 0,
            at,
            roll: Rc::clone(roll),
        }
    }

    /// Makes it a static member of that name, before it joins.
    pub(super) fn call(&mut self, instance: &str) {
        self.instance = Some(instance.to_owned());
    }

    pub(super) fn is_static(&self) -> bool {
        self.instance.is_some()
    }

    /// Its place on the roll.
    pub(super) fn place(&self) -> usize {
        self.at
    }

    /// From now on it waits for those of another roll.
    pub(super) fn enlist(&mut self, at: usize, roll: &Rc<Roll>) {
        self.at = at;
        self.roll = Rc::clone(roll);
    }

    /// Another process in its place, which knows nothing but its name.
    pub(super) fn restart(&mut self, socket: Socket) {
        self.socket = socket;
        self.id.clear();
        self.is_settled = false;
        self.roll.set(self.at, None);
    }

    pub(super) fn member(&self) -> Member {
        Member {
            group: self.group.clone(),
            id: self.id.clone(),
            generation: self.generation,
        }
    }

    pub(super) fn into_socket(self) -> Socket {
        self.socket
    }

    /// Asks for an id and does not join with it yet (KIP-394); a static member needs none.
    pub(super) async fn take_id(&mut self) -> Result<(), Failure> {
        while self.id.is_empty() && !self.is_static() {
            self.join().await?;
        }
        Ok(())
    }

    /// Comes back with another subscription, so that the group has to rebalance.
    pub(super) fn change_subscription(&mut self) {
        self.edition = self.edition.wrapping_add(1);
        self.is_settled = false;
        self.roll.set(self.at, None);
    }

    /// Lives on until all members of the group are in one generation: a member beats, and joins
    /// again when it is told to; who is none joins.
    pub(super) async fn go_on(&mut self) -> Result<(), Failure> {
        if self.is_settled && self.rest().await? == Next::Rest {
            return Ok(());
        }
        self.until_at_rest().await
    }

    /// Lives like a consumer until all members of the group are in one generation.
    pub(super) async fn until_at_rest(&mut self) -> Result<(), Failure> {
        loop {
            self.roll.set(self.at, None);
            let Some(assignments) = self.join().await? else {
                continue;
            };
            let synced = self.sync(&assignments).await?;
            if self.next(synced, "SyncGroup")? == Next::Rejoin {
                continue;
            }
            self.roll.set(self.at, Some(self.generation));
            self.is_settled = true;
            if self.rest().await? == Next::Rest {
                return Ok(());
            }
        }
    }

    /// Beats while others are on their way.
    async fn rest(&mut self) -> Result<Next, Failure> {
        while !self.roll.is_at_rest() {
            let told = timeout(self.roll.beats_every, self.roll.at_rest.notified()).await;
            if told.is_err() {
                let code = self.heartbeat().await?;
                if self.next(code, "Heartbeat")? == Next::Rejoin {
                    return Ok(Next::Rejoin);
                }
            }
        }
        Ok(Next::Rest)
    }

    /// The ids of those for whom the member, as leader, decides; `None`: join again.
    async fn join(&mut self) -> Result<Option<Vec<String>>, Failure> {
        let subscription = subscription(self.edition);
        let request = JoinGroupRequest {
            group_id: &self.group,
            session_timeout_ms: self.session_ms,
            rebalance_timeout_ms: self.session_ms,
            member_id: &self.id,
            group_instance_id: self.instance.as_deref(),
            protocol_type: "consumer",
            protocols: vec![JoinGroupRequestProtocol {
                name: "range",
                metadata: &subscription,
            }],
            ..JoinGroupRequest::default()
        };
        let asked = self.socket.ask(ApiKey::JoinGroup, JOIN_GROUP, &request);
        let reply = asked.await?;
        let joined: JoinGroupResponse<'_> = reply.read()?;
        let code = ErrorCode(joined.error_code);
        let ids = joined.members.iter().map(|it| it.member_id.to_owned());
        let ids = ids.collect();
        if code == ErrorCode::NONE || code == ErrorCode::MEMBER_ID_REQUIRED {
            joined.member_id.clone_into(&mut self.id);
        }
        if code == ErrorCode::NONE {
            self.generation = joined.generation_id;
            return Ok(Some(ids));
        }
        if code != ErrorCode::MEMBER_ID_REQUIRED {
            self.next(code, "JoinGroup")?;
            sleep(RETRY).await;
        }
        Ok(None)
    }

    async fn sync(&mut self, members: &[String]) -> Result<ErrorCode, Failure> {
        let assignment = |member_id| SyncGroupRequestAssignment {
            member_id,
            assignment: ASSIGNMENT,
        };
        let request = SyncGroupRequest {
            group_id: &self.group,
            generation_id: self.generation,
            member_id: &self.id,
            group_instance_id: self.instance.as_deref(),
            protocol_type: Some("consumer"),
            protocol_name: Some("range"),
            assignments: members.iter().map(|id| assignment(id)).collect(),
        };
        let asked = self.socket.ask(ApiKey::SyncGroup, SYNC_GROUP, &request);
        let reply = asked.await?;
        let synced: SyncGroupResponse<'_> = reply.read()?;
        Ok(ErrorCode(synced.error_code))
    }

    async fn heartbeat(&mut self) -> Result<ErrorCode, Failure> {
        let request = HeartbeatRequest {
            group_id: &self.group,
            generation_id: self.generation,
            member_id: &self.id,
            group_instance_id: self.instance.as_deref(),
        };
        let reply = self.socket.ask(ApiKey::Heartbeat, HEARTBEAT, &request);
        let heard: HeartbeatResponse = reply.await?.read()?;
        Ok(ErrorCode(heard.error_code))
    }

    pub(super) async fn leave(&mut self) -> Result<(), Failure> {
        let request = LeaveGroupRequest {
            group_id: &self.group,
            members: vec![MemberIdentity {
                member_id: &self.id,
                group_instance_id: self.instance.as_deref(),
                ..MemberIdentity::default()
            }],
            ..LeaveGroupRequest::default()
        };
        let reply = self
            .socket
            .ask(ApiKey::LeaveGroup, LEAVE_GROUP, &request)
            .await?;
        let left: LeaveGroupResponse<'_> = reply.read()?;
        let codes = left.members.iter().map(|it| it.error_code);
        match codes.chain([left.error_code]).find(|code| *code != 0) {
            None => Ok(()),
            Some(code) => Err(Failure::new(format!("LeaveGroup: {}", ErrorCode(code)))),
        }
    }

    fn next(&mut self, code: ErrorCode, of: &str) -> Result<Next, Failure> {
        match code {
            ErrorCode::NONE => Ok(Next::Rest),
            ErrorCode::REBALANCE_IN_PROGRESS
            | ErrorCode::ILLEGAL_GENERATION
            | ErrorCode::NOT_COORDINATOR
            | ErrorCode::COORDINATOR_NOT_AVAILABLE
            | ErrorCode::COORDINATOR_LOAD_IN_PROGRESS => Ok(Next::Rejoin),
            ErrorCode::UNKNOWN_MEMBER_ID => {
                self.id.clear();
                Ok(Next::Rejoin)
            }
            code => Err(Failure::new(format!("{of} of {}: {code}", self.group))),
        }
    }
}

/// A consumer's subscription, version 0, to a topic "t" (what Kafka reads for KIP-211), with the
/// edition as its one byte of user data.
fn subscription(edition: u8) -> [u8; 14] {
    let mut bytes = *b"\0\0\0\0\0\x01\0\x01t\0\0\0\x01\0";
    bytes[13] = edition;
    bytes
}

/// A consumer's assignment, version 0, of nothing.
const ASSIGNMENT: &[u8] = b"\0\0\0\0\0\0\xff\xff\xff\xff";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_at_rest_when_all_have_the_assignment_of_one_generation() {
        let roll = Roll::new(2);
        assert!(!roll.is_at_rest());
        roll.set(0, Some(0));
        assert!(!roll.is_at_rest());
        roll.set(1, Some(1));
        assert!(!roll.is_at_rest());
        roll.set(0, Some(1));
        assert!(roll.is_at_rest());
    }
}
