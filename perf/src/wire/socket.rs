//! A connection for the set-up: one question at a time.

use takhin_coordinator::wire::{
    ApiKey, DecodeError, Message, RequestHeader, ResponseHeader, frame,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::forming::CLIENT_ID;
use super::readers::ANSWER_BYTES_MAX;
use crate::failure::Failure;

/// A connection and the frame that came last.
#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    buffer: Vec<u8>,
    correlation_id: i32,
}

impl Socket {
    pub(super) async fn connect(address: &str) -> Result<Self, Failure> {
        let connected = TcpStream::connect(address).await;
        let stream = connected.map_err(|error| Failure::new(format!("{address}: {error}")))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::new(),
            correlation_id: 0,
        })
    }

    /// Asks, and gives the content of the frame that answers.
    pub(super) async fn ask<'q, Q: Message<'q>>(
        &mut self,
        api: ApiKey,
        version: i16,
        request: &Q,
    ) -> Result<Reply<'_>, Failure> {
        self.correlation_id = self.correlation_id.wrapping_add(1);
        let header = RequestHeader {
            api,
            version,
            correlation_id: self.correlation_id,
            client_id: Some(CLIENT_ID),
        };
        self.buffer.clear();
        frame::append_request(&mut self.buffer, &header, request)
            .map_err(|error| Failure::new(format!("a request that cannot be sent: {error}")))?;
        self.stream.write_all(&self.buffer).await?;
        self.buffer.clear();
        while frame::split(&self.buffer, ANSWER_BYTES_MAX)
            .map_err(|error| Failure::new(error.to_string()))?
            .is_none()
        {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(Failure::new(format!(
                    "{api} {version}: closed by the server"
                )));
            }
        }
        let content = &self.buffer[frame::LENGTH_BYTES..];
        let (header, body) = ResponseHeader::decode(content, api, version).map_err(malformed)?;
        if header.correlation_id != self.correlation_id {
            return Err(Failure::new("an answer to another question"));
        }
        Ok(Reply { body, version })
    }
}

/// The body of an answer.
#[derive(Debug)]
pub(super) struct Reply<'b> {
    body: &'b [u8],
    version: i16,
}

impl<'b> Reply<'b> {
    pub(super) fn read<M: Message<'b>>(&self) -> Result<M, Failure> {
        M::decode(self.body, self.version).map_err(malformed)
    }
}

fn malformed(error: DecodeError) -> Failure {
    Failure::new(format!("an answer that cannot be read: {error}"))
}
