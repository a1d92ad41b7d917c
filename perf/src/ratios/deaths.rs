//! Many who die at once, and what others feel of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use takhin_coordinator::engine::Heartbeat;

use super::Size;
use super::paced::p99_us;
use super::row::{Goal, Row};
use crate::clock;
use crate::failure::Failure;
use crate::figures::median;
use crate::report::as_f64;
use crate::server::resident_bytes;
use crate::steady::Steady;

/// The session of those who will die, and of those who will not.
const SHORT_MS: u64 = 10_000;
const LONG_MS: i32 = 1_800_000;

/// A step of the clock, and how often a host looks what is due.
const STEP_MS: u64 = 10;

pub(super) fn rows(size: &Size) -> Result<Vec<Row>, Failure> {
    let (dying, mut turns, mut grown) = (size.dying, Vec::new(), Vec::new());
    // The first warms up.
    for turn in 0..=size.turns {
        let (quiet, dying, bytes) = turn_of_deaths(size)?;
        if turn > 0 {
            turns.push((quiet, dying));
            grown.push(as_f64(bytes) / 1e6);
        }
    }
    Ok(vec![
        Row::of_turns(
            &format!("commits while {dying} others die at once: p99 / while nobody dies"),
            "us",
            Goal::AtMost(2.0),
            &turns,
        ),
        Row::alone(
            &format!("memory that {dying} deaths at once take"),
            median(grown),
            "MB",
            Goal::AtMost(20.0),
        ),
    ])
}

/// The 99th percentiles of commits, before and meanwhile, and by how many bytes the process grew.
fn turn_of_deaths(size: &Size) -> Result<(f64, f64, u64), Failure> {
    let (dying, all) = (size.dying, 2 * size.dying);
    let mut number = 0;
    let steady = Steady::with_sessions(all, || {
        number += 1;
        let is_short = number <= dying;
        if is_short {
            i32::try_from(SHORT_MS).expect("seconds")
        } else {
            LONG_MS
        }
    });
    let engine = &steady.engine;
    // All at one moment.
    for member in &steady.members[..dying] {
        let (group, id) = (member.group.as_str(), member.id.as_str());
        let heard = engine.heartbeat(&Heartbeat::new(group, id, member.generation));
        let heard = heard.wait();
        heard.map_err(|refusal| Failure::new(format!("{id} is gone already: {refusal:?}")))?;
    }
    let step = || {
        steady.clock.advance_ms(STEP_MS);
        engine.run_due();
    };
    let quiet_ms = u64::try_from(size.load.as_millis()).unwrap_or(u64::MAX);
    // Until it takes as long as the quiet turn until they die.
    (0..(SHORT_MS - quiet_ms - 10 * STEP_MS) / STEP_MS).for_each(|_| step());
    let is_done = AtomicBool::new(false);
    let figures = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut due = clock::now();
            // Relaxed: nothing is read because of it.
            while !is_done.load(Ordering::Relaxed) {
                step();
                due += Duration::from_millis(STEP_MS);
                std::thread::park_timeout(due.saturating_duration_since(clock::now()));
            }
        });
        let quiet = p99_us(engine, size.load);
        let before = resident_bytes(std::process::id());
        let meanwhile = p99_us(engine, size.load);
        let after = resident_bytes(std::process::id());
        is_done.store(true, Ordering::Relaxed);
        let grown = after
            .zip(before)
            .map(|(after, before)| after.saturating_sub(before));
        Ok::<_, Failure>((quiet?, meanwhile?, grown.unwrap_or(0)))
    })?;
    // Where the machine was too busy for it.
    (0..500)
        .take_while(|_| engine.members() > all - dying)
        .for_each(|_| step());
    let left = engine.members();
    if left != all - dying {
        return Err(Failure::new(format!("{left} members are left of {all}")));
    }
    Ok(figures)
}
