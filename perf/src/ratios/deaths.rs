//! Many who die at once, and what others feel of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use takhin_coordinator::engine::{Engine, Heartbeat};

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
    let (dying, mut grown) = (size.dying, Vec::new());
    let (mut here, mut elsewhere) = (Vec::new(), Vec::new());
    let other = Steady::new(0);
    // The first warms up.
    for turn in 0..=size.turns {
        let (quiet, meanwhile, _) = turn_of_deaths(size, Some(&other.engine))?;
        let of_here = turn_of_deaths(size, None)?;
        if turn > 0 {
            elsewhere.push((quiet, meanwhile));
            here.push((of_here.0, of_here.1));
            grown.push(as_f64(of_here.2) / 1e6);
        }
    }
    let p99s = |whose: &str, turns: &[(f64, f64)]| {
        let path = format!("commits while {dying} {whose} die at once: p99 / while nobody dies");
        Row::of_turns(&path, "us", Goal::AtMost(2.0), turns)
    };
    Ok(vec![
        p99s("others", &here),
        p99s("of another engine", &elsewhere),
        Row::alone(
            &format!("memory that {dying} deaths at once take"),
            median(grown),
            "MB",
            Goal::AtMost(20.0),
        ),
    ])
}

/// The 99th percentiles of commits, before and meanwhile, and by how many bytes the process grew.
/// The commits are those of `other`, if there is one, and not of the engine in which they die.
fn turn_of_deaths(size: &Size, other: Option<&Engine>) -> Result<(f64, f64, u64), Failure> {
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
        let asked = other.unwrap_or(engine);
        let quiet = p99_us(asked, size.load);
        let before = resident_bytes(std::process::id());
        let meanwhile = p99_us(asked, size.load);
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
