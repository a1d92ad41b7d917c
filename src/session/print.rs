//! What stands for the names of a member in the directory.

use std::fmt;
use std::hash::{BuildHasher, RandomState};

/// 96 bits that stand for the name of a group and the name of a member.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Print {
    pub(super) low: u64,
    pub(super) high: u32,
}

impl Print {
    /// The part that finds the bucket; never 0.
    #[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
    #[inline]
    pub(super) fn tag(self) -> u32 {
        (self.low as u32).max(1)
    }
}

/// The secret by which names become prints.
///
/// The hash is universal, by proof and not by trial: for any two different pairs of names, chosen
/// without knowledge of the keys, the keys for which both have one print are fewer than one in
/// 2^92. It is NH of UMAC (RFC 4418, Black and others 1999) over 64-bit words, in two passes whose
/// keys are shifted against each other: each pass meets with at most 2^-64. What it gives is
/// folded, together with the lengths of the names, by multiply-shift (Dietzfelbinger 1996) to 64
/// bits in the first pass and to 32 in the second, 2^-63 and 2^-31. Nobody is told a print, so
/// nobody can choose names by it.
///
/// That is why prints are compared where names would be: names lie in memory of their own, and
/// to look at them costs more than all the rest of a heartbeat.
///
/// The keys are drawn by the standard library's keyed hash, whose own key is the operating
/// system's randomness.
pub(super) struct Prints {
    /// For each block a pair, and one more by which the second pass is shifted.
    pairs: Box<[Pair; BLOCKS + 1]>,
    folds: [[u128; 3]; 2],
}

/// A block of names, or its key.
type Pair = [u64; 2];

/// Bytes of both names at most; longer ones have no print.
pub(super) const NAMES_BYTES_MAX: usize = 1_024;

/// One more than the names fill, since each ends in a block of its own.
const BLOCKS: usize = NAMES_BYTES_MAX / 16 + 1;

impl Prints {
    pub(super) fn new() -> Self {
        let secret = RandomState::new();
        let mut drawn = 0_u64;
        let mut draw = || {
            drawn += 1;
            secret.hash_one(drawn)
        };
        let mut pairs = Box::new([Pair::default(); BLOCKS + 1]);
        pairs.fill_with(|| [draw(), draw()]);
        let mut wide = || (u128::from(draw()) << 64) | u128::from(draw());
        Self {
            pairs,
            folds: std::array::from_fn(|_| std::array::from_fn(|_| wide())),
        }
    }

    /// The print of these names; `None` if they are longer than [`NAMES_BYTES_MAX`] together.
    #[inline]
    pub(super) fn of(&self, group: &str, member: &str) -> Option<Print> {
        if group.len() + member.len() > NAMES_BYTES_MAX {
            return None;
        }
        let mut sums = Sums::default();
        let pairs = sums.add_text(&self.pairs[..], group.as_bytes());
        sums.add_text(pairs, member.as_bytes());
        // Names of other lengths differ here, and those of the same lengths are cut into the same
        // blocks.
        let lengths = (group.len() as u64) << 32 | member.len() as u64;
        Some(Print {
            low: mix(fold(&self.folds[0], sums.first, lengths)),
            high: (fold(&self.folds[1], sums.second, lengths) >> 32) as u32,
        })
    }

    /// 64 bits that stand for one name; never 0. Names longer than [`NAMES_BYTES_MAX`] have none.
    pub(super) fn of_instance(&self, instance: &str) -> Option<u64> {
        // A member has a name, so this is the print of no pair of names.
        self.of(instance, "").map(|print| print.low.max(1))
    }

    /// Whether a request that names this instance is of a member for whose own `instance` stands;
    /// 0: it has none.
    pub(super) fn is_instance(&self, named: &str, instance: u64) -> bool {
        self.of_instance(named) == Some(instance)
    }
}

impl fmt::Debug for Prints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prints").finish_non_exhaustive()
    }
}

/// The two passes of NH.
#[derive(Default)]
struct Sums {
    first: u128,
    second: u128,
}

impl Sums {
    /// Adds a text in blocks of 16 bytes, the last of which reaches back so that it is full; gives
    /// the keys of what comes next.
    #[inline]
    fn add_text<'k>(&mut self, keys: &'k [Pair], text: &[u8]) -> &'k [Pair] {
        let (Some(last), Some((_, before))) = (text.last_chunk::<16>(), text.split_last()) else {
            return self.add(keys, short(text));
        };
        let (blocks, _) = before.as_chunks::<16>();
        let shifted = keys.iter().skip(1);
        for ((block, key), next) in blocks.iter().zip(keys).zip(shifted) {
            self.add_block(pair(block), *key, *next);
        }
        self.add(keys.get(blocks.len()..).unwrap_or_default(), pair(last))
    }

    #[inline]
    fn add<'k>(&mut self, keys: &'k [Pair], block: Pair) -> &'k [Pair] {
        // There are keys for the longest names.
        if let [key, next @ ..] = keys
            && let [second, ..] = next
        {
            self.add_block(block, *key, *second);
            return next;
        }
        keys
    }

    #[inline]
    fn add_block(&mut self, block: Pair, key: Pair, next: Pair) {
        self.first = self.first.wrapping_add(product(block, key));
        self.second = self.second.wrapping_add(product(block, next));
    }
}

