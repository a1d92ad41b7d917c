//! A client that blocks.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use takhin_coordinator::wire::codec::{Message, Writer};
use takhin_coordinator::wire::{ApiKey, RequestHeader, ResponseHeader, frame};

/// A connection.
pub(crate) struct Client {
    stream: TcpStream,
    correlation_id: i32,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        // So that a lost answer fails the test instead of hanging it.
        let patience = Some(Duration::from_secs(30));
        stream.set_read_timeout(patience).unwrap();
        stream.set_write_timeout(patience).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            correlation_id: 0,
        }
    }

    /// Sends a request and gives the body of its answer.
    pub(crate) fn ask<'m, M: Message<'m>>(
        &mut self,
        api: ApiKey,
        version: i16,
        request: &M,
    ) -> Vec<u8> {
        self.try_ask(api, version, request).unwrap()
    }

    /// The same where the server may go away meanwhile.
    pub(crate) fn try_ask<'m, M: Message<'m>>(
        &mut self,
        api: ApiKey,
        version: i16,
        request: &M,
    ) -> io::Result<Vec<u8>> {
        let frame = self.frame(api, version, request);
        self.stream.write_all(&frame)?;
        let content = self.receive_content()?;
        Ok(self.body(&content, api, version))
    }

    pub(crate) fn send<'m, M: Message<'m>>(&mut self, api: ApiKey, version: i16, request: &M) {
        let frame = self.frame(api, version, request);
        self.stream.write_all(&frame).unwrap();
    }

    fn frame<'m, M: Message<'m>>(&mut self, api: ApiKey, version: i16, request: &M) -> Vec<u8> {
        self.correlation_id += 1;
        let mut out = Vec::new();
        let header = RequestHeader {
            api,
            version,
            correlation_id: self.correlation_id,
            client_id: Some("test"),
        };
        let content = |writer: &mut Writer<'_>| {
            header.encode(writer);
            request.encode(writer, version);
        };
        frame::append(&mut out, content).unwrap();
        out
    }

    /// The body of the answer to the latest request.
    pub(crate) fn receive(&mut self, api: ApiKey, version: i16) -> Vec<u8> {
        let content = self.receive_content().unwrap();
        self.body(&content, api, version)
    }

    fn body(&self, content: &[u8], api: ApiKey, version: i16) -> Vec<u8> {
        let (header, body) = ResponseHeader::decode(content, api, version).unwrap();
        assert_eq!(header.correlation_id, self.correlation_id);
        body.to_vec()
    }

    fn receive_content(&mut self) -> io::Result<Vec<u8>> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let length = usize::try_from(i32::from_be_bytes(length)).unwrap();
        let mut content = vec![0; length];
        self.stream.read_exact(&mut content)?;
        Ok(content)
    }

    /// Sends bytes as they are; whether the server still took them.
    pub(crate) fn send_raw(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Whether the server closed the connection without another byte.
    pub(crate) fn is_closed(&mut self) -> bool {
        match self.stream.read(&mut [0]) {
            Ok(0) => true,
            Ok(_) => false,
            Err(error) => error.kind() == ErrorKind::ConnectionReset,
        }
    }
}

/// Reads a whole message.
pub(crate) fn read<'a, M: Message<'a>>(body: &'a [u8], version: i16) -> M {
    M::decode_exact(body, version).unwrap()
}
