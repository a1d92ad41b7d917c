//! From tags to places: a hash table that grows by one bucket at a time and is read without locks.

use super::arena::Arena;
use crate::atomic::{AtomicU64, Ordering, spin_loop};

/// Linear hashing (Litwin 1980): with `n` buckets, a tag belongs to the bucket that its low bits
/// name, by as many bits as `n` needs, or by one less if that bucket does not exist yet.
///
/// ```text
///   home      | 0 | 1 | .. | n-1 |          one line each: seven entries and a link
///               |
///               v link
///   spill     |   |                         more of the same for what does not fit
///
///   entry     tag << 32 | place + 1         0: free
/// ```
///
/// Written by the owner only, read by any. An entry appears with one store and goes with one, so
/// that a reader sees it or not. While a bucket is split, readers may miss what is in it: the
/// state is odd meanwhile and another afterwards, so that who found nothing knows to look again.
/// A reader may be shown a place that is another's by now, or nobody's; it must check.
#[derive(Debug)]
pub(super) struct Index {
    home: Arena<Bucket>,
    spill: Arena<Bucket>,
    /// Changes << 32 | buckets; an odd number of changes: a split is under way.
    state: AtomicU64,
}

/// A cache line. Padded, so that a bucket is never in two.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct Bucket {
    entries: [AtomicU64; ENTRIES],
    /// The number of the spill bucket behind this one, plus one; 0: none.
    link: AtomicU64,
}

impl Bucket {
    /// Reads a word, so that the line is on its way.
    #[inline]
    pub(super) fn glance(&self) -> u64 {
        // Relaxed: nothing is concluded from it.
        self.link.load(Ordering::Relaxed)
    }

    /// The place filed here under that tag, one of them if there are more; a tag is not 0.
    ///
    /// Without a branch for each entry: which one it is cannot be foreseen, and a wrong guess
    /// would be noticed only when the line has come, so that no look-up could begin before the
    /// one ahead of it has its line. Less its tag, an entry of that tag is the least of all.
    #[inline]
    pub(super) fn one(&self, tag: u32) -> Option<u32> {
        let tag = u64::from(tag) << 32;
        let mut least = u64::MAX;
        for entry in &self.entries {
            // Acquire: the place was filled before it was filed. Partner: the release in `put`.
            least = least.min(entry.load(Ordering::Acquire) ^ tag);
        }
        u32::try_from(least).ok()?.checked_sub(1)
    }

    /// Calls `is_it` with the places filed here under that tag, until it knows one.
    fn each<T>(&self, tag: u32, is_it: &mut impl FnMut(u32) -> Option<T>) -> Option<T> {
        let entries = self.entries.iter().map(|it| it.load(Ordering::Acquire));
        let mut matching = entries.filter(|it| (it >> 32) as u32 == tag);
        matching.find_map(|entry| place_of(entry).and_then(&mut *is_it))
    }
}

impl Index {
    fn new() -> Self {
        let index = Self {
            home: Arena::new(),
            spill: Arena::new(),
            state: AtomicU64::new(1),
        };
        index.home.make(0);
        index
    }

    /// Calls `is_it` with the places filed under that tag, until it knows one.
    pub(super) fn find<T>(&self, tag: u32, mut is_it: impl FnMut(u32) -> Option<T>) -> Option<T> {
        for _ in 0..TRIES_MAX {
            // Acquire: the buckets that it counts are made. Partner: the releases in `split`.
            let state = self.state.load(Ordering::Acquire);
            if let Some(found) = self.find_once(bucket_of(tag, buckets_in(state)), tag, &mut is_it)
            {
                return Some(found);
            }
            // An entry that was read while a split moved it was written after the state became
            // odd, and its release carries that here.
            if state & CHANGING == 0 && self.state.load(Ordering::Acquire) == state {
                return None;
            }
            spin_loop();
        }
        None
    }

