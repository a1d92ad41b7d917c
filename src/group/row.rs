//! The committed offsets of one topic, packed.

use std::collections::BTreeMap;

use super::block::{Block, Plain, Run, Side};
use super::record::{OffsetMetadata, OffsetValue};
use super::sorted::Sorted;
use crate::ids::{PartitionIndex, TopicId};
use crate::time::WallMs;

/// One topic's offsets, in the order of the partitions: 12 bytes an offset, and about 100 for each
/// 64 neighbours.
///
/// ```text
///   blocks   | 0: partitions 0..64, which of them | slots, one for each that is there |
///            | 3: partitions 192..256, ..         | ..                                |
///   rare     what most offsets do not have: metadata, an expiry, another topic's id
/// ```
#[derive(Debug, Default)]
pub(super) struct Row {
    /// The id of the topic when its first offset came.
    topic_id: TopicId,
    blocks: Sorted<i32, Block>,
    /// Kept in step with the slots; `None`: no offset has any of it.
    #[expect(
        clippy::box_collection,
        reason = "a row is smaller, and few rows have one"
    )]
    rare: Option<Box<BTreeMap<PartitionIndex, Rare>>>,
}

/// What few offsets have.
#[derive(Clone, Debug)]
struct Rare {
    metadata: OffsetMetadata,
    expires_at: Option<WallMs>,
    topic_id: TopicId,
}

/// What is stored, beside what is to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stored {
    Nothing,
    Else,
    /// The same but for the time: since when.
    Same(WallMs),
}

impl Row {
    pub(super) fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    pub(super) fn contains(&self, partition: PartitionIndex) -> bool {
        let (block, bit) = place(partition);
        self.blocks
            .get(&block)
            .is_some_and(|block| block.contains(bit))
    }

    pub(super) fn get(&self, partition: PartitionIndex) -> Option<OffsetValue> {
        self.reader().get(partition)
    }

