//! Consume in a group, commit, close; who comes next resumes where the commit stands.

use super::check::{
    LONG_SESSION_MS, all_arrive, all_arrive_once, arrived, commit_all, create, once, produce, sane,
    settle,
};
use crate::stage::{LIMIT, QUIET};
use crate::{Failure, Stage};

/// The partitions of the topic.
const PARTITIONS: u32 = 3;

/// Produces, consumes with two members, commits; then one member after another resumes.
///
/// # Errors
///
/// A record lost, read again although committed, or not read again although not committed.
pub fn basic(stage: &mut Stage) -> Result<(), Failure> {
    create(stage, PARTITIONS)?;
    produce(stage, "first", 300)?;
    let one = stage.join("one", LONG_SESSION_MS, None)?;
    let two = stage.join("two", LONG_SESSION_MS, None)?;
    settle(stage, &[one, two], PARTITIONS, LIMIT)?;
    all_arrive(stage, "first", 300)?;
    commit_all(stage, &[one, two], 300)?;

    // Read, but never committed: the next owner has to read these again, and nothing else.
    produce(stage, "second", 60)?;
    all_arrive_once(stage, "second", 60)?;
    stage.quit(one)?;
    stage.quit(two)?;
    let first = arrived(stage, "first").len();
    let second = arrived(stage, "second").len();

    let three = stage.join("three", LONG_SESSION_MS, None)?;
    settle(stage, &[three], PARTITIONS, LIMIT)?;
    stage.wait("the uncommitted come again", LIMIT, |stage| {
        arrived(stage, "second").len() >= second + 60
    })?;
    stage.pass(QUIET)?;
    once(stage, "second", second + 60)?;
    once(stage, "first", first)?;
    commit_all(stage, &[three], 360)?;
    stage.quit(three)?;

    produce(stage, "third", 60)?;
    let four = stage.join("four", LONG_SESSION_MS, None)?;
    all_arrive(stage, "third", 60)?;
    stage.pass(QUIET)?;
    all_arrive_once(stage, "third", 60)?;
    let all = stage.of(four).records.len();
    Failure::unless(all == 60, || {
        format!("60 new records, but the last member read {all}")
    })?;
    commit_all(stage, &[four], 420)?;
    stage.quit(four)?;
    sane(stage)
}
