//! A closed load: each connection has a fixed number of requests in flight, and sends the next
//! when one is answered. It shows what a request costs, and how fast the server and this one
//! thread can go together; how late answers come when the server stalls is for the open load.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use takhin_coordinator::wire::frame;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout};

use super::Kind;
use super::forming::Member;
use super::readers::{ANSWER_BYTES_MAX, code_of};
use super::requests::{Requests, correlation_id};
use crate::clock;
use crate::failure::Failure;
use crate::report::{Errors, as_f64, latencies, record};
use crate::server::cpu_seconds;

/// What is sent, and how much at one time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Closed {
    pub(crate) kind: Kind,
    /// Not more than there are members.
    pub(crate) connections: u64,
    /// Requests in flight on each connection.
    pub(crate) in_flight: u64,
    /// Partitions of one commit or fetch.
    pub(crate) partitions: i32,
    /// How long requests are sent before anything counts.
    pub(crate) warmup: Duration,
    /// How long they are sent after that.
    pub(crate) length: Duration,
}

/// What a closed load has shown.
#[derive(Debug)]
pub(crate) struct Closing {
    /// Answers that count.
    pub(crate) answered: u64,
    /// The time in which they came.
    pub(crate) seconds: f64,
    pub(crate) errors: Errors,
    /// From the moment a request was handed to its socket until its answer was read.
    pub(crate) latency: Histogram<u64>,
    /// CPU time of the server in those seconds.
    pub(crate) server_cpu: f64,
    /// That of this process.
    pub(crate) own_cpu: f64,
}

impl Closing {
    /// Microseconds of the server's CPU for each answer.
    pub(crate) fn us_per_request(&self) -> f64 {
        self.server_cpu * 1e6 / as_f64(self.answered.max(1))
    }

    pub(crate) fn rate(&self) -> f64 {
        as_f64(self.answered) / self.seconds
    }
}

/// How long the last answers are waited for.
const GRACE: Duration = Duration::from_secs(5);

/// Runs the load on groups at rest, from within a `LocalSet`.
pub(crate) async fn load(
    closed: &Closed,
    address: &str,
    members: &[Member],
    server: u32,
) -> Result<Closing, Failure> {
    let counts_from = clock::now() + closed.warmup;
    let until = counts_from + closed.length;
    let (open, counted) = lanes(closed, address, members, counts_from).await?;
    let mut lanes = JoinSet::new();
    for mut lane in open {
        lanes.spawn_local(async move { lane.run_until(until).await });
    }
    let reading = || -> Result<(f64, f64, u64, Instant), Failure> {
        let of = |pid| cpu_seconds(pid).ok_or_else(|| Failure::new("the server is gone"));
        let answered = counted.borrow().answered;
        Ok((of(server)?, of(std::process::id())?, answered, clock::now()))
    };
    sleep_until(counts_from.into()).await;
    let before = reading()?;
    sleep_until((counts_from + closed.length).into()).await;
    let after = reading()?;
    while let Some(lane) = timeout(GRACE, lanes.join_next())
        .await
        .map_err(|_| Failure::new(format!("{}: answers are missing", closed.kind.words())))?
    {
        lane.map_err(|error| Failure::new(error.to_string()))??;
    }
    let counted = Rc::into_inner(counted).expect("the lanes have ended");
    let counted = counted.into_inner();
    Ok(Closing {
        answered: after.2 - before.2,
        seconds: after.3.saturating_duration_since(before.3).as_secs_f64(),
        errors: counted.errors,
        latency: counted.latency,
        server_cpu: after.0 - before.0,
        own_cpu: after.1 - before.1,
    })
}

/// The connections of a load, and what they count together, from that moment on.
pub(super) async fn lanes(
    closed: &Closed,
    address: &str,
    members: &[Member],
    counts_from: Instant,
) -> Result<(Vec<Lane>, Rc<RefCell<Counted>>), Failure> {
    let requests = Rc::new(Requests::new(closed.kind, members, closed.partitions));
    let counted = Rc::new(RefCell::new(Counted::new(counts_from)));
    let mut lanes = Vec::new();
    for connection in 0..closed.connections {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        lanes.push(Lane {
            closed: *closed,
            connection,
            stream,
            requests: Rc::clone(&requests),
            counted: Rc::clone(&counted),
            sent_at: VecDeque::new(),
            sent: 0,
            answered: 0,
        });
    }
    Ok((lanes, counted))
}

/// What the answers on all connections have shown.
#[derive(Debug)]
pub(super) struct Counted {
    /// Those of the warm-up too.
    pub(super) answered: u64,
    pub(super) errors: Errors,
    counts_from: Instant,
    pub(super) latency: Histogram<u64>,
}

impl Counted {
    pub(super) fn new(counts_from: Instant) -> Self {
        Self {
            answered: 0,
            errors: Errors::new(),
            counts_from,
            latency: latencies(),
        }
    }
}

