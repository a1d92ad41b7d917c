//! From frames to the engine and the topics, and back: a file for each kin of APIs.
//!
//! An API is one function: it reads its request, asks, and gives a closure that writes the
//! response. What is answered at once is written into the burst; what has to wait becomes a
//! future, and the closure writes then.

mod call;
mod cluster;
mod committed;
mod committed_in_place;
#[cfg(test)]
mod committed_tests;
mod configs;
mod coordinators;
mod delete_records;
mod endings;
mod fetch;
mod fetched;
mod groups;
mod known_topics;
mod large;
mod list_offsets;
mod members;
mod metadata;
mod offset_rows;
mod offsets;
mod offsets_fetch;
mod offsets_topic;
mod pattern;
mod produce;
mod repeats;
mod topic_admin;
mod topic_errors;
mod transaction_list;
mod transactions;
mod txn_offsets;
mod versions;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::watch;

use super::service::{Handled, Peer, Service};
use crate::config::Config;
use crate::engine::Engine;
use crate::time::Now;
use crate::topics::Topics;
use crate::txn::Coordinator;
use crate::wire::{ApiKey, HeaderError, RequestHeader};
use call::Call;
use fetched::FetchedBytes;
use known_topics::KnownTopics;
use large::LargeRequests;
pub use offsets_topic::OffsetsTopic;
use repeats::Repeats;

/// The node's number, in every answer that names one.
const NODE_ID: i32 = 1;

/// Carries out Kafka requests on an engine and on topics.
#[derive(Debug)]
pub struct Broker {
    engine: Engine,
    topics: Arc<Topics>,
    transactions: Arc<Coordinator>,
    config: Config,
    advertised: Option<(String, u16)>,
    cluster_id: String,
    fetched: Arc<FetchedBytes>,
    large: LargeRequests,
    /// There where the journal can be read.
    offsets_topic: Option<Arc<OffsetsTopic>>,
    // Told once, when the server stops; requests that wait for records listen.
    stopping: watch::Sender<bool>,
}

/// What is remembered of one connection.
#[derive(Debug)]
pub struct Remembered {
    /// The client's address in Java's form, as descriptions show it: `/127.0.0.1`.
    host: Arc<str>,
    local: SocketAddr,
    /// Heartbeats of this connection that may come again.
    repeats: Repeats,
    topics: KnownTopics,
}

impl Broker {
    /// A broker that tells clients to come to `advertised`, or else to wherever they came.
    pub fn new(
        engine: Engine,
        topics: Arc<Topics>,
        transactions: Arc<Coordinator>,
        config: Config,
        advertised: Option<(String, u16)>,
    ) -> Self {
        let cluster_id = topics.cluster_id();
        Self {
            engine,
            topics,
            transactions,
            config,
            advertised,
            cluster_id,
            fetched: Arc::default(),
            large: LargeRequests::default(),
            offsets_topic: None,
            stopping: watch::Sender::new(false),
        }
    }

    /// Lets the journal be read as the topic `__consumer_offsets`; the topics have to know of it
    /// (`Topics::with_internal`).
    #[must_use]
    pub fn with_offsets_topic(mut self, topic: Option<OffsetsTopic>) -> Self {
        self.offsets_topic = topic.map(Arc::new);
        self
    }

    /// Whether the server stops.
    fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Tells when the server stops.
    fn stopped(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }

    /// Where clients of that connection are told to go.
    fn address(&self, connection: &Remembered) -> (String, i32) {
        match &self.advertised {
            Some((host, port)) => (host.clone(), i32::from(*port)),
            None => (
                connection.local.ip().to_string(),
                i32::from(connection.local.port()),
            ),
        }
    }
}

impl Service for Broker {
    type Connection = Remembered;

    fn connect(&self, peer: &Peer) -> Remembered {
        Remembered {
            host: format!("/{}", peer.remote.ip()).into(),
            local: peer.local,
            repeats: Repeats::default(),
            topics: KnownTopics::default(),
        }
    }

    fn call(
        &self,
        connection: &mut Remembered,
        frame: &[u8],
        now: Now,
        out: &mut Vec<u8>,
    ) -> Handled {
        if connection.repeats.answer(frame, now, out) {
            return Handled::Done;
        }
        let (header, body) = match RequestHeader::decode(frame) {
            Ok(decoded) => decoded,
            Err(HeaderError::UnsupportedVersion {
                api: ApiKey::ApiVersions,
                correlation_id,
                ..
            }) => return versions::downgrade(correlation_id, out),
            Err(error) => {
                tracing::debug!("a connection is closed: {error}");
                return Handled::Close;
            }
        };
        let mut call = Call {
            broker: self,
            connection,
            frame,
            header,
            body,
            now,
            out,
        };
        let handled = call.carry_out();
        handled.unwrap_or_else(|error| {
            tracing::debug!(api = %header.api, "a connection is closed: {error}");
            Handled::Close
        })
    }

    fn overlaps(&self, frame: &[u8]) -> bool {
        frame.first_chunk() == Some(&ApiKey::OffsetCommit.number().to_be_bytes())
    }

    fn stop(&self) {
        self.stopping.send_replace(true);
        self.engine.shutdown();
    }
}
