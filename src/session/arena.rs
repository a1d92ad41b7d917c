//! Places that come into being one after the other and never move.

use std::fmt;
use std::sync::{Arc, OnceLock};

/// An array that grows while it is read.
///
/// ```text
///   segment   0  1  2  3 | 4   5   6   7  | 8 ..
///   places   64 64 64 64 |128 128 128 128 |256 ..      four segments an octave
/// ```
///
/// No more than a quarter of the places is not used yet, nothing is copied when it grows, and
/// finding a place costs a shift and two look-ups in lines that every reader has in its cache.
/// Places are given back only with the whole array.
///
/// Grown by its owner only, read by any. A reader learns of a place by some word that the owner
/// wrote after making it, and finds it made.
pub(super) struct Arena<T> {
    segments: Box<[OnceLock<Arc<[T]>>]>,
}

impl<T: Default> Arena<T> {
    /// As many places as there can be.
    pub(super) const PLACES_MAX: u32 = (1 << OCTAVE_MAX) - FIRST;

    pub(super) fn new() -> Self {
        let segments = locate(Self::PLACES_MAX - 1).segment + 1;
        Self {
            segments: (0..segments).map(|_| OnceLock::new()).collect(),
        }
    }

    /// The place, made if need be; for the owner alone.
    ///
    /// # Panics
    ///
    /// If `at` is not below [`PLACES_MAX`](Self::PLACES_MAX).
    pub(super) fn make(&self, at: u32) -> &T {
        let it = locate(at);
        let places = self.segments[it.segment]
            .get_or_init(|| (0..it.places).map(|_| T::default()).collect());
        &places[it.offset]
    }

    /// The place, if it was made.
    #[inline]
    pub(super) fn get(&self, at: u32) -> Option<&T> {
        self.located(locate(at))
    }

    /// The same for who looks into several arrays at one place.
    #[inline]
    pub(super) fn located(&self, it: Located) -> Option<&T> {
        self.segments.get(it.segment)?.get()?.get(it.offset)
    }

    /// The place, if it was made, to be kept.
    pub(super) fn hold(&self, at: u32) -> Option<Held<T>> {
        let it = locate(at);
        let segment = Arc::clone(self.segments.get(it.segment)?.get()?);
        (it.offset < segment.len()).then_some(Held {
            segment,
            offset: it.offset,
        })
    }
}

/// One place, held: nothing has to be looked up to reach it.
pub(super) struct Held<T> {
    segment: Arc<[T]>,
    offset: usize,
}

impl<T> Held<T> {
    /// What lies there.
    #[inline]
    pub(super) fn get(&self) -> &T {
        &self.segment[self.offset]
    }
}

// By hand: what lies in the place need not be clonable.
impl<T> Clone for Held<T> {
    fn clone(&self) -> Self {
        Self {
            segment: Arc::clone(&self.segment),
            offset: self.offset,
        }
    }
}

impl<T> fmt::Debug for Held<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Held").field(&self.offset).finish()
    }
}

impl<T> fmt::Debug for Arena<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let made = self.segments.iter().filter(|it| it.get().is_some()).count();
        f.debug_struct("Arena").field("segments", &made).finish()
    }
}

/// Where a place lies.
#[derive(Clone, Copy)]
pub(super) struct Located {
    segment: usize,
    offset: usize,
    /// The places of that segment.
    places: usize,
}

#[inline]
pub(super) fn locate(at: u32) -> Located {
    // Beyond all places there is no segment, so that no more than that counts.
    let numbered = at.saturating_add(FIRST);
    let octave = numbered.ilog2();
    let bits = octave - PARTS.ilog2();
    // The octave's topmost bits: PARTS and more, so that the first octave begins at its number of
    // parts more than 0.
    let parts = (numbered >> bits) + octave * PARTS;
    Located {
        segment: (parts - (FIRST.ilog2() + 1) * PARTS) as usize,
        offset: (numbered & ((1 << bits) - 1)) as usize,
        places: 1 << bits,
    }
}

/// Segments of one octave.
const PARTS: u32 = 4;
/// Places of the first octave; under loom as few as can be.
const FIRST: u32 = if cfg!(loom) { 4 } else { 256 };
const OCTAVE_MAX: u32 = 30;

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn places_follow_one_another_through_all_segments() {
        let (mut segment, mut offset, mut places) = (0, 0, locate(0).places);
        for at in 0..100_000 {
            let it = locate(at);
            if offset == places {
                (segment, offset, places) = (segment + 1, 0, it.places);
            }
            assert_eq!((it.segment, it.offset), (segment, offset), "{at}");
            offset += 1;
        }
    }

    #[test]
    fn a_place_is_there_once_it_was_made_and_stays_where_it_is() {
        let arena: Arena<std::sync::atomic::AtomicU32> = Arena::new();
        assert!(arena.get(0).is_none());
        assert!(arena.get(u32::MAX).is_none());
        let first: *const _ = arena.make(0);
        for at in 0..1_000 {
            arena.make(at);
        }
        assert!(std::ptr::eq(first, arena.get(0).unwrap()));
        assert!(arena.get(500_000).is_none());
        arena.make(Arena::<u32>::PLACES_MAX - 1_000_000_000);
    }
}
