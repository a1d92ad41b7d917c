//! A server over in-memory streams, and a journal that waits for the test.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

use takhin_coordinator::config::Config;
use takhin_coordinator::engine::{Driving, Engine};
use takhin_coordinator::error::Refusal;
use takhin_coordinator::ids::{ShardId, TopicName};
use takhin_coordinator::journal::{Batch, Done, Durability, Journal, LoadError, Loaded};
use takhin_coordinator::server::{Broker, Peer, Server};
use takhin_coordinator::time::ManualClock;
use takhin_coordinator::topics::{Topics, TopicsConfig};
use takhin_coordinator::txn::{Coordinator, Damage, Limits};
use takhin_coordinator::wire::messages::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
    OffsetCommitResponse,
};
use takhin_coordinator::wire::{ApiKey, Message, RequestHeader, ResponseHeader, frame};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::task::yield_now;

/// The version of commits and their answers.
const COMMIT: i16 = 9;

/// Batches that were handed over and wait for the test.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held(Arc<Mutex<Vec<(usize, Done)>>>);

impl Held {
    /// The number of entries of each batch that waits.
    pub(crate) fn batches(&self) -> Vec<usize> {
        self.0.lock().unwrap().iter().map(|(n, _)| *n).collect()
    }

    /// Settles the first that waits.
    pub(crate) fn settle_first(&self) {
        let (_, done) = self.0.lock().unwrap().remove(0);
        done.settle(Ok(()));
    }

    /// Settles all that wait, and those that are handed over by that.
    pub(crate) fn settle(&self, outcome: Result<(), Refusal>) {
        loop {
            let waiting = std::mem::take(&mut *self.0.lock().unwrap());
            if waiting.is_empty() {
                return;
            }
            for (_, done) in waiting {
                done.settle(outcome);
            }
        }
    }

    /// The same, of those that wait the last one first.
    pub(crate) fn settle_latest_first(&self) {
        loop {
            let latest = self.0.lock().unwrap().pop();
            let Some((_, done)) = latest else {
                return;
            };
            done.settle(Ok(()));
        }
    }
}

impl Journal for Held {
    fn append(&self, batch: Batch<'_>, done: Done) {
        self.0.lock().unwrap().push((batch.entries.len(), done));
    }

    fn load(
        &self,
        _: ShardId,
        _: &mut dyn FnMut(Loaded) -> ControlFlow<()>,
    ) -> Result<(), LoadError> {
        Ok(())
    }

    fn durability(&self) -> Durability {
        Durability::Memory
    }
}

/// A server with one topic, `known`.
pub(crate) struct World {
    server: Server<Broker>,
    engine: Engine,
    clock: ManualClock,
    pub(crate) journal: Held,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with_shards(1)
    }

    pub(crate) fn with_shards(shards: u32) -> Self {
        let clock = ManualClock::new();
        let journal = Held::default();
        let mut config = Config::builder().build().unwrap();
        config.takhin_shards = shards;
        let engine = Engine::builder(config.clone())
            .clock(clock.clone())
            .journal(journal.clone())
            .driving(Driving::Host)
            .open()
            .unwrap();
        let topics = Arc::new(Topics::new(TopicsConfig::default()));
        topics
            .describe_or_create(&TopicName::from("known"))
            .unwrap();
        let now = engine.now();
        let transactions = Coordinator::open(None, Damage::Refuse, Limits::default(), now);
        let transactions = Arc::new(transactions.unwrap());
        let broker = Broker::new(engine.clone(), topics, transactions, config.clone(), None);
        let metrics = Arc::clone(engine.metrics());
        let of_server = Arc::new(clock.clone());
        Self {
            server: Server::start(broker, Vec::new(), &config, metrics, of_server),
            engine,
            clock,
            journal,
        }
    }

    pub(crate) fn connect(&self) -> Client {
        let (stream, inner) = duplex(1 << 20);
        let address = "127.0.0.1:1".parse().unwrap();
        let peer = Peer {
            remote: address,
            local: address,
        };
        tokio::spawn(self.server.serve(inner, peer).unwrap());
        Client {
            stream,
            sent: 0,
            received: 0,
        }
    }

    /// Requests that wait for their answers.
    pub(crate) fn parked(&self) -> i64 {
        self.engine.metrics().server().requests_parked.value()
    }

    pub(crate) fn pass(&self, ms: u64) {
        self.clock.advance_ms(ms);
        self.engine.run_due();
    }
}

/// One offset to be committed, of a client outside the group protocol unless said.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Commit<'a> {
    pub(crate) group: &'a str,
    pub(crate) member: &'a str,
    pub(crate) generation: i32,
    pub(crate) topic: &'a str,
    pub(crate) offset: i64,
}

pub(crate) fn commit(group: &str, offset: i64) -> Commit<'_> {
    Commit {
        group,
        member: "",
        generation: -1,
        topic: "known",
        offset,
    }
}

/// A client's end of a connection.
pub(crate) struct Client {
    stream: DuplexStream,
    sent: i32,
    received: i32,
}

impl Client {
    fn frame<'m, M: Message<'m>>(&mut self, api: ApiKey, version: i16, body: &M) -> Vec<u8> {
        self.sent += 1;
        let header = RequestHeader {
            api,
            version,
            correlation_id: self.sent,
            client_id: Some("test"),
        };
        let mut out = Vec::new();
        frame::append_request(&mut out, &header, body).unwrap();
        out
    }

    pub(crate) async fn send<'m, M: Message<'m>>(&mut self, api: ApiKey, version: i16, body: &M) {
        let frame = self.frame(api, version, body);
        self.stream.write_all(&frame).await.unwrap();
    }

    /// Sends commits with one write.
    pub(crate) async fn send_commits(&mut self, commits: impl IntoIterator<Item = Commit<'_>>) {
        let mut bytes = Vec::new();
        for commit in commits {
            let request = OffsetCommitRequest {
                group_id: commit.group,
                generation_id_or_member_epoch: commit.generation,
                member_id: commit.member,
                topics: vec![OffsetCommitRequestTopic {
                    name: commit.topic,
                    partitions: vec![OffsetCommitRequestPartition {
                        committed_offset: commit.offset,
                        ..Default::default()
                    }],
                    ..Default::default()
                }],
                ..Default::default()
            };
            bytes.append(&mut self.frame(ApiKey::OffsetCommit, COMMIT, &request));
        }
        self.stream.write_all(&bytes).await.unwrap();
    }

    /// The body of the next answer, which is that of the next request.
    pub(crate) async fn receive(&mut self, api: ApiKey, version: i16) -> Vec<u8> {
        self.received += 1;
        let length = self.stream.read_i32().await.unwrap();
        let mut content = vec![0; usize::try_from(length).unwrap()];
        self.stream.read_exact(&mut content).await.unwrap();
        let (header, body) = ResponseHeader::decode(&content, api, version).unwrap();
        assert_eq!(header.correlation_id, self.received);
        body.to_vec()
    }

    /// The codes of the next answer, which is that of a commit.
    pub(crate) async fn receive_codes(&mut self) -> Vec<i16> {
        let body = self.receive(ApiKey::OffsetCommit, COMMIT).await;
        let response = OffsetCommitResponse::decode_exact(&body, COMMIT).unwrap();
        let partitions = response.topics.iter().flat_map(|it| &it.partitions);
        partitions.map(|it| it.error_code).collect()
    }
}

/// Lets all other tasks run until they wait.
pub(crate) async fn settle() {
    for _ in 0..1_000 {
        yield_now().await;
    }
}