    fn find_once<T>(
        &self,
        bucket: u32,
        tag: u32,
        is_it: &mut impl FnMut(u32) -> Option<T>,
    ) -> Option<T> {
        let mut bucket = self.home.get(bucket)?;
        for _ in 0..=SPILLS_MAX {
            if let Some(found) = bucket.each(tag, is_it) {
                return Some(found);
            }
            let link = bucket.link.load(Ordering::Acquire);
            bucket = self.spill.get(place_of(link)?)?;
        }
        None
    }

    /// The bucket of that tag, where nearly all are that are filed under it.
    #[inline]
    pub(super) fn bucket(&self, tag: u32) -> Option<&Bucket> {
        // Acquire: as in `find`.
        let state = self.state.load(Ordering::Acquire);
        self.home.get(bucket_of(tag, buckets_in(state)))
    }
}

/// The owner's side of an [`Index`].
#[derive(Debug, Default)]
pub(super) struct IndexOwner {
    /// Entries in all buckets.
    filed: usize,
    /// Spill buckets that were made.
    spills: u32,
    /// Those of them that are not in use.
    spare: Vec<u32>,
    /// What is taken out of a bucket while it is split; kept for its memory.
    moving: Vec<u64>,
}

impl IndexOwner {
    pub(super) fn new() -> (Index, Self) {
        (Index::new(), Self::default())
    }

    /// Files a place; `false` if its bucket is full.
    pub(super) fn file(&mut self, index: &Index, tag: u32, place: u32) -> bool {
        let buckets = buckets_in(index.state.load(Ordering::Relaxed));
        let entry = (u64::from(tag) << 32) | u64::from(place + 1);
        let is_filed = self.put(index, bucket_of(tag, buckets), entry);
        if is_filed {
            self.filed += 1;
        }
        if self.filed > buckets as usize * LOAD && buckets < Arena::<Bucket>::PLACES_MAX {
            self.split(index, buckets);
        }
        is_filed
    }

    /// Takes a place out.
    pub(super) fn remove(&mut self, index: &Index, tag: u32, place: u32) {
        let buckets = buckets_in(index.state.load(Ordering::Relaxed));
        let entry = (u64::from(tag) << 32) | u64::from(place + 1);
        let mut bucket = index.home.get(bucket_of(tag, buckets));
        while let Some(it) = bucket {
            for held in &it.entries {
                // Relaxed: only the owner writes.
                if held.load(Ordering::Relaxed) == entry {
                    held.store(0, Ordering::Release);
                    self.filed -= 1;
                    return;
                }
            }
            let link = place_of(it.link.load(Ordering::Relaxed));
            bucket = link.and_then(|link| index.spill.get(link));
        }
    }

    /// Puts an entry into the first free place of a bucket.
    fn put(&mut self, index: &Index, bucket: u32, entry: u64) -> bool {
        let mut bucket = index.home.make(bucket);
        for _ in 0..=SPILLS_MAX {
            let mut entries = bucket.entries.iter();
            if let Some(free) = entries.find(|it| it.load(Ordering::Relaxed) == 0) {
                // Release: partner of the acquire in `find_once`.
                free.store(entry, Ordering::Release);
                return true;
            }
            bucket = match place_of(bucket.link.load(Ordering::Relaxed)) {
                Some(link) => index.spill.make(link),
                None => match self.spill(index, bucket) {
                    Some(next) => next,
                    None => return false,
                },
            };
        }
        false
    }

