//! A connection shared by many tasks.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::{Buf, Bytes};
use kafka_protocol::protocol::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

use crate::error::WireError;
use crate::frame::{correlation_of, decode_reply, encode_frame, whole_frame};
use crate::options::{Options, Versions, api_name, count};
use crate::socket::Socket;

pub struct Conn {
    shared: Arc<Shared>,
}

struct Shared {
    peer: String,
    versions: Versions,
    options: Arc<Options>,
    state: Mutex<State>,
    /// Tells the driver that there is something to write, or that it must stop.
    wake: Notify,
}

struct State {
    /// Encoded requests that the driver has not taken yet.
    out: Vec<u8>,
    pending: HashMap<i32, oneshot::Sender<Bytes>>,
    next_correlation: i32,
    /// Why the connection is no more.
    closed: Option<String>,
    stop: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }

    fn closed(&self, cause: &str) -> WireError {
        WireError::Closed {
            peer: self.peer.clone(),
            cause: cause.to_owned(),
        }
    }
}

/// A request that is on its way.
pub struct Reply<R> {
    shared: Arc<Shared>,
    receiver: oneshot::Receiver<Bytes>,
    version: i16,
    request: PhantomData<fn(R)>,
}

impl<R: Request> Reply<R> {
    pub async fn within(self, limit: Duration) -> Result<R::Response, WireError> {
        match timeout(limit, self.receiver).await {
            Ok(Ok(frame)) => decode_reply::<R>(frame, self.version, &self.shared.options.anomalies),
            Ok(Err(_)) => {
                let cause = self.shared.state().closed.clone();
                Err(self
                    .shared
                    .closed(cause.as_deref().unwrap_or("by this client")))
            }
            Err(_) => Err(WireError::Timeout {
                what: format!(
                    "{} v{} to {}",
                    api_name(R::KEY),
                    self.version,
                    self.shared.peer
                ),
                after: limit,
            }),
        }
    }
}

impl Conn {
    pub async fn connect(addr: &str, options: Arc<Options>) -> Result<Self, WireError> {
        let socket = Socket::connect(addr, options).await?;
        Ok(Self::over(socket))
    }

    /// Starts the driver over a socket that has negotiated.
    pub fn over(socket: Socket) -> Self {
        let shared = Arc::new(Shared {
            peer: socket.peer().to_owned(),
            versions: socket.versions().clone(),
            options: socket.options.clone(),
            state: Mutex::new(State {
                out: Vec::with_capacity(4 << 10),
                pending: HashMap::new(),
                next_correlation: socket.next_correlation,
                closed: None,
                stop: false,
            }),
            wake: Notify::new(),
        });
        tokio::spawn(drive(shared.clone(), socket));
        Self { shared }
    }

    pub fn versions(&self) -> &Versions {
        &self.shared.versions
    }

    pub fn peer(&self) -> &str {
        &self.shared.peer
    }

    pub fn options(&self) -> &Arc<Options> {
        &self.shared.options
    }

    /// Whether nothing is in flight and the connection is still up.
    pub fn is_idle(&self) -> bool {
        let state = self.shared.state();
        state.closed.is_none() && state.pending.is_empty()
    }

    /// Queues a request; the reply is awaited on the value returned. Requests leave in the
    /// order of these calls.
    pub fn send<R: Request>(&self, request: &R, version: i16) -> Result<Reply<R>, WireError> {
        let (sender, receiver) = oneshot::channel();
        {
            let mut state = self.shared.state();
            if let Some(cause) = &state.closed {
                return Err(self.shared.closed(cause));
            }
            let correlation = state.next_correlation;
            state.next_correlation = state.next_correlation.wrapping_add(1);
            let client_id = &self.shared.options.client_id;
            encode_frame(&mut state.out, client_id, correlation, version, request)?;
            state.pending.insert(correlation, sender);
        }
        self.shared.wake.notify_one();
        Ok(Reply {
            shared: self.shared.clone(),
            receiver,
            version,
            request: PhantomData,
        })
    }

    pub async fn call<R: Request>(
        &self,
        request: &R,
        version: i16,
    ) -> Result<R::Response, WireError> {
        self.call_within(request, version, self.shared.options.call_timeout)
            .await
    }

    pub async fn call_within<R: Request>(
        &self,
        request: &R,
        version: i16,
        limit: Duration,
    ) -> Result<R::Response, WireError> {
        self.send(request, version)?.within(limit).await
    }

    /// A call at the highest version that both sides speak.
    pub async fn ask<R: Request>(&self, request: &R) -> Result<R::Response, WireError> {
        self.call(request, self.versions().need::<R>()?).await
    }
}

impl Drop for Conn {
    fn drop(&mut self) {
        self.shared.state().stop = true;
        self.shared.wake.notify_one();
    }
}

/// The driver of a [`Conn`]: the only task that touches its socket.
async fn drive(shared: Arc<Shared>, mut socket: Socket) {
    let cause = match exchange_frames(&shared, &mut socket).await {
        Ok(()) => "by this client".to_owned(),
        Err(cause) => cause,
    };
    let mut state = shared.state();
    state.closed = Some(cause);
    state.pending.clear(); // wakes every caller with an error
}

async fn exchange_frames(shared: &Shared, socket: &mut Socket) -> Result<(), String> {
    let max_frame = socket.options.max_frame;
    let anomalies = socket.options.anomalies.clone();
    let inbuf = &mut socket.inbuf;
    let (mut reader, mut writer) = socket.stream.split();
    // Two buffers take turns: callers fill one while the other is being written.
    let mut writing: Vec<u8> = Vec::with_capacity(4 << 10);
    let mut written = 0;
    loop {
        {
            let mut state = shared.state();
            if state.stop {
                return Ok(());
            }
            if written == writing.len() {
                writing.clear();
                written = 0;
                std::mem::swap(&mut state.out, &mut writing);
            }
        }
        inbuf.reserve(16 << 10);
        tokio::select! {
            biased;
            result = writer.write(&writing[written..]), if written < writing.len() => {
                written += result.map_err(|e| e.to_string())?;
            }
            result = reader.read_buf(inbuf) => {
                if result.map_err(|e| e.to_string())? == 0 {
                    return Err("by the server".into());
                }
                while let Some(length) = whole_frame(inbuf, max_frame)? {
                    inbuf.advance(4);
                    let frame = inbuf.split_to(length).freeze();
                    let waiting = shared.state().pending.remove(&correlation_of(&frame));
                    match waiting {
                        None => count(&anomalies.stray_replies),
                        Some(sender) => {
                            if sender.send(frame).is_err() {
                                count(&anomalies.late_replies);
                            }
                        }
                    }
                }
            }
            () = shared.wake.notified() => {}
        }
    }
}
