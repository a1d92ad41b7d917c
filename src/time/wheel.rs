//! A hashed timing wheel: deadlines in, payloads out, nobody early.
//!
//! ```text
//!   slot   0      1      2      3           slots - 1      a turn = slots * tick_ms
//!        [ .. ] [ .. ] [    ] [ .. ]  ...  [ .. ]
//!                 ^ walked     ^ next
//!   A deadline belongs to the first step that does not begin before it, and that step to the
//!   slot `step % slots` and the turn `step / slots`. Each entry keeps its turn, so a deadline any
//!   number of turns ahead waits in its slot. Each slot knows its earliest step, so that a slot in
//!   which nothing is due yet is passed over without a look at its entries.
//! ```
//!
//! - One owner, plain vectors, no clock: the time is an argument.
//! - There is no cancel. A payload carries a guard of its owner's (a sequence number, a slab
//!   generation), and one that is stale is ignored by whoever receives it.
//! - A turn is counted in 32 bits: at 82 s each, 11,000 years. A deadline after that never fires.
//! - The order of what fires in one call is deterministic, and is not the order of deadlines.

use std::fmt;

use super::Tick;

/// A slot that has emptied keeps its memory up to this many entries.
///
/// Of 8,192 slots with 16-byte entries that is 4 MiB at most, whatever bursts went through.
pub(super) const KEPT_ENTRIES: usize = 32;

/// The measures of a wheel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WheelConfig {
    /// Milliseconds of one step, at least 1: how late a deadline may fire.
    pub tick_ms: u64,
    /// Number of slots: a power of two, at least 64. Each costs 32 bytes when empty.
    pub slots: usize,
    /// Most entries that wait at any time, stale ones included.
    pub entries_max: usize,
}

impl Default for WheelConfig {
    /// 8,192 slots of 10 ms, a turn of 82 s, 4 Mi entries.
    fn default() -> Self {
        Self {
            tick_ms: 10,
            slots: 8192,
            entries_max: 4 << 20,
        }
    }
}

/// The wheel holds its maximum of entries; nothing was inserted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WheelFull {
    /// The maximum.
    pub entries_max: usize,
}

impl fmt::Display for WheelFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the timing wheel is full: {} entries", self.entries_max)
    }
}

impl std::error::Error for WheelFull {}

/// Deadlines of one owner, see the module's documentation.
#[derive(Debug)]
pub struct Wheel<T> {
    config: WheelConfig,
    pub(super) slots: Vec<Slot<T>>,
    /// One bit a slot: set while the slot has entries.
    pub(super) occupied: Vec<u64>,
    /// Entries whose step was already walked when they came: they fire first.
    pub(super) overdue: Vec<T>,
    /// Every step up to here, included, has been walked to its end.
    walked: u64,
    /// Where the walk of the slot after `walked` was cut off, if it was.
    pub(super) cut: Option<Cut>,
    /// The earliest step in the slots, `u64::MAX` if there is none; `None`: to be looked for.
    pub(super) earliest: Option<u64>,
    pub(super) len: usize,
}

#[derive(Debug)]
pub(super) struct Slot<T> {
    /// The smallest step among the entries, or less while the slot's walk is cut off;
    /// `u64::MAX` when there are none.
    pub(super) earliest: u64,
    pub(super) entries: Vec<Entry<T>>,
}

/// 16 bytes with a payload of 12: most of what a wheel takes is these.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<T> {
    /// Of which turn its step is; [`NEVER`]: of none that will come.
    pub(super) turn: u32,
    pub(super) payload: T,
}

/// The turn of a deadline that is too far away to be counted.
const NEVER: u32 = u32::MAX;

/// The step of such a deadline: after every other, and no time reaches it.
const STEP_NEVER: u64 = u64::MAX - 1;

/// A walk within a slot that ran out of its budget.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    /// Entries before this index were looked at and stay.
    at: usize,
    /// The first turn among those that stay.
    earliest: u32,
    /// The last turn that was due: if it is a later one by the time that the walk goes on, some
    /// of those that stayed may be due.
    due: u32,
}

