//! A monitor that wants to know everything, and what those who commit feel of it.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};

use takhin_coordinator::config::Config;
use takhin_coordinator::engine::Engine;
use takhin_coordinator::group::{FetchRequest, ListRequest};

use super::Size;
use super::paced::p99_us;
use super::row::{Goal, Row};
use super::turns::by_turns;
use crate::clock;
use crate::commits::commit;
use crate::failure::Failure;
use crate::figures::median;
use crate::in_process::form;

pub(super) fn rows(size: &Size) -> Result<Vec<Row>, Failure> {
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
    let mut seconds = Vec::new();
    let commits = by_turns(
        "commits while all groups are listed, described, fetched: p99 / while nobody reads",
        (size.turns, "us", Goal::AtMost(1.1)),
        || p99_us(&engine, size.load),
        || {
            let is_done = AtomicBool::new(false);
            std::thread::scope(|scope| {
                let reader = scope.spawn(|| {
                    let mut all = Vec::new();
                    // Relaxed: nothing is read because of it.
                    while all.is_empty() || !is_done.load(Ordering::Relaxed) {
                        all.push(read_all(&engine, members.len())?);
                    }
                    Ok::<_, Failure>(median(all))
                });
                let p99 = p99_us(&engine, size.load);
                is_done.store(true, Ordering::Relaxed);
                let reader = reader
                    .join()
                    .map_err(|_| Failure::new("the reader panicked"))?;
                seconds.push(reader?);
                p99
            })
        },
    )?;
    // The first turn warms up.
    let seconds = median(seconds.split_off(1));
    let reads = Row::alone(
        &format!(
            "{} groups: list, describe and fetch all, while commits run",
            members.len()
        ),
        seconds,
        "s",
        Goal::AtMost(1.0),
    );
    Ok(vec![reads, commits])
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
