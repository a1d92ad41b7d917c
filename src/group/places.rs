//! Where the groups of a shard are: each in its slot for life, awake or at rest.

use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::ops::Deref;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::Phase;
use super::effects::GroupKey;
use super::groups::Group;
use super::packed::Packed;
use super::reply::Listed;
use super::retention::Watch;
use super::seats::Seats;
use crate::ids::GroupId;

/// All groups, by slot and by name.
#[derive(Debug, Default)]
pub(super) struct Places {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// The slots by name; the names themselves are the groups'.
    names: HashTable<u32>,
    hasher: RandomState,
    serials: u32,
    /// Every group that is awake, once; and some that were removed since the last round.
    awake: VecDeque<GroupKey>,
    at_rest: usize,
}

/// 16 bytes; one that is free has an empty piece of memory.
#[derive(Debug)]
enum Slot {
    Awake(Box<Group>),
    AtRest(Packed),
}

/// A group to look at: one at rest is unpacked for that, and stays at rest.
#[derive(Debug)]
pub(super) enum Seen<'p> {
    Awake(&'p Group),
    AtRest(Box<Group>),
}

impl Deref for Seen<'_> {
    type Target = Group;

    fn deref(&self) -> &Group {
        match self {
            Self::Awake(group) => group,
            Self::AtRest(group) => group,
        }
    }
}

impl Places {
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// How many slots there are, free ones included.
    pub(super) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// Where the group of that name is.
    pub(super) fn find(&self, id: &GroupId) -> Option<GroupKey> {
        let name = id.as_str().as_bytes();
        let is_it = |slot: &u32| self.slots[*slot as usize].name() == name;
        self.key(*self.names.find(self.hasher.hash_one(name), is_it)?)
    }

    /// The key of the group in that slot, if one is there.
    pub(super) fn key(&self, slot: u32) -> Option<GroupKey> {
        let serial = self.slots.get(slot as usize)?.serial()?;
        Some(GroupKey { slot, serial })
    }

