//! Many groups whose members all join at the same time, as after the restart of a fleet.

use tokio::task::JoinSet;

use super::super::forming::Former;
use super::super::gathered::Gathered;
use super::{Load, SESSION_MS, Seen, number, shape};
use crate::clock;
use crate::failure::Failure;

/// Groups that join in each step, and leave.
#[derive(Debug)]
pub(crate) struct Storm {
    former: Former,
    groups: u64,
    members: u64,
}

impl Storm {
    pub(crate) async fn prepare(address: &str, groups: u64, members: u64) -> Result<Self, Failure> {
        let former = Former::new(address, shape(groups, 1));
        drop(former.prepare().await?);
        Ok(Self {
            former,
            groups,
            members,
        })
    }
}

impl Load for Storm {
    /// Connecting and leaving do not count.
    async fn step(&mut self, seen: &mut Seen) -> Result<(), Failure> {
        let mut gathered = Vec::new();
        for group in 0..self.groups {
            let members = number(self.members);
            let group = Gathered::connect(&self.former, group, members, SESSION_MS, false);
            gathered.push(group.await?);
        }
        let begun = clock::now();
        let mut joins = JoinSet::new();
        for mut group in gathered {
            joins.spawn_local(async move { group.join().await.map(|()| group) });
        }
        let mut joined = Vec::new();
        while let Some(group) = joins.join_next().await {
            joined.push(group.map_err(|error| Failure::new(error.to_string()))??);
            seen.took("group_at_rest", begun);
            seen.done += self.members;
        }
        for mut group in joined {
            group.leave().await?;
        }
        Ok(())
    }
}
