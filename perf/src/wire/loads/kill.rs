//! A mass kill: half of the members of many groups lose their connections at once, their sessions
//! run out, and the others share what they had.

use tokio::task::JoinSet;

use super::super::forming::Former;
use super::super::gathered::Gathered;
use super::{Load, Seen, number, shape};
use crate::clock;
use crate::failure::Failure;

/// Groups that are formed in each step, and halved.
#[derive(Debug)]
pub(crate) struct Kill {
    former: Former,
    groups: u64,
    members: u64,
    session_ms: i32,
}

impl Kill {
    pub(crate) async fn prepare(
        address: &str,
        groups: u64,
        members: u64,
        session_ms: i32,
    ) -> Result<Self, Failure> {
        let former = Former::new(address, shape(groups, 1));
        drop(former.prepare().await?);
        Ok(Self {
            former,
            groups,
            members,
            session_ms,
        })
    }

    async fn formed(&self) -> Result<Vec<Gathered>, Failure> {
        let mut formed = Vec::new();
        for group in 0..self.groups {
            let members = number(self.members);
            let group = Gathered::connect(&self.former, group, members, self.session_ms, false);
            let mut group = group.await?;
            group.join().await?;
            formed.push(group);
        }
        Ok(formed)
    }
}

impl Load for Kill {
    /// From the cut until each group is at rest again: a session, less what had passed of it, and
    /// a rebalance.
    async fn step(&mut self, seen: &mut Seen) -> Result<(), Failure> {
        let formed = self.formed().await?;
        let begun = clock::now();
        let mut settles = JoinSet::new();
        for mut group in formed {
            seen.done += group.cut(|place| place % 2 == 1) as u64;
            settles.spawn_local(async move { group.settle().await.map(|()| group) });
        }
        let mut settled = Vec::new();
        while let Some(group) = settles.join_next().await {
            settled.push(group.map_err(|error| Failure::new(error.to_string()))??);
            seen.took("group_at_rest", begun);
        }
        for mut group in settled {
            group.leave().await?;
        }
        Ok(())
    }
}
