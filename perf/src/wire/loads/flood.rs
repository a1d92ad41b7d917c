//! A client that sends as fast as it can over a few connections: each has so many requests in
//! flight, and sends the next when one is answered.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use super::super::Kind;
use super::super::closed::{Closed, Counted, Lane, lanes};
use super::super::forming::Former;
use super::super::together::all;
use super::{Load, Seen, shape};
use crate::clock;
use crate::failure::Failure;

/// Connections, each with a group of its own.
#[derive(Debug)]
pub(crate) struct Flood {
    kind: Kind,
    lanes: Vec<Lane>,
    counted: Rc<RefCell<Counted>>,
}

const CONNECTIONS: u64 = 4;
const IN_FLIGHT: u64 = 64;
/// A step.
const SLICE: Duration = Duration::from_millis(100);

impl Flood {
    /// Of commits of so many partitions each, or of fetches of what was committed.
    pub(crate) async fn prepare(
        address: &str,
        kind: Kind,
        partitions: i32,
    ) -> Result<Self, Failure> {
        let former = Former::new(address, shape(CONNECTIONS, partitions));
        let members = former.form().await?;
        let closed = |kind| Closed {
            kind,
            connections: CONNECTIONS,
            in_flight: IN_FLIGHT,
            partitions,
            warmup: Duration::ZERO,
            length: SLICE,
        };
        let prepared = async |kind| {
            let (lanes, counted) = lanes(&closed(kind), address, &members, clock::now()).await?;
            Ok::<Self, Failure>(Self {
                kind,
                lanes,
                counted,
            })
        };
        // So that there is something to fetch, and nothing new in what is committed again.
        prepared(Kind::Recommits)
            .await?
            .step(&mut Seen::default())
            .await?;
        prepared(kind).await
    }
}

impl Load for Flood {
    async fn step(&mut self, seen: &mut Seen) -> Result<(), Failure> {
        let until = clock::now() + SLICE;
        let lanes = std::mem::take(&mut self.lanes);
        let run = async move |lane: &mut Lane| lane.run_until(until).await;
        self.lanes = all(lanes, run).await?;
        let counted = self.counted.replace(Counted::new(until));
        seen.add(self.kind.words(), &counted.latency, &counted.errors);
        seen.done += counted.answered;
        Ok(())
    }
}
