//! Groups to which nothing happens come to rest.
//!
//! Most groups of most nodes are idle: their members beat at the side door, and nobody asks for
//! anything else. At rest a group is one small piece of memory ([`super::packed`]). Whatever would
//! change it wakes it first, so no verb knows of this and no answer depends on it; to be looked at
//! it does not wake, unless that happens again and again.

use super::effects::GroupKey;
use super::groups::{Group, Groups};
use super::places::Seen;

/// Members of a group that can rest. To pack or unpack one takes about a microsecond.
const MEMBERS_MAX: usize = 16;

/// Offsets of a group that can rest. To pack or unpack one takes some 30 ns.
const OFFSETS_MAX: usize = 1_024;

/// Groups that one call looks at, at some 100 ns each.
const LOOKS_MAX: usize = 64;

/// Bytes that one call packs, more or less: 20 microseconds.
const PACKED_BYTES_MAX: usize = 4 << 10;

/// How many groups that were read can be remembered.
const READ_MAX: usize = 256;

/// A look at each group that is awake.
#[derive(Debug)]
pub(super) struct Round {
    /// Groups that are still to be looked at.
    left: usize,
    /// Slots of groups at rest that were read in this round, each where its number says.
    read: Box<[u32; READ_MAX]>,
}

impl Default for Round {
    fn default() -> Self {
        Self {
            left: 0,
            read: Box::new([u32::MAX; READ_MAX]),
        }
    }
}

impl Groups {
    /// Goes on with a round over the groups that are awake; whether the round is over.
    ///
    /// A group that was not touched from one look to the next, and in which nothing is going on,
    /// comes to rest. Whoever calls this decides how long that is.
    pub fn rest(&mut self) -> bool {
        if self.round.left == 0 {
            self.round.left = self.places.begin_round();
            self.round.read.fill(u32::MAX);
        }
        let mut bytes = 0;
        for _ in 0..self.round.left.min(LOOKS_MAX) {
            self.round.left -= 1;
            bytes += self.look_at_next();
            if bytes > PACKED_BYTES_MAX {
                break;
            }
        }
        self.round.left == 0
    }

    /// How many groups are at rest.
    pub fn at_rest(&self) -> usize {
        self.places.at_rest()
    }

    /// How many bytes were packed.
    fn look_at_next(&mut self) -> usize {
        let Some(group) = self.places.next_awake() else {
            return 0;
        };
        let was_touched = std::mem::take(&mut group.is_touched);
        let key = group.key;
        if was_touched || !group.can_rest() {
            self.places.stays_awake(key);
            return 0;
        }
        self.places.lay_down(key, &mut self.seats)
    }

    /// A group was woken for a moment; so that not all of a shard are awake at once, it rests again
    /// without waiting for a round, if it can.
    pub(super) fn rest_again(&mut self, key: GroupKey) {
        if self.places.awake(key).is_some_and(Group::can_rest) {
            self.places.lay_down(key, &mut self.seats);
        }
    }

    /// The group, to be read. One that is read for the second time within a round wakes.
    pub(super) fn read(&mut self, key: GroupKey) -> Option<Seen<'_>> {
        if self.places.awake(key).is_none() {
            let place = key.slot as usize % READ_MAX;
            let before = std::mem::replace(&mut self.round.read[place], key.slot);
            if before == key.slot {
                self.keyed_mut(key);
            }
        }
        self.places.see(key)
    }
}

impl Group {
    /// Whether nothing is on its way, nobody waits, and it is small enough to be packed in a turn.
    fn can_rest(&self) -> bool {
        self.in_flight == 0
            && self.held.is_empty()
            && !self.is_closing
            && self.facts.pending.is_empty()
            && self.facts.offsets.len() <= OFFSETS_MAX
            && self.classic.roster.len() <= MEMBERS_MAX
            && self.classic.is_quiet()
    }
}
