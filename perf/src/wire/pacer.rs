//! The thread that sends what is due, whatever became of what it sent before.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::net::tcp::OwnedWriteHalf;

use super::open::Progress;
use super::requests::Requests;
use super::schedule::Schedule;
use crate::clock;
use crate::report::{latencies, record};

/// The sending half of a connection.
#[derive(Debug)]
pub(super) struct Lane {
    stream: OwnedWriteHalf,
    progress: Arc<Progress>,
    /// Requests written or about to be.
    sent: u64,
    /// Encoded and not taken by the socket yet.
    out: Vec<u8>,
}

/// Bytes that may wait for a socket; beyond that requests stay unsent, and late.
const OUT_BYTES_MAX: usize = 64 * 1024;

/// How long the sockets may take for the last of it.
const FLUSHED_WITHIN: Duration = Duration::from_secs(2);

impl Lane {
    pub(super) fn new(stream: OwnedWriteHalf, progress: Arc<Progress>) -> Self {
        Self {
            stream,
            progress,
            sent: 0,
            out: Vec::new(),
        }
    }

    /// Hands the socket what it takes now. A wait for it would make the other lanes late.
    fn flush(&mut self) {
        while !self.out.is_empty() {
            match self.stream.try_write(&self.out) {
                Ok(written) => drop(self.out.drain(..written)),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return,
                Err(_) => {
                    self.progress.close();
                    self.out.clear();
                }
            }
        }
    }
}

/// What is sent, and when.
#[derive(Debug)]
pub(super) struct Pacer {
    pub(super) schedule: Schedule,
    pub(super) lanes: Vec<Lane>,
    pub(super) requests: Requests,
    pub(super) depth: u64,
    pub(super) tick: Duration,
}

/// What was sent.
#[derive(Debug)]
pub(super) struct Paced {
    /// By connection.
    pub(super) sent: Vec<u64>,
    /// How long after its moment each request that counts was made ready for its socket.
    pub(super) lateness: Histogram<u64>,
}

impl Pacer {
    pub(super) fn run(mut self) -> Paced {
        let mut lateness = latencies();
        loop {
            let now = clock::now();
            let elapsed = now.saturating_duration_since(self.schedule.start);
            if now >= self.schedule.start {
                self.send_due(elapsed, &mut lateness);
            }
            if elapsed >= self.schedule.length {
                break;
            }
            let next = self.schedule.due(self.schedule.due_until(elapsed));
            self.rest_until(now, self.schedule.start + next);
        }
        self.flush_all();
        // The sockets' halves must not be dropped: that would tell the server good-bye before it
        // has answered. They are dropped with the reading halves.
        let sent = self.lanes.iter().map(|lane| lane.sent).collect();
        for lane in self.lanes {
            lane.stream.forget();
        }
        Paced { sent, lateness }
    }

    fn send_due(&mut self, elapsed: Duration, lateness: &mut Histogram<u64>) {
        let due = self.schedule.due_until(elapsed);
        for (connection, lane) in (0..).zip(&mut self.lanes) {
            let share = self.schedule.share(due, connection);
            // Room is left where the server has answered.
            let allowed = share.min(lane.progress.answered() + self.depth);
            while lane.sent < allowed
                && lane.out.len() < OUT_BYTES_MAX
                && !lane.progress.is_closed()
            {
                let number = self.schedule.number(connection, lane.sent);
                self.requests.append(&mut lane.out, number, lane.sent);
                lane.sent += 1;
                let due = self.schedule.due(number);
                if self.schedule.counts(due) {
                    record(lateness, elapsed.saturating_sub(due));
                }
            }
            lane.flush();
        }
    }

    /// Hands over what was encoded before the end, as long as the sockets take it.
    fn flush_all(&mut self) {
        let until = clock::now() + FLUSHED_WITHIN;
        while self.lanes.iter().any(|lane| !lane.out.is_empty()) && clock::now() < until {
            for lane in &mut self.lanes {
                lane.flush();
            }
            std::thread::park_timeout(Duration::from_millis(1));
        }
    }

    /// Sleeps until the next request is due, a tick at least.
    fn rest_until(&self, now: Instant, next: Instant) {
        let rest = next.saturating_duration_since(now).max(self.tick);
        // Woken too early it looks once more than it had to, and sends nothing too early.
        std::thread::park_timeout(rest.min(Duration::from_millis(10)));
    }
}
