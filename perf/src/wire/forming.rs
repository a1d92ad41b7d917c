//! Real groups, formed as clients form them: two-step joins, syncs, until all are at rest.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use takhin_coordinator::wire::messages::{
    CreatableTopic, CreateTopicsRequest, CreateTopicsResponse, FindCoordinatorRequest,
    FindCoordinatorResponse, HeartbeatRequest, HeartbeatResponse, JoinGroupRequest,
    JoinGroupRequestProtocol, JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse,
    MemberIdentity, OffsetCommitResponse, SyncGroupRequest, SyncGroupRequestAssignment,
    SyncGroupResponse,
};
use takhin_coordinator::wire::{ApiKey, ErrorCode};
use tokio::time::sleep;

use super::requests::{HEARTBEAT, OFFSET_COMMIT, commit_request};
use super::socket::Socket;
use crate::args::WireArgs;
use crate::clock;
use crate::failure::Failure;

/// What the load calls itself.
pub(super) const CLIENT_ID: &str = "perf";

/// Groups that form at one time, each with a connection a member.
const FORMING_MAX: u64 = 24;

/// How long is waited before the same is tried again.
const RETRY: Duration = Duration::from_millis(50);

/// The topic of the commits: one for each number of partitions.
pub(super) fn topic(partitions: i32) -> String {
    format!("perf-{partitions}")
}

/// A member of a group at rest.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) group: String,
    pub(super) id: String,
    pub(super) generation: i32,
}

/// What groups are to be formed where.
#[derive(Clone, Debug)]
pub(super) struct Former {
    address: String,
    groups: u64,
    group_size: u64,
    partitions: i32,
    session_ms: i32,
    /// Makes the names of this run its own.
    run: String,
}

impl Former {
    pub(super) fn new(address: &str, args: &WireArgs) -> Self {
        // A multiple of both, so that groups are full and request n is always on the connection
        // of its member.
        let step = least_common_multiple(args.group_size, args.connections);
        let members = args.members.div_ceil(step) * step;
        Self {
            address: address.to_owned(),
            groups: members / args.group_size,
            group_size: args.group_size,
            partitions: args.partitions,
            session_ms: args.session_ms,
            run: format!("{:x}-{:x}", clock::unix_seconds(), std::process::id()),
        }
    }

    /// All members, group by group.
    pub(super) async fn form(&self) -> Result<Vec<Member>, Failure> {
        let mut socket = Socket::connect(&self.address).await?;
        self.find_coordinator(&mut socket).await?;
        self.create_topic(&mut socket).await?;
        let next = Rc::new(Cell::new(0));
        let members = Rc::new(RefCell::new(Vec::new()));
        let mut workers = Vec::new();
        for _ in 0..self.groups.min(FORMING_MAX) {
            let (former, next, members) = (self.clone(), Rc::clone(&next), Rc::clone(&members));
            workers.push(tokio::task::spawn_local(async move {
                former.form_groups(&next, &members).await
            }));
        }
        for worker in workers {
            worker
                .await
                .map_err(|error| Failure::new(error.to_string()))??;
        }
        let members = members.take();
        self.await_topic(&mut socket, &members[0]).await?;
        Ok(members)
    }

    /// One group after the other, until there are enough.
    async fn form_groups(
        &self,
        next: &Cell<u64>,
        members: &RefCell<Vec<Member>>,
    ) -> Result<(), Failure> {
        let mut sockets = Vec::new();
        for _ in 0..self.group_size {
            sockets.push(Socket::connect(&self.address).await?);
        }
        while next.get() < self.groups {
            let number = next.replace(next.get() + 1);
            let group = format!("perf-{}-{number}", self.run);
            let generations = Rc::new(RefCell::new(vec![0; sockets.len()]));
            let mut lives = Vec::new();
            for (at, socket) in std::mem::take(&mut sockets).into_iter().enumerate() {
                let mut life = Life {
                    socket,
                    group: group.clone(),
                    session_ms: self.session_ms,
                    id: String::new(),
                    at,
                    generations: Rc::clone(&generations),
                };
                lives.push(tokio::task::spawn_local(async move {
                    life.until_at_rest().await?;
                    Ok::<Life, Failure>(life)
                }));
            }
            for life in lives {
                let life = life
                    .await
                    .map_err(|error| Failure::new(error.to_string()))??;
                let generation = life.generations.borrow()[life.at];
                members.borrow_mut().push(Member {
                    group: life.group,
                    id: life.id,
                    generation,
                });
                sockets.push(life.socket);
            }
        }
        Ok(())
    }

