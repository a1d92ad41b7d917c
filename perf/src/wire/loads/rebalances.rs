//! One big group whose members come back with another subscription, all at once, in each step.

use super::super::crowd::{Crowd, Gathered};
use super::super::forming::Former;
use super::{Load, SESSION_MS, shape};
use crate::failure::Failure;

/// A group at rest.
#[derive(Debug)]
pub(crate) struct Rebalances(Gathered);

impl Rebalances {
    pub(crate) async fn prepare(address: &str, members: u64) -> Result<Self, Failure> {
        let crowd = Crowd {
            members: usize::try_from(members).unwrap_or(usize::MAX),
            rebalances: 0,
            session_ms: SESSION_MS,
        };
        let mut gathered = crowd.gather(&Former::new(address, shape(1, 1))).await?;
        gathered.join().await?;
        Ok(Self(gathered))
    }
}

impl Load for Rebalances {
    async fn step(&mut self) -> Result<(), Failure> {
        self.0.rebalance().await
    }
}