/// A connection.
#[derive(Debug)]
pub(super) struct Lane {
    closed: Closed,
    connection: u64,
    stream: TcpStream,
    requests: Rc<Requests>,
    counted: Rc<RefCell<Counted>>,
    /// When each request in flight was sent: answers come in the order of the requests.
    sent_at: VecDeque<Instant>,
    sent: u64,
    answered: u64,
}

impl Lane {
    /// Sends until then, and waits for the last answer.
    pub(super) async fn run_until(&mut self, until: Instant) -> Result<(), Failure> {
        let mut out = Vec::new();
        let mut buffer = Vec::with_capacity(16 * 1024);
        loop {
            self.fill(&mut out, until);
            self.stream.write_all(&out).await?;
            out.clear();
            if self.sent_at.is_empty() {
                return Ok(());
            }
            if self.stream.read_buf(&mut buffer).await? == 0 {
                return Err(Failure::new("closed by the server"));
            }
            let read = self.answers(&buffer)?;
            buffer.drain(..read);
        }
    }

    /// As many requests as may be in flight, until then.
    fn fill(&mut self, out: &mut Vec<u8>, until: Instant) {
        let now = clock::now();
        while now < until && self.sent - self.answered < self.closed.in_flight {
            let number = self.sent * self.closed.connections + self.connection;
            self.requests.append(out, number, self.sent);
            self.sent_at.push_back(now);
            self.sent += 1;
        }
    }

    /// Counts the whole answers in `bytes`; returns how many bytes they take.
    fn answers(&mut self, bytes: &[u8]) -> Result<usize, Failure> {
        let now = clock::now();
        let mut counted = self.counted.borrow_mut();
        let mut read = 0;
        while let Some((len, content)) = frame::split(&bytes[read..], ANSWER_BYTES_MAX)
            .map_err(|error| Failure::new(error.to_string()))?
        {
            let code = code_of(self.closed.kind, content, correlation_id(self.answered))?;
            if code != 0 {
                *counted.errors.entry(code).or_default() += 1;
            }
            let sent_at = self.sent_at.pop_front();
            let sent_at = sent_at.ok_or_else(|| Failure::new("an answer to no question"))?;
            if now >= counted.counts_from {
                record(&mut counted.latency, now.saturating_duration_since(sent_at));
            }
            self.answered += 1;
            counted.answered += 1;
            read += len;
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use takhin_coordinator::wire::messages::HeartbeatResponse;
    use takhin_coordinator::wire::{ApiKey, ErrorCode, RequestHeader};
    use tokio::net::TcpListener;
    use tokio::task::LocalSet;

    use super::super::versions::HEARTBEAT;
    use super::*;

    /// Answers heartbeats once nothing more comes; returns the most that came before an answer.
    async fn serve(listener: TcpListener, code: ErrorCode) -> usize {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (mut bytes, mut out, mut most) = (Vec::new(), Vec::new(), 0);
        loop {
            let more = timeout(Duration::from_millis(5), stream.read_buf(&mut bytes)).await;
            if let Ok(Ok(0)) = more {
                return most;
            }
            if more.is_ok() {
                continue;
            }
            let mut waiting = 0;
            while let Some((len, content)) = frame::split(&bytes, 1_000).unwrap() {
                let (header, _) = RequestHeader::decode(content).unwrap();
                let response = HeartbeatResponse {
                    error_code: code.0,
                    ..Default::default()
                };
                let id = header.correlation_id;
                frame::append_response(&mut out, ApiKey::Heartbeat, HEARTBEAT, id, &response)
                    .unwrap();
                bytes.drain(..len);
                waiting += 1;
            }
            most = most.max(waiting);
            stream.write_all(&out).await.unwrap();
            out.clear();
        }
    }

    fn run(code: ErrorCode) -> (Closing, usize) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().unwrap();
        LocalSet::new().block_on(&runtime, async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap().to_string();
            let server = tokio::task::spawn_local(serve(listener, code));
            let members = [Member {
                group: "g".into(),
                id: "m".into(),
                generation: 1,
            }];
            let closed = Closed {
                kind: Kind::Heartbeats,
                connections: 1,
                in_flight: 3,
                partitions: 1,
                warmup: Duration::ZERO,
                length: Duration::from_millis(100),
            };
            let closing = load(&closed, &address, &members, std::process::id());
            (closing.await.unwrap(), server.await.unwrap())
        })
    }

    #[test]
    fn so_many_are_in_flight_and_no_more() {
        let (closing, most) = run(ErrorCode::NONE);
        assert_eq!(most, 3);
        assert!(closing.answered > 0 && closing.errors.is_empty());
    }

    #[test]
    fn a_refusal_is_counted() {
        let (closing, _) = run(ErrorCode::ILLEGAL_GENERATION);
        assert!(closing.errors[&ErrorCode::ILLEGAL_GENERATION.0] >= closing.answered);
    }
}
