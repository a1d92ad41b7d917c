//! A service for tests that does what the frame says, and a node that serves it.

use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{BufMut, Bytes};
use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex,
};
use tokio::sync::watch;
use tokio::task::{JoinHandle, yield_now};

use super::connection::Connection;
use super::listener::Node;
use super::service::{Answer, Handled, Peer, Service};
use crate::config::{Config, ConfigBuilder};
use crate::metrics::{CloseReason, Metrics};
use crate::time::{ManualClock, Now};

/// The third byte of a frame, behind the key of the API, says what to do; the rest is echoed.
///
/// `e` echo, `f` echo by a future that is ready, `w` echo when released, `l` the same a million
/// bytes long, `s` never, `n` no reply, `x` a future without reply, `b` echo 100,000 bytes, `c`
/// and anything else close.
///
/// In capitals what overlaps: `O` echo when that was allowed by name, `P` echo at once, `N` no
/// reply, `C` close.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) calls: AtomicUsize,
    pub(super) open: Arc<AtomicUsize>,
    pub(super) release: watch::Sender<bool>,
    pub(super) allowed: watch::Sender<Vec<String>>,
}

impl Script {
    pub(super) fn new() -> Self {
        Self {
            calls: AtomicUsize::new(0),
            open: Arc::default(),
            release: watch::Sender::new(false),
            allowed: watch::Sender::default(),
        }
    }

    /// Lets the requests `O` of that echo be answered.
    pub(super) fn allow(&self, echo: &str) {
        self.allowed
            .send_modify(|allowed| allowed.push(echo.to_owned()));
    }

    fn when_allowed(&self, echo: Vec<u8>) -> Handled {
        let mut allowed = self.allowed.subscribe();
        Handled::Pending(Box::pin(async move {
            let is_it = |all: &Vec<String>| all.iter().any(|it| it.as_bytes() == echo);
            allowed.wait_for(is_it).await.unwrap();
            Answer::Reply(Bytes::from(echo))
        }))
    }

    pub(super) fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    fn when_released(&self, reply: Vec<u8>) -> Handled {
        let mut release = self.release.subscribe();
        Handled::Pending(Box::pin(async move {
            release.wait_for(|released| *released).await.unwrap();
            Answer::Reply(Bytes::from(reply))
        }))
    }
}

/// Counts itself as open while it lives.
#[derive(Debug)]
pub(super) struct Open(Arc<AtomicUsize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Service for Script {
    type Connection = Open;

    fn connect(&self, _: &Peer) -> Open {
        self.open.fetch_add(1, Ordering::Relaxed);
        Open(Arc::clone(&self.open))
    }

    fn call(&self, _: &mut Open, frame: &[u8], _: Now, out: &mut Vec<u8>) -> Handled {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let echo = frame.get(3..).unwrap_or_default().to_vec();
        match frame.get(2) {
            Some(b'O') => self.when_allowed(echo),
            Some(b'e' | b'P') => {
                out.extend_from_slice(&echo);
                Handled::Done
            }
            Some(b'b') => {
                out.put_bytes(b'b', 100_000);
                Handled::Done
            }
            Some(b'f') => {
                Handled::Pending(Box::pin(async move { Answer::Reply(Bytes::from(echo)) }))
            }
            Some(b'w') => self.when_released(echo),
            Some(b'l') => self.when_released(vec![b'l'; 1_000_000]),
            Some(b's') => Handled::Pending(Box::pin(pending())),
            Some(b'n' | b'N') => {
                out.extend_from_slice(b"must not be seen");
                Handled::NoReply
            }
            Some(b'x') => Handled::Pending(Box::pin(async { Answer::NoReply })),
            _ => {
                out.extend_from_slice(b"must not be seen");
                Handled::Close
            }
        }
    }

    fn overlaps(&self, frame: &[u8]) -> bool {
        frame.get(2).is_some_and(u8::is_ascii_uppercase)
    }

    fn stop(&self) {
        self.release.send_replace(true);
    }
}

/// A request for the script: length, key 12 (heartbeat), what to do, what to echo.
pub(super) fn request(what: u8, echo: &str) -> Vec<u8> {
    request_of(12, what, echo)
}

/// The same with the key 11 (join).
pub(super) fn join(what: u8, echo: &str) -> Vec<u8> {
    request_of(11, what, echo)
}

fn request_of(key: i16, what: u8, echo: &str) -> Vec<u8> {
    let mut frame = Vec::new();
    frame.put_i32(i32::try_from(3 + echo.len()).unwrap());
    frame.put_i16(key);
    frame.put_u8(what);
    frame.put_slice(echo.as_bytes());
    frame
}

/// Reads one response and gives its body.
pub(super) async fn response<R: AsyncRead + Unpin>(from: &mut R) -> String {
    let length = from.read_i32().await.unwrap();
    let mut body = vec![0; usize::try_from(length).unwrap()];
    from.read_exact(&mut body).await.unwrap();
    String::from_utf8(body).unwrap()
}

/// Sends one request and reads its response.
pub(super) async fn ask<S>(stream: &mut S, what: u8, echo: &str) -> String
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    stream.write_all(&request(what, echo)).await.unwrap();
    response(stream).await
}

/// Whether the other side closed without another byte.
pub(super) async fn is_closed<R: AsyncRead + Unpin>(from: &mut R) -> bool {
    let mut byte = [0];
    matches!(from.read(&mut byte).await, Ok(0) | Err(_))
}

/// A stream that counts the writes on it.
#[derive(Debug)]
pub(super) struct Counting<S> {
    pub(super) inner: S,
    pub(super) writes: Arc<AtomicUsize>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Counting<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counting<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// A node of scripts on a virtual clock.
pub(super) struct World {
    pub(super) node: Arc<Node<Script>>,
    pub(super) clock: ManualClock,
    pub(super) writes: Arc<AtomicUsize>,
    pub(super) stop: watch::Sender<bool>,
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(Config::builder())
    }

    pub(super) fn with(config: ConfigBuilder) -> Self {
        let clock = ManualClock::new();
        let metrics = Arc::new(Metrics::new(2));
        let config = config.build().unwrap();
        let clock_of_node = Arc::new(clock.clone());
        let (node, stop) = Node::new(Script::new(), &config, metrics, clock_of_node);
        Self {
            node: Arc::new(node),
            clock,
            writes: Arc::default(),
            stop,
        }
    }

    /// A client's end, and the task that serves the other.
    pub(super) fn connect(&self, buffer: usize) -> (DuplexStream, JoinHandle<CloseReason>) {
        let (client, inner) = duplex(buffer);
        let node = Arc::clone(&self.node);
        let writes = Arc::clone(&self.writes);
        let address = "127.0.0.1:1".parse().unwrap();
        let peer = Peer {
            remote: address,
            local: address,
        };
        let task = tokio::spawn(async move {
            let stream = Counting { inner, writes };
            Connection::new(&node, 0, stream, |_, _| Poll::Ready(()), &peer)
                .run()
                .await
        });
        (client, task)
    }

    pub(super) fn writes(&self) -> usize {
        self.writes.load(Ordering::Relaxed)
    }

    pub(super) fn parked(&self) -> i64 {
        self.node.metrics.server().requests_parked.value()
    }

    pub(super) async fn pass(&self, ms: u64) {
        self.clock.advance_ms(ms);
        tokio::time::advance(Duration::from_millis(ms)).await;
    }
}

/// Lets all other tasks run until they wait.
pub(super) async fn settle() {
    for _ in 0..1_000 {
        yield_now().await;
    }
}
