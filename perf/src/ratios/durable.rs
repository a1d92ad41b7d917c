//! Commits that are synced, beside a bare log with checksums.

use super::Size;
use super::row::{Goal, Row};
use crate::failure::Failure;
use crate::store::{Beside, commits_beside_a_bare_log};

pub(super) fn rows(size: &Size) -> Result<Vec<Row>, Failure> {
    let goals = [(1, 0.8), (64, 0.5), (1_024, 0.3)];
    let row = |(in_flight, goal)| {
        let turns = commits_beside_a_bare_log(in_flight, size.turns, size.load)?;
        let of = |it: &Beside| (it.floor / 1e3, it.ours.rate / 1e3);
        let turns: Vec<(f64, f64)> = turns.iter().map(of).collect();
        let path = format!("durable commits, {in_flight} in flight / a bare log with checksums");
        Ok(Row::of_turns(&path, "k/s", Goal::AtLeast(goal), &turns))
    };
    goals.into_iter().map(row).collect()
}
