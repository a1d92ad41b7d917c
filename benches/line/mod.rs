//! A connection to a server in this thread, over memory that is there from the start.

#![expect(
    clippy::disallowed_types,
    reason = "a lock is what one thread needs that holds both ends"
)]

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use takhin_coordinator::config::Config;
use takhin_coordinator::ids::TopicName;
use takhin_coordinator::server::{Broker, Peer, Server};
use takhin_coordinator::topics::{Topics, TopicsConfig};
use takhin_coordinator::txn::{Coordinator, Damage, Limits};
use takhin_coordinator::wire::messages::{
    HeartbeatRequest, OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use takhin_coordinator::wire::{ApiKey, Message, RequestHeader, frame};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::Runtime;

use super::steady::{Member, Steady};

const TOPIC: &str = "orders";

/// A client's end of the line.
pub(crate) struct Line {
    connection: Pin<Box<dyn Future<Output = ()>>>,
    ends: Ends,
    runtime: Runtime,
    // Its connections end with it.
    _server: Server<Broker>,
}

impl Line {
    /// A connection to a server with the engine of those members, its clock and one topic of a
    /// hundred partitions.
    pub(crate) fn to(steady: &Steady) -> Self {
        let engine = &steady.engine;
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().build().expect("a thread's own");
        let _entered = runtime.enter();
        let config = Config::builder().build().expect("the defaults are valid");
        let topics = Topics::new(TopicsConfig {
            num_partitions: 100,
            ..TopicsConfig::default()
        });
        let topic = topics.describe_or_create(&TopicName::from(TOPIC));
        topic.expect("topics are made when they are asked for");
        let transactions = Coordinator::open(None, Damage::Refuse, Limits::default(), engine.now());
        let broker = Broker::new(
            engine.clone(),
            Arc::new(topics),
            Arc::new(transactions.expect("nothing is on disk")),
            config.clone(),
            None,
        );
        let metrics = Arc::clone(engine.metrics());
        let clock = Arc::new(steady.clock.clone());
        let server = Server::start(broker, Vec::new(), &config, metrics, clock);
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let peer = Peer {
            remote: address,
            local: address,
        };
        let ends = Ends::default();
        let serving = server.serve(ends.clone(), peer).expect("the first");
        Self {
            connection: Box::pin(async move {
                let closed = serving.await;
                panic!("the connection was closed: {closed:?}");
            }),
            ends,
            runtime,
            _server: server,
        }
    }

    /// Sends so many frames with one write and has them answered.
    pub(crate) fn ask(&mut self, frames: &[u8], count: usize) {
        {
            let mut ends = self.ends.lock();
            ends.to_server.clear();
            ends.to_server.extend_from_slice(frames);
            ends.to_client.clear();
        }
        let _entered = self.runtime.enter();
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..10 {
            let polled = self.connection.as_mut().poll(&mut cx);
            assert!(polled.is_pending(), "it runs until it panics");
            if self.answers() == count {
                return;
            }
        }
        panic!("{} answers to {count} requests", self.answers());
    }

    /// The answers that came last: whole frames.
    fn answers(&self) -> usize {
        let ends = self.ends.lock();
        let (mut rest, mut count) = (ends.to_client.as_slice(), 0);
        while let Ok(Some((len, _))) = frame::split(rest, MEMORY) {
            rest = &rest[len..];
            count += 1;
        }
        count
    }

    /// The bytes that came last.
    pub(crate) fn last_answer(&self) -> Vec<u8> {
        self.ends.lock().to_client.clone()
    }
}

/// Bytes that are on their way at most.
const MEMORY: usize = 64 * 1024;

/// Both ends: what was sent to the server and not read yet, and what it has answered.
#[derive(Clone)]
struct Ends(Arc<Mutex<Memory>>);

struct Memory {
    to_server: Vec<u8>,
    to_client: Vec<u8>,
}

impl Ends {
    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().expect("no holder panics")
    }
}

impl Default for Ends {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Memory {
            to_server: Vec::with_capacity(MEMORY),
            to_client: Vec::with_capacity(MEMORY),
        })))
    }
}

impl AsyncRead for Ends {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let bytes = &mut self.lock().to_server;
        let count = bytes.len().min(into.remaining());
        if count == 0 {
            return Poll::Pending;
        }
        into.put_slice(&bytes[..count]);
        bytes.drain(..count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Ends {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.lock().to_client.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

pub(crate) fn heartbeat_frame(member: &Member) -> Vec<u8> {
    let request = HeartbeatRequest {
        group_id: member.group.as_str(),
        generation_id: member.generation.0,
        member_id: member.id.as_str(),
        group_instance_id: None,
    };
    frame_of(ApiKey::Heartbeat, 4, &request)
}

pub(crate) fn commit_frame(member: &Member, partitions: i32, offset: i64) -> Vec<u8> {
    let partition = |partition_index| OffsetCommitRequestPartition {
        partition_index,
        committed_offset: offset,
        ..OffsetCommitRequestPartition::default()
    };
    let request = OffsetCommitRequest {
        group_id: member.group.as_str(),
        generation_id_or_member_epoch: member.generation.0,
        member_id: member.id.as_str(),
        topics: vec![OffsetCommitRequestTopic {
            name: TOPIC,
            partitions: (0..partitions).map(partition).collect(),
            ..OffsetCommitRequestTopic::default()
        }],
        ..OffsetCommitRequest::default()
    };
    frame_of(ApiKey::OffsetCommit, 9, &request)
}

pub(crate) fn fetch_frame(member: &Member, partitions: i32) -> Vec<u8> {
    let request = OffsetFetchRequest {
        groups: vec![OffsetFetchRequestGroup {
            group_id: member.group.as_str(),
            topics: Some(vec![OffsetFetchRequestTopics {
                name: TOPIC,
                partition_indexes: (0..partitions).collect(),
                ..OffsetFetchRequestTopics::default()
            }]),
            ..OffsetFetchRequestGroup::default()
        }],
        ..OffsetFetchRequest::default()
    };
    frame_of(ApiKey::OffsetFetch, 9, &request)
}

fn frame_of<'m, M: Message<'m>>(api: ApiKey, version: i16, body: &M) -> Vec<u8> {
    let header = RequestHeader {
        api,
        version,
        correlation_id: 1,
        client_id: Some("orders"),
    };
    let mut out = Vec::new();
    frame::append_request(&mut out, &header, body).expect("names of usual length");
    out
}
