//! When nobody was served: a stopped process must not expel those who could not reach it.

use std::collections::VecDeque;

use super::Tick;

/// The recent stalls of a shard.
///
/// Deadlines that were running during a stall are extended by its length. At most
/// [`Stalls::REMEMBERED`] are kept; when one more comes, the two oldest are merged into one that
/// ends with the later of them, which extends a deadline rather too far than not enough.
#[derive(Clone, Debug, Default)]
pub struct Stalls {
    /// (end, length in ms), oldest first.
    stalls: VecDeque<(Tick, u64)>,
}

impl Stalls {
    /// How many stalls are told apart.
    pub const REMEMBERED: usize = 16;

    /// Notes that nobody was served for `length_ms` until `end`.
    pub fn note(&mut self, end: Tick, length_ms: u64) {
        self.stalls.push_back((end, length_ms));
        if self.stalls.len() > Self::REMEMBERED
            && let Some((_, oldest_ms)) = self.stalls.pop_front()
            && let Some(next) = self.stalls.front_mut()
        {
            next.1 = next.1.saturating_add(oldest_ms);
        }
    }

    /// For how long nobody was served since `from`, in milliseconds.
    pub fn unserved_ms_since(&self, from: Tick) -> u64 {
        self.stalls
            .iter()
            .rev()
            .take_while(|(end, _)| *end > from)
            .map(|(end, length_ms)| (*length_ms).min(end.since_ms(from)))
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_extended_by_the_part_of_the_stall_that_it_ran_through() {
        let mut stalls = Stalls::default();
        stalls.note(Tick(1_000), 400);
        assert_eq!(stalls.unserved_ms_since(Tick(500)), 400);
        assert_eq!(stalls.unserved_ms_since(Tick(700)), 300);
        assert_eq!(stalls.unserved_ms_since(Tick(1_000)), 0);
    }

    #[test]
    fn more_stalls_than_are_remembered_still_extend_old_deadlines_enough() {
        let mut stalls = Stalls::default();
        for i in 1..=40 {
            stalls.note(Tick(i * 100), 10);
        }
        assert_eq!(stalls.unserved_ms_since(Tick(0)), 400);
    }
}