    /// Waits until the server is the coordinator of the groups: Kafka makes the topic that they
    /// are stored in when it is first asked.
    async fn find_coordinator(&self, socket: &mut Socket) -> Result<(), Failure> {
        loop {
            let group = format!("perf-{}-0", self.run);
            let request = FindCoordinatorRequest {
                coordinator_keys: vec![&group],
                ..FindCoordinatorRequest::default()
            };
            let reply = socket.ask(ApiKey::FindCoordinator, 4, &request).await?;
            let found: FindCoordinatorResponse<'_> = reply.read()?;
            let code = found.coordinators.first().map_or(0, |it| it.error_code);
            match ErrorCode(code) {
                ErrorCode::NONE => return Ok(()),
                ErrorCode::COORDINATOR_NOT_AVAILABLE | ErrorCode::COORDINATOR_LOAD_IN_PROGRESS => {
                    sleep(RETRY).await;
                }
                code => return Err(Failure::new(format!("FindCoordinator: {code}"))),
            }
        }
    }

    async fn create_topic(&self, socket: &mut Socket) -> Result<(), Failure> {
        let name = topic(self.partitions);
        let request = CreateTopicsRequest {
            topics: vec![CreatableTopic {
                name: &name,
                num_partitions: self.partitions,
                replication_factor: 1,
                ..CreatableTopic::default()
            }],
            ..CreateTopicsRequest::default()
        };
        let reply = socket.ask(ApiKey::CreateTopics, 7, &request).await?;
        let created: CreateTopicsResponse<'_> = reply.read()?;
        match ErrorCode(created.topics.first().map_or(0, |it| it.error_code)) {
            ErrorCode::NONE | ErrorCode::TOPIC_ALREADY_EXISTS => Ok(()),
            code => Err(Failure::new(format!("CreateTopics {name}: {code}"))),
        }
    }

    /// Commits until the topic is known: Kafka learns of it a moment after it was created.
    async fn await_topic(&self, socket: &mut Socket, member: &Member) -> Result<(), Failure> {
        let name = topic(self.partitions);
        loop {
            let request = commit_request(member, &name, self.partitions, 0);
            let reply = socket
                .ask(ApiKey::OffsetCommit, OFFSET_COMMIT, &request)
                .await?;
            let committed: OffsetCommitResponse<'_> = reply.read()?;
            let partitions = committed.topics.iter().flat_map(|it| &it.partitions);
            let refused = partitions.map(|it| it.error_code).find(|code| *code != 0);
            match ErrorCode(refused.unwrap_or(0)) {
                ErrorCode::NONE => return Ok(()),
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => sleep(RETRY).await,
                code => return Err(Failure::new(format!("OffsetCommit: {code}"))),
            }
        }
    }

    /// All members leave, a request a group.
    pub(super) async fn leave(&self, members: &[Member]) -> Result<(), Failure> {
        let mut socket = Socket::connect(&self.address).await?;
        for group in members.chunk_by(|one, next| one.group == next.group) {
            let leaves = |member_id| MemberIdentity {
                member_id,
                ..MemberIdentity::default()
            };
            let request = LeaveGroupRequest {
                group_id: &group[0].group,
                members: group.iter().map(|it| leaves(it.id.as_str())).collect(),
                ..LeaveGroupRequest::default()
            };
            let reply = socket.ask(ApiKey::LeaveGroup, 5, &request).await?;
            let _: LeaveGroupResponse<'_> = reply.read()?;
        }
        Ok(())
    }
}

