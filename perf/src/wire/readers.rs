//! A task a connection that reads answers and counts how long they took.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use hdrhistogram::Histogram;
use takhin_coordinator::wire::messages::{
    HeartbeatResponse, OffsetCommitResponse, OffsetFetchResponse,
};
use takhin_coordinator::wire::{ApiKey, ErrorCode, Message as _, ResponseHeader, frame};
use tokio::io::AsyncReadExt as _;
use tokio::net::tcp::OwnedReadHalf;
use tokio::task::JoinHandle;

use super::Kind;
use super::open::Progress;
use super::requests::correlation_id;
use super::schedule::Schedule;
use super::versions::{HEARTBEAT, OFFSET_COMMIT, OFFSET_FETCH};
use crate::clock;
use crate::failure::Failure;
use crate::report::{Errors, latencies, record};

/// The longest answer that is taken.
pub(super) const ANSWER_BYTES_MAX: usize = 1 << 24;

/// What the answers have shown.
#[derive(Debug)]
pub(super) struct Seen {
    /// Since each request was due.
    pub(super) latency: Histogram<u64>,
    pub(super) errors: Errors,
    pub(super) last_answer: Instant,
    pub(super) connections_lost: u64,
    /// By connection.
    answered: Vec<u64>,
}

impl Seen {
    /// Counts what was due and has no answer, with the time until the run was given up; returns
    /// how many those are.
    pub(super) fn count_missing(&mut self, schedule: &Schedule, ended: Instant) -> u64 {
        let due_in_all = schedule.due_until(schedule.length);
        let before = self.latency.len();
        for (connection, answered) in (0..).zip(&self.answered) {
            for nth in *answered..schedule.share(due_in_all, connection) {
                let due = schedule.due(schedule.number(connection, nth));
                if schedule.counts(due) {
                    let waited = ended.saturating_duration_since(schedule.start + due);
                    record(&mut self.latency, waited);
                }
            }
        }
        self.latency.len() - before
    }
}

/// The tasks that read.
#[derive(Debug)]
pub(super) struct Reading {
    seen: Rc<RefCell<Seen>>,
    progress: Vec<Arc<Progress>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Reading {
    pub(super) fn start(
        streams: Vec<(OwnedReadHalf, Arc<Progress>)>,
        kind: Kind,
        schedule: Schedule,
    ) -> Self {
        let seen = Rc::new(RefCell::new(Seen {
            latency: latencies(),
            errors: Errors::new(),
            last_answer: schedule.start,
            connections_lost: 0,
            answered: Vec::new(),
        }));
        let mut progress = Vec::new();
        let mut tasks = Vec::new();
        for (connection, (stream, shared)) in (0..).zip(streams) {
            progress.push(Arc::clone(&shared));
            let mut reader = Reader {
                kind,
                schedule,
                connection,
                progress: shared,
                seen: Rc::clone(&seen),
            };
            tasks.push(tokio::task::spawn_local(async move {
                if reader.read_all(stream).await.is_err() {
                    reader.progress.close();
                    reader.seen.borrow_mut().connections_lost += 1;
                }
            }));
        }
        Self {
            seen,
            progress,
            tasks,
        }
    }

    /// Whether nothing more will come: all that was sent on connections that live is answered.
    pub(super) fn is_done(&self, sent: &[u64]) -> bool {
        let pairs = self.progress.iter().zip(sent);
        pairs
            .into_iter()
            .all(|(it, sent)| it.is_closed() || it.answered() >= *sent)
    }

    pub(super) fn finish(self) -> Seen {
        for task in &self.tasks {
            task.abort();
        }
        let answered = self.progress.iter().map(|it| it.answered()).collect();
        let mut seen = self.seen.borrow_mut();
        let (latency, last_answer) = (seen.latency.clone(), seen.last_answer);
        Seen {
            latency,
            errors: std::mem::take(&mut seen.errors),
            last_answer,
            connections_lost: seen.connections_lost,
            answered,
        }
    }
}

struct Reader {
    kind: Kind,
    schedule: Schedule,
    connection: u64,
    progress: Arc<Progress>,
    seen: Rc<RefCell<Seen>>,
}

impl Reader {
    async fn read_all(&mut self, mut stream: OwnedReadHalf) -> Result<(), Failure> {
        let mut buffer = Vec::with_capacity(16 * 1024);
        loop {
            if stream.read_buf(&mut buffer).await? == 0 {
                return Err(Failure::new("closed by the server"));
            }
            let read = self.answers(&buffer)?;
            buffer.drain(..read);
        }
    }

