//! A mass kill: half of the members of many groups lose their connections at once, their sessions
//! run out, and the others share what they had.

use super::super::gathered::Gathered;
use super::crowds::{Crowds, rest_and_leave};
use super::{Load, Seen};
use crate::clock;
use crate::failure::Failure;

/// Groups that are formed in each step, and halved.
#[derive(Debug)]
pub(crate) struct Kill(Crowds);

impl Kill {
    pub(crate) async fn prepare(
        address: &str,
        groups: u64,
        members: u64,
        session_ms: i32,
    ) -> Result<Self, Failure> {
        Ok(Self(
            Crowds::prepare(address, groups, members, session_ms).await?,
        ))
    }
}

impl Load for Kill {
    /// From the cut until each group is at rest again: a session, less what had passed of it, and
    /// a rebalance.
    async fn step(&mut self, seen: &mut Seen) -> Result<(), Failure> {
        let mut crowds = self.0.connect().await?;
        for crowd in &mut crowds {
            crowd.join().await?;
        }
        let begun = clock::now();
        for crowd in &mut crowds {
            seen.done += crowd.cut(|place| place % 2 == 1) as u64;
        }
        let settle = async |crowd: &mut Gathered| crowd.settle().await;
        rest_and_leave(crowds, settle, begun, seen).await
    }
}