impl<T: Copy> Wheel<T> {
    /// An empty wheel that stands at `now`.
    ///
    /// # Panics
    ///
    /// If `tick_ms` is 0, or `slots` is not a power of two or below 64.
    pub fn new(config: WheelConfig, now: Tick) -> Self {
        assert!(config.tick_ms > 0, "a step of the wheel takes time");
        assert!(
            config.slots.is_power_of_two() && config.slots >= 64,
            "the number of slots is a power of two and at least 64"
        );
        let mut slots = Vec::with_capacity(config.slots);
        slots.resize_with(config.slots, || Slot {
            earliest: u64::MAX,
            entries: Vec::new(),
        });
        Self {
            config,
            slots,
            occupied: vec![0; config.slots / 64],
            overdue: Vec::new(),
            walked: now.0 / config.tick_ms,
            cut: None,
            earliest: Some(u64::MAX),
            len: 0,
        }
    }

    /// Entries that have not fired, stale ones included.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Lets `payload` fire at the first [`advance`](Self::advance) that is not before `deadline`
    /// and less than a step (`tick_ms`) after it.
    ///
    /// A deadline that the wheel has passed fires at the next `advance`.
    ///
    /// # Errors
    ///
    /// [`WheelFull`] if `entries_max` entries wait already.
    pub fn insert(&mut self, deadline: Tick, payload: T) -> Result<(), WheelFull> {
        if self.len >= self.config.entries_max {
            return Err(WheelFull {
                entries_max: self.config.entries_max,
            });
        }
        self.len += 1;
        let step = deadline.0.div_ceil(self.config.tick_ms);
        if step <= self.walked {
            self.overdue.push(payload);
            return Ok(());
        }
        let index = self.index_of(step);
        let turn = self.turn_of(step);
        let step = self.step_of(index, turn);
        let slot = &mut self.slots[index];
        slot.earliest = slot.earliest.min(step);
        if slot.entries.len() == slot.entries.capacity() {
            // By a quarter, not by doubling: slots are what a wheel of many members consists of.
            slot.entries.reserve_exact(4.max(slot.entries.len() / 4));
        }
        slot.entries.push(Entry { turn, payload });
        self.earliest = self.earliest.map(|earliest| earliest.min(step));
        self.occupied[index / 64] |= 1 << (index % 64);
        Ok(())
    }

    /// Moves the wheel to `now` and appends what is due to `fired`; says whether more is due.
    ///
    /// Looks at no more than `max` entries and at each slot at most once, however long nobody
    /// called. After `true` (the budget was used up) the caller calls again, with the same or a
    /// later `now`, to get the rest. A `now` that goes back moves nothing.
    pub fn advance(&mut self, now: Tick, max: usize, fired: &mut Vec<T>) -> bool {
        let target = now.0 / self.config.tick_ms;
        if self.overdue.is_empty() && target <= self.walked {
            return false;
        }
        let mut budget = max;
        let overdue = self.overdue.len().min(budget);
        fired.extend(self.overdue.drain(..overdue));
        self.len -= overdue;
        budget -= overdue;
        if !self.overdue.is_empty() {
            return true;
        }

        let turn = self.config.slots as u64;
        // After a stall of more than a turn one turn visits every slot, and so all that is due.
        let last = target.min(self.walked.saturating_add(turn));
        while self.walked < last {
            let Some(step) = self.occupied_after(self.walked, last) else {
                break;
            };
            self.walked = step - 1;
            let index = self.index_of(step);
            if self.cut.is_none() && self.slots[index].earliest > target {
                self.walked = step;
                continue;
            }
            // Of the slot's turns up to the target; the step walked to is one of them.
            let due = self
                .turn_of(step + (target - step) / turn * turn)
                .min(NEVER - 1);
            if !self.walk_slot(index, due, &mut budget, fired) {
                return true;
            }
            self.walked = step;
        }
        self.walked = self.walked.max(target);
        false
    }