    /// Counts the whole answers in `bytes`; returns how many bytes they take.
    fn answers(&mut self, bytes: &[u8]) -> Result<usize, Failure> {
        let now = clock::now();
        let mut seen = self.seen.borrow_mut();
        let mut nth = self.progress.answered();
        let mut read = 0;
        while let Some((len, content)) = frame::split(&bytes[read..], ANSWER_BYTES_MAX)
            .map_err(|error| Failure::new(error.to_string()))?
        {
            let code = code_of(self.kind, content, correlation_id(nth))?;
            let due = self
                .schedule
                .due(self.schedule.number(self.connection, nth));
            if self.schedule.counts(due) {
                let latency = now.saturating_duration_since(self.schedule.start + due);
                record(&mut seen.latency, latency);
                seen.last_answer = now;
                if code != 0 {
                    *seen.errors.entry(code).or_default() += 1;
                }
            }
            nth += 1;
            read += len;
        }
        // Relaxed: see the field.
        self.progress.answered.store(nth, Ordering::Relaxed);
        Ok(read)
    }
}

/// The first error code of an answer, 0 for none; refuses one that answers something else.
pub(super) fn code_of(kind: Kind, content: &[u8], expected: i32) -> Result<i16, Failure> {
    let malformed = |error: takhin_coordinator::wire::DecodeError| {
        Failure::new(format!("an answer that cannot be read: {error}"))
    };
    let (api, version) = match kind {
        Kind::Heartbeats => (ApiKey::Heartbeat, HEARTBEAT),
        Kind::Commits | Kind::Recommits => (ApiKey::OffsetCommit, OFFSET_COMMIT),
        Kind::Fetches | Kind::FetchesOfAll => (ApiKey::OffsetFetch, OFFSET_FETCH),
    };
    let (header, body) = ResponseHeader::decode(content, api, version).map_err(malformed)?;
    if header.correlation_id != expected {
        return Err(Failure::new("an answer out of order"));
    }
    match kind {
        Kind::Heartbeats => {
            let response = HeartbeatResponse::decode(body, version).map_err(malformed)?;
            Ok(response.error_code)
        }
        Kind::Commits | Kind::Recommits => {
            let response = OffsetCommitResponse::decode(body, version).map_err(malformed)?;
            let codes = response.topics.iter().flat_map(|it| &it.partitions);
            let first = codes.map(|it| it.error_code).find(|code| *code != 0);
            Ok(first.unwrap_or(0))
        }
        Kind::Fetches | Kind::FetchesOfAll => {
            let response = OffsetFetchResponse::decode(body, version).map_err(malformed)?;
            Ok(first_code(&response))
        }
    }
}

/// An offset that is not there counts as an error: it was committed before.
fn first_code(response: &OffsetFetchResponse<'_>) -> i16 {
    let of_groups = response.groups.iter().map(|it| it.error_code);
    let topics = response.groups.iter().flat_map(|it| &it.topics);
    let partitions = topics.flat_map(|it| &it.partitions);
    let of_partitions = partitions.map(|it| match it.committed_offset {
        ..0 if it.error_code == 0 => ErrorCode::UNKNOWN_SERVER_ERROR.0,
        _ => it.error_code,
    });
    let mut codes = of_groups.chain(of_partitions);
    codes.find(|code| *code != 0).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use takhin_coordinator::wire::messages::{
        OffsetFetchResponseGroup, OffsetFetchResponsePartitions, OffsetFetchResponseTopics,
    };

    use super::*;

    #[test]
    fn a_fetch_that_finds_nothing_counts_as_refused() {
        let response = |committed_offset| OffsetFetchResponse {
            groups: vec![OffsetFetchResponseGroup {
                topics: vec![OffsetFetchResponseTopics {
                    partitions: vec![OffsetFetchResponsePartitions {
                        committed_offset,
                        ..OffsetFetchResponsePartitions::default()
                    }],
                    ..OffsetFetchResponseTopics::default()
                }],
                ..OffsetFetchResponseGroup::default()
            }],
            ..OffsetFetchResponse::default()
        };
        assert_eq!(first_code(&response(0)), 0);
        let nothing = first_code(&response(-1));
        assert_eq!(ErrorCode(nothing), ErrorCode::UNKNOWN_SERVER_ERROR);
    }
}
