//! What every scenario asks of a group and its data.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::stage::{LIMIT, QUIET};
use crate::{Failure, MemberName, Stage, parse};

/// Longer than any scenario waits: where it is used, no member may go by expiry.
pub(super) const LONG_SESSION_MS: u32 = 30_000;

/// Keys that the tool uses in turn.
const KEYS: usize = 50;

/// A group as its coordinator describes it: what each member has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Description {
    pub(super) state: String,
    /// By member id: the instance id (`-` if none or not shown) and the partitions.
    pub(super) members: BTreeMap<String, (String, BTreeSet<u32>)>,
}

/// Writes `count` records `PREFIX-0`, `PREFIX-1` and so on.
pub(super) fn produce(stage: &mut Stage, prefix: &str, count: usize) -> Result<(), Failure> {
    let command = format!("produce {} {prefix} {count}", stage.topic);
    stage.get(&command).map(drop)
}

/// Creates the scenario's topic.
pub(super) fn create(stage: &mut Stage, partitions: u32) -> Result<(), Failure> {
    let command = format!("create {} {partitions}", stage.topic);
    stage.get(&command).map(drop)
}

/// Waits until `members` share all partitions out, and nothing moves any more.
pub(super) fn settle(
    stage: &mut Stage,
    members: &[MemberName],
    partitions: u32,
    limit: Duration,
) -> Result<(), Failure> {
    let whole: BTreeSet<u32> = (0..partitions).collect();
    loop {
        stage.wait("the members share out all partitions", limit, |stage| {
            let owned: Vec<_> = members.iter().map(|m| &stage.of(*m).owned).collect();
            let sum: usize = owned.iter().map(|parts| parts.len()).sum();
            let union: BTreeSet<u32> = owned.iter().flat_map(|p| p.iter().copied()).collect();
            union == whole && sum == whole.len() && owned.iter().all(|parts| !parts.is_empty())
        })?;
        let before = changes(stage, members);
        stage.pass(QUIET)?;
        if changes(stage, members) == before {
            return Ok(());
        }
    }
}

fn changes(stage: &Stage, members: &[MemberName]) -> Vec<u32> {
    members
        .iter()
        .map(|member| stage.of(*member).changes)
        .collect()
}

/// Every delivery of the records `PREFIX-..`: to whom, partition and offset, value.
pub(super) fn arrived(stage: &Stage, prefix: &str) -> Vec<(MemberName, (u32, u64), String)> {
    let start = format!("{prefix}-");
    stage
        .deliveries()
        .filter(|(_, record)| record.value.starts_with(&start))
        .map(|(member, record)| {
            (
                member,
                (record.partition, record.offset),
                record.value.clone(),
            )
        })
        .collect()
}

/// Waits until each of `PREFIX-0` to `PREFIX-(count-1)` has come at least once.
pub(super) fn all_arrive(stage: &mut Stage, prefix: &str, count: usize) -> Result<(), Failure> {
    let wanted: BTreeSet<String> = (0..count).map(|n| format!("{prefix}-{n}")).collect();
    let came = |stage: &Stage| -> BTreeSet<String> {
        arrived(stage, prefix)
            .into_iter()
            .map(|(_, _, value)| value)
            .collect()
    };
    stage
        .wait("every record arrives", LIMIT, |stage| {
            came(stage).len() >= count
        })
        .map_err(|f| {
            let missing: Vec<_> = wanted.difference(&came(stage)).take(5).cloned().collect();
            f.with(&format!(
                "missing of {count} records {prefix}: {missing:?} ..."
            ))
        })?;
    let came = came(stage);
    Failure::unless(came == wanted, || {
        format!("not the records that were sent: {came:?}")
    })
}

/// As [`all_arrive`], and none comes twice, and each comes to the owner of its partition.
pub(super) fn all_arrive_once(
    stage: &mut Stage,
    prefix: &str,
    count: usize,
) -> Result<(), Failure> {
    all_arrive(stage, prefix, count)?;
    once(stage, prefix, count)?;
    for (member, (partition, offset), value) in arrived(stage, prefix) {
        Failure::unless(stage.of(member).owned.contains(&partition), || {
            format!("{value} ({partition}:{offset}) came to one that does not own its partition")
        })?;
    }
    Ok(())
}

