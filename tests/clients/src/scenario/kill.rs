//! `kill -9` of a member: the other takes over when the session ends, and not before.

use std::time::Duration;

use super::check::{
    agree, all_arrive, all_arrive_once, arrived, commit_all, create, once, produce, sane, settle,
};
use crate::clock::now;
use crate::stage::LIMIT;
use crate::{Failure, Stage};

/// The partitions of the topic.
const PARTITIONS: u32 = 4;

/// Long enough for a busy machine, short enough to wait for.
const SESSION_MS: u32 = 4000;

/// Kills one of two members after it has read both committed and uncommitted records.
///
/// # Errors
///
/// A take-over too early or never; a record lost; a committed one read again.
pub fn kill(stage: &mut Stage) -> Result<(), Failure> {
    create(stage, PARTITIONS)?;
    let survivor = stage.join("survivor", SESSION_MS, None)?;
    let victim = stage.join("victim", SESSION_MS, None)?;
    settle(stage, &[survivor, victim], PARTITIONS, LIMIT)?;
    produce(stage, "committed", 100)?;
    all_arrive_once(stage, "committed", 100)?;
    commit_all(stage, &[survivor, victim], 100)?;
    produce(stage, "read", 100)?;
    all_arrive_once(stage, "read", 100)?;

    let orphans = stage.of(victim).owned.clone();
    stage.kill(victim)?;
    let killed = now();
    produce(stage, "after", 100)?;
    let session = Duration::from_millis(u64::from(SESSION_MS));
    stage.wait("the survivor takes over", session + LIMIT, |stage| {
        orphans.is_subset(&stage.of(survivor).owned)
    })?;
    // The last heartbeat may lie a while back; half a session covers that and a slow machine.
    let took = now() - killed;
    Failure::unless(took >= session / 2, || {
        format!("expelled early, after {took:?}")
    })?;
    Failure::unless(took <= session * 3, || {
        format!("expelled late, after {took:?}")
    })?;

    settle(stage, &[survivor], PARTITIONS, LIMIT)?;
    all_arrive(stage, "after", 100)?;
    stage.wait(
        "the victim's uncommitted records come again",
        LIMIT,
        |stage| {
            let of = |who| {
                let places = arrived(stage, "read")
                    .into_iter()
                    .filter(move |(m, _, _)| *m == who);
                places
                    .map(|(_, place, _)| place)
                    .collect::<std::collections::BTreeSet<_>>()
            };
            of(victim).is_subset(&of(survivor))
        },
    )?;
    once(stage, "committed", 100)?;
    agree(stage, &[survivor])?;
    commit_all(stage, &[survivor], 300)?;
    stage.quit(survivor)?;
    sane(stage)
}
