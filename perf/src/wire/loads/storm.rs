//! Many groups whose members all join at the same time, as after the restart of a fleet.

use super::super::gathered::Gathered;
use super::crowds::{Crowds, rest_and_leave};
use super::{Load, SESSION_MS, Seen};
use crate::clock;
use crate::failure::Failure;

/// Groups that join in each step, and leave.
#[derive(Debug)]
pub(crate) struct Storm {
    crowds: Crowds,
    joins: u64,
}

impl Storm {
    pub(crate) async fn prepare(address: &str, groups: u64, members: u64) -> Result<Self, Failure> {
        let crowds = Crowds::prepare(address, groups, members, SESSION_MS).await?;
        let joins = groups * members;
        Ok(Self { crowds, joins })
    }
}

impl Load for Storm {
    /// Connecting and leaving do not count.
    async fn step(&mut self, seen: &mut Seen) -> Result<(), Failure> {
        let crowds = self.crowds.connect().await?;
        let begun = clock::now();
        let join = async |crowd: &mut Gathered| crowd.join().await;
        rest_and_leave(crowds, join, begun, seen).await?;
        seen.done += self.joins;
        Ok(())
    }
}
