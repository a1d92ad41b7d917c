//! Three members join one by one and leave one by one; the topic is always shared out whole.

use std::time::Duration;

use super::check::{
    LONG_SESSION_MS, agree, all_arrive_once, commit_all, create, produce, sane, settle,
};
use crate::stage::LIMIT;
use crate::{Failure, MemberName, Stage};

/// The partitions of the topic.
const PARTITIONS: u32 = 6;

/// Records after each step.
const RECORDS: usize = 60;

/// Within this the rest must take over from one that left. Less than a session, so that it can
/// only be the leaving that did it.
const TAKE_OVER_LIMIT: Duration = Duration::from_secs(20);

/// Joins and leaves one by one, with data through every assignment.
///
/// # Errors
///
/// Two owners of a partition, or none; a record lost or read twice.
pub fn join_leave(stage: &mut Stage) -> Result<(), Failure> {
    create(stage, PARTITIONS)?;
    let mut members = Vec::new();
    let mut step = 0;
    for name in ["one", "two", "three"] {
        members.push(stage.join(name, LONG_SESSION_MS, None)?);
        settle(stage, &members, PARTITIONS, LIMIT)?;
        step += 1;
        serve(stage, &members, step)?;
    }
    while members.len() > 1 {
        stage.quit(members.remove(0))?;
        settle(stage, &members, PARTITIONS, TAKE_OVER_LIMIT)?;
        step += 1;
        serve(stage, &members, step)?;
    }
    stage.quit(members[0])?;
    sane(stage)
}

/// Checks that the group works: the coordinator agrees, every record comes once, and is
/// committed, so that the next owners need not read it again.
fn serve(stage: &mut Stage, members: &[MemberName], step: usize) -> Result<(), Failure> {
    agree(stage, members)?;
    produce(stage, &format!("step{step}"), RECORDS)?;
    all_arrive_once(stage, &format!("step{step}"), RECORDS)?;
    commit_all(stage, members, (step * RECORDS) as u64)?;
    for earlier in 1..step {
        super::check::once(stage, &format!("step{earlier}"), RECORDS)?;
    }
    Ok(())
}
