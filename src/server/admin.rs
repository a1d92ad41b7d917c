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

use crate::engine::{Engine, ShardPhase, ShardStatus};
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

    fn answer(&self, method: &Method, path: &str) -> Response<Full<Bytes>> {
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
        let healthy = Healthy {
            journal: self.engine.is_journal_healthy(),
            topics: self.topics.is_healthy(),
        };
        match amiss(healthy, &self.engine.shards()) {
            None => (StatusCode::OK, "ok\n".to_owned()),
            Some(text) => (StatusCode::SERVICE_UNAVAILABLE, text),
        }
    }
}

/// Which disks take what they are given.
#[derive(Clone, Copy, Debug)]
struct Healthy {
    journal: bool,
    topics: bool,
}

/// What keeps a server from being ready, if something does.
fn amiss(healthy: Healthy, shards: &[ShardStatus]) -> Option<String> {
    let is_healthy = healthy.journal && healthy.topics;
    if is_healthy && shards.iter().all(|it| it.phase == ShardPhase::Serving) {
        return None;
    }
    let mut text = String::new();
    if !healthy.topics {
        text.push_str("the topics' disk failed\n");
    }
    if !healthy.journal {
        text.push_str("the journal failed and takes no records any more: restart\n");
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
    Some(text)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::engine::Driving;
    use crate::topics::TopicsConfig;

    const WELL: Healthy = Healthy {
        journal: true,
        topics: true,
    };

    fn engine() -> Engine {
        let config = Config::builder().takhin_shards(2).build().unwrap();
        let builder = Engine::builder(config).driving(Driving::Host);
        builder.load_later().open().unwrap()
    }

    #[test]
    fn a_server_is_ready_when_its_last_shard_is_loaded() {
        let engine = engine();
        let topics = Arc::new(Topics::new(TopicsConfig::default()));
        let admin = Admin::new(engine.clone(), topics);
        let get = || admin.answer(&Method::GET, "/readyz").status();
        assert_eq!(get(), StatusCode::SERVICE_UNAVAILABLE);
        admin.set_ready(true);
        assert_eq!(get(), StatusCode::SERVICE_UNAVAILABLE);
        let text = amiss(WELL, &engine.shards());
        let lines = "shard 0: loading, 0 records loaded\nshard 1: loading, 0 records loaded\n";
        assert_eq!(text.as_deref(), Some(lines));
        engine.load_next().unwrap();
        let text = amiss(WELL, &engine.shards());
        let lines = "shard 0: ready, 0 records loaded\nshard 1: loading, 0 records loaded\n";
        assert_eq!(text.as_deref(), Some(lines));
        engine.load_next().unwrap();
        assert_eq!(get(), StatusCode::OK);
    }

    #[test]
    fn a_shard_that_failed_and_a_disk_that_failed_are_told() {
        let engine = engine();
        engine.run_due();
        let mut shards = engine.shards();
        assert_eq!(amiss(WELL, &shards), None);
        let ill = Healthy {
            journal: false,
            ..WELL
        };
        let text = amiss(ill, &shards).unwrap();
        assert!(text.starts_with("the journal failed and takes no records any more: restart\n"));
        let ill = Healthy {
            topics: false,
            ..WELL
        };
        assert!(amiss(ill, &shards).is_some());
        shards[1].phase = ShardPhase::Failed;
        let text = amiss(WELL, &shards).unwrap();
        assert!(
            text.ends_with("\nshard 1: failed, 0 records loaded\n"),
            "{text}"
        );
    }
}
