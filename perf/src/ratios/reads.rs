//! A monitor that wants to know everything, and what those who commit feel of it.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};

use takhin_coordinator::config::Config;
use takhin_coordinator::engine::Engine;
use takhin_coordinator::group::{FetchRequest, ListRequest};

use super::Size;
use super::paced::p99_us;
use super::row::{Goal, Row};
use crate::clock;
use crate::commits::commit;
use crate::failure::Failure;
use crate::figures::median;
use crate::in_process::form;

pub(super) fn rows(size: &Size) -> Result<Vec<Row>, Failure> {
    let (engine, groups) = open(size)?;
    let (other, _) = open(size)?;
    let (mut here, mut elsewhere, mut seconds) = (Vec::new(), Vec::new(), Vec::new());
    // The first turn warms up.
    for turn in 0..=size.turns {
        let quiet = p99_us(&engine, size.load)?;
        let (there, _) = while_read(&engine, size, || read_all(&other, groups))?;
        let (meanwhile, read) = while_read(&engine, size, || read_all(&engine, groups))?;
        if turn > 0 {
            elsewhere.push((quiet, there));
            here.push((quiet, meanwhile));
            seconds.push(read);
        }
    }
    let p99s = |whose: &str, turns: &[(f64, f64)]| {
        let path =
            format!("commits while {whose} listed, described, fetched: p99 / while nobody reads");
        Row::of_turns(&path, "us", Goal::AtMost(1.1), turns)
    };
    Ok(vec![
        Row::alone(
            &format!("{groups} groups: list, describe and fetch all, while commits run"),
            median(seconds),
            "s",
            Goal::AtMost(1.0),
        ),
        p99s("all groups are", &here),
        p99s("those of another engine are", &elsewhere),
    ])
}

/// An engine with groups of one member, each of which has committed, and how many they are.
fn open(size: &Size) -> Result<(Engine, usize), Failure> {
    let config = Config::builder()
        .group_initial_rebalance_delay_ms(100)
        .build();
    let config = config.map_err(|error| Failure::new(error.to_string()))?;
    let engine = Engine::open(config).map_err(|error| Failure::new(error.to_string()))?;
    let members = form(&engine, size.groups, 1)?;
    for member in &members {
        let committed = engine.commit(commit(member, 1, 1)).wait();
        committed.map_err(|refusal| Failure::new(format!("a commit was refused: {refusal:?}")))?;
    }
    Ok((engine, members.len()))
}

/// The 99th percentile of commits while somebody reads again and again, and how long one reading
/// took, in seconds.
fn while_read(
    engine: &Engine,
    size: &Size,
    read: impl Fn() -> Result<f64, Failure> + Sync,
) -> Result<(f64, f64), Failure> {
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut all = Vec::new();
            // Relaxed: nothing is read because of it.
            while all.is_empty() || !is_done.load(Ordering::Relaxed) {
                all.push(read()?);
            }
            Ok::<_, Failure>(median(all))
        });
        let p99 = p99_us(engine, size.load);
        is_done.store(true, Ordering::Relaxed);
        let seconds = reader
            .join()
            .map_err(|_| Failure::new("the reader panicked"))?;
        Ok((p99?, seconds?))
    })
}

/// Everything of all groups, of which there are so many and those that commit; in seconds.
fn read_all(engine: &Engine, least: usize) -> Result<f64, Failure> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.build()?;
    let refused = |refusal| Failure::new(format!("a read was refused: {refusal:?}"));
    let start = clock::now();
    let listed = runtime.block_on(engine.list(ListRequest::default()));
    let listed = listed.map_err(refused)?;
    if listed.len() < least {
        return Err(Failure::new(format!(
            "{} groups are listed of {least}",
            listed.len()
        )));
    }
    for group in &listed {
        black_box(
            engine
                .describe(group.group.clone())
                .wait()
                .map_err(refused)?,
        );
        let fetched = engine.fetch(FetchRequest::all(group.group.clone())).wait();
        let topics = fetched.map_err(refused)?;
        if topics.is_empty() {
            return Err(Failure::new(format!(
                "{} has nothing to fetch",
                group.group
            )));
        }
    }
    Ok((clock::now() - start).as_secs_f64())
}
