//! One disturbance: two servers, the victims on one of them, and the turns.

use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::task::LocalSet;
use tokio::time::timeout;

use super::args::{Disturbance, FairnessArgs};
use super::disturber::Disturber;
use crate::clock;
use crate::failure::Failure;
use crate::figures::median;
use crate::report::{as_f64, refuse_errors};
use crate::sched::Sched;
use crate::server::{Server, cpu_seconds, free_ports};
use crate::wire::Kind;
use crate::wire::forming::{AT_ONCE, Former, Member, Shape};
use crate::wire::open::{self, Open, Outcome};

/// Where the disturbance is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Turn {
    Quiet,
    Elsewhere,
    Here,
}

impl Turn {
    pub(super) const ALL: [Self; 3] = [Self::Quiet, Self::Elsewhere, Self::Here];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::Elsewhere => "elsewhere",
            Self::Here => "here",
        }
    }
}

/// What one kind of request took in one kind of turn, in microseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Felt {
    pub(super) p50: f64,
    pub(super) p99: f64,
    /// The generator's own part: the p99 of how late it sent.
    pub(super) late_p99: f64,
}

/// Processors in use, by whom, and how much of them the victims' server lacked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shares {
    pub(super) server: f64,
    /// Threads of the server that were ready to run and had no processor, on the average.
    pub(super) server_waited: f64,
    pub(super) disturber: f64,
    pub(super) generator: f64,
    /// Steps of the disturbance in a second.
    pub(super) steps: f64,
}

/// What all turns of one kind have shown, as medians.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown {
    pub(super) heartbeats: Felt,
    pub(super) commits: Felt,
    pub(super) shares: Shares,
}

/// A disturbance that was tried.
#[derive(Debug)]
pub(super) struct Tried {
    pub(super) disturbance: Disturbance,
    /// By turn.
    pub(super) shown: [Shown; 3],
}

/// A disturbance to be tried.
#[derive(Debug)]
pub(super) struct Trial<'a> {
    args: &'a FairnessArgs,
    disturbance: Disturbance,
}

/// Members of the victims: groups of five, spread over these connections.
const MEMBERS: u64 = 80;
const GROUP_SIZE: u64 = 5;
const CONNECTIONS: u64 = 16;
const SESSION_MS: i32 = 300_000;
const FORMED_WITHIN: Duration = Duration::from_mins(1);
/// What does not count of a turn.
const WARMUP: Duration = Duration::from_millis(300);
/// Between two turns, for what is still under way.
const PAUSE: Duration = Duration::from_millis(100);

impl<'a> Trial<'a> {
    pub(super) fn new(args: &'a FairnessArgs, disturbance: Disturbance) -> Self {
        Self { args, disturbance }
    }

    pub(super) fn run(&self) -> Result<Tried, Failure> {
        let (server, admin) = self.server()?;
        let (other, other_admin) = self.server()?;
        let size = self.args.size(self.disturbance);
        let disturber = |server, admin| Disturber::start(self.disturbance, size, server, admin);
        let here = disturber(&server, &admin)?;
        let elsewhere = disturber(&other, &other_admin)?;
        let mut disturbers = [None, Some(elsewhere), Some(here)];
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        LocalSet::new().block_on(&runtime, async {
            let shape = Shape {
                groups: MEMBERS / GROUP_SIZE,
                group_size: GROUP_SIZE,
                partitions: 1,
                session_ms: SESSION_MS,
                at_once: AT_ONCE,
            };
            let former = Former::new(server.address(), shape);
            let formed = timeout(FORMED_WITHIN, former.form()).await;
            let victims = formed.map_err(|_| Failure::new("the groups did not form in time"))??;
            let mut turns: [Vec<Shown>; 3] = Default::default();
            for _ in 0..self.args.rounds {
                for (disturber, turns) in disturbers.iter_mut().zip(&mut turns) {
                    turns.push(self.turn(&server, &victims, disturber.as_mut()).await?);
                    tokio::time::sleep(PAUSE).await;
                }
            }
            Ok(Tried {
                disturbance: self.disturbance,
                shown: turns.map(|turns| Shown::median(&turns)),
            })
        })
    }