#[expect(clippy::cast_possible_truncation, reason = "cut into its two halves")]
#[inline]
fn pair(block: &[u8; 16]) -> Pair {
    let block = u128::from_le_bytes(*block);
    [block as u64, (block >> 64) as u64]
}

#[inline]
fn product([one, other]: Pair, [key, other_key]: Pair) -> u128 {
    u128::from(one.wrapping_add(key)) * u128::from(other.wrapping_add(other_key))
}

/// All bytes of a text of less than 16 bytes, whose length is known besides.
#[inline]
fn short(text: &[u8]) -> Pair {
    if let (Some(first), Some(last)) = (text.first_chunk::<8>(), text.last_chunk::<8>()) {
        return [u64::from_le_bytes(*first), u64::from_le_bytes(*last)];
    }
    if let (Some(first), Some(last)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
        return [u64::from(first), u64::from(last)];
    }
    let packed = text
        .iter()
        .fold(0, |word, byte| word << 8 | u64::from(*byte));
    [packed, 0]
}

/// Another number for each number, so that nothing is lost: names that differ by a little, as those
/// of a client's members do, are spread over all buckets. (The finalizer of `SplitMix64`.)
#[inline]
fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// A sum of 128 bits and a number of 64 in 64, by keys of their own.
#[inline]
fn fold(keys: &[u128; 3], sum: u128, number: u64) -> u64 {
    let [one, other, third] = *keys;
    #[expect(clippy::cast_possible_truncation, reason = "cut into its two halves")]
    let (low, high) = (u128::from(sum as u64), u128::from((sum >> 64) as u64));
    let mixed = one.wrapping_mul(low).wrapping_add(other.wrapping_mul(high));
    let mixed = mixed.wrapping_add(third.wrapping_mul(u128::from(number)));
    (mixed >> 64) as u64
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn where_the_names_part_is_part_of_the_print() {
        let prints = Prints::new();
        let print = |group, member| prints.of(group, member).unwrap();
        assert_ne!(print("a", "bc"), print("ab", "c"));
        assert_ne!(print("a", "b"), print("a", "bb"));
        assert_ne!(print("a", ""), print("", "a"));
        assert_eq!(print("a", "bc"), print("a", "bc"));
    }

    #[test]
    fn every_byte_of_every_length_counts() {
        let prints = Prints::new();
        let mut seen = HashSet::new();
        let mut count = 0;
        for len in 0..70 {
            let name = "a".repeat(len);
            for at in 0..=len {
                let mut other = name.clone().into_bytes();
                // The last round changes nothing: the name itself.
                if let Some(byte) = other.get_mut(at) {
                    *byte = b'b';
                }
                let other = String::from_utf8(other).unwrap();
                for (group, member) in [("g", other.as_str()), (other.as_str(), "member")] {
                    let print = prints.of(group, member).unwrap();
                    seen.insert((print.low, print.high));
                    count += 1;
                }
            }
        }
        assert_eq!(seen.len(), count);
    }

    #[test]
    fn names_in_a_row_are_spread_as_if_by_chance() {
        let prints = Prints::new();
        let mut set = [0_u32; 64];
        for n in 0..10_000 {
            let print = prints.of("orders", &format!("consumer-{n:06}")).unwrap();
            for (bit, set) in set.iter_mut().enumerate() {
                *set += u32::from(print.low >> bit & 1 == 1);
            }
        }
        // Six standard deviations on either side.
        assert!(
            set.iter().all(|set| (4_700..5_300).contains(set)),
            "{set:?}"
        );
    }

    #[test]
    fn other_keys_give_other_prints() {
        let print = || Prints::new().of("group", "member");
        assert_ne!(print(), print());
    }

    #[test]
    fn names_have_a_print_up_to_the_limit() {
        let prints = Prints::new();
        let long = "x".repeat(NAMES_BYTES_MAX);
        for split in [0, 1, 15, 16, 17, 500, NAMES_BYTES_MAX] {
            let (group, member) = long.split_at(split);
            assert!(prints.of(group, member).is_some());
        }
        assert_eq!(prints.of(&long, "x"), None);
        assert_eq!(prints.of_instance(&format!("{long}x")), None);
    }
}
