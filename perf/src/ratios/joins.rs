//! A group that is joined by many at once.

use std::time::Duration;

use takhin_coordinator::ids::{GroupId, MemberId};
use tokio::task::LocalSet;

use super::Size;
use super::row::{Goal, Row};
use super::turns::by_turns;
use crate::clock;
use crate::echo::Echo;
use crate::failure::Failure;
use crate::figures::median;
use crate::report::as_f64;
use crate::requests::{join, sync};
use crate::server::Server;
use crate::steady::Steady;
use crate::wire::Kind;
use crate::wire::closed::Closed;
use crate::wire::crowd::Crowd;
use crate::wire::fleet::{Fleet, first_answer};
use crate::wire::forming::{AT_ONCE, Former, Shape};

/// No member dies meanwhile.
const SESSION_MS: i32 = 600_000;

/// An id is asked for, then it is joined and synced.
const REQUESTS_PER_MEMBER: f64 = 3.0;

pub(super) fn rows(size: &Size) -> Result<Vec<Row>, Failure> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build()?;
    let over_the_wire = LocalSet::new().block_on(&runtime, over_the_wire(size))?;
    let members = size.joiners;
    let growth = by_turns(
        &format!(
            "one group is joined by {} / by {members}: in process, a member",
            10 * members
        ),
        (size.turns, "us", Goal::AtMost(1.25)),
        || us_a_member(members),
        || us_a_member(10 * members),
    )?;
    Ok(vec![over_the_wire, growth])
}

/// What the server spends on a thousand connections, each with a member of one group; its floor is
/// an echo of as many frames, one at a time on each connection.
async fn over_the_wire(size: &Size) -> Result<Row, Failure> {
    let server = Server::spawn(&[])?;
    let members = size.joiners as u64;
    let shape = Shape {
        groups: members,
        group_size: 1,
        partitions: 1,
        session_ms: SESSION_MS,
        at_once: AT_ONCE,
    };
    let crowd = Crowd {
        members: size.joiners,
        rebalances: 0,
        session_ms: SESSION_MS,
    };
    let closed = Closed {
        kind: Kind::Heartbeats,
        connections: members,
        in_flight: 1,
        partitions: 1,
        warmup: Duration::ZERO,
        length: size.load,
    };
    let at_rest = Former::new(server.address(), shape).form().await?;
    let answer = first_answer(&closed, server.address(), &at_rest).await?;
    let echo = Echo::start(&answer, None)?;
    let mut floor = Fleet::connect(&closed, &echo.address, &at_rest, echo.pid()).await?;
    let (mut floors, mut ours) = (Vec::new(), Vec::new());
    // The first turn warms up.
    for turn in 0..=size.turns.min(3) {
        let of_floor = floor.us_per_request(size.load).await? * REQUESTS_PER_MEMBER;
        let former = Former::new(server.address(), shape);
        let of_ours = crowd.join_spent(&former, server.pid()).await? * 1e3;
        if turn > 0 {
            floors.push(of_floor * as_f64(members) / 1e3);
            ours.push(of_ours);
        }
    }
    Ok(Row {
        floor: Some(median(floors)),
        ..Row::alone(
            &format!("one group is joined by {members} over the wire / an echo of 3 frames each"),
            median(ours),
            "ms",
            Goal::AtMost(50.0),
        )
    })
}

/// What a member of a group of so many takes from its first request to its assignment.
fn us_a_member(members: usize) -> Result<f64, Failure> {
    // An engine whose clock stands still.
    let steady = Steady::new(0);
    let before = clock::thread_time();
    join_all(&steady, &GroupId::from("orders-enrichment"), members)?;
    let spent = clock::thread_time().saturating_sub(before);
    Ok(spent.as_secs_f64() * 1e6 / as_f64(members as u64))
}

/// So many join a group at once, from the first request to the last assignment.
pub(crate) fn join_all(steady: &Steady, group: &GroupId, members: usize) -> Result<(), Failure> {
    let engine = &steady.engine;
    let mut parked = Vec::with_capacity(members);
    for _ in 0..members {
        let first = engine.join(join(group, MemberId::default())).wait();
        let member = first.map_or_else(|refused| refused.member, |joined| joined.member);
        parked.push(engine.join(join(group, member)));
    }
    // The delay before the first generation, once more because others came meanwhile.
    for _ in 0..2 {
        steady.clock.advance_ms(20);
        engine.run_due();
    }
    let refused = |refusal| Failure::new(format!("refused: {refusal:?}"));
    let mut syncs = Vec::with_capacity(members);
    for join in parked {
        let joined = steady.wait(join).map_err(|it| refused(it.refusal))?;
        syncs.push(engine.sync(sync(group, &joined)));
    }
    for sync in syncs {
        steady.wait(sync).map_err(refused)?;
    }
    Ok(())
}
