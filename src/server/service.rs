//! The seam between connections and what their requests mean.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;

use bytes::Bytes;

use crate::time::Now;

/// Carries out requests; one service is shared by all connections of a server.
///
/// A service is called by one connection at a time for that connection, and by any number of
/// connections at once. It must not block.
pub trait Service: Send + Sync + 'static {
    /// What the service remembers about one connection; dropped when the connection ends, also
    /// while one of its requests waits.
    type Connection: Send + 'static;

    /// A connection was taken.
    fn connect(&self, peer: &Peer) -> Self::Connection;

    /// Carries out one request.
    ///
    /// `frame` is the request without its length prefix. It may be empty or anything else: the
    /// connection knows no more than its length. `now` was read when the frame arrived or when
    /// the request before it was answered. For [`Handled::Done`] the response, from its
    /// correlation id on and without length prefix, is what was appended to `out`; what `out` held
    /// before must stay. In all other cases what was appended is dropped.
    fn call(
        &self,
        connection: &mut Self::Connection,
        frame: &[u8],
        now: Now,
        out: &mut Vec<u8>,
    ) -> Handled;

    /// Whether a request may be carried out while others for which this is true wait for their
    /// answers, and others while it waits, because nobody can tell. What is not that is carried
    /// out alone.
    fn overlaps(&self, frame: &[u8]) -> bool;

    /// The server stops: requests that wait must be answered now, and new ones refused.
    fn stop(&self);
}

/// The two ends of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peer {
    /// The client's address.
    pub remote: SocketAddr,
    /// Our address, as the client reached it.
    pub local: SocketAddr,
}

/// What became of a request at once.
pub enum Handled {
    /// The response was appended.
    Done,
    /// The request has no response (produce with `acks=0`).
    NoReply,
    /// The response comes later; nothing more of this connection is carried out before it, but for
    /// what [overlaps](Service::overlaps). The future is dropped if the connection ends first.
    Pending(Pin<Box<dyn Future<Output = Answer> + Send>>),
    /// The connection must be closed: the request is none, or none that is offered. What was
    /// answered before is still written.
    Close,
}

impl fmt::Debug for Handled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Done => "Done",
            Self::NoReply => "NoReply",
            Self::Pending(_) => "Pending",
            Self::Close => "Close",
        })
    }
}

/// What a request that waited came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// The response, from its correlation id on and without length prefix.
    Reply(Bytes),
    /// The request has no response.
    NoReply,
    /// The connection must be closed.
    Close,
}
