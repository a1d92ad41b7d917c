//! The word of a member: when it was last heard of, or that this is over.

use crate::atomic::{AtomicU64, Ordering};
use crate::time::Tick;

/// Which of the tenants that a word has one after the other.
///
/// A word ends with its last number: it is never used again, so that no two tenants of one word
/// have the same. Kept where it stands in the word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Tenancy(u64);

impl Tenancy {
    /// The last one that a word can have.
    pub(super) const LAST: Self = Self(!OVER & !TICK);

    /// The one after this; of the last, the first again.
    pub(super) fn next(self) -> Self {
        Self(self.0.wrapping_add(TICK + 1) & !OVER)
    }
}

/// One member's session.
///
/// ```text
///   63     62     41 40                    0
///   +-----+---------+-----------------------+
///   |  0  | tenancy |  tick of last beat    |   forward by any connection
///   |  1  | tenancy |  0                    |   over; by the owning shard only
///   +-----+---------+-----------------------+
/// ```
///
/// Every change but the beginning is a compare-and-swap, so that there is one order of all that
/// happens to it. Ticks reach 69 years; later ones count as that.
#[derive(Debug, Default)]
pub(super) struct MemberWord(AtomicU64);

/// The session is over, or it was another tenant's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Gone;

impl MemberWord {
    /// The next tenant moves in; for the owner alone, and only while the word is over or was
    /// never used.
    pub(super) fn begin(&self, tenancy: Tenancy, now: Tick) {
        // Release: who reads this word finds what was noted of the tenant before. Partner: the
        // acquire in `tenant`.
        self.0.store(alive(tenancy, now), Ordering::Release);
    }

    /// The present tenant; `None` if there is none.
    #[inline]
    pub(super) fn tenant(&self) -> Option<Tenancy> {
        let word = self.0.load(Ordering::Acquire);
        (word & OVER == 0).then(|| tenancy_of(word))
    }

    /// The word as it is, so that its line is on its way.
    #[inline]
    pub(super) fn glance(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// The number of the present or the last tenant; for the owner alone.
    pub(super) fn last_tenancy(&self) -> Tenancy {
        // Relaxed: only the owner changes this part.
        tenancy_of(self.0.load(Ordering::Relaxed))
    }

    /// Moves the tenant's last beat forward to `now`; an older `now` changes nothing.
    ///
    /// Writes nothing if the word is already there, so a member that beats more often than once a
    /// millisecond costs its readers nothing.
    ///
    /// # Errors
    ///
    /// [`Gone`] if this is not the tenant or it is over.
    #[inline]
    pub(super) fn beat(&self, tenancy: Tenancy, now: Tick) -> Result<(), Gone> {
        let wanted = alive(tenancy, now);
        // Relaxed, here and in the swaps: the word carries nothing to us, and its changes have
        // one order. Partners: `expire` and `end`.
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            // Over, or of another tenancy: what differs is above the tick.
            if word ^ tenancy.0 > TICK {
                return Err(Gone);
            }
            if word >= wanted {
                return Ok(());
            }
            // Ends: each failure has seen a later beat, one that ends this loop included, or the
            // end, or is spurious.
            match self
                .0
                .compare_exchange_weak(word, wanted, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return Ok(()),
                Err(newer) => word = newer,
            }
        }
    }

    /// The tick of the tenant's last beat.
    ///
    /// # Errors
    ///
    /// As [`beat`](Self::beat).
    #[inline]
    pub(super) fn last_beat(&self, tenancy: Tenancy) -> Result<Tick, Gone> {
        let word = self.0.load(Ordering::Relaxed);
        if word ^ tenancy.0 > TICK {
            return Err(Gone);
        }
        Ok(Tick(word & TICK))
    }

    /// The tick of the last beat of whoever lives here; for the owner alone.
    pub(super) fn heard(&self) -> Option<Tick> {
        let word = self.0.load(Ordering::Relaxed);
        (word & OVER == 0).then_some(Tick(word & TICK))
    }

