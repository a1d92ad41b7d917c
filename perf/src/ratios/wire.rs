//! Over the wire: what the server spends on a request, beside an echo of the same frames.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tokio::task::LocalSet;

use super::Size;
use super::row::{Goal, Row};
use crate::echo::{Echo, Logged};
use crate::failure::Failure;
use crate::server::Server;
use crate::store::payload_of_a_commit;
use crate::wire::Kind;
use crate::wire::closed::Closed;
use crate::wire::fleet::{Fleet, first_answer};
use crate::wire::forming::{AT_ONCE, Former, Member, Shape};

/// No member dies meanwhile.
const SESSION_MS: i32 = 600_000;

pub(super) fn rows(size: &Size) -> Result<Vec<Row>, Failure> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let mut rows = in_memory(size).await?;
        rows.push(durable(size).await?);
        Ok(rows)
    })
}

async fn in_memory(size: &Size) -> Result<Vec<Row>, Failure> {
    let server = Server::spawn(&[])?;
    let members = form(&server, 256, 1).await?;
    let heartbeats = |connections, in_flight| Closed {
        kind: Kind::Heartbeats,
        connections,
        in_flight,
        partitions: 1,
        warmup: Duration::ZERO,
        length: size.load,
    };
    let pipelined = Beside {
        path: "heartbeat over the wire, 256 connections x 16 / an echo of the same",
        goal: Goal::AtMost(1.6),
        closed: heartbeats(256, 16),
        log: None,
    };
    let alone = Beside {
        path: "heartbeat over the wire, 16 connections x 1 / an echo of the same",
        goal: Goal::AtMost(1.25),
        closed: heartbeats(16, 1),
        log: None,
    };
    let fetch = Beside {
        path: "OffsetFetch of 100 partitions / an echo of the same",
        goal: Goal::AtMost(2.5),
        closed: Closed {
            kind: Kind::Fetches,
            connections: 4,
            in_flight: 8,
            partitions: 100,
            ..heartbeats(4, 8)
        },
        log: None,
    };
    let mut rows = Vec::new();
    for beside in [pipelined, alone] {
        rows.push(beside.measure(size, &server, &members).await?);
    }
    let members = form(&server, 4, 100).await?;
    let commits = Closed {
        kind: Kind::Commits,
        ..fetch.closed
    };
    // All have something to fetch.
    let mut fleet = Fleet::connect(&commits, server.address(), &members, server.pid()).await?;
    fleet.us_per_request(size.load).await?;
    rows.push(fetch.measure(size, &server, &members).await?);
    Ok(rows)
}

async fn durable(size: &Size) -> Result<Row, Failure> {
    let folder = Path::new("target").join(format!("takhin-perf-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let measured = durable_in(size, &folder).await;
    fs::remove_dir_all(&folder)?;
    measured
}

async fn durable_in(size: &Size, folder: &Path) -> Result<Row, Failure> {
    let data = folder.join("data");
    let flags = ["--data-dir", &data.to_string_lossy()];
    let server = Server::spawn_with(&[], &flags)?;
    let members = form(&server, 4, 10).await?;
    let beside = Beside {
        path: "durable commit of 10 partitions / an echo, append and sync of the same bytes",
        goal: Goal::AtMost(3.0),
        closed: Closed {
            kind: Kind::Commits,
            connections: 4,
            in_flight: 16,
            partitions: 10,
            warmup: Duration::ZERO,
            length: size.load,
        },
        log: Some(Logged {
            file: &folder.join("log"),
            // Of names as long as those of the load.
            record_bytes: payload_of_a_commit("perf-00000000-0000-0-0", "perf-10")?,
            records: 10,
        }),
    };
    beside.measure(size, &server, &members).await
}

async fn form(server: &Server, groups: u64, partitions: i32) -> Result<Vec<Member>, Failure> {
    let shape = Shape {
        groups,
        group_size: 1,
        partitions,
        session_ms: SESSION_MS,
        at_once: AT_ONCE,
    };
    Former::new(server.address(), shape).form().await
}

/// A load on a server and on its floor.
struct Beside<'p> {
    path: &'static str,
    goal: Goal,
    closed: Closed,
    log: Option<Logged<'p>>,
}

impl Beside<'_> {
    async fn measure(
        &self,
        size: &Size,
        server: &Server,
        members: &[Member],
    ) -> Result<Row, Failure> {
        let (closed, address) = (&self.closed, server.address());
        let answer = first_answer(closed, address, members).await?;
        let echo = Echo::start(&answer, self.log)?;
        let mut floor = Fleet::connect(closed, &echo.address, members, echo.pid()).await?;
        let mut ours = Fleet::connect(closed, address, members, server.pid()).await?;
        let mut turns = Vec::new();
        // The first warms up.
        for turn in 0..=size.turns {
            let of_floor = floor.us_per_request(size.load).await?;
            let of_ours = ours.us_per_request(size.load).await?;
            if turn > 0 {
                turns.push((of_floor, of_ours));
            }
        }
        Ok(Row::of_turns(self.path, "us", self.goal, &turns))
    }
}
