//! A rolling deploy: the members of one group are restarted one after the other.

use super::super::forming::Former;
use super::super::gathered::Gathered;
use super::{Load, SESSION_MS, Seen, number, shape};
use crate::clock;
use crate::failure::Failure;

/// A group at rest, and whose turn it is.
#[derive(Debug)]
pub(crate) struct Deploy {
    former: Former,
    group: Gathered,
    next: usize,
}

impl Deploy {
    pub(crate) async fn prepare(
        address: &str,
        members: u64,
        are_static: bool,
    ) -> Result<Self, Failure> {
        let former = Former::new(address, shape(1, 1));
        drop(former.prepare().await?);
        let members = number(members);
        let group = Gathered::connect(&former, 0, members, SESSION_MS, are_static);
        let mut group = group.await?;
        group.join().await?;
        Ok(Self {
            former,
            group,
            next: 0,
        })
    }
}

impl Load for Deploy {
    /// From the end of one process until all members are at rest with its successor. The others
    /// learn of it by their heartbeats, of which there is one in 50 ms.
    async fn step(&mut self, seen: &mut Seen) -> Result<(), Failure> {
        let begun = clock::now();
        self.group.restart(&self.former, self.next).await?;
        self.next += 1;
        seen.took("restart", begun);
        seen.done += 1;
        Ok(())
    }
}
