//! Groups and offsets listed, described, altered and deleted by the client's own admin API.

use std::collections::BTreeMap;

use super::check::{
    LONG_SESSION_MS, agree, all_arrive, all_arrive_once, commit_all, create, describe, offsets,
    produce, sane, settle,
};
use crate::stage::{LIMIT, QUIET};
use crate::{Failure, Stage, Verb, parse};

/// The partitions of the topic.
const PARTITIONS: u32 = 3;

/// Administers a group while it lives, when it is empty, and until it is gone.
///
/// # Errors
///
/// A view that does not fit the group, a refusal that was due and did not come, or a member
/// that does not start where the altered offsets say.
pub fn admin(stage: &mut Stage) -> Result<(), Failure> {
    create(stage, PARTITIONS)?;
    produce(stage, "first", 150)?;
    let one = stage.join("one", LONG_SESSION_MS, None)?;
    settle(stage, &[one], PARTITIONS, LIMIT)?;
    all_arrive_once(stage, "first", 150)?;
    commit_all(stage, &[one], 150)?;
    agree(stage, &[one])?;
    listed(stage, "stable")?;
    if stage.client.lacks(Verb::DeleteGroup).is_none() {
        refused(stage)?;
    }
    stage.quit(one)?;

    let group = describe(stage)?;
    let empty = group.state == "empty" && group.members.is_empty();
    Failure::unless(empty, || format!("not empty: {group:?}"))?;
    listed(stage, "empty")?;
    alter(stage)?;
    if stage.client.lacks(Verb::DeleteOffsets).is_none() {
        delete_offsets(stage)?;
    }
    if stage.client.lacks(Verb::DeleteGroup).is_none() {
        delete_group(stage)?;
    }
    for verb in [Verb::DeleteOffsets, Verb::DeleteGroup] {
        if let Some(reason) = stage.client.lacks(verb) {
            stage.note(&format!("left out: {reason}"));
        }
    }
    sane(stage)
}

/// The state under which the list names the scenario's group, if it does.
fn state_in_list(stage: &mut Stage) -> Result<Option<String>, Failure> {
    let start = format!("group {} ", stage.group);
    let lines = stage.get("list")?;
    Ok(lines
        .iter()
        .find_map(|line| line.strip_prefix(&start))
        .map(parse::state))
}

fn listed(stage: &mut Stage, state: &str) -> Result<(), Failure> {
    let seen = state_in_list(stage)?;
    // No letters: the client's list shows no state.
    let fits = seen
        .as_deref()
        .is_some_and(|seen| seen == state || seen.is_empty());
    Failure::unless(fits, || format!("the list says {seen:?}, not {state}"))
}

/// A group with members cannot be deleted.
fn refused(stage: &mut Stage) -> Result<(), Failure> {
    let command = format!("delete {}", stage.group);
    let verdict = stage.ask(&command)?;
    let text = verdict
        .as_ref()
        .err()
        .map(|text| text.to_ascii_lowercase())
        .unwrap_or_default();
    Failure::unless(text.contains("empty"), || {
        format!("not refused as non-empty: {verdict:?}")
    })
}

/// Moves the offsets; a member then starts exactly there.
fn alter(stage: &mut Stage) -> Result<(), Failure> {
    let ends = offsets(stage)?;
    let places: BTreeMap<u32, u64> = ends
        .iter()
        .map(|(p, end)| (*p, if *p == 1 { 0 } else { end - 2 - u64::from(*p) }))
        .collect();
    let (group, topic) = (stage.group.clone(), stage.topic.clone());
    stage.get(&format!(
        "alter {group} {topic} {}",
        parse::join_offsets(&places)
    ))?;
    let listed = offsets(stage)?;
    Failure::unless(listed == places, || {
        format!("altered to {places:?}, listed {listed:?}")
    })?;

    let two = stage.join("two", LONG_SESSION_MS, None)?;
    settle(stage, &[two], PARTITIONS, LIMIT)?;
    produce(stage, "second", 50)?;
    all_arrive(stage, "second", 50)?;
    stage.pass(QUIET)?;
    let due: u64 = 50 + ends.iter().map(|(p, end)| end - places[p]).sum::<u64>();
    let records = &stage.of(two).records;
    let mut starts = BTreeMap::new();
    for record in records {
        starts.entry(record.partition).or_insert(record.offset);
    }
    Failure::unless(starts == places, || {
        format!("altered to {places:?}, read from {starts:?}")
    })?;
    let came = records.len() as u64;
    Failure::unless(came == due, || {
        format!("{due} records were due, {came} came")
    })?;
    commit_all(stage, &[two], 200)?;
    stage.quit(two)
}

fn delete_offsets(stage: &mut Stage) -> Result<(), Failure> {
    let mut rest = offsets(stage)?;
    let (group, topic) = (stage.group.clone(), stage.topic.clone());
    rest.remove(&1);
    stage.get(&format!("delete-offsets {group} {topic} 1"))?;
    let listed = offsets(stage)?;
    Failure::unless(listed == rest, || {
        format!("{rest:?} should be left, listed {listed:?}")
    })
}

fn delete_group(stage: &mut Stage) -> Result<(), Failure> {
    let command = format!("delete {}", stage.group);
    stage.get(&command)?;
    let seen = state_in_list(stage)?;
    Failure::unless(seen.is_none(), || {
        format!("deleted, but listed as {seen:?}")
    })?;
    // Older versions of DescribeGroups say Dead, newer ones that there is no such group.
    let command = format!("describe {}", stage.group);
    let verdict = stage.ask(&command)?;
    let gone = match &verdict {
        Ok(lines) => lines.iter().all(|line| parse::state(line) == "statedead"),
        Err(_) => true,
    };
    Failure::unless(gone, || format!("deleted, but described as {verdict:?}"))?;
    let command = format!("offsets {} {}", stage.group, stage.topic);
    let left = stage.ask(&command)?.unwrap_or_default();
    Failure::unless(left.is_empty(), || {
        format!("deleted, but its offsets are {left:?}")
    })
}
