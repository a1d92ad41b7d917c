//! A connection that belongs to one task.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
use kafka_protocol::protocol::{Decodable, Message, Request, StrBytes};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use crate::error::{WireError, code};
use crate::frame::{correlation_of, decode_reply, encode_frame, whole_frame};
use crate::options::{Options, Versions, api_name, count};

pub struct Socket {
    pub(crate) stream: TcpStream,
    pub(crate) inbuf: BytesMut,
    pub(crate) options: Arc<Options>,
    pub(crate) next_correlation: i32,
    outbuf: Vec<u8>,
    peer: String,
    versions: Versions,
}

impl Socket {
    /// Connects without a word; [`Socket::negotiate`] or raw bytes may follow.
    pub async fn open(addr: &str, options: Arc<Options>) -> Result<Self, WireError> {
        let failed = |cause: String| WireError::Connect {
            addr: addr.to_owned(),
            cause,
        };
        let stream = timeout(options.connect_timeout, TcpStream::connect(addr))
            .await
            .map_err(|_| failed("timed out".into()))?
            .map_err(|e| failed(e.to_string()))?;
        stream
            .set_nodelay(true)
            .map_err(|e| failed(e.to_string()))?;
        Ok(Self {
            stream,
            inbuf: BytesMut::with_capacity(64 << 10),
            outbuf: Vec::with_capacity(4 << 10),
            peer: addr.to_owned(),
            versions: Versions::default(),
            options,
            next_correlation: 1,
        })
    }

    /// Connects and negotiates versions.
    pub async fn connect(addr: &str, options: Arc<Options>) -> Result<Self, WireError> {
        let mut socket = Self::open(addr, options.clone()).await?;
        match socket.negotiate(ApiVersionsRequest::VERSIONS.max).await {
            // Brokers older than 0.10.2 or careless ones hang up on a version they don't know.
            Err(WireError::Closed { .. }) => {
                socket = Self::open(addr, options).await?;
                socket.negotiate(0).await?;
            }
            other => other?,
        }
        Ok(socket)
    }

    /// Asks for the offered versions, beginning with `version` of ApiVersions and going
    /// down to the one that the server names if it refuses that.
    pub async fn negotiate(&mut self, version: i16) -> Result<(), WireError> {
        let cap = self.options.caps.get(&ApiVersionsRequest::KEY);
        let mut version = version.min(cap.copied().unwrap_or(i16::MAX));
        loop {
            let mut request = ApiVersionsRequest::default();
            if version >= 3 {
                request.client_software_name = StrBytes::from_static_str("conform");
                request.client_software_version =
                    StrBytes::from_static_str(env!("CARGO_PKG_VERSION"));
            }
            let mut frame = self.exchange(&request, version).await?;
            // The header is always version 0 here; the error code comes first in the body.
            // A refusal is laid out as version 0 whatever was asked for (KIP-511).
            let refused = frame.get(4..6) == Some(&code::UNSUPPORTED_VERSION.to_be_bytes()[..]);
            if refused && version > 0 {
                frame.advance(4);
                let offered = ApiVersionsResponse::decode(&mut frame, 0).ok();
                let best = offered
                    .iter()
                    .flat_map(|r| &r.api_keys)
                    .find(|api| api.api_key == ApiVersionsRequest::KEY)
                    .map_or(0, |api| api.max_version);
                version = best.clamp(0, version - 1);
                continue;
            }
            let response =
                decode_reply::<ApiVersionsRequest>(frame, version, &self.options.anomalies)?;
            if response.error_code != 0 {
                return Err(WireError::Server {
                    what: format!("ApiVersions v{version}"),
                    code: response.error_code,
                });
            }
            self.versions = Versions::new(&response, &self.options.caps);
            return Ok(());
        }
    }

    pub fn versions(&self) -> &Versions {
        &self.versions
    }

    pub fn peer(&self) -> &str {
        &self.peer
    }

    /// One request, one reply.
    pub async fn call<R: Request>(
        &mut self,
        request: &R,
        version: i16,
    ) -> Result<R::Response, WireError> {
        let frame = self.exchange(request, version).await?;
        decode_reply::<R>(frame, version, &self.options.anomalies)
    }

    async fn exchange<R: Request>(
        &mut self,
        request: &R,
        version: i16,
    ) -> Result<Bytes, WireError> {
        let correlation = self.next_correlation;
        self.next_correlation += 1;
        let mut out = std::mem::take(&mut self.outbuf);
        out.clear();
        let client_id = &self.options.client_id;
        encode_frame(&mut out, client_id, correlation, version, request)?;
        let sent = self.send_bytes(&out).await;
        self.outbuf = out;
        sent?;

        let limit = self.options.call_timeout;
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let frame = self.read_frame(left).await.map_err(|e| match e {
                WireError::Timeout { .. } => WireError::Timeout {
                    what: format!("{} v{version} to {}", api_name(R::KEY), self.peer),
                    after: limit,
                },
                other => other,
            })?;
            if correlation_of(&frame) == correlation {
                return Ok(frame);
            }
            count(&self.options.anomalies.stray_replies);
        }
    }

    /// Sends bytes exactly as given: no length is put before them.
    pub async fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        let limit = self.options.call_timeout;
        match timeout(limit, self.stream.write_all(bytes)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(e)) => Err(self.closed(e.to_string())),
            Err(_) => Err(WireError::Timeout {
                what: format!("writing {} bytes to {}", bytes.len(), self.peer),
                after: limit,
            }),
        }
    }

    /// Sends `payload` as one frame, with its true length before it.
    pub async fn send_frame(&mut self, payload: &[u8]) -> Result<(), WireError> {
        let mut frame = Vec::with_capacity(4 + payload.len());
        frame.extend_from_slice(&(payload.len() as i32).to_be_bytes());
        frame.extend_from_slice(payload);
        self.send_bytes(&frame).await
    }

    /// The next frame from the server, without its length: correlation id first.
    /// [`WireError::Closed`] if the server has hung up.
    pub async fn read_frame(&mut self, limit: Duration) -> Result<Bytes, WireError> {
        let deadline = Instant::now() + limit;
        loop {
            match whole_frame(&self.inbuf, self.options.max_frame) {
                Ok(Some(length)) => {
                    self.inbuf.advance(4);
                    return Ok(self.inbuf.split_to(length).freeze());
                }
                Ok(None) => {}
                Err(cause) => return Err(self.closed(cause)),
            }
            self.inbuf.reserve(16 << 10);
            match timeout_at(deadline, self.stream.read_buf(&mut self.inbuf)).await {
                Ok(Ok(0)) => return Err(self.closed("by the server".into())),
                Ok(Ok(_)) => {}
                Ok(Err(e)) => return Err(self.closed(e.to_string())),
                Err(_) => {
                    return Err(WireError::Timeout {
                        what: format!("a frame from {}", self.peer),
                        after: limit,
                    });
                }
            }
        }
    }

    fn closed(&self, cause: String) -> WireError {
        WireError::Closed {
            peer: self.peer.clone(),
            cause,
        }
    }
}
