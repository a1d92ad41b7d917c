//! Connections that stay, and what a server spends on the answers that they want.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::closed::{Closed, Counted, Lane, lanes};
use super::forming::Member;
use super::readers::ANSWER_BYTES_MAX;
use super::requests::Requests;
use super::together::all;
use crate::clock;
use crate::failure::Failure;
use crate::report::as_f64;
use crate::sched::Sched;
use takhin_coordinator::wire::frame;

/// The connections of a closed load, which are loaded turn by turn.
#[derive(Debug)]
pub(crate) struct Fleet {
    lanes: Vec<Lane>,
    counted: Rc<RefCell<Counted>>,
    server: u32,
}

impl Fleet {
    /// Connects, from within a `LocalSet`.
    pub(crate) async fn connect(
        closed: &Closed,
        address: &str,
        members: &[Member],
        server: u32,
    ) -> Result<Self, Failure> {
        let (lanes, counted) = lanes(closed, address, members, clock::now()).await?;
        Ok(Self {
            lanes,
            counted,
            server,
        })
    }

    /// Loads it that long; microseconds that the server was on a processor for each answer.
    ///
    /// Nothing is under way before or after, so that the figure is exact.
    pub(crate) async fn us_per_request(&mut self, length: Duration) -> Result<f64, Failure> {
        let (spent_before, answered_before) = (self.spent()?, self.counted.borrow().answered);
        let until = clock::now() + length;
        let lanes = std::mem::take(&mut self.lanes);
        self.lanes = all(lanes, async move |lane: &mut Lane| {
            lane.run_until(until).await
        })
        .await?;
        let spent = self.spent()? - spent_before;
        let counted = self.counted.borrow();
        if let Some((code, count)) = counted.errors.first_key_value() {
            return Err(Failure::new(format!("{count} answers with error {code}")));
        }
        let answered = counted.answered - answered_before;
        Ok(spent * 1e6 / as_f64(answered.max(1)))
    }

    fn spent(&self) -> Result<f64, Failure> {
        let sched = Sched::of(self.server);
        let ran = sched.map(|it| it.ran);
        ran.ok_or_else(|| Failure::new("the server is gone"))
    }
}

/// The frame with which a server answers the first request of a load.
pub(crate) async fn first_answer(
    closed: &Closed,
    address: &str,
    members: &[Member],
) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    Requests::new(closed.kind, members, closed.partitions).append(&mut bytes, 0, 0);
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(&bytes).await?;
    bytes.clear();
    loop {
        let split = frame::split(&bytes, ANSWER_BYTES_MAX);
        let split = split.map_err(|error| Failure::new(error.to_string()))?;
        if let Some(len) = split.map(|(len, _)| len) {
            bytes.truncate(len);
            return Ok(bytes);
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(Failure::new("closed by the server"));
        }
    }
}