    /// A server and the address of its metrics.
    fn server(&self) -> Result<(Server, String), Failure> {
        let [port] = free_ports()?;
        let admin = format!("127.0.0.1:{port}");
        let mut settings = vec!["group.initial.rebalance.delay.ms=0".to_owned()];
        settings.extend_from_slice(&self.args.set);
        let mut flags = vec!["--admin", &admin];
        let data_dir = self.args.data_dir.as_ref();
        let data_dir = data_dir.map(|dir| dir.join(port.to_string()));
        let data_dir = data_dir.map(|dir| dir.display().to_string());
        flags.extend(data_dir.iter().flat_map(|dir| ["--data-dir", dir]));
        let server = Server::spawn_with(&settings, &flags)?;
        Ok((server, admin))
    }

    async fn turn(
        &self,
        server: &Server,
        victims: &[Member],
        mut disturber: Option<&mut Disturber>,
    ) -> Result<Shown, Failure> {
        if let Some(disturber) = &mut disturber {
            disturber.go()?;
        }
        let pid = disturber.as_ref().map(|it| it.pid());
        let reading = || Reading::take(server.pid(), pid);
        let (begun, before) = (clock::now(), reading()?);
        let heartbeats = self.open(Kind::Heartbeats, self.args.heartbeats);
        let commits = self.open(Kind::Commits, self.args.commits);
        let address = server.address();
        let (heartbeats, commits) = tokio::try_join!(
            open::load(&heartbeats, address, victims, None),
            open::load(&commits, address, victims, None),
        )?;
        let (seconds, after) = (clock::now() - begun, reading()?);
        let steps = match disturber {
            Some(disturber) => disturber.rest()?,
            None => 0,
        };
        Ok(Shown {
            heartbeats: Felt::of(&heartbeats)?,
            commits: Felt::of(&commits)?,
            shares: after.shares_since(&before, seconds, steps),
        })
    }

    fn open(&self, kind: Kind, rate: u64) -> Open {
        Open {
            kind,
            rate,
            connections: CONNECTIONS,
            partitions: 1,
            depth: 1_000,
            tick: Duration::from_micros(200),
            warmup: WARMUP,
            length: Duration::from_secs(self.args.seconds),
        }
    }
}

impl Felt {
    fn of(outcome: &Outcome) -> Result<Self, Failure> {
        refuse_errors(outcome.errors())?;
        let us = |it: &Histogram<u64>, at| as_f64(it.value_at_percentile(at)) / 1e3;
        let (latency, _) = outcome.latency();
        Ok(Self {
            p50: us(latency, 50.0),
            p99: us(latency, 99.0),
            late_p99: us(outcome.lateness(), 99.0),
        })
    }
}

impl Shown {
    fn median(turns: &[Self]) -> Self {
        let of = |figure: &dyn Fn(&Self) -> f64| median(turns.iter().map(figure).collect());
        let felt = |of_kind: &dyn Fn(&Self) -> Felt| Felt {
            p50: of(&|it| of_kind(it).p50),
            p99: of(&|it| of_kind(it).p99),
            late_p99: of(&|it| of_kind(it).late_p99),
        };
        Self {
            heartbeats: felt(&|it| it.heartbeats),
            commits: felt(&|it| it.commits),
            shares: Shares {
                server: of(&|it| it.shares.server),
                server_waited: of(&|it| it.shares.server_waited),
                disturber: of(&|it| it.shares.disturber),
                generator: of(&|it| it.shares.generator),
                steps: of(&|it| it.shares.steps),
            },
        }
    }
}

/// CPU so far.
#[derive(Clone, Copy, Debug)]
struct Reading {
    server: Sched,
    disturber: f64,
    generator: f64,
}

impl Reading {
    fn take(server: u32, disturber: Option<u32>) -> Result<Self, Failure> {
        let gone = || Failure::new("a process is gone");
        let disturber = disturber.map(|pid| cpu_seconds(pid).ok_or_else(gone));
        Ok(Self {
            server: Sched::of(server).ok_or_else(gone)?,
            disturber: disturber.transpose()?.unwrap_or(0.0),
            generator: cpu_seconds(std::process::id()).ok_or_else(gone)?,
        })
    }

    fn shares_since(&self, before: &Self, time: Duration, steps: u64) -> Shares {
        let seconds = time.as_secs_f64();
        let server = self.server.since(before.server);
        Shares {
            server: server.ran / seconds,
            server_waited: server.waited / seconds,
            disturber: (self.disturber - before.disturber) / seconds,
            generator: (self.generator - before.generator) / seconds,
            steps: as_f64(steps) / seconds,
        }
    }
}