    /// Ends the session if `observed` is still its last beat; for the owner alone. Whether it is
    /// over now: if not, a newer beat came in between, and the session lives on.
    pub(super) fn expire(&self, observed: Tick) -> bool {
        let tenancy = self.last_tenancy();
        let expired = self.0.compare_exchange(
            alive(tenancy, observed),
            over(tenancy),
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
        // Over already: only the owner ends sessions, so it asks twice about one end.
        expired.map_or_else(|word| word & OVER != 0, |_| true)
    }

    /// Ends the session whatever its last beat; for the owner alone.
    pub(super) fn end(&self) {
        let mut word = self.0.load(Ordering::Relaxed);
        while word & OVER == 0 {
            let mark = over(tenancy_of(word));
            match self
                .0
                .compare_exchange_weak(word, mark, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return,
                Err(newer) => word = newer,
            }
        }
    }
}

const OVER: u64 = 1 << 63;
const TENANCY_BITS: u32 = 22;
const TICK_BITS: u32 = 63 - TENANCY_BITS;
const TICK: u64 = (1 << TICK_BITS) - 1;

#[inline]
fn alive(tenancy: Tenancy, tick: Tick) -> u64 {
    tenancy.0 | tick.0.min(TICK)
}

fn over(tenancy: Tenancy) -> u64 {
    OVER | alive(tenancy, Tick(0))
}

#[inline]
fn tenancy_of(word: u64) -> Tenancy {
    Tenancy(word & !OVER & !TICK)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const FIRST: Tenancy = Tenancy(0);

    fn word() -> MemberWord {
        let word = MemberWord::default();
        word.begin(FIRST, Tick(10));
        word
    }

    #[test]
    fn a_beat_moves_forward_and_never_back() {
        let word = word();
        assert_eq!(word.last_beat(FIRST), Ok(Tick(10)));
        assert_eq!(word.beat(FIRST, Tick(12)), Ok(()));
        assert_eq!(word.beat(FIRST, Tick(11)), Ok(()));
        assert_eq!(word.heard(), Some(Tick(12)));
    }

    #[test]
    fn an_end_is_the_end() {
        let word = word();
        word.end();
        word.end();
        assert_eq!(word.beat(FIRST, Tick(99)), Err(Gone));
        assert_eq!(word.last_beat(FIRST), Err(Gone));
        assert!(word.expire(Tick(10)));
        assert_eq!((word.heard(), word.tenant()), (None, None));
    }

    #[test]
    fn an_expiry_by_an_old_observation_fails() {
        let word = word();
        word.beat(FIRST, Tick(20)).unwrap();
        assert!(!word.expire(Tick(10)));
        assert!(word.expire(Tick(20)));
        assert_eq!(word.beat(FIRST, Tick(21)), Err(Gone));
    }

    #[test]
    fn the_last_tick_of_all_is_not_taken_for_an_end_or_another_tenant() {
        let word = word();
        word.beat(FIRST, Tick(u64::MAX)).unwrap();
        let last = word.last_beat(FIRST).unwrap();
        assert!(word.expire(last));
    }

    #[test]
    fn who_lived_here_before_has_no_part_in_the_next_tenant() {
        let word = word();
        word.end();
        let second = word.last_tenancy().next();
        word.begin(second, Tick(5));
        assert_eq!(word.beat(FIRST, Tick(99)), Err(Gone));
        assert_eq!(word.last_beat(FIRST), Err(Gone));
        assert_eq!(word.tenant(), Some(second));
        assert_eq!(word.last_beat(second), Ok(Tick(5)));
    }

    #[test]
    fn every_tenancy_but_the_last_has_another_after_it() {
        let mut tenancy = FIRST;
        for _ in 1..1 << TENANCY_BITS {
            assert_ne!(tenancy, Tenancy::LAST);
            tenancy = tenancy.next();
        }
        assert_eq!(tenancy, Tenancy::LAST);
    }

    #[test]
    fn the_last_tenancy_of_all_is_like_any_other() {
        let word = MemberWord::default();
        word.begin(Tenancy::LAST, Tick(3));
        assert_eq!(word.beat(Tenancy::LAST, Tick(u64::MAX)), Ok(()));
        assert_eq!(word.last_tenancy(), Tenancy::LAST);
        word.end();
        assert_eq!(word.last_tenancy(), Tenancy::LAST);
        assert_eq!(word.beat(Tenancy::LAST, Tick(u64::MAX)), Err(Gone));
    }
}
