//! Listeners, the limit on connections, and the end of them all.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::connection::Connection;
use super::frames::FrameBudget;
use super::lane::Lane;
use super::service::{Peer, Service};
use crate::config::Config;
use crate::metrics::{CloseReason, Metrics};
use crate::time::Clock;

/// A server that accepts and serves connections until it is stopped.
#[derive(Debug)]
pub struct Server<S: Service> {
    node: Arc<Node<S>>,
    stop: watch::Sender<bool>,
    accepting: Vec<JoinHandle<JoinSet<()>>>,
}

impl<S: Service> Server<S> {
    /// Serves `service` on the given listeners, in tasks of the current tokio runtime.
    ///
    /// Of `config` the limits on frames, connections, silence and waiting requests count.
    /// `metrics` also keeps the exact number of connections and waiting requests, so it belongs to
    /// one server.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn start(
        service: S,
        listeners: Vec<TcpListener>,
        config: &Config,
        metrics: Arc<Metrics>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (node, stop) = Node::new(service, config, metrics, clock);
        let node = Arc::new(node);
        let accepting = listeners
            .into_iter()
            .map(|listener| tokio::spawn(accept(Arc::clone(&node), listener)))
            .collect();
        Self {
            node,
            stop,
            accepting,
        }
    }

    /// The service that is served.
    pub fn service(&self) -> &S {
        &self.node.service
    }

    /// Serves a connection that the host has taken itself, over whatever carries bytes, as those
    /// of the listeners are served; `None`: there are as many as there may be. It ends by itself
    /// when the server is told to stop, which does not wait for it.
    pub fn serve<I>(
        &self,
        stream: I,
        peer: Peer,
    ) -> Option<impl Future<Output = CloseReason> + Send + use<S, I>>
    where
        I: AsyncRead + AsyncWrite + Unpin + Send,
    {
        // Whether something came cannot be asked of any stream: it is read to see.
        let readable = |_: &I, _: &mut Context<'_>| Poll::Ready(());
        Some(Place::take(&self.node)?.serve(stream, readable, Ok(peer)))
    }

    /// Stops in at most `within`, and says whether every connection came to its own end:
    ///
    /// 1. listeners close, idle connections close;
    /// 2. the service answers what waits and refuses what is new;
    /// 3. each connection carries out the burst that it has read, writes its answers and closes;
    /// 4. what is left at the end of the time is cut off.
    pub async fn stop(self, within: Duration) -> bool {
        // Release: pairs with `is_stopping`; a connection that sees it may close.
        self.node.stopping.store(true, Ordering::Release);
        self.stop.send_replace(true);
        self.node.service.stop();
        let mut accepting = self.accepting;
        let all_end = async {
            for listener in &mut accepting {
                if let Ok(mut connections) = listener.await {
                    while connections.join_next().await.is_some() {}
                }
            }
        };
        // The tasks that are left are aborted as their sets are dropped.
        tokio::time::timeout(within, all_end).await.is_ok()
    }
}

/// What the connections of one server share.
#[derive(Debug)]
pub(super) struct Node<S> {
    pub(super) service: S,
    pub(super) limits: Limits,
    pub(super) frames: FrameBudget,
    pub(super) lane: Arc<Lane>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) clock: Arc<dyn Clock>,
    // Written by `stop` once, read by each connection after each burst.
    stopping: AtomicBool,
    stopped: watch::Receiver<bool>,
    // The running number of the next connection.
    connections: AtomicUsize,
}

impl<S> Node<S> {
    /// A node that serves, and what tells its connections to stop.
    pub(super) fn new(
        service: S,
        config: &Config,
        metrics: Arc<Metrics>,
        clock: Arc<dyn Clock>,
    ) -> (Self, watch::Sender<bool>) {
        let (stop, stopped) = watch::channel(false);
        let node = Self {
            service,
            limits: Limits::of(config),
            frames: FrameBudget::new(config.queued_max_request_bytes, Arc::clone(&metrics)),
            lane: Arc::new(Lane::new()),
            metrics,
            clock,
            stopping: AtomicBool::new(false),
            stopped,
            connections: AtomicUsize::new(0),
        };
        (node, stop)
    }

    /// Whether the server stops.
    pub(super) fn is_stopping(&self) -> bool {
        // Acquire: pairs with the release in `stop`.
        self.stopping.load(Ordering::Acquire)
    }

