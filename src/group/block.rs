//! The committed offsets of up to 64 neighbouring partitions.

use std::iter;

use crate::time::WallMs;

/// What every offset has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Plain {
    pub(super) offset: i64,
    pub(super) committed_at: WallMs,
    pub(super) leader_epoch: i32,
}

/// Neighbouring partitions.
///
/// Their slots are narrow until something comes that does not fit: then all of them are wide, and
/// may become narrow again whenever the first of them is committed.
#[derive(Debug, Default)]
pub(super) struct Block {
    /// A bit for each that has an offset.
    present: u64,
    /// In the order of the bits.
    slots: Slots,
}

/// What stands side by side, and how many.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Side {
    There(u32),
    Gap(u32),
}

/// Offsets side by side.
#[derive(Debug)]
pub(super) enum Run<'b> {
    Narrow(WallMs, &'b [Narrow]),
    Wide(&'b [Wide]),
}

#[derive(Debug)]
enum Slots {
    /// With the time from which theirs are counted.
    Narrow(WallMs, Vec<Narrow>),
    Wide(Vec<Wide>),
}

/// 12 bytes: an offset below 2^48, within 49 days after the others of its block, in one of the
/// first 65,535 epochs of the leader or in none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Narrow {
    offset_low: u32,
    /// The leader's epoch + 1, and the upper 16 bits of the offset.
    epoch_and_offset_high: u32,
    committed_after_ms: u32,
}

/// 20 bytes: numbers of 64 bits in halves, which need no padding.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wide {
    offset: [u32; 2],
    committed_at: [u32; 2],
    leader_epoch: i32,
}

impl Default for Slots {
    fn default() -> Self {
        Self::Narrow(WallMs(0), Vec::new())
    }
}

impl Block {
    /// Partitions of a block.
    pub(super) const BITS: u32 = u64::BITS;

    pub(super) fn is_empty(&self) -> bool {
        self.present == 0
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn contains(&self, bit: u64) -> bool {
        self.present & bit != 0
    }

    #[inline]
    pub(super) fn get(&self, bit: u64) -> Option<Plain> {
        self.contains(bit).then(|| self.slots.get(self.rank(bit)))
    }

    /// How many of those that are there come before.
    #[inline]
    fn rank(&self, bit: u64) -> usize {
        let before = bit - 1;
        // Nearly always all of them, and few processors that we are built for count bits at once.
        if self.present & before == before {
            return bit.trailing_zeros() as usize;
        }
        (self.present & before).count_ones() as usize
    }

    /// Sets an offset; whether there was none.
    pub(super) fn insert(&mut self, bit: u64, plain: Plain) -> bool {
        let is_new = !self.contains(bit);
        let at = self.rank(bit);
        if !self.slots.put(at, plain, is_new) {
            self.reshape(at, plain, is_new);
        }
        if is_new {
            self.present |= bit;
        }
        is_new
    }

    /// Takes an offset away; whether there was one.
    pub(super) fn remove(&mut self, bit: u64) -> bool {
        if !self.contains(bit) {
            return false;
        }
        let at = self.rank(bit);
        match &mut self.slots {
            Slots::Narrow(_, slots) => take(slots, at),
            Slots::Wide(slots) => take(slots, at),
        }
        self.present &= !bit;
        true
    }

    /// How many that are there stand side by side, from the bit of that number on; or else how
    /// many that are not.
    #[inline]
    pub(super) fn side_by_side(&self, bit: u32) -> Side {
        let from = self.present >> bit;
        match from.trailing_ones() {
            0 => Side::Gap(from.trailing_zeros().min(Self::BITS - bit)),
            there => Side::There(there),
        }
    }

    /// So many that are there and stand side by side, from the bit of that number on.
    #[inline]
    pub(super) fn run(&self, bit: u32, len: u32) -> Run<'_> {
        let at = self.rank(1 << bit);
        let slots = at..at + len as usize;
        match &self.slots {
            Slots::Narrow(since, all) => Run::Narrow(*since, &all[slots]),
            Slots::Wide(all) => Run::Wide(&all[slots]),
        }
    }

    /// All of them, by the number of the bit.
    pub(super) fn iter(&self) -> impl Iterator<Item = (i32, Plain)> {
        let (mut left, mut at) = (self.present, 0);
        iter::from_fn(move || {
            let bit = left.trailing_zeros();
            // Without the lowest bit.
            left &= left.checked_sub(1)?;
            at += 1;
            Some((bit.cast_signed(), self.slots.get(at - 1)))
        })
    }

    /// Puts an offset in, and all others into slots as narrow as they and it allow.
    #[cold]
    fn reshape(&mut self, at: usize, plain: Plain, is_new: bool) {
        let len = self.slots.len();
        let mut all: Vec<Plain> = (0..len).map(|at| self.slots.get(at)).collect();
        put(&mut all, at, plain, is_new);
        let since = all.iter().map(|plain| plain.committed_at).min();
        let since = since.unwrap_or(plain.committed_at);
        // Not collected: what is collected from options has more room than it needs.
        let mut narrow = Vec::with_capacity(all.len());
        narrow.extend(all.iter().map_while(|it| Narrow::of(it, since)));
        self.slots = if narrow.len() == all.len() {
            Slots::Narrow(since, narrow)
        } else {
            Slots::Wide(all.iter().map(Wide::of).collect())
        };
    }
}

