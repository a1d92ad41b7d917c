//! Groups of many members that do the same at the same time.

use std::time::Instant;

use super::super::forming::Former;
use super::super::gathered::Gathered;
use super::super::together::all_seen;
use super::{Seen, number, shape};
use crate::failure::Failure;

/// What they are made of, anew in each step.
#[derive(Debug)]
pub(super) struct Crowds {
    former: Former,
    groups: u64,
    members: usize,
    session_ms: i32,
}

impl Crowds {
    pub(super) async fn prepare(
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
            members: number(members),
            session_ms,
        })
    }

    /// Connects all members; nobody has joined yet.
    pub(super) async fn connect(&self) -> Result<Vec<Gathered>, Failure> {
        let (members, session_ms) = (self.members, self.session_ms);
        let mut crowds = Vec::new();
        for group in 0..self.groups {
            crowds.push(Gathered::connect(&self.former, group, members, session_ms, false).await?);
        }
        Ok(crowds)
    }
}

/// Each comes to rest by that step, all at once; when, counted from `begun`, is shown. Then they
/// leave.
pub(super) async fn rest_and_leave<F>(
    crowds: Vec<Gathered>,
    step: F,
    begun: Instant,
    seen: &mut Seen,
) -> Result<(), Failure>
where
    F: AsyncFn(&mut Gathered) -> Result<(), Failure> + Copy + 'static,
{
    let at_rest = all_seen(crowds, step, || seen.took("group_at_rest", begun)).await?;
    for mut crowd in at_rest {
        crowd.leave().await?;
    }
    Ok(())
}
