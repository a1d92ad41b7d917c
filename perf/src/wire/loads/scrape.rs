//! A monitor that asks for everything: all groups, what each is, all their offsets, all metrics.

use takhin_coordinator::wire::messages::{
    DescribeGroupsRequest, DescribeGroupsResponse, ListGroupsRequest, ListGroupsResponse,
    OffsetCommitResponse, OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchResponse,
};
use takhin_coordinator::wire::{ApiKey, ErrorCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::super::forming::{Former, topic};
use super::super::requests::commit_request;
use super::super::socket::Socket;
use super::super::versions::{OFFSET_COMMIT, OFFSET_FETCH};
use super::{Load, Seen, shape};
use crate::clock;
use crate::failure::Failure;

/// Groups of one member with an offset each, and who asks for them.
#[derive(Debug)]
pub(crate) struct Scrape {
    socket: Socket,
    /// Where the metrics are, if they are asked for too.
    admin: Option<String>,
    groups: usize,
}

const LIST_GROUPS: i16 = 4;
const DESCRIBE_GROUPS: i16 = 5;

impl Scrape {
    pub(crate) async fn prepare(
        address: &str,
        admin: Option<&str>,
        groups: u64,
    ) -> Result<Self, Failure> {
        let former = Former::new(address, shape(groups, 1));
        let members = former.form().await?;
        let mut socket = former.connect().await?;
        let topic = topic(1);
        for member in &members {
            let request = commit_request(member, &topic, 1, 7);
            let asked = socket.ask(ApiKey::OffsetCommit, OFFSET_COMMIT, &request);
            let reply = asked.await?;
            let committed: OffsetCommitResponse<'_> = reply.read()?;
            let partitions = committed.topics.iter().flat_map(|it| &it.partitions);
            expect_none("OffsetCommit", partitions.map(|it| it.error_code))?;
        }
        Ok(Self {
            socket,
            admin: admin.map(str::to_owned),
            groups: members.len(),
        })
    }

    async fn list(&mut self) -> Result<Vec<String>, Failure> {
        let request = ListGroupsRequest::default();
        let asked = self.socket.ask(ApiKey::ListGroups, LIST_GROUPS, &request);
        let reply = asked.await?;
        let listed: ListGroupsResponse<'_> = reply.read()?;
        expect_none("ListGroups", [listed.error_code])?;
        let ids = listed.groups.iter().map(|it| it.group_id.to_owned());
        Ok(ids.collect())
    }

    async fn describe(&mut self, groups: &[String]) -> Result<(), Failure> {
        let request = DescribeGroupsRequest {
            groups: groups.iter().map(String::as_str).collect(),
            ..DescribeGroupsRequest::default()
        };
        let asked = self
            .socket
            .ask(ApiKey::DescribeGroups, DESCRIBE_GROUPS, &request);
        let reply = asked.await?;
        let described: DescribeGroupsResponse<'_> = reply.read()?;
        let codes = described.groups.iter().map(|it| it.error_code);
        expect_none("DescribeGroups", codes)?;
        expect_all("described", described.groups.len(), groups.len())
    }

    /// All offsets of all groups; a group that commits with each of its members, as those of
    /// others may, has more than one.
    async fn fetch(&mut self, groups: &[String]) -> Result<(), Failure> {
        let all_of = |group_id| OffsetFetchRequestGroup {
            group_id,
            topics: None,
            ..OffsetFetchRequestGroup::default()
        };
        let request = OffsetFetchRequest {
            groups: groups.iter().map(|it| all_of(it.as_str())).collect(),
            ..OffsetFetchRequest::default()
        };
        let asked = self.socket.ask(ApiKey::OffsetFetch, OFFSET_FETCH, &request);
        let reply = asked.await?;
        let fetched: OffsetFetchResponse<'_> = reply.read()?;
        expect_none("OffsetFetch", fetched.groups.iter().map(|it| it.error_code))?;
        let with_offsets = fetched.groups.iter().filter(|it| !it.topics.is_empty());
        expect_all("groups with offsets", with_offsets.count(), self.groups)
    }
}

impl Load for Scrape {
    async fn step(&mut self, seen: &mut Seen) -> Result<(), Failure> {
        let begun = clock::now();
        let groups = self.list().await?;
        expect_all("listed", groups.len(), self.groups)?;
        seen.took("list", begun);
        let described = clock::now();
        self.describe(&groups).await?;
        seen.took("describe", described);
        let fetched = clock::now();
        self.fetch(&groups).await?;
        seen.took("fetch", fetched);
        if let Some(admin) = &self.admin {
            let asked = clock::now();
            metrics(admin).await?;
            seen.took("metrics", asked);
        }
        seen.took("all_of_it", begun);
        seen.done += 1;
        Ok(())
    }
}

async fn metrics(admin: &str) -> Result<(), Failure> {
    let mut stream = TcpStream::connect(admin).await?;
    let question = format!("GET /metrics HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n");
    stream.write_all(question.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    if answer.starts_with(b"HTTP/1.1 200") {
        Ok(())
    } else {
        Err(Failure::new("/metrics was refused"))
    }
}

fn expect_none(api: &str, codes: impl IntoIterator<Item = i16>) -> Result<(), Failure> {
    match codes.into_iter().find(|code| *code != 0) {
        None => Ok(()),
        Some(code) => Err(Failure::new(format!("{api}: {}", ErrorCode(code)))),
    }
}

/// Others may have groups of their own.
fn expect_all(what: &str, found: usize, made: usize) -> Result<(), Failure> {
    if found >= made {
        Ok(())
    } else {
        Err(Failure::new(format!("{found} of {made} {what}")))
    }
}