fn least_common_multiple(one: u64, other: u64) -> u64 {
    let (mut a, mut b) = (one, other);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    one / a * other
}

/// A member on its way to rest.
struct Life {
    socket: Socket,
    group: String,
    session_ms: i32,
    id: String,
    at: usize,
    /// The generation that each member of the group was last told, 0 for none.
    generations: Rc<RefCell<Vec<i32>>>,
}

/// What a member does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Next {
    Rejoin,
    Rest,
}

impl Life {
    /// Lives like a consumer until all members of the group are in one generation.
    async fn until_at_rest(&mut self) -> Result<(), Failure> {
        loop {
            let Some(assignments) = self.join().await? else {
                continue;
            };
            let synced = self.sync(&assignments).await?;
            if self.next(synced, "SyncGroup")? == Next::Rejoin {
                continue;
            }
            loop {
                let code = self.heartbeat().await?;
                if self.next(code, "Heartbeat")? == Next::Rejoin {
                    break;
                }
                let first = self.generations.borrow()[0];
                if self.generations.borrow().iter().all(|it| *it == first) {
                    return Ok(());
                }
                sleep(RETRY).await;
            }
        }
    }

    /// The ids of those for whom the member, as leader, decides; `None`: join again.
    async fn join(&mut self) -> Result<Option<Vec<String>>, Failure> {
        let request = JoinGroupRequest {
            group_id: &self.group,
            session_timeout_ms: self.session_ms,
            rebalance_timeout_ms: self.session_ms,
            member_id: &self.id,
            protocol_type: "consumer",
            protocols: vec![JoinGroupRequestProtocol {
                name: "range",
                metadata: SUBSCRIPTION,
            }],
            ..JoinGroupRequest::default()
        };
        let reply = self.socket.ask(ApiKey::JoinGroup, 9, &request).await?;
        let joined: JoinGroupResponse<'_> = reply.read()?;
        let code = ErrorCode(joined.error_code);
        let ids = joined.members.iter().map(|it| it.member_id.to_owned());
        let ids = ids.collect();
        if code == ErrorCode::NONE || code == ErrorCode::MEMBER_ID_REQUIRED {
            joined.member_id.clone_into(&mut self.id);
        }
        if code == ErrorCode::NONE {
            self.generations.borrow_mut()[self.at] = joined.generation_id;
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
        let generation = self.generations.borrow()[self.at];
        let request = SyncGroupRequest {
            group_id: &self.group,
            generation_id: generation,
            member_id: &self.id,
            protocol_type: Some("consumer"),
            protocol_name: Some("range"),
            assignments: members.iter().map(|id| assignment(id)).collect(),
            ..SyncGroupRequest::default()
        };
        let reply = self.socket.ask(ApiKey::SyncGroup, 5, &request).await?;
        let synced: SyncGroupResponse<'_> = reply.read()?;
        Ok(ErrorCode(synced.error_code))
    }

    async fn heartbeat(&mut self) -> Result<ErrorCode, Failure> {
        let generation = self.generations.borrow()[self.at];
        let request = HeartbeatRequest {
            group_id: &self.group,
            generation_id: generation,
            member_id: &self.id,
            group_instance_id: None,
        };
        let reply = self.socket.ask(ApiKey::Heartbeat, HEARTBEAT, &request);
        let heard: HeartbeatResponse = reply.await?.read()?;
        Ok(ErrorCode(heard.error_code))
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

/// A consumer's subscription, version 0, to a topic "t": what Kafka reads for KIP-211.
const SUBSCRIPTION: &[u8] = b"\0\0\0\0\0\x01\0\x01t\xff\xff\xff\xff";

/// A consumer's assignment, version 0, of nothing.
const ASSIGNMENT: &[u8] = b"\0\0\0\0\0\0\xff\xff\xff\xff";
