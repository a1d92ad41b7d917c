//! Numbers for the ids of new members, which nobody can foresee.

use std::fmt;
use std::hash::{BuildHasher, RandomState};

use crossbeam_utils::CachePadded;
use uuid::{Builder, Uuid};

use crate::atomic::{AtomicU64, Ordering};

/// A counter under a keyed hash: one call to the system an engine instead of one a join.
///
/// Whoever knows a member's id can speak for that member, so an id must not follow from others.
/// The hash is the `SipHash` of the standard library, a pseudo-random function, under a key of 128
/// bits of the system's randomness that never leaves this process: to tell a number from those that
/// were drawn before it is to break that function or to guess the key. A number that the system
/// itself had drawn would have 122 bits to guess.
pub(super) struct FreshIds {
    secret: RandomState,
    /// Written by whoever draws.
    drawn: CachePadded<AtomicU64>,
}

impl FreshIds {
    pub(super) fn new() -> Self {
        Self {
            secret: RandomState::new(),
            drawn: CachePadded::new(AtomicU64::new(0)),
        }
    }

    /// The next number, in the form of a random UUID.
    pub(super) fn draw(&self) -> Uuid {
        // Relaxed: no two draw the same, and nothing else is concluded from it.
        let drawn = self.drawn.fetch_add(1, Ordering::Relaxed);
        let half = |half: u64| u128::from(self.secret.hash_one([drawn, half]));
        let number = half(0) << 64 | half(1);
        Builder::from_random_bytes(number.to_le_bytes()).into_uuid()
    }
}

impl fmt::Debug for FreshIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FreshIds").finish_non_exhaustive()
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_is_another_and_a_random_uuid_by_its_form() {
        let fresh = FreshIds::new();
        let all: Vec<Uuid> = (0..10_000).map(|_| fresh.draw()).collect();
        assert!(all.iter().all(|id| id.get_version_num() == 4));
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
    }

    #[test]
    fn another_engine_draws_others() {
        assert_ne!(FreshIds::new().draw(), FreshIds::new().draw());
    }

    #[test]
    fn every_bit_but_those_of_the_form_is_as_often_set_as_not() {
        let fresh = FreshIds::new();
        let mut set = [0_u32; 128];
        for _ in 0..10_000 {
            let id = fresh.draw().as_u128();
            for (bit, set) in set.iter_mut().enumerate() {
                *set += u32::from(id >> bit & 1 == 1);
            }
        }
        let fixed = set.iter().filter(|set| [0, 10_000].contains(*set)).count();
        // Six standard deviations on either side.
        let even = set.iter().filter(|set| (4_700..5_300).contains(*set));
        assert_eq!((fixed, even.count()), (6, 122));
    }
}