/// Checks that no record `PREFIX-..` came twice.
pub(super) fn once(stage: &Stage, prefix: &str, count: usize) -> Result<(), Failure> {
    let came = arrived(stage, prefix).len();
    Failure::unless(came == count, || {
        format!("{count} records {prefix} came {came} times")
    })
}

/// Checks that a key stayed in one partition and no offset of a partition had two values.
pub(super) fn sane(stage: &Stage) -> Result<(), Failure> {
    let (mut homes, mut values) = (BTreeMap::new(), BTreeMap::new());
    for (_, record) in stage.deliveries() {
        let home = *homes.entry(&record.key).or_insert(record.partition);
        Failure::unless(home == record.partition, || {
            format!("{record:?}: key also in {home}")
        })?;
        let place = (record.partition, record.offset);
        let value = *values.entry(place).or_insert(&record.value);
        Failure::unless(*value == record.value, || {
            format!("{record:?}: also {value}")
        })?;
    }
    Failure::unless(homes.len() <= KEYS, || {
        format!("keys that nobody sent: {:?}", homes.keys())
    })
}

/// The committed offsets of the scenario's group and topic, as the tool lists them.
pub(super) fn offsets(stage: &mut Stage) -> Result<BTreeMap<u32, u64>, Failure> {
    let command = format!("offsets {} {}", stage.group, stage.topic);
    let mut offsets = BTreeMap::new();
    for line in stage.get(&command)? {
        if let ["offset", partition, offset] = line.split(' ').collect::<Vec<_>>().as_slice() {
            offsets.insert(parse::number(partition)?, parse::number(offset)?);
        }
    }
    Ok(offsets)
}

/// Lets `members` commit; then the group's offsets must lie just behind the last record of each
/// partition, `count` in all, and be the ones that the members named.
pub(super) fn commit_all(
    stage: &mut Stage,
    members: &[MemberName],
    count: u64,
) -> Result<(), Failure> {
    stage.commit(members)?;
    let mut ends = BTreeMap::new();
    for (_, record) in stage.deliveries() {
        let end = ends.entry(record.partition).or_insert(0);
        *end = (*end).max(record.offset + 1);
    }
    let listed = offsets(stage)?;
    Failure::unless(listed == ends, || {
        format!("committed {listed:?}, delivered {ends:?}")
    })?;
    let sum: u64 = listed.values().sum();
    Failure::unless(sum == count, || {
        format!("{count} records, committed {listed:?}")
    })?;
    for member in members {
        let told = stage.committed(*member).clone();
        let same = told
            .iter()
            .all(|(partition, offset)| listed.get(partition) == Some(offset));
        Failure::unless(same, || {
            format!("a member committed {told:?}, listed {listed:?}")
        })?;
    }
    Ok(())
}

/// Asks the coordinator, through the client's admin API.
pub(super) fn describe(stage: &mut Stage) -> Result<Description, Failure> {
    let command = format!("describe {}", stage.group);
    let mut group = Description {
        state: String::new(),
        members: BTreeMap::new(),
    };
    for line in stage.get(&command)? {
        match line.split(' ').collect::<Vec<_>>().as_slice() {
            ["state", state] => group.state = parse::state(state),
            ["member", id, instance, parts] => {
                let member = ((*instance).to_owned(), parse::parts(parts)?);
                group.members.insert((*id).to_owned(), member);
            }
            _ => return Err(Failure::new(format!("not a description: {line}"))),
        }
    }
    Ok(group)
}

/// Checks that the coordinator sees a stable group of exactly these members with exactly the
/// partitions that they think they own, and returns its view.
pub(super) fn agree(stage: &mut Stage, members: &[MemberName]) -> Result<Description, Failure> {
    let group = describe(stage)?;
    Failure::unless(group.state == "stable", || format!("not stable: {group:?}"))?;
    let seen: BTreeSet<_> = group
        .members
        .values()
        .map(|(_, parts)| parts.clone())
        .collect();
    let own: BTreeSet<_> = members.iter().map(|m| stage.of(*m).owned.clone()).collect();
    let same = seen == own && group.members.len() == members.len();
    Failure::unless(same, || format!("described {group:?}, members own {own:?}"))?;
    Ok(group)
}
