//! Where the groups of a shard are: each in its slot for life, awake or at rest.

use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::ops::Deref;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::Phase;
use super::effects::GroupKey;
use super::groups::Group;
use super::packed::{Packed, pack};
use super::pieces::{Pieces, Place};
use super::reply::Listed;
use super::retention::Watch;
use super::seats::Seats;
use crate::ids::GroupId;

/// All groups, by slot and by name.
#[derive(Debug, Default)]
pub(super) struct Places {
    tenants: Tenants,
    free: Vec<u32>,
    /// The slots by name; the names themselves are the groups'.
    names: HashTable<u32>,
    hasher: RandomState,
    serials: u32,
    /// Every group that is awake, once; and some that were removed since the last round.
    to_look_at: VecDeque<GroupKey>,
    /// What was packed last; kept for its memory.
    packed: Vec<u8>,
}

/// Who is in which slot.
#[derive(Debug, Default)]
struct Tenants {
    slots: Vec<Slot>,
    /// How many are awake.
    awake: usize,
    /// Those at rest.
    pieces: Pieces,
}

/// Its tenant, with the number of that.
#[derive(Debug)]
enum Slot {
    Vacant,
    Awake(u32, Box<Group>),
    AtRest(u32, Place),
}

/// A slot's tenant.
#[derive(Debug)]
enum Tenant<'p> {
    Awake(&'p Group),
    AtRest(Packed<'p>),
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
        self.tenants.slots.len()
    }

    /// Where the group of that name is.
    pub(super) fn find(&self, name: &str) -> Option<GroupKey> {
        let name = name.as_bytes();
        let is_it = |slot: &u32| self.tenants.name(*slot) == name;
        self.key(*self.names.find(self.hasher.hash_one(name), is_it)?)
    }

    /// The key of the group in that slot, if one is there.
    pub(super) fn key(&self, slot: u32) -> Option<GroupKey> {
        let serial = self.tenants.slots.get(slot as usize)?.serial()?;
        Some(GroupKey { slot, serial })
    }

    /// Gives a new group a place; it is awake.
    pub(super) fn insert(
        &mut self,
        id: &GroupId,
        make: impl FnOnce(GroupKey) -> Group,
    ) -> GroupKey {
        self.serials = self.serials.wrapping_add(1);
        let slot = self.free.pop().unwrap_or_else(|| self.tenants.add_slot());
        let key = GroupKey {
            slot,
            serial: self.serials,
        };
        self.tenants.move_in(Box::new(make(key)));
        let (tenants, hasher) = (&self.tenants, &self.hasher);
        let hash = |slot: &u32| hasher.hash_one(tenants.name(*slot));
        let name = id.as_str().as_bytes();
        self.names.insert_unique(hasher.hash_one(name), slot, hash);
        self.to_look_at.push_back(key);
        key
    }

    /// Takes a group out.
    pub(super) fn remove(&mut self, key: GroupKey) -> Option<Box<Group>> {
        self.tenants.at(key)?;
        let hash = self.hasher.hash_one(self.tenants.name(key.slot));
        if let Ok(entry) = self.names.find_entry(hash, |slot| *slot == key.slot) {
            entry.remove();
        }
        self.free.push(key.slot);
        self.tenants.move_out(key)
    }

    /// The keys of all groups, by slot.
    pub(super) fn keys(&self) -> impl Iterator<Item = GroupKey> {
        let slots = (0..).zip(&self.tenants.slots);
        slots.filter_map(|(slot, it)| it.serial().map(|serial| GroupKey { slot, serial }))
    }

    /// All groups, by slot.
    pub(super) fn iter(&self) -> impl Iterator<Item = Seen<'_>> {
        self.keys().filter_map(|key| self.see(key))
    }

    /// Looks at a group.
    pub(super) fn see(&self, key: GroupKey) -> Option<Seen<'_>> {
        Some(match self.tenants.at(key)? {
            Tenant::Awake(group) => Seen::Awake(group),
            Tenant::AtRest(packed) => Seen::AtRest(Box::new(packed.unpack(key))),
        })
    }

    /// The group, if it is awake.
    pub(super) fn awake(&self, key: GroupKey) -> Option<&Group> {
        match self.tenants.at(key)? {
            Tenant::Awake(group) => Some(group),
            Tenant::AtRest(_) => None,
        }
    }

    /// The same, to be changed.
    pub(super) fn awake_mut(&mut self, key: GroupKey) -> Option<&mut Group> {
        self.tenants.awake_mut(key)
    }

    /// The group, woken if need be, to be changed.
    pub(super) fn wake(&mut self, key: GroupKey, seats: &mut Seats) -> Option<&mut Group> {
        if let Slot::AtRest(..) = self.tenants.slots.get(key.slot as usize)? {
            self.rouse(key, seats);
        }
        let group = self.tenants.awake_mut(key)?;
        group.is_touched = true;
        Some(group)
    }

    /// Wakes a group that is at rest. Whoever comes too late wakes nobody.
    #[cold]
    fn rouse(&mut self, key: GroupKey, seats: &mut Seats) {
        let Some(group) = self.tenants.move_out(key) else {
            return;
        };
        for (id, member) in group.classic.roster.iter() {
            seats.name(member.seat, id);
        }
        self.tenants.move_in(group);
        self.to_look_at.push_back(key);
    }

    /// Lets a quiet group rest; how many bytes it takes then.
    pub(super) fn lay_down(&mut self, key: GroupKey, seats: &mut Seats) -> usize {
        let Some(Tenant::Awake(group)) = self.tenants.at(key) else {
            return 0;
        };
        let packed = pack(group, std::mem::take(&mut self.packed));
        debug_assert_eq!(packed, pack(&Packed(&packed).unpack(key), Vec::new()));
        let Some(place) = self.tenants.pieces.add(key.slot, &packed) else {
            // It stays awake: there are millions of its size.
            self.to_look_at.push_back(key);
            return 0;
        };
        if let Some(group) = self.tenants.move_out(key) {
            for (_, member) in group.classic.roster.iter() {
                seats.unname(member.seat);
            }
        }
        self.tenants.slots[key.slot as usize] = Slot::AtRest(key.serial, place);
        let bytes = packed.len();
        self.packed = packed;
        if self.to_look_at.back() == Some(&key) {
            // It woke just now.
            self.to_look_at.pop_back();
        }
        bytes
    }

    /// Begins a round: how many groups there are to be looked at.
    pub(super) fn begin_round(&mut self) -> usize {
        // After a crowd was awake.
        let len = self.to_look_at.len();
        if len < self.to_look_at.capacity() / 4 {
            self.to_look_at.shrink_to(2 * len);
        }
        len
    }

    pub(super) fn at_rest(&self) -> usize {
        self.names.len() - self.tenants.awake
    }

    /// The group that was not looked at for the longest time, and is to be told what becomes of
    /// it; `None`: it is gone.
    pub(super) fn next_awake(&mut self) -> Option<&mut Group> {
        let key = self.to_look_at.pop_front()?;
        self.awake_mut(key)
    }

    /// It stays awake.
    pub(super) fn stays_awake(&mut self, key: GroupKey) {
        self.to_look_at.push_back(key);
    }

    /// The group's row in a list, if there is one in that slot and its phase is asked for.
    pub(super) fn listed(&self, slot: usize, is_wanted: impl Fn(Phase) -> bool) -> Option<Listed> {
        let slot = u32::try_from(slot).ok()?;
        match self.tenants.at(self.key(slot)?)? {
            Tenant::Awake(group) => is_wanted(group.classic.phase).then(|| group.list()),
            Tenant::AtRest(packed) => packed.listed(is_wanted),
        }
    }

    /// What runs for the retention of a group.
    pub(super) fn retention(&self, key: GroupKey) -> Option<Watch> {
        match self.tenants.at(key)? {
            Tenant::Awake(group) => group.retention,
            Tenant::AtRest(packed) => packed.retention(),
        }
    }

    /// Whether the group holds offsets, committed or staged.
    pub(super) fn has_offsets(&self, key: GroupKey) -> bool {
        self.tenants.at(key).is_some_and(|tenant| match tenant {
            Tenant::Awake(group) => group.facts.sizes() != (0, 0),
            Tenant::AtRest(packed) => packed.has_offsets(),
        })
    }
}