impl Run<'_> {
    /// How many they are.
    pub(super) fn len(&self) -> u32 {
        let len = match self {
            Self::Narrow(_, slots) => slots.len(),
            Self::Wide(slots) => slots.len(),
        };
        u32::try_from(len).unwrap_or(Block::BITS)
    }
}

impl Slots {
    fn len(&self) -> usize {
        match self {
            Self::Narrow(_, slots) => slots.len(),
            Self::Wide(slots) => slots.len(),
        }
    }

    #[inline]
    fn get(&self, at: usize) -> Plain {
        match self {
            Self::Narrow(since, slots) => slots[at].plain(*since),
            Self::Wide(slots) => slots[at].plain(),
        }
    }

    /// Puts an offset in; `false`: the slots must be others first.
    #[inline]
    fn put(&mut self, at: usize, plain: Plain, is_new: bool) -> bool {
        match self {
            Self::Narrow(since, slots) => {
                let Some(slot) = Narrow::of(&plain, *since) else {
                    return false;
                };
                put(slots, at, slot, is_new);
            }
            // Once in a while it is seen whether they still have to be wide.
            Self::Wide(_) if at == 0 => return false,
            Self::Wide(slots) => put(slots, at, Wide::of(&plain), is_new),
        }
        true
    }
}

#[inline]
fn put<T>(slots: &mut Vec<T>, at: usize, slot: T, is_new: bool) {
    if is_new {
        add(slots, at, slot);
    } else {
        slots[at] = slot;
    }
}

#[cold]
fn add<T>(slots: &mut Vec<T>, at: usize, slot: T) {
    if slots.len() == slots.capacity() {
        // By a quarter, not by doubling, and to no more than a block may have.
        let (len, max) = (slots.len(), Block::BITS as usize);
        slots.reserve_exact((len / 4 + 1).min(max - len));
    }
    slots.insert(at, slot);
}

fn take<T>(slots: &mut Vec<T>, at: usize) {
    slots.remove(at);
    if slots.len() < slots.capacity() / 2 {
        slots.shrink_to_fit();
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "each part is cut out at its width"
)]
impl Narrow {
    #[inline]
    fn of(plain: &Plain, since: WallMs) -> Option<Self> {
        let offset = plain.offset.cast_unsigned();
        let after_ms = plain.committed_at.0.wrapping_sub(since.0).cast_unsigned();
        // -1 is no epoch.
        let epoch = plain.leader_epoch.wrapping_add(1).cast_unsigned();
        let is_narrow = offset >> 48 | after_ms >> 32 | u64::from(epoch >> 16) == 0;
        is_narrow.then_some(Self {
            offset_low: offset as u32,
            epoch_and_offset_high: epoch << 16 | (offset >> 32) as u32,
            committed_after_ms: after_ms as u32,
        })
    }

    #[inline]
    pub(super) fn plain(self, since: WallMs) -> Plain {
        let high = i64::from(self.epoch_and_offset_high & 0xffff);
        let epoch = (self.epoch_and_offset_high >> 16).cast_signed();
        Plain {
            offset: high << 32 | i64::from(self.offset_low),
            committed_at: WallMs(since.0.wrapping_add(self.committed_after_ms.into())),
            leader_epoch: epoch - 1,
        }
    }
}

impl Wide {
    fn of(plain: &Plain) -> Self {
        Self {
            offset: halves(plain.offset),
            committed_at: halves(plain.committed_at.0),
            leader_epoch: plain.leader_epoch,
        }
    }

    #[inline]
    pub(super) fn plain(self) -> Plain {
        Plain {
            offset: whole(self.offset),
            committed_at: WallMs(whole(self.committed_at)),
            leader_epoch: self.leader_epoch,
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "each half is cut out at its width"
)]
fn halves(number: i64) -> [u32; 2] {
    let bits = number.cast_unsigned();
    [(bits >> 32) as u32, bits as u32]
}

fn whole([high, low]: [u32; 2]) -> i64 {
    (u64::from(high) << 32 | u64::from(low)).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(offset: i64, committed_at: i64) -> Plain {
        Plain {
            offset,
            committed_at: WallMs(committed_at),
            leader_epoch: -1,
        }
    }

    fn is_narrow(block: &Block) -> bool {
        matches!(block.slots, Slots::Narrow(..))
    }

    #[test]
    fn an_offset_takes_12_bytes_or_20() {
        assert_eq!((size_of::<Narrow>(), size_of::<Wide>()), (12, 20));
    }

    #[test]
    fn slots_are_narrow_whenever_all_of_them_can_be() {
        const DAY_MS: i64 = 86_400_000;
        let mut block = Block::default();
        for day in 0..365 {
            // One partition a day: no two commits of a round are 49 days apart.
            block.insert(
                1 << (day % 40),
                plain(day, 1_700_000_000_000 + day * DAY_MS),
            );
            assert!(is_narrow(&block), "{day}");
        }
        let then = 1_700_000_000_000 + 365 * DAY_MS;
        block.insert(1 << 7, plain(1 << 48, then));
        assert!(!is_narrow(&block));
        block.insert(1 << 7, plain(5, then));
        assert!(!is_narrow(&block), "seen only with the first partition");
        block.insert(1, plain(6, then + 1));
        assert!(is_narrow(&block));
        let all: Vec<i64> = block.iter().map(|(_, plain)| plain.offset).collect();
        assert_eq!((all.len(), all[0], all[7]), (40, 6, 5));
    }
}
