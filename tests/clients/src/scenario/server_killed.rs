//! `kill -9` of the server, again and again, while members commit and the tool produces: what was
//! acknowledged is there, and the members go on as if nothing had happened.

use std::collections::{BTreeMap, BTreeSet};

use super::check::{LONG_SESSION_MS, agree, all_arrive, arrived, create, offsets, sane, settle};
use crate::stage::LIMIT;
use crate::{Failure, MemberName, Stage, Verb};

/// The partitions of the topic.
const PARTITIONS: u32 = 4;
/// How often the server is killed; `TAKHIN_KILLS` says another number.
const KILLS: usize = 3;
/// Records of one life: enough that the kill comes between two of them.
const RECORDS: usize = 400;

/// Kills the server under load, and holds what is there afterwards against what was said before.
///
/// # Errors
///
/// A record or an offset that was acknowledged and is lost; a member that rebalances; a generation
/// that changes.
pub fn server_killed(stage: &mut Stage) -> Result<(), Failure> {
    if let Some(reason) = stage.client.lacks(Verb::OutliveServer) {
        stage.note(&format!("left out: {reason}"));
        return Ok(());
    }
    if !stage.keep_data()? {
        stage.note("skipped: the server is not ours to kill");
        return Ok(());
    }
    create(stage, PARTITIONS)?;
    let members = [
        stage.join("one", LONG_SESSION_MS, None)?,
        stage.join("two", LONG_SESSION_MS, None)?,
    ];
    settle(stage, &members, PARTITIONS, LIMIT)?;
    let before = agree(stage, &members)?;
    let seen = seats(stage, &members);
    let kills = std::env::var("TAKHIN_KILLS").ok();
    let kills = kills.and_then(|it| it.parse().ok()).unwrap_or(KILLS);
    for life in 0..kills {
        let prefix = format!("life{life}");
        let command = format!("produce {} {prefix} {RECORDS}", stage.topic);
        stage.order(&command)?;
        // Some of this life's records have come by the time of the kill, and their commit is on
        // its way; where that is differs from life to life.
        let start = format!("{prefix}-");
        let some = 1 + 61 * life % RECORDS;
        stage.wait("some records arrive", LIMIT, |stage| {
            let of_this_life =
                |(_, it): &(MemberName, &crate::stage::Delivery)| it.value.starts_with(&start);
            stage.deliveries().filter(of_this_life).count() >= some
        })?;
        let commits = stage.order_commit(&members)?;
        stage.kill_server()?;
        stage.await_commit(&members, &commits)?;
        let produced = stage.answer(&command)?;
        produced.map_err(|error| Failure::new(format!("{command}: {error}")))?;
        all_arrive(stage, &prefix, RECORDS)?;
        if stage.client.is_idempotent() {
            written_once(stage, &prefix)?;
        }
        stage.commit(&members)?;
        let told = told(stage, &members);
        stage.kill_server()?;
        let listed = offsets(stage)?;
        Failure::unless(listed == told, || {
            format!("after the kill {listed:?} are committed, not {told:?}")
        })?;
        let after = agree(stage, &members)?;
        Failure::unless(after == before, || {
            format!("the group was {before:?} and is {after:?}")
        })?;
        Failure::unless(seats(stage, &members) == seen, || {
            "a member has rebalanced".to_owned()
        })?;
    }
    for member in members {
        stage.quit(member)?;
    }
    sane(stage)?;
    stage.forget_data()
}

/// Checks that each record has one place: what the client sent again over the kill was recognised
/// by a server that had only its disk to remember it.
fn written_once(stage: &Stage, prefix: &str) -> Result<(), Failure> {
    let came = arrived(stage, prefix).into_iter();
    let places: BTreeSet<_> = came.map(|(_, place, _)| place).collect();
    Failure::unless(places.len() == RECORDS, || {
        format!("{RECORDS} records {prefix} have {} places", places.len())
    })
}

/// Generation and count of changes of each member, as the clients say.
fn seats(stage: &Stage, members: &[MemberName]) -> Vec<(String, u32)> {
    let of = |member: &MemberName| {
        let actor = stage.of(*member);
        (actor.generation.clone(), actor.changes)
    };
    members.iter().map(of).collect()
}

/// What the members said that they committed, as one.
fn told(stage: &Stage, members: &[MemberName]) -> BTreeMap<u32, u64> {
    let all = members.iter().map(|member| stage.committed(*member));
    all.flat_map(|offsets| offsets.iter().map(|(p, o)| (*p, *o)))
        .collect()
}
