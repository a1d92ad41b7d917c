//! Which records of the log still live: the last sequence number of every key.
//!
//! Keys are known by 96 bits of a hash that is seeded anew in every process: at ten million keys
//! two of them share one with a probability of 1e-15. An entry takes 24 bytes, in a table that
//! is between 7/16 and 7/8 full.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};

use super::frame::{self, Flags, Frame};
use crate::mutation;

/// A key's hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Key([u32; 3]);

/// Hashes keys; clones agree with each other.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    first: foldhash::quality::RandomState,
    second: foldhash::quality::RandomState,
}

impl Keys {
    pub(super) fn key(&self, shard: u32, key: &[u8]) -> Key {
        let first = self.first.hash_one((shard, key)).to_le_bytes();
        let second = self.second.hash_one((shard, key)).to_le_bytes();
        Key([
            frame::u32_at(&first, 0),
            frame::u32_at(&first, 4),
            frame::u32_at(&second, 0),
        ])
    }

    /// The key of the group that a record's key speaks of.
    pub(super) fn group(&self, shard: u32, key: &[u8]) -> Key {
        self.key(shard, frame::group_of(key))
    }
}

/// What a record says of its key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// A value.
    Value,
    /// The key is gone.
    Tombstone,
    /// The group is gone, and with it every offset that it had.
    GroupTombstone,
    /// A mark: no record.
    Nothing,
}

/// What the index needs to know of a record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    key: Key,
    /// The group's, where the record removes the group.
    group: Option<Key>,
    /// Bytes of the frame.
    pub(super) len: u32,
    kind: Kind,
}

impl Mark {
    fn new(keys: &Keys, shard: u32, key: &[u8], has_value: bool, len: usize) -> Self {
        let kind = match (has_value, frame::is_group_key(key)) {
            (true, _) => Kind::Value,
            (false, false) => Kind::Tombstone,
            (false, true) => Kind::GroupTombstone,
        };
        Self {
            key: keys.key(shard, key),
            group: (kind == Kind::GroupTombstone).then(|| keys.group(shard, key)),
            len: u32::try_from(len).unwrap_or(u32::MAX),
            kind,
        }
    }

    /// For how much the index knows the record as long as it is the newest of its key.
    pub(super) fn weight(&self) -> u64 {
        match self.kind {
            Kind::Nothing => 0,
            Kind::Value | Kind::Tombstone => 1,
            Kind::GroupTombstone => 2,
        }
    }

    pub(super) fn of(keys: &Keys, frame: &Frame<'_>) -> Self {
        let has_value = frame.value().is_some();
        let mut mark = Self::new(keys, frame.shard, frame.key, has_value, frame.len);
        if frame.flags.has(Flags::MARK) {
            mark.kind = Kind::Nothing;
        }
        mark
    }
}

/// A key's last record; four-byte fields, so that an entry has no gaps.
#[derive(Clone, Copy, Debug)]
struct Last {
    sequence: [u32; 2],
    len: u32,
}

impl Last {
    fn new(sequence: u64, len: u32) -> Self {
        let bytes = sequence.to_le_bytes();
        Self {
            sequence: [frame::u32_at(&bytes, 0), frame::u32_at(&bytes, 4)],
            len,
        }
    }

    fn sequence(self) -> u64 {
        u64::from(self.sequence[0]) | u64::from(self.sequence[1]) << 32
    }
}

/// Keys are hashes already.
#[derive(Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes.iter().take(8) {
            self.0 = self.0 << 8 | u64::from(*byte);
        }
    }
}

type Table<V> = HashMap<Key, V, BuildHasherDefault<AsIs>>;

/// The last record of every key, and when groups were removed.
#[derive(Debug, Default)]
pub(super) struct Index {
    last: Table<Last>,
    /// The last tombstone of a group, as long as it is in the log.
    removed: Table<u64>,
    live_bytes: u64,
}

impl Index {
    /// Bytes of all frames that still count; those of a removed group count until they are
    /// forgotten.
    pub(super) fn live_bytes(&self) -> u64 {
        self.live_bytes
    }

    /// Keys that are known, the deleted ones whose tombstones are in the log included.
    pub(super) fn len(&self) -> usize {
        self.last.len()
    }

    /// Takes note of the newest record of its key; the sequence numbers of those that it is known
    /// by no longer.
    pub(super) fn note(&mut self, mark: &Mark, sequence: u64) -> [Option<u64>; 2] {
        let len = match mark.kind {
            Kind::Nothing => return [None; 2],
            Kind::Value => mark.len,
            Kind::Tombstone | Kind::GroupTombstone => 0,
        };
        let before = self.last.insert(mark.key, Last::new(sequence, len));
        self.live_bytes += u64::from(len);
        self.live_bytes -= before.map_or(0, |before| u64::from(before.len));
        let group = mark.group;
        let removed_before = group.and_then(|group| self.removed.insert(group, sequence));
        [before.map(Last::sequence), removed_before]
    }

    /// Whether a record of the oldest segment must be carried along before the segment is used
    /// again. The group's key is asked for only where it is needed.
    pub(super) fn is_live(&self, mark: &Mark, sequence: u64, group: impl Fn() -> Key) -> bool {
        mark.kind == Kind::Value
            && self.is_last(mark, sequence)
            && (mutation::is("the-dead-are-carried")
                || self.removed.is_empty()
                || self
                    .removed
                    .get(&group())
                    .is_none_or(|removed| *removed < sequence))
    }

    /// Forgets a record of the oldest segment that does not live: nothing of its key is left
    /// before it.
    pub(super) fn forget(&mut self, mark: &Mark, sequence: u64) {
        if self.is_last(mark, sequence)
            && let Some(last) = self.last.remove(&mark.key)
        {
            self.live_bytes -= u64::from(last.len);
        }
        if let Some(group) = mark.group
            && self.removed.get(&group) == Some(&sequence)
        {
            self.removed.remove(&group);
        }
    }

    fn is_last(&self, mark: &Mark, sequence: u64) -> bool {
        self.last
            .get(&mark.key)
            .is_some_and(|last| last.sequence() == sequence)
    }
}
