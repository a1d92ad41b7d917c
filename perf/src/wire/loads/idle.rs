//! Connections that ask once and then are silent.

use std::time::Duration;

use tokio::time::sleep;

use super::super::socket::Socket;
use super::super::versions::refuse_older_servers;
use super::{Load, Seen};
use crate::clock;
use crate::failure::Failure;
use crate::server::resident_bytes;

/// Connections that are open.
#[derive(Debug)]
pub(crate) struct Idle {
    crowd: Vec<Socket>,
    /// What the server took for each, if it can be told.
    bytes_each: Option<u64>,
}

/// A step, in which nothing is done.
const SLICE: Duration = Duration::from_millis(100);

impl Idle {
    pub(crate) async fn prepare(
        address: &str,
        connections: u64,
        server: Option<u32>,
    ) -> Result<Self, Failure> {
        let resident = || server.and_then(resident_bytes);
        let mut first = Socket::connect(address).await?;
        refuse_older_servers(&mut first).await?;
        let before = resident();
        let mut crowd = vec![first];
        for _ in 0..connections {
            let mut socket = Socket::connect(address).await?;
            refuse_older_servers(&mut socket).await?;
            crowd.push(socket);
        }
        let grown = resident().zip(before).map(|(after, before)| after - before);
        Ok(Self {
            crowd,
            bytes_each: grown.map(|bytes| bytes / connections),
        })
    }
}

impl Load for Idle {
    /// One of them asks in each step, and finds that it is still served.
    async fn step(&mut self, seen: &mut Seen) -> Result<(), Failure> {
        sleep(SLICE).await;
        let begun = clock::now();
        let last = self.crowd.len() - 1;
        self.crowd.swap(0, last);
        refuse_older_servers(&mut self.crowd[last]).await?;
        seen.took("a_question", begun);
        seen.done += 1;
        seen.counts.insert("connections", self.crowd.len() as u64);
        if let Some(bytes) = self.bytes_each {
            seen.counts.insert("bytes_a_connection", bytes);
        }
        Ok(())
    }
}
