//! Consume, transform, produce in transactions, some of them aborted, one of them killed in the
//! middle: every record comes out once.

use std::collections::BTreeMap;
use std::time::Duration;

use super::check::{create, produce};
use crate::stage::LIMIT;
use crate::{Failure, Stage};

const PARTITIONS: u32 = 3;

/// Short, so that the killed one's partitions are soon somebody else's.
const SESSION_MS: u32 = 4_000;

/// Two transformers, of which one is killed and comes back under its transactional id.
///
/// # Errors
///
/// A record that is missing from what readers of committed records get, or is there twice.
pub fn transform(stage: &mut Stage) -> Result<(), Failure> {
    create(stage, PARTITIONS)?;
    let out = format!("{}-out", stage.topic);
    stage.get(&format!("create {out} {PARTITIONS}"))?;
    produce(stage, "first", 300)?;
    let one = stage.transform("one", "first", &out, SESSION_MS)?;
    let two = stage.transform("two", "second", &out, SESSION_MS)?;
    stage.wait("some transactions end, both ways", LIMIT, |stage| {
        stage.of(one).ended_transactions().1 + stage.of(two).ended_transactions().1 >= 2
    })?;
    produce(stage, "second", 300)?;
    stage.kill(one)?;
    let three = stage.transform("three", "first", &out, SESSION_MS)?;
    all_come_out(stage, &out, 600)?;
    produce(stage, "third", 100)?;
    all_come_out(stage, &out, 700)?;
    stage.quit(two)?;
    stage.quit(three)?;
    once(&stage.get(&format!("read {out}"))?, 700)
}

/// Waits until that many records are committed.
fn all_come_out(stage: &mut Stage, out: &str, count: usize) -> Result<(), Failure> {
    for _ in 0..60 {
        if stage.get(&format!("read {out}"))?.len() >= count {
            return Ok(());
        }
        stage.pass(Duration::from_millis(500))?;
    }
    Err(Failure::new(format!("{count} records do not come out")))
}

fn once(lines: &[String], count: usize) -> Result<(), Failure> {
    let mut times: BTreeMap<&str, u32> = BTreeMap::new();
    for line in lines {
        *times.entry(line).or_default() += 1;
    }
    let often: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
    Failure::unless(often.is_empty(), || format!("more than once: {often:?}"))?;
    Failure::unless(times.len() == count, || {
        format!("{} of {count} records came out", times.len())
    })
}
