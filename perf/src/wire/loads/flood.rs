//! A client that commits as fast as it can, over a few connections.

use std::time::Duration;

use super::super::Kind;
use super::super::closed::{Closed, Lane, lanes};
use super::super::forming::Former;
use super::super::together::all;
use super::{Load, shape};
use crate::clock;
use crate::failure::Failure;

/// Connections, each with a group of its own and its bound of requests in flight.
#[derive(Debug)]
pub(crate) struct Flood(Vec<Lane>);

const CONNECTIONS: u64 = 4;
const IN_FLIGHT: u64 = 64;
/// A step.
const SLICE: Duration = Duration::from_millis(100);

impl Flood {
    pub(crate) async fn prepare(address: &str) -> Result<Self, Failure> {
        let members = Former::new(address, shape(CONNECTIONS, 1)).form().await?;
        let closed = Closed {
            kind: Kind::Commits,
            connections: CONNECTIONS,
            in_flight: IN_FLIGHT,
            partitions: 1,
            warmup: Duration::ZERO,
            length: SLICE,
        };
        let (lanes, _) = lanes(&closed, address, &members, clock::now()).await?;
        Ok(Self(lanes))
    }
}

impl Load for Flood {
    async fn step(&mut self) -> Result<(), Failure> {
        let until = clock::now() + SLICE;
        let lanes = std::mem::take(&mut self.0);
        let run = async move |lane: &mut Lane| lane.run_until(until).await;
        self.0 = all(lanes, run).await?;
        Ok(())
    }
}
