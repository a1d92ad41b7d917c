//! All loads on one peer that has just been started.

use std::future::Future;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::figures::Figures;
use super::loads::{
    CLOSED, CROWD, ClosedLoad, GROUPS, GROWTH, MEMORY, OPEN, OPEN_CONNECTIONS, OPEN_GROUPS,
    OpenLoad, PERCENTILES, START, Scale,
};
use super::peer::{Peer, Running, live_heap_bytes};
use crate::clock;
use crate::failure::Failure;
use crate::report::{as_f64, refuse_errors};
use crate::server::{cpu_seconds, resident_bytes};
use crate::wire::Kind;
use crate::wire::closed::{self, Closed, Closing};
use crate::wire::crowd::Crowd;
use crate::wire::forming::{AT_ONCE, Former, Member, Shape};
use crate::wire::open::{self, Open};

/// One peer, for one round.
pub(super) struct Suite<'s> {
    pub(super) peer: Peer,
    pub(super) running: &'s Running,
    pub(super) scale: &'s Scale,
    /// The names of those that run; all if there are none.
    pub(super) loads: &'s [String],
    pub(super) figures: &'s mut Figures,
}

/// No member of a load dies of silence meanwhile. It is kfake's longest.
const SESSION_MS: i32 = 300_000;

/// Tansu lets a join wait for half the session, and a second at least, and expels nobody who is
/// silent for longer than that as long as nobody asks for the group.
const SESSION_OF_TANSU_MS: i32 = 2_000;
/// So that ten thousand groups that wait a second each are formed in ten.
const AT_ONCE_OF_TANSU: u64 = 1_000;

/// Groups in steady load have their members on so many connections, with so many in flight.
const GROWTH_CONNECTIONS: u64 = 4;
const GROWTH_IN_FLIGHT: u64 = 16;

/// The figures of a load, by name.
type Outcome = Result<Vec<(String, f64)>, Failure>;

