//! One big group: all its members join at once, and then rebalance a few times.
//!
//! Each member has a connection, since a join waits for the others and a connection is answered in
//! order. A rebalance begins when members come back with another subscription; all of them do at
//! once, so that nobody waits for a heartbeat to learn of it.

use std::rc::Rc;
use std::time::Duration;

use super::forming::Former;
use super::life::{Life, Roll};
use super::together::all;
use super::versions::refuse_older_servers;
use crate::clock;
use crate::failure::Failure;
use crate::sched::Sched;
use crate::server::cpu_seconds;

/// How big, and how often.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crowd {
    pub(crate) members: usize,
    pub(crate) rebalances: usize,
    pub(crate) session_ms: i32,
}

/// What it has shown.
#[derive(Debug)]
pub(crate) struct Crowded {
    /// From the first question for an id to the last assignment.
    pub(crate) join: Duration,
    /// From the first rejoin to the last assignment.
    pub(crate) rebalances: Vec<Duration>,
    /// CPU time of the server, in seconds.
    pub(crate) join_cpu: f64,
    /// The same, of all rebalances together.
    pub(crate) rebalances_cpu: f64,
}

impl Crowd {
    /// Forms the group and rebalances it, from within a `LocalSet`.
    pub(crate) async fn run(&self, former: &Former, server: u32) -> Result<Crowded, Failure> {
        let cpu = || cpu_seconds(server).ok_or_else(|| Failure::new("the server is gone"));
        let mut gathered = self.gather(former).await?;
        let (cpu_before, start) = (cpu()?, clock::now());
        gathered.join().await?;
        let join = clock::now().saturating_duration_since(start);
        let join_cpu = cpu()? - cpu_before;
        let cpu_before = cpu()?;
        let mut rebalances = Vec::new();
        for _ in 0..self.rebalances {
            let start = clock::now();
            gathered.rebalance().await?;
            rebalances.push(clock::now().saturating_duration_since(start));
        }
        Ok(Crowded {
            join,
            rebalances,
            join_cpu,
            rebalances_cpu: cpu()? - cpu_before,
        })
    }

    /// Forms the group; the seconds that the server was on a processor for that.
    pub(crate) async fn join_spent(&self, former: &Former, server: u32) -> Result<f64, Failure> {
        let sched = || Sched::of(server).ok_or_else(|| Failure::new("the server is gone"));
        let mut gathered = self.gather(former).await?;
        let before = sched()?;
        gathered.join().await?;
        Ok(sched()?.since(before).ran)
    }

    /// Connects them; nobody has joined yet.
    pub(super) async fn gather(&self, former: &Former) -> Result<Gathered, Failure> {
        drop(former.prepare().await?);
        let group = former.group(0);
        let roll = Rc::new(Roll::new(self.members));
        let mut lives = Vec::new();
        for at in 0..self.members {
            // An answer on each, or the next would be more than Kafka lets wait to be accepted.
            let mut socket = former.connect().await?;
            refuse_older_servers(&mut socket).await?;
            lives.push(Life::new(socket, &group, self.session_ms, at, &roll));
        }
        Ok(Gathered(lives))
    }
}

/// The members of one group.
#[derive(Debug)]
pub(super) struct Gathered(Vec<Life>);

impl Gathered {
    /// All join, until they are at rest.
    pub(super) async fn join(&mut self) -> Result<(), Failure> {
        let lives = std::mem::take(&mut self.0);
        let lives = all(lives, async |life: &mut Life| life.take_id().await).await?;
        self.0 = all(lives, async |life: &mut Life| life.until_at_rest().await).await?;
        Ok(())
    }

    /// All come back with another subscription, until they are at rest again.
    pub(super) async fn rebalance(&mut self) -> Result<(), Failure> {
        for life in &mut self.0 {
            life.change_subscription();
        }
        let lives = std::mem::take(&mut self.0);
        self.0 = all(lives, async |life: &mut Life| life.until_at_rest().await).await?;
        Ok(())
    }
}