    /// When [`advance`](Self::advance) next has something to fire, `None` if nothing waits.
    ///
    /// Exact to the step: the earliest deadline, rounded up to `tick_ms`. While more is due than
    /// the last `advance` took, it is a time already reached. Known but for the first time after
    /// something fired; then it costs a scan of a bitmap (128 words at 8,192 slots), and if
    /// nothing is due within a turn, one word an occupied slot.
    pub fn next_deadline(&mut self) -> Option<Tick> {
        let step = if !self.overdue.is_empty() {
            self.walked
        } else if let Some(earliest) = self.earliest {
            earliest
        } else {
            let earliest = self.earliest_step();
            *self.earliest.insert(earliest)
        };
        (step != u64::MAX).then(|| Tick(step.saturating_mul(self.config.tick_ms)))
    }

    /// Takes from one slot what is due, up to that turn; `false` if the budget ended before the
    /// slot did.
    fn walk_slot(
        &mut self,
        index: usize,
        due: u32,
        budget: &mut usize,
        fired: &mut Vec<T>,
    ) -> bool {
        let (mut at, mut earliest) = match self.cut.take() {
            Some(cut) if cut.due == due => (cut.at, cut.earliest),
            _ => (0, NEVER),
        };
        self.earliest = None;
        let entries = &mut self.slots[index].entries;
        while at < entries.len() {
            if *budget == 0 {
                self.cut = Some(Cut { at, earliest, due });
                return false;
            }
            *budget -= 1;
            let turn = entries[at].turn;
            if turn <= due {
                fired.push(entries.swap_remove(at).payload);
                self.len -= 1;
            } else {
                earliest = earliest.min(turn);
                at += 1;
            }
        }
        if entries.is_empty() {
            self.occupied[index / 64] &= !(1 << (index % 64));
            if entries.capacity() > KEPT_ENTRIES {
                *entries = Vec::new();
            }
            self.slots[index].earliest = u64::MAX;
        } else {
            self.slots[index].earliest = self.step_of(index, earliest);
        }
        true
    }

    /// The earliest step in the slots, `u64::MAX` if there is none.
    fn earliest_step(&self) -> u64 {
        let turn = self.config.slots as u64;
        let horizon = self.walked.saturating_add(turn);
        let mut from = self.walked;
        let mut earliest = u64::MAX;
        // The first slot that holds an entry of this turn has the answer; entries of later turns
        // count only if no slot does.
        while let Some(step) = self.occupied_after(from, horizon) {
            let in_slot = self.slots[self.index_of(step)].earliest;
            if in_slot <= step {
                return in_slot;
            }
            earliest = earliest.min(in_slot);
            from = step;
        }
        earliest
    }

    /// The first step in `from + 1 ..= last` whose slot has entries; the range is at most a turn.
    fn occupied_after(&self, from: u64, last: u64) -> Option<u64> {
        let mut step = from.checked_add(1)?;
        while step <= last {
            let index = self.index_of(step);
            let word = self.occupied[index / 64] >> (index % 64);
            if word != 0 {
                let found = step.checked_add(u64::from(word.trailing_zeros()))?;
                return (found <= last).then_some(found);
            }
            step = step.checked_add(64 - (index as u64 % 64))?;
        }
        None
    }

    /// The turn of a step.
    fn turn_of(&self, step: u64) -> u32 {
        u32::try_from(step / self.config.slots as u64).unwrap_or(NEVER)
    }