impl Tenants {
    fn add_slot(&mut self) -> u32 {
        let slot = u32::try_from(self.slots.len());
        self.slots.push(Slot::Vacant);
        slot.expect("a shard has fewer than 2^32 groups")
    }

    /// The tenant of that key.
    fn at(&self, key: GroupKey) -> Option<Tenant<'_>> {
        let slot = self.slots.get(key.slot as usize)?;
        (slot.serial() == Some(key.serial)).then(|| self.found(slot))?
    }

    /// The tenant of a slot, if it has one.
    fn found<'s>(&'s self, slot: &'s Slot) -> Option<Tenant<'s>> {
        match slot {
            Slot::Vacant => None,
            Slot::Awake(_, group) => Some(Tenant::Awake(group)),
            Slot::AtRest(_, place) => Some(Tenant::AtRest(Packed(self.pieces.get(*place)))),
        }
    }

    /// The name of the tenant of a slot; "" if it has none.
    fn name(&self, slot: u32) -> &[u8] {
        match self.found(&self.slots[slot as usize]) {
            Some(Tenant::Awake(group)) => group.id.as_str().as_bytes(),
            Some(Tenant::AtRest(packed)) => packed.name(),
            None => &[],
        }
    }

    /// The tenant of that key, if it is awake, to be changed.
    fn awake_mut(&mut self, key: GroupKey) -> Option<&mut Group> {
        match self.slots.get_mut(key.slot as usize)? {
            Slot::Awake(serial, group) if *serial == key.serial => Some(group),
            Slot::Vacant | Slot::Awake(..) | Slot::AtRest(..) => None,
        }
    }

    /// A group comes into its slot, or wakes there.
    fn move_in(&mut self, group: Box<Group>) {
        let GroupKey { slot, serial } = group.key;
        self.slots[slot as usize] = Slot::Awake(serial, group);
        self.awake += 1;
    }

    /// The slot of that key is vacant then.
    fn move_out(&mut self, key: GroupKey) -> Option<Box<Group>> {
        let slot = self.slots.get_mut(key.slot as usize)?;
        if slot.serial() != Some(key.serial) {
            return None;
        }
        match std::mem::replace(slot, Slot::Vacant) {
            Slot::Vacant => None,
            Slot::Awake(_, group) => {
                self.awake -= 1;
                Some(group)
            }
            Slot::AtRest(_, place) => {
                let group = Packed(self.pieces.get(place)).unpack(key);
                if let Some(moved) = self.pieces.remove(place)
                    && let Some(Slot::AtRest(_, place)) = self.slots.get_mut(moved.owner as usize)
                {
                    *place = moved.to;
                }
                Some(Box::new(group))
            }
        }
    }
}

impl Slot {
    /// The number of its tenant, if it has one.
    fn serial(&self) -> Option<u32> {
        match self {
            Self::Vacant => None,
            Self::Awake(serial, _) | Self::AtRest(serial, _) => Some(*serial),
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

    #[test]
    fn a_group_fills_what_the_allocator_has_for_it() {
        // A step of its is 64 bytes here.
        assert_eq!(size_of::<Group>().next_multiple_of(64), 448);
        assert!(size_of::<Group>() > 448 - 16);
    }
}
