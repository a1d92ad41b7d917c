//! Which shard a group lives on.

use crate::ids::{GroupId, ShardId};

/// The shard of a group, by Kafka's own rule for the partitions of `__consumer_offsets`: Java's
/// string hash over UTF-16 code units, its absolute value (of the smallest integer: 0), modulo.
///
/// The rule is stable, so that a group finds its log again, and a broker that embeds the engine
/// may run one shard a partition.
///
/// # Panics
///
/// If `shards` is 0.
pub fn shard_of(group: &GroupId, shards: u32) -> ShardId {
    shard_of_name(group.as_str(), shards)
}

/// The same for a name that is borrowed from wherever it is.
///
/// # Panics
///
/// If `shards` is 0.
#[inline]
pub fn shard_of_name(group: &str, shards: u32) -> ShardId {
    if shards == 1 {
        return ShardId(0);
    }
    let hash = java_hash(group);
    let hash = if hash == i32::MIN {
        0
    } else {
        hash.unsigned_abs()
    };
    ShardId(hash % shards)
}

/// Eight bytes a step, by what is known of ASCII alone: that a byte is a unit.
#[inline]
fn java_hash(text: &str) -> i32 {
    let Some(last) = text.as_bytes().last_chunk::<8>() else {
        return hash_by_units(text);
    };
    let (chunks, rest) = text.as_bytes().as_chunks::<8>();
    let (mut hash, mut all) = (0_u32, u64::from_le_bytes(*last));
    for chunk in chunks {
        let bytes = u64::from_le_bytes(*chunk);
        all |= bytes;
        hash = hash.wrapping_mul(POWERS[8]).wrapping_add(hash_of(bytes));
    }
    if !rest.is_empty() {
        // Zeros before the rest count for nothing.
        let zeros = 64 - 8 * rest.len();
        let bytes = u64::from_le_bytes(*last) >> zeros << zeros;
        hash = hash
            .wrapping_mul(POWERS[rest.len()])
            .wrapping_add(hash_of(bytes));
    }
    if all & 0x8080_8080_8080_8080 != 0 {
        return hash_by_units(text);
    }
    hash.cast_signed()
}

fn hash_by_units(text: &str) -> i32 {
    let step = |hash: i32, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit));
    text.encode_utf16().fold(0, step)
}

/// The hash of eight bytes, the first of which is the lowest: pairs of them side by side, then
/// pairs of pairs.
#[expect(clippy::cast_possible_truncation, reason = "cut into its two halves")]
#[inline]
fn hash_of(bytes: u64) -> u32 {
    const EVEN_BYTES: u64 = 0x00ff_00ff_00ff_00ff;
    const EVEN_PAIRS: u64 = 0x0000_ffff_0000_ffff;
    let pairs = (bytes & EVEN_BYTES) * 31 + (bytes >> 8 & EVEN_BYTES);
    let fours = (pairs & EVEN_PAIRS) * 31_u64.pow(2) + (pairs >> 16 & EVEN_PAIRS);
    let (first, second) = (fours as u32, (fours >> 32) as u32);
    first.wrapping_mul(POWERS[4]).wrapping_add(second)
}

/// Powers of 31, from 0 to 8, as 32-bit numbers wrap.
const POWERS: [u32; 9] = {
    let mut powers = [1_u32; 9];
    let mut n = 1;
    while n < powers.len() {
        powers[n] = powers[n - 1].wrapping_mul(31);
        n += 1;
    }
    powers
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_placed_as_kafka_places_them() {
        let of = |group: &str, n| shard_of(&group.into(), n).0;
        assert_eq!(of("", 50), 0);
        assert_eq!(of("foo", 50), 24);
        assert_eq!(of("foo", 10), 4);
        assert_eq!(of("grp", 50), 29);
        assert_eq!(of("group-id", 50), 13);
        assert_eq!(of("console-consumer-1", 50), 24);
        assert_eq!(of("polygenelubricants", 50), 0);
    }

    #[test]
    fn names_of_every_length_are_hashed_as_java_does_it_unit_by_unit() {
        let text = "orders-enrichment-000017/\u{e9}t\u{e9}-\u{1f980}-and-more-of-it".repeat(3);
        for (end, _) in text.char_indices() {
            let units = text[..end].encode_utf16();
            let slow = units.fold(0_i32, |hash, unit| {
                hash.wrapping_mul(31).wrapping_add(i32::from(unit))
            });
            assert_eq!(java_hash(&text[..end]), slow);
        }
    }
}