    /// Gives a new group a place; it is awake.
    pub(super) fn insert(
        &mut self,
        id: &GroupId,
        make: impl FnOnce(GroupKey) -> Group,
    ) -> GroupKey {
        self.serials = self.serials.wrapping_add(1);
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::AtRest(Packed::default()));
            u32::try_from(self.slots.len() - 1).expect("a shard has fewer than 2^32 groups")
        });
        let key = GroupKey {
            slot,
            serial: self.serials,
        };
        self.slots[slot as usize] = Slot::Awake(Box::new(make(key)));
        let (slots, hasher) = (&self.slots, &self.hasher);
        let hash = |slot: &u32| hasher.hash_one(slots[*slot as usize].name());
        let name = id.as_str().as_bytes();
        self.names.insert_unique(hasher.hash_one(name), slot, hash);
        self.awake.push_back(key);
        key
    }

    /// Takes a group out.
    pub(super) fn remove(&mut self, key: GroupKey) -> Option<Box<Group>> {
        let slot = self.slot(key)?;
        let hash = self.hasher.hash_one(slot.name());
        if let Ok(entry) = self.names.find_entry(hash, |slot| *slot == key.slot) {
            entry.remove();
        }
        self.free.push(key.slot);
        let vacant = Slot::AtRest(Packed::default());
        match std::mem::replace(&mut self.slots[key.slot as usize], vacant) {
            Slot::Awake(group) => Some(group),
            Slot::AtRest(packed) => {
                self.at_rest -= 1;
                Some(Box::new(packed.unpack(key.slot)))
            }
        }
    }

    fn slot(&self, key: GroupKey) -> Option<&Slot> {
        let slot = self.slots.get(key.slot as usize)?;
        (slot.serial() == Some(key.serial)).then_some(slot)
    }

    /// The keys of all groups, by slot.
    pub(super) fn keys(&self) -> impl Iterator<Item = GroupKey> {
        let slots = (0..).zip(&self.slots);
        slots.filter_map(|(slot, it)| it.serial().map(|serial| GroupKey { slot, serial }))
    }

    /// All groups, by slot.
    pub(super) fn iter(&self) -> impl Iterator<Item = Seen<'_>> {
        self.keys().filter_map(|key| self.see(key))
    }

    /// Looks at a group.
    pub(super) fn see(&self, key: GroupKey) -> Option<Seen<'_>> {
        Some(match self.slot(key)? {
            Slot::Awake(group) => Seen::Awake(group),
            Slot::AtRest(packed) => Seen::AtRest(Box::new(packed.unpack(key.slot))),
        })
    }

    /// The group, if it is awake.
    pub(super) fn awake(&self, key: GroupKey) -> Option<&Group> {
        match self.slot(key)? {
            Slot::Awake(group) => Some(group),
            Slot::AtRest(_) => None,
        }
    }

    /// The same, to be changed.
    pub(super) fn awake_mut(&mut self, key: GroupKey) -> Option<&mut Group> {
        match self.slots.get_mut(key.slot as usize)? {
            Slot::Awake(group) if group.key == key => Some(group),
            Slot::Awake(_) | Slot::AtRest(_) => None,
        }
    }

    /// The group, woken if need be, to be changed.
    pub(super) fn wake(&mut self, key: GroupKey, seats: &mut Seats) -> Option<&mut Group> {
        // Compared first: whoever comes too late wakes nobody.
        self.slot(key)?;
        let slot = &mut self.slots[key.slot as usize];
        if let Slot::AtRest(packed) = slot {
            let group = Box::new(packed.unpack(key.slot));
            for (id, member) in group.classic.roster.iter() {
                seats.name(member.seat, id);
            }
            *slot = Slot::Awake(group);
            self.awake.push_back(key);
            self.at_rest -= 1;
        }
        match slot {
            Slot::Awake(group) => {
                group.is_touched = true;
                Some(group)
            }
            Slot::AtRest(_) => None,
        }
    }

    /// Lets a quiet group rest; how many bytes it takes then.
    pub(super) fn lay_down(&mut self, key: GroupKey, seats: &mut Seats) -> usize {
        let Some(group) = self.awake(key) else {
            return 0;
        };
        let packed = Packed::of(group);
        debug_assert_eq!(packed, Packed::of(&packed.unpack(key.slot)));
        for (_, member) in group.classic.roster.iter() {
            seats.unname(member.seat);
        }
        let bytes = packed.len();
        self.slots[key.slot as usize] = Slot::AtRest(packed);
        self.at_rest += 1;
        if self.awake.back() == Some(&key) {
            // It woke just now.
            self.awake.pop_back();
        }
        bytes
    }

    /// How many groups there are to be looked at in a round.
    pub(super) fn to_look_at(&self) -> usize {
        self.awake.len()
    }

    pub(super) fn at_rest(&self) -> usize {
        self.at_rest
    }

    /// The group that was not looked at for the longest time, and is to be told what becomes of
    /// it; `None`: it is gone.
    pub(super) fn next_awake(&mut self) -> Option<&mut Group> {
        let key = self.awake.pop_front()?;
        self.awake_mut(key)
    }

    /// It stays awake.
    pub(super) fn stays_awake(&mut self, key: GroupKey) {
        self.awake.push_back(key);
    }

    /// The group's row in a list, if there is one in that slot and its phase is asked for.
    pub(super) fn listed(&self, slot: usize, is_wanted: impl Fn(Phase) -> bool) -> Option<Listed> {
        match self.slots.get(slot)? {
            Slot::Awake(group) => is_wanted(group.classic.phase).then(|| group.list()),
            Slot::AtRest(packed) => {
                packed.serial()?;
                packed.listed(is_wanted)
            }
        }
    }

    /// What runs for the retention of a group.
    pub(super) fn retention(&self, key: GroupKey) -> Option<Watch> {
        match self.slot(key)? {
            Slot::Awake(group) => group.retention,
            Slot::AtRest(packed) => packed.retention(),
        }
    }

    /// Whether the group holds offsets, committed or staged.
    pub(super) fn has_offsets(&self, key: GroupKey) -> bool {
        self.slot(key).is_some_and(|slot| match slot {
            Slot::Awake(group) => group.facts.sizes() != (0, 0),
            Slot::AtRest(packed) => packed.has_offsets(),
        })
    }
}

impl Slot {
    /// The number of its tenant, if it has one.
    fn serial(&self) -> Option<u32> {
        match self {
            Self::Awake(group) => Some(group.key.serial),
            Self::AtRest(packed) => packed.serial(),
        }
    }

    /// The name of its tenant.
    fn name(&self) -> &[u8] {
        match self {
            Self::Awake(group) => group.id.as_str().as_bytes(),
            Self::AtRest(packed) => packed.name(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_takes_16_bytes() {
        assert_eq!(size_of::<Slot>(), 16);
    }
}
