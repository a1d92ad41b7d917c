//! Static members (KIP-345) restart within their session, and nobody else notices.

use super::check::{
    Description, LONG_SESSION_MS, agree, all_arrive_once, commit_all, create, once, produce, sane,
    settle,
};
use crate::stage::{LIMIT, QUIET};
use crate::{Failure, MemberName, Stage, Verb};

/// The partitions of the topic.
const PARTITIONS: u32 = 4;

/// Restarts the follower by a clean close and the leader by `kill -9`.
///
/// # Errors
///
/// The other member's assignment moved, or the restarted one did not get its own back.
pub fn static_restart(stage: &mut Stage) -> Result<(), Failure> {
    if let Some(reason) = stage.client.lacks(Verb::RestartStatic) {
        stage.note(&format!("left out: {reason}"));
        return Ok(());
    }
    create(stage, PARTITIONS)?;
    let red = stage.join("red", LONG_SESSION_MS, Some("red"))?;
    settle(stage, &[red], PARTITIONS, LIMIT)?;
    let blue = stage.join("blue", LONG_SESSION_MS, Some("blue"))?;
    settle(stage, &[red, blue], PARTITIONS, LIMIT)?;
    produce(stage, "before", 80)?;
    all_arrive_once(stage, "before", 80)?;
    commit_all(stage, &[red, blue], 80)?;

    let blue = restart(stage, red, blue, "blue", Stage::quit)?;
    produce(stage, "between", 80)?;
    all_arrive_once(stage, "between", 80)?;
    commit_all(stage, &[red, blue], 160)?;

    let (red, blue) = match stage.client.lacks(Verb::RestartStaticLeader) {
        None => (restart(stage, blue, red, "red", Stage::kill)?, blue),
        Some(reason) => {
            stage.note(&format!("kills the follower, not the leader: {reason}"));
            (red, restart(stage, red, blue, "blue", Stage::kill)?)
        }
    };
    produce(stage, "behind", 80)?;
    all_arrive_once(stage, "behind", 80)?;
    commit_all(stage, &[red, blue], 240)?;
    once(stage, "before", 80)?;
    once(stage, "between", 80)?;
    sane(stage)
}

/// Ends and restarts the member `instance` while `other` looks on.
fn restart(
    stage: &mut Stage,
    other: MemberName,
    gone: MemberName,
    instance: &str,
    end: fn(&mut Stage, MemberName) -> Result<(), Failure>,
) -> Result<MemberName, Failure> {
    let group = agree(stage, &[other, gone])?;
    let owned = stage.of(gone).owned.clone();
    let looks = |stage: &Stage| {
        let actor = stage.of(other);
        (actor.owned.clone(), actor.generation.clone(), actor.changes)
    };
    let before = looks(stage);
    end(stage, gone)?;
    stage.pass(QUIET)?;
    let back = stage.join(
        &format!("{instance}-again"),
        LONG_SESSION_MS,
        Some(instance),
    )?;
    settle(stage, &[other, back], PARTITIONS, LIMIT)?;
    let after = looks(stage);
    Failure::unless(before == after, || {
        format!("the other saw {before:?}, then {after:?}")
    })?;
    let now_owned = stage.of(back).owned.clone();
    Failure::unless(now_owned == owned, || {
        format!("owned {owned:?}, now {now_owned:?}")
    })?;
    let generations = (&stage.of(other).generation, &stage.of(back).generation);
    let same = generations.0 == generations.1;
    Failure::unless(same, || {
        format!("two generations at a time: {generations:?}")
    })?;
    unmoved(&group, &agree(stage, &[other, back])?, &owned)?;
    Ok(back)
}

/// Checks the coordinator's view: the restarted member has a new id, all else is as it was.
fn unmoved(
    before: &Description,
    after: &Description,
    restarted: &std::collections::BTreeSet<u32>,
) -> Result<(), Failure> {
    let others = |group: &Description| {
        let mut members = group.members.clone();
        members.retain(|_, (_, parts)| parts != restarted);
        members
    };
    let ids = |group: &Description| group.members.keys().cloned().collect::<Vec<_>>();
    let instances = |group: &Description| {
        let mut all: Vec<_> = group.members.values().cloned().collect();
        all.sort();
        all
    };
    let same = others(before) == others(after) && instances(before) == instances(after);
    let replaced = ids(before) != ids(after);
    Failure::unless(same && replaced, || {
        format!("described {before:?}, then {after:?}")
    })
}
