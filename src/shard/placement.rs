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
    let mut hash: i32 = 0;
    for unit in group.as_str().encode_utf16() {
        hash = hash.wrapping_mul(31).wrapping_add(i32::from(unit));
    }
    let hash = if hash == i32::MIN {
        0
    } else {
        hash.unsigned_abs()
    };
    ShardId(hash % shards)
}

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
}
