//! Steady members, the order in which they beat, and the time at which they do.

use std::sync::atomic::{AtomicU64, Ordering};

use takhin_coordinator::engine::{Engine, Heartbeat, LeaveRequest, Leaver, MemberHandle};
use takhin_coordinator::ids::{Generation, GroupId, MemberId};
use takhin_coordinator::time::{Now, Tick, WallMs};

use super::requests;
use super::steady::Steady;

/// Members in the order in which they beat, and the bytes of their names as if they had just been
/// read: neither the names nor their order are those of the engine's memory.
pub(crate) struct Beats {
    pub(crate) order: Vec<usize>,
    names: String,
    /// Where each beat's group and member begin and end in `names`.
    spans: Vec<[usize; 3]>,
    generation: Generation,
}

impl Beats {
    pub(crate) fn of(steady: &Steady) -> Self {
        let order = shuffled(steady.members.len());
        let mut names = String::new();
        let mut spans = Vec::with_capacity(order.len());
        for &n in &order {
            let member = &steady.members[n];
            let start = names.len();
            names.push_str(member.group.as_str());
            let middle = names.len();
            names.push_str(member.id.as_str());
            spans.push([start, middle, names.len()]);
        }
        Self {
            order,
            names,
            spans,
            generation: steady.members[0].generation,
        }
    }

    /// Everyone's handle, in the same order.
    pub(crate) fn handles(&self, steady: &Steady) -> Vec<(MemberHandle, Generation)> {
        let find = |n: &usize| {
            let member = &steady.members[*n];
            let engine = &steady.engine;
            let found = engine.member(member.group.as_str(), member.id.as_str());
            (found.expect("everyone is there"), member.generation)
        };
        self.order.iter().map(find).collect()
    }

    pub(crate) fn names(&self, at: usize) -> (&str, &str) {
        let [start, middle, end] = self.spans[at];
        (&self.names[start..middle], &self.names[middle..end])
    }

    pub(crate) fn beat(&self, at: usize) -> Heartbeat<'_> {
        let (group, member) = self.names(at);
        Heartbeat::new(group, member, self.generation)
    }
}

pub(crate) fn shuffled(count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    let mut seed = 0x9e37_79b9_7f4a_7c15_usize;
    for n in (1..count).rev() {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        order.swap(n, seed % (n + 1));
    }
    order
}

/// Each beat a tick later than the last: none of them is spared its swap.
#[derive(Clone, Copy)]
pub(crate) struct Steps {
    at: usize,
    tick: u64,
    count: usize,
}

impl Steps {
    /// Steps that are later than all that were made before.
    pub(crate) fn new(count: usize) -> Self {
        static ERA: AtomicU64 = AtomicU64::new(0);
        Self {
            at: 0,
            tick: ERA.fetch_add(1, Ordering::Relaxed) << 32,
            count,
        }
    }

    /// Steps of two threads, half a round apart in one time: each word is beaten by a later tick
    /// than the last.
    pub(crate) fn pair(count: usize) -> [Self; 2] {
        let first = Self::new(count);
        let second = Self {
            at: count / 2,
            ..first
        };
        [first, second]
    }

    pub(crate) fn next(&mut self) -> (usize, Now) {
        self.at = if self.at + 1 < self.count {
            self.at + 1
        } else {
            0
        };
        self.tick += 1;
        let now = Now {
            tick: Tick(self.tick),
            wall: WallMs(0),
        };
        (self.at, now)
    }
}

/// A member of another group joins and leaves again.
pub(crate) fn pass_through(engine: &Engine, number: u64) {
    let group = GroupId::from(format!("passing-{}", number % 1_000));
    let first = engine.join(requests::join(&group, MemberId::default()));
    let member = first.wait().expect_err("an id comes first").member;
    // Opens its session; parked, since the clock stands still.
    let parked = engine.join(requests::join(&group, member.clone()));
    let left = engine.leave(LeaveRequest {
        group,
        leavers: vec![Leaver {
            member,
            instance: None,
            reason: None,
        }],
    });
    let _ = (left.wait(), parked.now());
}
