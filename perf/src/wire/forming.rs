//! Real groups, formed as clients form them: two-step joins, syncs, until all are at rest.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

use takhin_coordinator::wire::messages::{
    CreatableTopic, CreateTopicsRequest, CreateTopicsResponse, FindCoordinatorRequest,
    FindCoordinatorResponse, LeaveGroupRequest, LeaveGroupResponse, MemberIdentity,
    OffsetCommitResponse,
};
use takhin_coordinator::wire::{ApiKey, ErrorCode};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::life::{Life, RETRY, Roll};
use super::requests::commit_request;
use super::socket::Socket;
use super::versions::{
    CREATE_TOPICS, FIND_COORDINATOR, LEAVE_GROUP, OFFSET_COMMIT, refuse_older_servers,
};
use crate::clock;
use crate::failure::Failure;

/// What the load calls itself.
pub(super) const CLIENT_ID: &str = "perf";

/// The topic of the commits: one for each number of partitions.
pub(super) fn topic(partitions: i32) -> String {
    format!("perf-{partitions}")
}

/// A member of a group at rest.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(super) group: String,
    pub(super) id: String,
    pub(super) generation: i32,
}

/// What groups are to be formed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) groups: u64,
    pub(crate) group_size: u64,
    /// Partitions of the topic that the members commit to.
    pub(crate) partitions: i32,
    pub(crate) session_ms: i32,
    /// Groups that form at one time, each with a connection a member.
    pub(crate) at_once: u64,
}

/// Enough to keep a server busy, and few connections.
pub(crate) const AT_ONCE: u64 = 24;

/// Forms groups, and dissolves them.
#[derive(Clone, Debug)]
pub(crate) struct Former {
    address: String,
    shape: Shape,
    /// Makes the names of these groups their own.
    name: String,
}

/// Formers of this process so far.
static FORMERS: AtomicU64 = AtomicU64::new(0);

impl Former {
    pub(crate) fn new(address: &str, shape: Shape) -> Self {
        // Relaxed: only the number's being its own matters.
        let number = FORMERS.fetch_add(1, Ordering::Relaxed);
        let (seconds, process) = (clock::unix_seconds(), std::process::id());
        Self {
            address: address.to_owned(),
            shape,
            name: format!("perf-{seconds:x}-{process:x}-{number}"),
        }
    }

    /// The name of a group.
    pub(super) fn group(&self, number: u64) -> String {
        format!("{}-{number}", self.name)
    }

    pub(super) async fn connect(&self) -> Result<Socket, Failure> {
        Socket::connect(&self.address).await
    }

    /// A connection to a server that is ready for the groups and knows their topic.
    pub(super) async fn prepare(&self) -> Result<Socket, Failure> {
        let mut socket = self.connect().await?;
        refuse_older_servers(&mut socket).await?;
        self.find_coordinator(&mut socket).await?;
        self.create_topic(&mut socket).await?;
        Ok(socket)
    }

    /// All members, group by group.
    pub(crate) async fn form(&self) -> Result<Vec<Member>, Failure> {
        let mut socket = self.prepare().await?;
        let next = Rc::new(Cell::new(0));
        let members = Rc::new(RefCell::new(Vec::new()));
        let mut workers = JoinSet::new();
        for _ in 0..self.shape.groups.min(self.shape.at_once) {
            let (former, next, members) = (self.clone(), Rc::clone(&next), Rc::clone(&members));
            workers.spawn_local(async move { former.form_groups(&next, &members).await });
        }
        while let Some(ended) = workers.join_next().await {
            ended.map_err(|error| Failure::new(error.to_string()))??;
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
        for _ in 0..self.shape.group_size {
            sockets.push(self.connect().await?);
        }
        while next.get() < self.shape.groups {
            let number = next.replace(next.get() + 1);
            let group = self.group(number);
            let roll = Rc::new(Roll::new(sockets.len()));
            let mut lives = JoinSet::new();
            for (at, socket) in sockets.drain(..).enumerate() {
                let mut life = Life::new(socket, &group, self.shape.session_ms, at, &roll);
                lives.spawn_local(async move {
                    life.until_at_rest().await?;
                    Ok::<Life, Failure>(life)
                });
            }
            while let Some(life) = lives.join_next().await {
                let life = life.map_err(|error| Failure::new(error.to_string()))??;
                members.borrow_mut().push(life.member());
                sockets.push(life.into_socket());
            }
        }
        Ok(())
    }

    /// Waits until the server is the coordinator of the groups: Kafka makes the topic that they
    /// are stored in when it is first asked.
    async fn find_coordinator(&self, socket: &mut Socket) -> Result<(), Failure> {
        loop {
            let group = self.group(0);
            let request = FindCoordinatorRequest {
                coordinator_keys: vec![&group],
                ..FindCoordinatorRequest::default()
            };
            let asked = socket.ask(ApiKey::FindCoordinator, FIND_COORDINATOR, &request);
            let reply = asked.await?;
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
        let name = topic(self.shape.partitions);
        let request = CreateTopicsRequest {
            topics: vec![CreatableTopic {
                name: &name,
                num_partitions: self.shape.partitions,
                replication_factor: 1,
                ..CreatableTopic::default()
            }],
            ..CreateTopicsRequest::default()
        };
        let reply = socket
            .ask(ApiKey::CreateTopics, CREATE_TOPICS, &request)
            .await?;
        let created: CreateTopicsResponse<'_> = reply.read()?;
        match ErrorCode(created.topics.first().map_or(0, |it| it.error_code)) {
            ErrorCode::NONE | ErrorCode::TOPIC_ALREADY_EXISTS => Ok(()),
            code => Err(Failure::new(format!("CreateTopics {name}: {code}"))),
        }
    }

    /// Commits until the topic is known: Kafka learns of it a moment after it was created.
    async fn await_topic(&self, socket: &mut Socket, member: &Member) -> Result<(), Failure> {
        let name = topic(self.shape.partitions);
        loop {
            let request = commit_request(member, &name, self.shape.partitions, 0);
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
    pub(crate) async fn leave(&self, members: &[Member]) -> Result<(), Failure> {
        let mut socket = self.connect().await?;
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
            let reply = socket
                .ask(ApiKey::LeaveGroup, LEAVE_GROUP, &request)
                .await?;
            let _: LeaveGroupResponse<'_> = reply.read()?;
        }
        Ok(())
    }
}
