//! Floor and ours by turns, so that whatever slows the machine slows both.

use super::row::{Goal, Row};
use crate::clock;
use crate::failure::Failure;
use crate::figures::median;
use crate::report::as_f64;

/// What takes a turn and says what it cost, or how fast it was.
pub(crate) trait Turn: FnMut() -> Result<f64, Failure> {}

impl<F: FnMut() -> Result<f64, Failure>> Turn for F {}

/// The medians of what both have shown in that many turns; the first turn of each warms up.
pub(crate) fn by_turns(
    path: &str,
    (turns, unit, goal): (u64, &'static str, Goal),
    mut floor: impl Turn,
    mut ours: impl Turn,
) -> Result<Row, Failure> {
    let mut shown = Vec::new();
    for _ in 0..=turns {
        shown.push((floor()?, ours()?));
    }
    Ok(Row::of_turns(path, unit, goal, &shown[1..]))
}

/// The median of what one has shown in that many turns; the first warms up.
pub(crate) fn alone(
    path: &str,
    (turns, unit, goal): (u64, &'static str, Goal),
    mut ours: impl Turn,
) -> Result<Row, Failure> {
    ours()?;
    let shown: Result<Vec<f64>, Failure> = (0..turns).map(|_| ours()).collect();
    Ok(Row::alone(path, median(shown?), unit, goal))
}

/// Nanoseconds of this thread's time on the processor that each of so many steps took.
pub(crate) fn ns_a_step(steps: usize, mut step: impl FnMut(usize)) -> f64 {
    let before = clock::thread_time();
    (0..steps).for_each(&mut step);
    let spent = clock::thread_time().saturating_sub(before);
    spent.as_secs_f64() * 1e9 / as_f64(steps as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_turn_does_not_count() {
        let mut floors = [100.0, 2.0, 1.0, 4.0].into_iter();
        let mut ours = [0.0, 2.0, 2.0, 20.0].into_iter();
        let row = by_turns(
            "a path",
            (3, "ns", Goal::AtMost(2.0)),
            || Ok(floors.next().unwrap()),
            || Ok(ours.next().unwrap()),
        );
        let row = row.unwrap();
        let shown = (row.floor, row.ours, row.ratio);
        assert_eq!(shown, (Some(2.0), 2.0, Some(2.0)));
    }
}