    /// Hangs an empty spill bucket behind `bucket`.
    fn spill<'i>(&mut self, index: &'i Index, bucket: &Bucket) -> Option<&'i Bucket> {
        let number = self.spare.pop().or_else(|| {
            let made = self.spills;
            (made < Arena::<Bucket>::PLACES_MAX).then(|| {
                self.spills += 1;
                made
            })
        })?;
        let next = index.spill.make(number);
        bucket.link.store(u64::from(number + 1), Ordering::Release);
        Some(next)
    }

    /// One more bucket, filled from the one whose entries it shares by now.
    fn split(&mut self, index: &Index, buckets: u32) {
        let state = index.state.load(Ordering::Relaxed);
        index.state.store(state + CHANGING, Ordering::Release);
        // Without its topmost bit, the number of the new bucket is that of the old one.
        let old = buckets - (1 << buckets.ilog2());
        index.home.make(buckets);
        self.empty(index, old);
        for entry in std::mem::take(&mut self.moving) {
            let tag = (entry >> 32) as u32;
            if !self.put(index, bucket_of(tag, buckets + 1), entry) {
                // Not reached: both buckets together are larger than the one was.
                self.filed -= 1;
            }
        }
        // Release: who counts the new bucket finds it filled.
        index
            .state
            .store(state + 2 * CHANGING + 1, Ordering::Release);
    }

    /// Takes all entries out of a bucket, and its spill buckets from behind it.
    fn empty(&mut self, index: &Index, bucket: u32) {
        let mut bucket = index.home.get(bucket);
        while let Some(it) = bucket {
            for held in &it.entries {
                let entry = held.load(Ordering::Relaxed);
                if entry != 0 {
                    self.moving.push(entry);
                    held.store(0, Ordering::Release);
                }
            }
            let link = place_of(it.link.load(Ordering::Relaxed));
            if let Some(link) = link {
                it.link.store(0, Ordering::Release);
                self.spare.push(link);
            }
            bucket = link.and_then(|link| index.spill.get(link));
        }
    }
}

/// The place of an entry, or the number of a link.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the low half of an entry is meant"
)]
#[inline]
fn place_of(entry: u64) -> Option<u32> {
    (entry as u32).checked_sub(1)
}

#[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
#[inline]
fn buckets_in(state: u64) -> u32 {
    state as u32
}

#[inline]
fn bucket_of(tag: u32, buckets: u32) -> u32 {
    let mask = buckets.next_power_of_two() - 1;
    let bucket = tag & mask;
    if bucket < buckets {
        bucket
    } else {
        tag & (mask >> 1)
    }
}

/// What fits into a line beside the link; under loom as few as can be.
const ENTRIES: usize = if cfg!(loom) { 2 } else { 7 };
/// Entries for which there is one more bucket: some 1% of the entries lie in a second one. With
/// four, a member costs 5 bytes less, and 3% lie there.
const LOAD: usize = if cfg!(loom) { 1 } else { 3 };
/// Spill buckets behind one bucket; with prints for tags they are not filled.
const SPILLS_MAX: usize = 15;
/// A split takes less than a microsecond, unless its thread is put to sleep in it.
const TRIES_MAX: usize = 100;
/// One change of the state.
const CHANGING: u64 = 1 << 32;

/// The race of a look-up and a split, under loom; see `super::loom_models`.
#[cfg(all(test, loom))]
mod loom_models {
    use loom::sync::Arc;
    use loom::thread;

    use super::*;

    /// Two entries, the second of which goes into the new bucket; `split` is how.
    fn look_up_during(split: fn(&mut IndexOwner, &Index)) {
        loom::model(move || {
            let (index, mut owner) = IndexOwner::new();
            owner.put(&index, 0, 2 << 32 | 1);
            owner.put(&index, 0, 3 << 32 | 2);
            let index = Arc::new(index);
            let reader = {
                let index = Arc::clone(&index);
                thread::spawn(move || index.find(3, Some))
            };
            split(&mut owner, &index);
            let found = reader.join().expect("ends");
            assert_eq!(found, Some(1), "filed all the time");
            assert_eq!(index.find(3, Some), Some(1));
            assert_eq!(index.find(2, Some), Some(0));
        });
    }

    #[test]
    fn who_looks_up_during_a_split_finds_what_is_there() {
        look_up_during(|owner, index| owner.split(index, 1));
    }

