//! The members of one group, each with a connection of its own, since a join waits for the others
//! and a connection is answered in order.

use std::rc::Rc;

use super::forming::Former;
use super::life::{Life, Roll};
use super::together::all;
use super::versions::refuse_older_servers;
use crate::failure::Failure;

/// A group, known by its members.
#[derive(Debug)]
pub(super) struct Gathered(Vec<Life>);

impl Gathered {
    /// Connects them; nobody has joined yet. Static members have names that outlive a restart.
    pub(super) async fn connect(
        former: &Former,
        group: u64,
        members: usize,
        session_ms: i32,
        are_static: bool,
    ) -> Result<Self, Failure> {
        let group = former.group(group);
        let roll = Rc::new(Roll::new(members));
        let mut lives = Vec::new();
        for at in 0..members {
            // An answer on each, or the next would be more than Kafka lets wait to be accepted.
            let mut socket = former.connect().await?;
            refuse_older_servers(&mut socket).await?;
            let mut life = Life::new(socket, &group, session_ms, at, &roll);
            if are_static {
                life.call(&format!("instance-{at}"));
            }
            lives.push(life);
        }
        Ok(Self(lives))
    }

    /// All join, until they are at rest.
    pub(super) async fn join(&mut self) -> Result<(), Failure> {
        self.each(async |life: &mut Life| life.take_id().await)
            .await?;
        self.settle().await
    }

    /// All come back with another subscription, until they are at rest again.
    pub(super) async fn rebalance(&mut self) -> Result<(), Failure> {
        for life in &mut self.0 {
            life.change_subscription();
        }
        self.settle().await
    }

    /// One of them ends and another process takes its place, until all are at rest again. A static
    /// member ends without a word.
    pub(super) async fn restart(&mut self, former: &Former, nth: usize) -> Result<(), Failure> {
        let place = nth % self.0.len();
        let life = self.0.iter_mut().find(|it| it.place() == place);
        let life = life.expect("each place has a member");
        if !life.is_static() {
            life.leave().await?;
        }
        life.restart(former.connect().await?);
        self.settle().await
    }

    /// These places lose their connections, and nothing is said; how many they were. The others do
    /// not know of it.
    pub(super) fn cut(&mut self, is_cut: impl Fn(usize) -> bool) -> usize {
        let before = self.0.len();
        self.0.retain(|life| !is_cut(life.place()));
        let roll = Rc::new(Roll::new(self.0.len()));
        for (at, life) in self.0.iter_mut().enumerate() {
            life.enlist(at, &roll);
        }
        before - self.0.len()
    }

    /// Each does what it has to, until all are at rest in one generation.
    pub(super) async fn settle(&mut self) -> Result<(), Failure> {
        self.each(async |life: &mut Life| life.go_on().await).await
    }

    pub(super) async fn leave(&mut self) -> Result<(), Failure> {
        self.each(async |life: &mut Life| life.leave().await).await
    }

    async fn each<F>(&mut self, step: F) -> Result<(), Failure>
    where
        F: AsyncFn(&mut Life) -> Result<(), Failure> + Copy + 'static,
    {
        self.0 = all(std::mem::take(&mut self.0), step).await?;
        Ok(())
    }
}
