//! One big group: all its members join at once, and then rebalance a few times.
//!
//! A rebalance begins when members come back with another subscription; all of them do at once, so
//! that nobody waits for a heartbeat to learn of it.

use std::time::Duration;

use super::forming::Former;
use super::gathered::Gathered;
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
    async fn gather(&self, former: &Former) -> Result<Gathered, Failure> {
        drop(former.prepare().await?);
        Gathered::connect(former, 0, self.members, self.session_ms, false).await
    }
}
