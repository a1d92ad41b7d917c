//! When each request is due: a function of its number alone, fixed before the run.

use std::time::{Duration, Instant};

/// The plan of a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    pub(super) start: Instant,
    /// Requests a second, over all connections.
    pub(super) rate: u64,
    pub(super) connections: u64,
    /// What is due before this does not count.
    pub(super) warmup: Duration,
    /// Nothing is due from here on.
    pub(super) length: Duration,
}

impl Schedule {
    /// The number, over all connections, of a connection's request.
    pub(super) fn number(&self, connection: u64, nth: u64) -> u64 {
        nth * self.connections + connection
    }

    /// When a request is due, since the start.
    pub(super) fn due(&self, number: u64) -> Duration {
        let ns = u128::from(number) * 1_000_000_000 / u128::from(self.rate);
        Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX))
    }

    /// Whether a request due then counts.
    pub(super) fn counts(&self, due: Duration) -> bool {
        due >= self.warmup
    }

    /// How many requests are due until then, since the start.
    pub(super) fn due_until(&self, elapsed: Duration) -> u64 {
        let elapsed = elapsed.min(self.length.saturating_sub(Duration::from_nanos(1)));
        let ns = elapsed.as_nanos() + 1;
        let count = (ns * u128::from(self.rate)).div_ceil(1_000_000_000);
        u64::try_from(count).unwrap_or(u64::MAX)
    }

    /// How many of the first `due` requests are a connection's.
    pub(super) fn share(&self, due: u64, connection: u64) -> u64 {
        due.saturating_sub(connection).div_ceil(self.connections)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    fn schedule(rate: u64, connections: u64) -> Schedule {
        Schedule {
            start: clock::now(),
            rate,
            connections,
            warmup: Duration::from_secs(1),
            length: Duration::from_secs(3),
        }
    }

    #[test]
    fn a_request_is_due_when_its_moment_has_come_and_not_before() {
        for rate in [1, 3, 7, 1_000, 999_983] {
            let schedule = schedule(rate, 1);
            for number in [0, 1, 2, rate - 1, rate] {
                let due = schedule.due(number);
                assert!(schedule.due_until(due + Duration::from_nanos(1)) > number);
                if let Some(before) = due.checked_sub(Duration::from_nanos(2)) {
                    assert!(schedule.due_until(before) <= number, "{rate} {number}");
                }
            }
        }
    }

    #[test]
    fn nothing_is_due_after_the_end() {
        let schedule = schedule(10, 1);
        assert_eq!(schedule.due_until(Duration::from_secs(3)), 30);
        assert_eq!(schedule.due_until(Duration::from_secs(99)), 30);
    }

    #[test]
    fn the_connections_share_all_that_is_due() {
        let schedule = schedule(10, 4);
        for due in 0..20 {
            let shares: u64 = (0..4).map(|it| schedule.share(due, it)).sum();
            assert_eq!(shares, due);
        }
        assert_eq!(schedule.number(3, 2), 11);
        assert_eq!(schedule.share(12, 3), 3);
        assert_eq!(schedule.share(11, 3), 2);
    }
}