    /// Ends when the server stops.
    pub(super) async fn stopped(&self) {
        let mut stopped = self.stopped.clone();
        // An error means that the server is gone, which is a stop as well.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    }
}

/// One of the connections that there may be, given back when dropped.
struct Place<S> {
    node: Arc<Node<S>>,
    number: usize,
}

impl<S: Service> Place<S> {
    /// A place with its running number; `None`: all are taken.
    fn take(node: &Arc<Node<S>>) -> Option<Self> {
        let server = node.metrics.server();
        if !server.connections.try_take(node.limits.connections_max) {
            server.connections_refused.add(1);
            return None;
        }
        server.connections_accepted.add(1);
        Some(Self {
            // Relaxed: only the number itself matters.
            number: node.connections.fetch_add(1, Ordering::Relaxed),
            node: Arc::clone(node),
        })
    }

    /// Serves a connection in this place until it ends.
    async fn serve<I>(
        self,
        stream: I,
        readable: fn(&I, &mut Context<'_>) -> Poll<()>,
        peer: io::Result<Peer>,
    ) -> CloseReason
    where
        I: AsyncRead + AsyncWrite + Unpin,
    {
        let reason = match peer {
            Ok(peer) => {
                let connection = Connection::new(&self.node, self.number, stream, readable, &peer);
                connection.run().await
            }
            Err(_) => CloseReason::Peer,
        };
        self.node.metrics.server().closed(reason).add(1);
        reason
    }
}

impl<S> Drop for Place<S> {
    fn drop(&mut self) {
        self.node.metrics.server().connections.add(-1);
    }
}

/// The limits of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) frame_bytes_max: usize,
    pub(super) connections_max: u64,
    pub(super) parked_max: u64,
    pub(super) idle: Duration,
}

impl Limits {
    fn of(config: &Config) -> Self {
        Self {
            frame_bytes_max: usize::try_from(config.socket_request_max_bytes).unwrap_or(0),
            connections_max: u64::try_from(config.max_connections).unwrap_or(0),
            parked_max: u64::from(config.takhin_requests_parked_max),
            idle: u64::try_from(config.connections_max_idle_ms)
                .map_or(FOREVER, |ms| Duration::from_millis(ms).min(FOREVER)),
        }
    }
}

/// Accepts until the server stops, and gives the connections that are still open then.
async fn accept<S: Service>(node: Arc<Node<S>>, listener: TcpListener) -> JoinSet<()> {
    let mut connections = JoinSet::new();
    let mut stopped = std::pin::pin!(node.stopped());
    let mut failing = false;
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut stopped => return connections,
            // Ended connections are taken out as they end, so that the set holds the open ones.
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, remote)) => {
                failing = false;
                open(&node, &mut connections, stream, remote);
            }
            Err(error) => {
                node.metrics.server().accept_failures.add(1);
                if !failing {
                    tracing::warn!(%error, "cannot accept connections");
                }
                failing = true;
                // The cause is nearly always a lack of descriptors, which takes time to pass.
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Takes a connection if there is room for one more; closes it at once if not.
fn open<S: Service>(
    node: &Arc<Node<S>>,
    connections: &mut JoinSet<()>,
    stream: TcpStream,
    remote: SocketAddr,
) {
    let Some(place) = Place::take(node) else {
        return;
    };
    connections.spawn(async move {
        let peer = peer_of(&stream, remote);
        let reason = place.serve(stream, is_readable, peer).await;
        tracing::debug!(%remote, reason = reason.label(), "connection closed");
    });
}

/// Whether there may be something to read; costs no system call.
pub(super) fn is_readable(stream: &TcpStream, cx: &mut Context<'_>) -> Poll<()> {
    // An error shows when it is read.
    stream.poll_read_ready(cx).map(drop)
}

fn peer_of(stream: &TcpStream, remote: SocketAddr) -> io::Result<Peer> {
    // Answers are whole and written at once: nothing is gained by holding them back.
    stream.set_nodelay(true)?;
    Ok(Peer {
        remote,
        local: stream.local_addr()?,
    })
}

/// "No limit" as a time that timers can hold.
const FOREVER: Duration = Duration::from_hours(365 * 24);
/// How long accepting rests after a failure.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