    /// Reads partitions, best in their order.
    pub(super) fn reader(&self) -> Reader<'_> {
        Reader {
            row: self,
            last: None,
        }
    }

    /// What a partition has, beside what it is to have.
    pub(super) fn compare(&self, partition: PartitionIndex, with: &OffsetValue) -> Stored {
        let (block, bit) = place(partition);
        let block = self.blocks.get(&block);
        let Some(plain) = block.and_then(|block| block.get(bit)) else {
            return Stored::Nothing;
        };
        if plain.offset != with.offset
            || plain.leader_epoch != with.leader_epoch
            || !self.is_rarity(partition, with)
        {
            return Stored::Else;
        }
        Stored::Same(plain.committed_at)
    }

    /// Whether what few offsets have is the same.
    fn is_rarity(&self, partition: PartitionIndex, value: &OffsetValue) -> bool {
        match self.rare(partition) {
            Some(rare) => {
                rare.topic_id == value.topic_id
                    && rare.expires_at == value.expires_at
                    && rare.metadata == value.metadata
            }
            None => !self.is_rare(value),
        }
    }

    fn is_rare(&self, value: &OffsetValue) -> bool {
        !value.metadata.is_empty() || value.expires_at.is_some() || value.topic_id != self.topic_id
    }

    /// Sets an offset; whether there was none.
    pub(super) fn insert(&mut self, partition: PartitionIndex, value: &OffsetValue) -> bool {
        if self.is_empty() {
            self.topic_id = value.topic_id;
        }
        self.set_rare(partition, value);
        let (index, bit) = place(partition);
        let plain = Plain {
            offset: value.offset,
            committed_at: value.committed_at,
            leader_epoch: value.leader_epoch,
        };
        self.blocks.get_or_add(&index).insert(bit, plain)
    }

    /// Takes an offset away; whether there was one.
    pub(super) fn remove(&mut self, partition: PartitionIndex) -> bool {
        let (index, bit) = place(partition);
        let Some(block) = self.blocks.get_mut(&index) else {
            return false;
        };
        if !block.remove(bit) {
            return false;
        }
        if block.is_empty() {
            self.blocks.remove(&index);
        }
        self.remove_rare(partition);
        true
    }

    /// How many offsets there are.
    pub(super) fn len(&self) -> usize {
        self.blocks.iter().map(|(_, block)| block.len()).sum()
    }

    /// Everything, in the order of the partitions.
    pub(super) fn iter(&self) -> impl Iterator<Item = (PartitionIndex, OffsetValue)> {
        let blocks = self.blocks.iter();
        let each = blocks.flat_map(|(index, block)| {
            let first = index << BITS.trailing_zeros();
            block.iter().map(move |(bit, plain)| (first + bit, plain))
        });
        each.map(|(partition, plain)| (partition, self.value(partition, plain)))
    }

    /// The offsets in the order of the partitions: those side by side together, with the first
    /// partition of them.
    pub(super) fn each_run(&self, mut run: impl FnMut(PartitionIndex, Run<'_>)) {
        for (index, block) in self.blocks.iter() {
            let first = index << BITS.trailing_zeros();
            let mut bit = 0;
            while bit < BITS {
                bit += match block.side_by_side(bit) {
                    Side::Gap(len) => len,
                    Side::There(len) => {
                        run(first + bit.cast_signed(), block.run(bit, len));
                        len
                    }
                };
            }
        }
    }

    /// Whether no offset has what few have.
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        self.rare.is_none()
    }

    /// What the consumer keeps beside the offset of a partition.
    #[inline]
    pub(super) fn metadata(&self, partition: PartitionIndex) -> &str {
        self.rare(partition).map_or("", |it| &it.metadata)
    }

    #[inline]
    fn value(&self, partition: PartitionIndex, plain: Plain) -> OffsetValue {
        let rare = self.rare(partition);
        OffsetValue {
            offset: plain.offset,
            leader_epoch: plain.leader_epoch,
            metadata: rare.map(|it| it.metadata.clone()).unwrap_or_default(),
            committed_at: plain.committed_at,
            expires_at: rare.and_then(|it| it.expires_at),
            topic_id: rare.map_or(self.topic_id, |it| it.topic_id),
        }
    }

    #[inline]
    fn rare(&self, partition: PartitionIndex) -> Option<&Rare> {
        // Nearly always there is none at all.
        self.rare.as_ref()?.get(&partition)
    }

    fn set_rare(&mut self, partition: PartitionIndex, value: &OffsetValue) {
        if self.is_rare(value) {
            self.insert_rare(partition, value);
        } else if self.rare.is_some() {
            self.remove_rare(partition);
        }
    }

    #[cold]
    fn insert_rare(&mut self, partition: PartitionIndex, value: &OffsetValue) {
        let rare = Rare {
            metadata: value.metadata.clone(),
            expires_at: value.expires_at,
            topic_id: value.topic_id,
        };
        self.rare.get_or_insert_default().insert(partition, rare);
    }

    #[cold]
    fn remove_rare(&mut self, partition: PartitionIndex) {
        if let Some(rare) = &mut self.rare {
            rare.remove(&partition);
            if rare.is_empty() {
                self.rare = None;
            }
        }
    }
}

/// Partitions of a row, one after the other: neighbours are found without a search.
#[derive(Debug)]
pub(super) struct Reader<'r> {
    row: &'r Row,
    last: Option<(i32, &'r Block)>,
}

impl<'r> Reader<'r> {
    pub(super) fn get(&mut self, partition: PartitionIndex) -> Option<OffsetValue> {
        self.plain(partition)
            .map(|plain| self.row.value(partition, plain))
    }

    /// What every offset has.
    #[inline]
    pub(super) fn plain(&mut self, partition: PartitionIndex) -> Option<Plain> {
        let (index, bit) = place(partition);
        match self.last {
            Some((last, block)) if last == index => block.get(bit),
            _ => self.block(index)?.get(bit),
        }
    }

    pub(super) fn row(&self) -> &'r Row {
        self.row
    }

    /// What is the same for all offsets of the topic; `None`: they have to be read one by one.
    #[inline]
    pub(super) fn topic_id(&self) -> Option<TopicId> {
        self.row.rare.is_none().then_some(self.row.topic_id)
    }

    /// What stands side by side from the partition on, of so many neighbours that are asked for
    /// and all lie in its block.
    #[inline]
    pub(super) fn next(
        &mut self,
        partition: PartitionIndex,
        neighbours: u32,
    ) -> (u32, Option<Run<'r>>) {
        let (index, bit) = place(partition);
        let bit = bit.trailing_zeros();
        let block = match self.last {
            Some((last, block)) if last == index => Some(block),
            _ => self.block(index),
        };
        let Some(block) = block else {
            return (neighbours, None);
        };
        match block.side_by_side(bit) {
            Side::Gap(len) => (len.min(neighbours), None),
            Side::There(len) => {
                let len = len.min(neighbours);
                (len, Some(block.run(bit, len)))
            }
        }
    }

    #[cold]
    fn block(&mut self, index: i32) -> Option<&'r Block> {
        let block = self.row.blocks.get(&index)?;
        self.last = Some((index, block));
        Some(block)
    }
}