    /// The step of an entry of that slot.
    pub(super) fn step_of(&self, index: usize, turn: u32) -> u64 {
        if turn == NEVER {
            return STEP_NEVER;
        }
        u64::from(turn) * self.config.slots as u64 + index as u64
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the mask leaves fewer bits than a slot index has"
    )]
    fn index_of(&self, step: u64) -> usize {
        (step & (self.config.slots as u64 - 1)) as usize
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CONFIG: WheelConfig = WheelConfig {
        tick_ms: 10,
        slots: 64,
        entries_max: 10_000,
    };

    fn wheel() -> Wheel<u32> {
        Wheel::new(CONFIG, Tick(0))
    }

    fn fire(wheel: &mut Wheel<u32>, now: u64) -> Vec<u32> {
        let mut fired = Vec::new();
        assert!(!wheel.advance(Tick(now), usize::MAX, &mut fired));
        fired.sort_unstable();
        fired
    }

    #[test]
    fn nothing_fires_before_its_deadline_and_all_within_a_step() {
        let mut wheel = wheel();
        wheel.insert(Tick(11), 1).unwrap();
        wheel.insert(Tick(20), 2).unwrap();
        wheel.insert(Tick(21), 3).unwrap();
        assert!(fire(&mut wheel, 19).is_empty());
        assert_eq!(fire(&mut wheel, 20), [1, 2]);
        assert!(fire(&mut wheel, 29).is_empty());
        assert_eq!(fire(&mut wheel, 30), [3]);
        assert!(wheel.is_empty());
    }

    #[test]
    fn a_deadline_in_the_past_fires_at_the_next_advance() {
        let mut wheel = wheel();
        assert!(fire(&mut wheel, 1000).is_empty());
        wheel.insert(Tick(7), 1).unwrap();
        wheel.insert(Tick(1000), 2).unwrap();
        assert_eq!(wheel.next_deadline(), Some(Tick(1000)));
        assert_eq!(fire(&mut wheel, 1000), [1, 2]);
        assert_eq!(wheel.next_deadline(), None);
    }

    #[test]
    fn a_deadline_of_a_later_turn_waits_in_its_slot() {
        let mut wheel = wheel();
        wheel.insert(Tick(50), 1).unwrap();
        wheel.insert(Tick(50 + 640), 2).unwrap();
        wheel.insert(Tick(50 + 640 * 9), 3).unwrap();
        assert_eq!(fire(&mut wheel, 60), [1]);
        assert_eq!(wheel.next_deadline(), Some(Tick(690)));
        assert_eq!(fire(&mut wheel, 700), [2]);
        assert_eq!(wheel.next_deadline(), Some(Tick(50 + 640 * 9)));
        assert!(fire(&mut wheel, 49 + 640 * 9).is_empty());
        assert_eq!(fire(&mut wheel, 50 + 640 * 9), [3]);
    }

    #[test]
    fn a_budget_cuts_the_walk_and_the_next_call_goes_on() {
        let mut wheel = wheel();
        for n in 0..10 {
            wheel.insert(Tick(100), n).unwrap();
            wheel.insert(Tick(100 + 640), 100 + n).unwrap();
        }
        let mut fired = Vec::new();
        let mut calls = 1;
        while wheel.advance(Tick(100), 3, &mut fired) {
            assert_eq!(wheel.next_deadline(), Some(Tick(100)));
            calls += 1;
        }
        fired.sort_unstable();
        assert_eq!(fired, (0..10).collect::<Vec<_>>());
        assert_eq!(calls, 7, "20 entries, 3 a call");
        assert_eq!(wheel.next_deadline(), Some(Tick(740)));
    }

    #[test]
    fn a_cut_walk_that_goes_on_a_turn_later_looks_again_at_those_that_stayed() {
        let mut wheel = wheel();
        wheel.insert(Tick(100 + 640), 1).unwrap();
        wheel.insert(Tick(100), 2).unwrap();
        let mut fired = Vec::new();
        assert!(wheel.advance(Tick(100), 1, &mut fired));
        assert_eq!(fire(&mut wheel, 740), [1, 2]);
        assert!(fired.is_empty());
    }

    #[test]
    fn a_full_wheel_refuses() {
        let mut wheel = Wheel::new(
            WheelConfig {
                entries_max: 1,
                ..CONFIG
            },
            Tick(0),
        );
        wheel.insert(Tick(5), 1).unwrap();
        assert_eq!(wheel.insert(Tick(5), 2), Err(WheelFull { entries_max: 1 }));
        assert_eq!(fire(&mut wheel, 10), [1]);
        wheel.insert(Tick(5), 3).unwrap();
    }

    #[test]
    fn the_end_of_time_is_a_deadline_like_any_other() {
        let mut wheel = wheel();
        wheel.insert(Tick(u64::MAX), 1).unwrap();
        assert_eq!(wheel.next_deadline(), Some(Tick(u64::MAX)));
        assert!(fire(&mut wheel, u64::MAX / 2).is_empty());
        assert_eq!(wheel.len(), 1);
    }

    #[test]
    fn an_entry_takes_little_more_than_its_payload() {
        assert_eq!(size_of::<Entry<[u32; 3]>>(), 16);
    }

    #[test]
    fn a_burst_does_not_keep_its_memory() {
        let mut wheel = wheel();
        for n in 0..5000 {
            wheel.insert(Tick(100), n).unwrap();
        }
        assert_eq!(fire(&mut wheel, 100).len(), 5000);
        let kept: usize = wheel.slots.iter().map(|s| s.entries.capacity()).sum();
        assert!(kept <= KEPT_ENTRIES);
    }

    #[derive(Clone, Debug)]
    enum Op {
        Insert { after_ms: i64 },
        Advance { by_ms: u64, max: usize },
        Tidy { max: usize },
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            (1_usize..100).prop_map(|max| Op::Tidy { max }),
            // Past, within a turn (640 ms), many turns ahead.
            (-100_i64..5_000).prop_map(|after_ms| Op::Insert { after_ms }),
            (-10_i64..700).prop_map(|after_ms| Op::Insert { after_ms }),
            // Small steps, and stalls of many turns.
            (0_u64..30, 1_usize..6).prop_map(|(by_ms, max)| Op::Advance { by_ms, max }),
            (0_u64..3_000, 1_usize..6).prop_map(|(by_ms, max)| Op::Advance { by_ms, max }),
            (0_u64..800, Just(usize::MAX)).prop_map(|(by_ms, max)| Op::Advance { by_ms, max }),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn the_wheel_agrees_with_a_sorted_list(
            start in 0_u64..100_000,
            ops in prop::collection::vec(op(), 1..200),
        ) {
            let mut wheel = Wheel::new(CONFIG, Tick(start));
            let mut now = start;
            // The oracle: (deadline, time of the insert) of what waits, by payload.
            let mut waits = std::collections::BTreeMap::new();
            for (payload, op) in ops.into_iter().enumerate() {
                match op {
                    Op::Insert { after_ms } => {
                        let deadline = now.saturating_add_signed(after_ms);
                        wheel.insert(Tick(deadline), payload).unwrap();
                        waits.insert(payload, deadline);
                    }
                    Op::Tidy { max } => {
                        let keep = |payload: &usize| !payload.is_multiple_of(5);
                        let mut from = Some(0);
                        while let Some(slot) = from {
                            from = wheel.tidy(slot, max, keep);
                        }
                        waits.retain(|payload, _| keep(payload) || wheel.overdue.contains(payload));
                    }
                    Op::Advance { by_ms, max } => {
                        now += by_ms;
                        let mut fired = Vec::new();
                        let more = wheel.advance(Tick(now), max, &mut fired);
                        prop_assert!(fired.len() <= max);
                        for payload in fired {
                            let deadline = waits.remove(&payload).expect("fires once");
                            prop_assert!(deadline <= now, "early");
                        }
                        if !more {
                            let late = waits.values().find(|d| **d + CONFIG.tick_ms <= now);
                            prop_assert_eq!(late, None, "late by a step");
                        }
                    }
                }
                prop_assert_eq!(wheel.len(), waits.len());
                check_next_deadline(&mut wheel, now, waits.values().min().copied())?;
            }
            // Nothing is lost.
            let mut fired = Vec::new();
            while wheel.advance(Tick(now + 10_000), 7, &mut fired) {}
            fired.sort_unstable();
            prop_assert_eq!(fired, waits.into_keys().collect::<Vec<_>>());
        }
    }

    fn check_next_deadline(
        wheel: &mut Wheel<usize>,
        now: u64,
        first: Option<u64>,
    ) -> Result<(), TestCaseError> {
        match (wheel.next_deadline(), first) {
            (None, None) => {}
            (Some(Tick(next)), Some(first)) if first > now => {
                // Exact, unless a cut walk has more to look at.
                if next > now {
                    prop_assert_eq!(next, first.next_multiple_of(CONFIG.tick_ms));
                }
            }
            (Some(Tick(next)), Some(first)) => {
                prop_assert!(next < first.max(now) + CONFIG.tick_ms);
            }
            (next, first) => prop_assert!(false, "{next:?} is not {first:?}"),
        }
        Ok(())
    }
}
