//! The admin endpoint: `GET /livez`, `/readyz` and `/metrics` over HTTP/1.1.
//!
//! `/readyz` is 503 while a shard is loading, for good once one has failed, and once the journal
//! takes no records any more; the process goes on all the same, since what serves still serves.
//!
//! It is meant for probes and scrapes: a connection carries one request and lives at most
//! [`CONNECTION_TIME_MAX`]; more than [`CONNECTIONS_MAX`] at a time wait to be accepted.

use std::convert::Infallible;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::engine::{Engine, ShardPhase};
use crate::topics::Topics;

/// What the endpoint tells.
#[derive(Debug)]
pub(super) struct Admin {
    engine: Engine,
    topics: Arc<Topics>,
    // Written by the process when it serves and when it stops, read by any probe.
    ready: AtomicBool,
}

impl Admin {
    /// An endpoint of a server that is not ready yet.
    pub(super) fn new(engine: Engine, topics: Arc<Topics>) -> Self {
        Self {
            engine,
            topics,
            ready: AtomicBool::new(false),
        }
    }

    /// Says from now on whether the server takes work.
    pub(super) fn set_ready(&self, ready: bool) {
        // Release: pairs with the load in `answer`; a probe that sees it finds the server so.
        self.ready.store(ready, Ordering::Release);
    }

    /// Serves the endpoint until the task is dropped.
    pub(super) async fn serve(self: Arc<Self>, listener: TcpListener) {
        let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
                return;
            };
            let Ok((stream, _)) = listener.accept().await else {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let admin = Arc::clone(&self);
            tokio::spawn(async move {
                // A probe that breaks off or takes too long is of no interest.
                let _ = tokio::time::timeout(CONNECTION_TIME_MAX, admin.connection(stream)).await;
                drop(permit);
            });
        }
    }

    async fn connection(&self, stream: TcpStream) {
        let service = service_fn(|request: Request<Incoming>| {
            let response = self.answer(request.method(), request.uri().path());
            async move { Ok::<_, Infallible>(response) }
        });
        let _ = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIME_MAX)
            .max_buf_size(HEADER_BYTES_MAX)
            .keep_alive(false)
            .serve_connection(TokioIo::new(stream), service)
            .await;
    }

    pub(super) fn answer(&self, method: &Method, path: &str) -> Response<Full<Bytes>> {
        let (status, text) = match path {
            "/livez" => (StatusCode::OK, "ok\n".to_owned()),
            "/readyz" => self.readiness(),
            "/metrics" => (StatusCode::OK, self.engine.metrics().to_string()),
            _ => (StatusCode::NOT_FOUND, "not found\n".to_owned()),
        };
        let known = status != StatusCode::NOT_FOUND;
        if known && *method != Method::GET && *method != Method::HEAD {
            let mut refusal = respond(StatusCode::METHOD_NOT_ALLOWED, "only GET\n".to_owned());
            let allowed = HeaderValue::from_static("GET, HEAD");
            refusal.headers_mut().insert(ALLOW, allowed);
            return refusal;
        }
        respond(status, text)
    }

    /// Ready is a server that takes work, all of whose shards do, with a journal and topics that
    /// keep what they are given. Else a line a shard, and one of each disk, say what is amiss.
    fn readiness(&self) -> (StatusCode, String) {
        // Acquire: pairs with the release in `set_ready`.
        if !self.ready.load(Ordering::Acquire) {
            return (StatusCode::SERVICE_UNAVAILABLE, "not ready\n".to_owned());
        }
        let shards = self.engine.shards();
        let is_journal_healthy = self.engine.is_journal_healthy();
        let are_topics_healthy = self.topics.is_healthy();
        let is_healthy = is_journal_healthy && are_topics_healthy;
        if is_healthy && shards.iter().all(|it| it.phase == ShardPhase::Serving) {
            return (StatusCode::OK, "ok\n".to_owned());
        }
        let mut text = String::new();
        if !are_topics_healthy {
            text.push_str("the topics' disk failed\n");
        }
        if !is_journal_healthy {
            text.push_str("journal: takes no records any more, restart\n");
        }
        for status in shards {
            let phase = match status.phase {
                ShardPhase::Loading => "loading",
                ShardPhase::Serving => "ready",
                ShardPhase::Failed => "failed",
            };
            let (shard, records) = (status.shard.0, status.records);
            let _ = writeln!(text, "shard {shard}: {phase}, {records} records loaded");
        }
        (StatusCode::SERVICE_UNAVAILABLE, text)
    }
}

fn respond(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}

/// Connections at one time.
const CONNECTIONS_MAX: usize = 16;
/// From accept to the last byte.
const CONNECTION_TIME_MAX: Duration = Duration::from_secs(10);
/// From accept to the end of the request's head.
const HEADER_TIME_MAX: Duration = Duration::from_secs(5);
/// The longest head of a request; 8 KiB is the least that hyper takes.
const HEADER_BYTES_MAX: usize = 8 * 1024;
/// How long accepting rests after a failure.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
