//! One big group whose members come back with another subscription, all at once, in each step.

use super::super::forming::Former;
use super::super::gathered::Gathered;
use super::{Load, SESSION_MS, Seen, number, shape};
use crate::clock;
use crate::failure::Failure;

/// A group at rest.
#[derive(Debug)]
pub(crate) struct Rebalances(Gathered);

impl Rebalances {
    pub(crate) async fn prepare(address: &str, members: u64) -> Result<Self, Failure> {
        let former = Former::new(address, shape(1, 1));
        drop(former.prepare().await?);
        let members = number(members);
        let group = Gathered::connect(&former, 0, members, SESSION_MS, false);
        let mut group = group.await?;
        group.join().await?;
        Ok(Self(group))
    }
}

impl Load for Rebalances {
    async fn step(&mut self, seen: &mut Seen) -> Result<(), Failure> {
        let begun = clock::now();
        self.0.rebalance().await?;
        seen.took("rebalance", begun);
        seen.done += 1;
        Ok(())
    }
}