impl Suite<'_> {
    /// On a process that has done nothing yet: its start, and what groups take.
    pub(super) async fn run_first(mut self) {
        if self.may_run(START) {
            let start = self.start().await;
            self.keep(START, start);
        }
        if self.may_run(MEMORY) {
            let memory = within(self.scale.groups_within, self.memory()).await;
            self.keep(MEMORY, memory);
        }
    }

    /// On another process: all the loads.
    pub(super) async fn run_loads(mut self) {
        for load in CLOSED {
            if self.may_run(load.key) {
                let closed = within(self.scale.load_within, self.closed(&load)).await;
                self.keep(load.key, closed);
            }
        }
        for load in OPEN {
            if self.may_run(load.key) {
                let open = within(self.scale.load_within, self.open(&load)).await;
                self.keep(load.key, open);
            }
        }
        if self.may_run(GROUPS) {
            let groups = within(self.scale.groups_within, self.groups()).await;
            self.keep(GROUPS, groups);
        }
        // The last, since it may leave the peer in any state.
        if self.may_run(CROWD) {
            let crowd = within(self.scale.crowd_within, self.crowd()).await;
            self.keep(CROWD, crowd);
        }
    }

    /// What could not be done once is not tried in the next round.
    fn may_run(&self, load: &str) -> bool {
        let is_chosen = self.loads.is_empty() || self.loads.iter().any(|it| it == load);
        is_chosen && self.figures.reason(load).is_none()
    }

    fn keep(&mut self, load: &str, outcome: Outcome) {
        match outcome {
            Ok(values) => {
                for (figure, value) in values {
                    self.figures.add(load, &figure, value);
                }
            }
            Err(failure) => self.figures.add_reason(load, failure.to_string()),
        }
    }

    async fn start(&self) -> Outcome {
        sleep(self.scale.settle).await;
        let first_answer = self.running.first_answer.as_secs_f64() * 1e3;
        Ok(vec![
            ("first_answer_ms".into(), first_answer),
            ("idle_bytes".into(), self.resident()?),
        ])
    }

    async fn memory(&self) -> Outcome {
        let number = self.scale.groups();
        let idle = self.resident()?;
        // What a server makes once, for the first groups of all, is told apart: Kafka has a buffer
        // of half a megabyte for each partition of its offsets.
        self.former(number / 10, 1).form().await?;
        let (heap_before, resident) = (self.live_heap(), self.resident()?);
        self.former(number, 1).form().await?;
        let groups = as_f64(number);
        let (all, after) = (groups + as_f64(number / 10), self.resident()?);
        let mut values = vec![
            ("resident_bytes".into(), (after - idle) / all),
            ("added_bytes".into(), (after - resident) / groups),
        ];
        if let (Some(before), Some(after)) = (heap_before, self.live_heap()) {
            values.push(("live_bytes".into(), (after - before) / groups));
        }
        Ok(values)
    }

    async fn closed(&self, load: &ClosedLoad) -> Outcome {
        let former = self.former(load.groups, load.partitions);
        let members = former.form().await?;
        let mut closed = Closed {
            kind: load.kind,
            connections: load.connections,
            in_flight: load.in_flight,
            partitions: load.partitions,
            warmup: self.warmup(load.key),
            length: self.scale.length,
        };
        if load.kind == Kind::Fetches {
            // Something to fetch, for each of the groups.
            closed.kind = Kind::Commits;
            closed.length = Duration::from_millis(200);
            self.load(&closed, &members).await?;
            closed.kind = Kind::Fetches;
            closed.length = self.scale.length;
        }
        let closing = self.load(&closed, &members).await?;
        former.leave(&members).await?;
        Ok(of_closing(&closing))
    }

    async fn load(&self, closed: &Closed, members: &[Member]) -> Result<Closing, Failure> {
        let address = &self.running.address;
        let closing = closed::load(closed, address, members, self.running.pid()).await?;
        refuse_errors(&closing.errors)?;
        if closing.server_cpu <= 0.0 {
            return Err(Failure::new("too little CPU to be told"));
        }
        Ok(closing)
    }

    async fn open(&self, load: &OpenLoad) -> Outcome {
        let former = self.former(OPEN_GROUPS, 1);
        let members = former.form().await?;
        let open = Open {
            kind: load.kind,
            rate: self.scale.rate,
            connections: OPEN_CONNECTIONS,
            partitions: 1,
            depth: 1_000,
            tick: Duration::from_micros(200),
            warmup: self.warmup(load.key),
            length: self.scale.length,
        };
        let pid = Some(self.running.pid());
        let outcome = open::load(&open, &self.running.address, &members, pid).await?;
        former.leave(&members).await?;
        refuse_errors(outcome.errors())?;
        let (latency, missing) = outcome.latency();
        if missing > 0 {
            return Err(Failure::new(format!("{missing} requests had no answer")));
        }
        let figure = |(name, at): (&str, f64)| {
            let us = as_f64(latency.value_at_percentile(at)) / 1e3;
            (format!("{name}_us"), us)
        };
        Ok(PERCENTILES.map(figure).into())
    }

    /// Rising numbers of groups, each loaded; the last number is formed against the watch.
    async fn groups(&mut self) -> Outcome {
        let mut members = Vec::new();
        let [before @ .., last] = self.scale.growth;
        for number in before {
            let more = number - members.len() as u64;
            members.extend(self.former(more, 1).form().await?);
            self.grown(number, &members).await?;
        }
        let (cpu, begun) = (self.cpu()?, clock::now());
        let members = self.former(last, 1).form().await?;
        let seconds = clock::now().saturating_duration_since(begun).as_secs_f64();
        let cpu = self.cpu()? - cpu;
        let values = vec![
            ("cpu_us".into(), cpu * 1e6 / as_f64(last)),
            ("seconds".into(), seconds),
        ];
        self.grown(last, &members).await?;
        Ok(values)
    }

    /// Loads these members, of so many groups.
    async fn grown(&mut self, groups: u64, members: &[Member]) -> Result<(), Failure> {
        for (key, _, kind) in GROWTH {
            let closed = Closed {
                kind,
                connections: GROWTH_CONNECTIONS,
                in_flight: GROWTH_IN_FLIGHT,
                partitions: 1,
                warmup: self.scale.growth_length / 2,
                length: self.scale.growth_length,
            };
            let us = self.load(&closed, members).await?.us_per_request();
            self.figures.add(key, &groups.to_string(), us);
        }
        Ok(())
    }

    async fn crowd(&self) -> Outcome {
        let crowd = Crowd {
            members: self.scale.crowd,
            rebalances: self.scale.rebalances,
            session_ms: self.session_ms(),
        };
        let crowded = crowd.run(&self.former(1, 1), self.running.pid()).await?;
        let mut rebalances: Vec<f64> = crowded
            .rebalances
            .iter()
            .map(|it| it.as_secs_f64() * 1e3)
            .collect();
        rebalances.sort_by(f64::total_cmp);
        Ok(vec![
            ("join_ms".into(), crowded.join.as_secs_f64() * 1e3),
            ("join_cpu_ms".into(), crowded.join_cpu * 1e3),
            ("rebalance_ms".into(), rebalances[rebalances.len() / 2]),
            ("rebalances_cpu_ms".into(), crowded.rebalances_cpu * 1e3),
        ])
    }

    fn former(&self, groups: u64, partitions: i32) -> Former {
        let shape = Shape {
            groups,
            group_size: 1,
            partitions,
            session_ms: self.session_ms(),
            at_once: match self.peer {
                Peer::Tansu => AT_ONCE_OF_TANSU,
                Peer::Ours | Peer::OursOnDisk | Peer::Kafka | Peer::Kfake => AT_ONCE,
            },
        };
        Former::new(&self.running.address, shape)
    }

    fn session_ms(&self) -> i32 {
        match self.peer {
            Peer::Tansu => SESSION_OF_TANSU_MS,
            Peer::Ours | Peer::OursOnDisk | Peer::Kafka | Peer::Kfake => SESSION_MS,
        }
    }

    fn warmup(&self, load: &str) -> Duration {
        match self.peer {
            Peer::Kafka if load == CLOSED[0].key => self.scale.warmup_of_kafka * 3,
            Peer::Kafka => self.scale.warmup_of_kafka,
            Peer::Ours | Peer::OursOnDisk | Peer::Kfake | Peer::Tansu => self.scale.warmup,
        }
    }

    fn cpu(&self) -> Result<f64, Failure> {
        cpu_seconds(self.running.pid()).ok_or_else(|| Failure::new("it is gone"))
    }

    fn resident(&self) -> Result<f64, Failure> {
        let bytes = resident_bytes(self.running.pid());
        bytes.map(as_f64).ok_or_else(|| Failure::new("it is gone"))
    }

    fn live_heap(&self) -> Option<f64> {
        (self.peer == Peer::Kafka)
            .then(|| live_heap_bytes(self.running.pid()))
            .flatten()
    }
}

fn of_closing(closing: &Closing) -> Vec<(String, f64)> {
    let us = |at| as_f64(closing.latency.value_at_percentile(at)) / 1e3;
    vec![
        ("cpu_us".into(), closing.us_per_request()),
        ("rate".into(), closing.rate()),
        ("generator_share".into(), closing.own_cpu / closing.seconds),
        ("p50_us".into(), us(50.0)),
        ("p99_us".into(), us(99.0)),
    ]
}

async fn within<T>(
    bound: Duration,
    load: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let late = |_| Failure::new(format!("not done within {} s", bound.as_secs()));
    timeout(bound, load).await.map_err(late)?
}
