//! A client that asks and never reads what it is told.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::super::Kind;
use super::super::forming::Former;
use super::super::requests::Requests;
use super::{Load, Seen, shape};
use crate::failure::Failure;

/// Connections that are stuffed with questions, one in each step, and kept.
#[derive(Debug)]
pub(crate) struct Deaf {
    address: String,
    requests: Requests,
    stuffed: VecDeque<TcpStream>,
}

/// Offsets that each answer tells: some kilobytes for a question of some hundred bytes.
const PARTITIONS: i32 = 100;
/// Questions that are written together.
const BURST: u64 = 16;
/// A connection is full when the server takes nothing for so long.
const FULL_AFTER: Duration = Duration::from_millis(20);
/// Full connections that are kept; the oldest goes for the next.
const KEPT_MAX: usize = 64;

impl Deaf {
    pub(crate) async fn prepare(address: &str) -> Result<Self, Failure> {
        let members = Former::new(address, shape(1, PARTITIONS)).form().await?;
        Ok(Self {
            address: address.to_owned(),
            requests: Requests::new(Kind::Fetches, &members, PARTITIONS),
            stuffed: VecDeque::new(),
        })
    }
}

impl Load for Deaf {
    /// Stuffs one more connection.
    async fn step(&mut self, seen: &mut Seen) -> Result<(), Failure> {
        let mut stream = TcpStream::connect(&self.address).await?;
        let mut burst = Vec::new();
        for nth in 0.. {
            if nth % BURST == 0 {
                let written = timeout(FULL_AFTER, stream.write_all(&burst)).await;
                burst.clear();
                match written {
                    Ok(written) => written?,
                    Err(_) => break,
                }
            }
            self.requests.append(&mut burst, nth, nth);
        }
        self.stuffed.push_back(stream);
        if self.stuffed.len() > KEPT_MAX {
            self.stuffed.pop_front();
        }
        seen.done += 1;
        Ok(())
    }

    fn rest(&mut self) {
        self.stuffed.clear();
    }
}