    #[test]
    #[should_panic(expected = "filed all the time")]
    fn a_split_that_is_not_announced_would_be_seen() {
        look_up_during(|owner, index| {
            index.home.make(1);
            owner.empty(index, 0);
            for entry in std::mem::take(&mut owner.moving) {
                owner.put(index, bucket_of((entry >> 32) as u32, 2), entry);
            }
            index.state.store(2, Ordering::Release);
        });
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn tag(n: u32) -> u32 {
        n.wrapping_mul(0x9e37_79b9).rotate_right(7)
    }

    fn is_filed(index: &Index, tag: u32, place: u32) -> bool {
        let found = index.find(tag, |it| (it == place).then_some(()));
        found.is_some()
    }

    #[test]
    fn everything_that_was_filed_is_found_while_the_index_grows_and_when_it_is_empty_again() {
        let (index, mut owner) = IndexOwner::new();
        for n in 0..20_000 {
            assert!(owner.file(&index, tag(n), n));
            assert!(is_filed(&index, tag(n / 2), n / 2));
        }
        for n in 0..20_000 {
            assert!(is_filed(&index, tag(n), n));
            owner.remove(&index, tag(n), n);
            owner.remove(&index, tag(n), n);
            assert!(!is_filed(&index, tag(n), n));
        }
        assert_eq!(owner.filed, 0);
        assert!(!is_filed(&index, tag(1), 1));
    }

    #[test]
    fn a_tag_belongs_to_the_bucket_of_its_low_bits() {
        assert_eq!(bucket_of(u32::MAX, 1), 0);
        assert_eq!(bucket_of(0b111, 8), 7);
        // The eighth bucket does not exist yet.
        assert_eq!(bucket_of(0b111, 7), 3);
        assert_eq!(bucket_of(0b1_0010, 20), 0b1_0010);
        assert_eq!(bucket_of(0b1_0110, 20), 0b0110);
    }

    #[test]
    fn a_full_bucket_takes_no_more_and_gives_its_memory_back_when_it_is_split() {
        let (index, mut owner) = IndexOwner::new();
        // One tag for all of them: no split parts them.
        let filed = (0..1_000).filter(|n| owner.file(&index, 5, *n)).count();
        assert_eq!(filed, ENTRIES * (SPILLS_MAX + 1));
        let found: Vec<u32> = (0..1_000).filter(|n| is_filed(&index, 5, *n)).collect();
        // Where many have one tag, a look-up is shown places that were never filed, too.
        assert!(found.len() >= filed);
        for n in 0..1_000 {
            owner.remove(&index, 5, n);
        }
        assert_eq!(owner.filed, 0);
        for n in 0..10_000 {
            owner.file(&index, tag(n), n);
        }
        assert!(owner.spills < 2_500, "{}", owner.spills);
    }

    #[test]
    fn what_stays_is_found_by_others_at_any_moment_of_growth_and_churn() {
        let (index, mut owner) = IndexOwner::new();
        for n in 0..1_000 {
            owner.file(&index, tag(n), n);
        }
        let is_done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            let (index, is_done) = (&index, &is_done);
            let is_lost = |n| loop {
                let before = index.state.load(Ordering::Acquire);
                if is_filed(index, tag(n), n) {
                    return false;
                }
                // Whoever meets a split may give up: the other thread may sleep in it.
                let is_split = before & CHANGING != 0;
                if !is_split && index.state.load(Ordering::Acquire) == before {
                    return true;
                }
                std::thread::yield_now();
            };
            let reader = scope.spawn(move || {
                let mut lost = 0;
                while !is_done.load(Ordering::Relaxed) {
                    lost += (0..1_000).filter(|n| is_lost(*n)).count();
                }
                lost
            });
            for n in 1_000..100_000 {
                owner.file(index, tag(n), n);
                if n % 3 == 0 {
                    owner.remove(index, tag(n), n);
                }
            }
            is_done.store(true, Ordering::Relaxed);
            assert_eq!(reader.join().unwrap(), 0);
        });
    }
}
