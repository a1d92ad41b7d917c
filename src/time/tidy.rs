//! Entries of a wheel that nobody waits for any more.

use super::wheel::{KEPT_ENTRIES, Wheel};

impl<T: Copy> Wheel<T> {
    /// Throws away what `keep` says no to, without firing it: entries that their owners have
    /// given up, when they outnumber the others. Walks all entries.
    pub fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        let before = self.overdue.len();
        self.overdue.retain(&mut keep);
        self.len -= before - self.overdue.len();
        for index in 0..self.slots.len() {
            self.retain_in(index, &mut keep);
        }
    }

    /// The same for some slots from the first or that one on, about `max` entries: which slot is
    /// the next. `None`: that was the last.
    ///
    /// They have no more memory afterwards than they need.
    pub fn tidy(
        &mut self,
        from: usize,
        max: usize,
        mut keep: impl FnMut(&T) -> bool,
    ) -> Option<usize> {
        let mut looked_at = 0;
        for index in from..self.slots.len() {
            if looked_at >= max {
                return Some(index);
            }
            // A slot that has nothing costs little, but not nothing.
            looked_at += 1 + self.slots[index].entries.len();
            if !self.slots[index].entries.is_empty() {
                self.retain_in(index, &mut keep);
            }
            let entries = &mut self.slots[index].entries;
            if entries.capacity() - entries.len() > entries.len() / 16 {
                entries.shrink_to_fit();
            }
        }
        None
    }

    fn retain_in(&mut self, index: usize, keep: &mut impl FnMut(&T) -> bool) {
        // A walk that was cut off begins anew: what it has fired is gone, the rest is looked at.
        self.cut = None;
        self.earliest = None;
        let entries = &mut self.slots[index].entries;
        let before = entries.len();
        entries.retain(|entry| keep(&entry.payload));
        self.len -= before - entries.len();
        let first = entries.iter().map(|entry| entry.turn).min();
        if entries.is_empty() {
            self.occupied[index / 64] &= !(1 << (index % 64));
            entries.shrink_to(KEPT_ENTRIES);
        }
        let earliest = first.map_or(u64::MAX, |turn| self.step_of(index, turn));
        self.slots[index].earliest = earliest;
    }
}
