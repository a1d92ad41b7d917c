//! When nobody was served: a stopped process must not expel those who could not reach it.

use super::Tick;

/// The recent stalls of a shard.
///
/// Deadlines that were running during a stall are extended by its length. At most
/// [`Stalls::REMEMBERED`] are told apart; when one more comes, those two neighbours are taken for
/// one that lie closest together for their age. That extends a deadline which began between the
/// two rather too far than not enough, and by no more than a part of its age.
#[derive(Clone, Debug, Default)]
pub struct Stalls {
    /// Oldest first.
    stalls: Vec<Stall>,
}

/// One stall, or several that are taken for one.
#[derive(Clone, Copy, Debug)]
struct Stall {
    start: Tick,
    end: Tick,
    /// For how long nobody was served in between.
    unserved_ms: u64,
}

impl Stalls {
    /// How many stalls are told apart.
    pub const REMEMBERED: usize = 32;

    /// Notes that nobody was served for `length_ms` until `end`; ends come in order.
    pub fn note(&mut self, end: Tick, length_ms: u64) {
        let start = Tick(end.0.saturating_sub(length_ms));
        self.stalls.push(Stall {
            start,
            end,
            unserved_ms: length_ms,
        });
        if self.stalls.len() > Self::REMEMBERED {
            self.merge(end);
        }
    }

    /// Takes two neighbours for one.
    fn merge(&mut self, now: Tick) {
        // The part of its age that a merged stall would span, for comparison only.
        let span = |at: &usize| {
            let (first, second) = (&self.stalls[*at], &self.stalls[at + 1]);
            let age_ms = u128::from(now.since_ms(first.start)) + 1;
            (u128::from(second.end.since_ms(first.start)) << 32) / age_ms
        };
        let pairs = 0..self.stalls.len().saturating_sub(1);
        let Some(at) = pairs.min_by_key(span) else {
            return;
        };
        let second = self.stalls.remove(at + 1);
        let first = &mut self.stalls[at];
        first.end = second.end;
        first.unserved_ms = first.unserved_ms.saturating_add(second.unserved_ms);
    }

    /// For how long nobody was served since `from`, in milliseconds.
    pub fn unserved_ms_since(&self, from: Tick) -> u64 {
        self.stalls
            .iter()
            .rev()
            .take_while(|stall| stall.end > from)
            .map(|stall| stall.unserved_ms.min(stall.end.since_ms(from)))
            .fold(0, u64::saturating_add)
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
        for i in 1..=400 {
            stalls.note(Tick(i * 100), 10);
        }
        assert_eq!(stalls.unserved_ms_since(Tick(0)), 4_000);
        for from in (0..40_000).step_by(50) {
            let is_unserved = |at: &u64| at % 100 >= 90;
            let exact = (from..40_000).filter(is_unserved).count() as u64;
            let told = stalls.unserved_ms_since(Tick(from));
            assert!(told >= exact, "{told} of {exact} since {from}");
        }
    }

    #[test]
    fn a_deadline_ends_however_often_the_process_is_stopped() {
        // A tenth of all time, for hours: a deadline of half an hour ends within the hour.
        let mut stalls = Stalls::default();
        let mut since = Tick(0);
        for second in 1..16_000 {
            stalls.note(Tick(second * 1_000), 100);
            if second == 10_000 {
                since = Tick(second * 1_000);
            }
            if since > Tick(0) {
                let deadline = since + 1_800_000 + stalls.unserved_ms_since(since);
                if deadline <= Tick(second * 1_000) {
                    assert!(
                        second > 10_000 + 1_980 && second < 10_000 + 3_600,
                        "{second}"
                    );
                    return;
                }
            }
        }
        panic!("the deadline never came");
    }
}