/// Partitions of a block.
const BITS: u32 = Block::BITS;

/// The block of a partition, which may be negative, and its bit within.
fn place(partition: PartitionIndex) -> (i32, u64) {
    let shift = BITS.trailing_zeros();
    let bit = partition & ((1 << shift) - 1);
    (partition >> shift, 1 << bit)
}

/// How many of these partitions, from the first on, are neighbours in one block.
#[inline]
pub(super) fn neighbours(partitions: &[PartitionIndex]) -> u32 {
    let Some(first) = partitions.first() else {
        return 0;
    };
    let left = BITS - place(*first).1.trailing_zeros();
    let mut count = 1;
    for pair in partitions.windows(2) {
        if count == left || pair[0].wrapping_add(1) != pair[1] {
            break;
        }
        count += 1;
    }
    count
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn partitions() -> impl Strategy<Value = PartitionIndex> {
        // Neighbours, the edges of blocks, strangers, and what no client should send.
        prop_oneof![
            0..200i32,
            any::<i32>(),
            Just(i32::MIN),
            Just(i32::MAX),
            -3..3i32
        ]
    }

    fn values() -> impl Strategy<Value = OffsetValue> {
        let metadata = prop_oneof![4 => Just(""), 1 => Just("m")];
        let expires_at = prop::option::weighted(0.1, any::<i64>());
        let topic = prop_oneof![4 => Just(1u128), 1 => Just(0), 1 => Just(2)];
        // What fits into a narrow slot, as a rule.
        let offset = prop_oneof![30 => 0..1i64 << 40, 1 => any::<i64>()];
        let committed_at = prop_oneof![30 => 0..1i64 << 31, 1 => any::<i64>()];
        let leader_epoch = prop_oneof![30 => -1..100i32, 1 => any::<i32>()];
        (
            offset,
            committed_at,
            leader_epoch,
            metadata,
            expires_at,
            topic,
        )
            .prop_map(
                |(offset, committed_at, leader_epoch, metadata, expires_at, topic)| OffsetValue {
                    offset,
                    leader_epoch,
                    metadata: metadata.into(),
                    committed_at: WallMs(committed_at),
                    expires_at: expires_at.map(WallMs),
                    topic_id: TopicId(topic.to_be_bytes()),
                },
            )
    }

    fn compare(held: Option<&OffsetValue>, with: &OffsetValue) -> Stored {
        let Some(held) = held else {
            return Stored::Nothing;
        };
        let at_that_time = OffsetValue {
            committed_at: held.committed_at,
            ..with.clone()
        };
        if *held == at_that_time {
            Stored::Same(held.committed_at)
        } else {
            Stored::Else
        }
    }

    #[test]
    fn a_row_takes_72_bytes() {
        assert_eq!(size_of::<Row>(), 72);
    }

    proptest! {
        #[test]
        fn a_row_behaves_as_a_map_of_whole_values(
            steps in prop::collection::vec((partitions(), prop::option::of(values())), 0..300),
            other in values(),
        ) {
            let mut row = Row::default();
            let mut map = BTreeMap::new();
            for (partition, value) in steps {
                if let Some(value) = value {
                    let is_new = map.insert(partition, value.clone()).is_none();
                    prop_assert_eq!(row.insert(partition, &value), is_new);
                } else {
                    let was_there = map.remove(&partition).is_some();
                    prop_assert_eq!(row.remove(partition), was_there);
                }
                let held = row.get(partition);
                prop_assert_eq!(held.as_ref(), map.get(&partition));
                prop_assert_eq!(row.contains(partition), map.contains_key(&partition));
                prop_assert_eq!(row.compare(partition, &other), compare(held.as_ref(), &other));
                prop_assert_eq!(row.is_empty(), map.is_empty());
            }
            prop_assert_eq!(row.len(), map.len());
            let all: Vec<_> = row.iter().collect();
            prop_assert_eq!(all, map.into_iter().collect::<Vec<_>>());
        }
    }
}
