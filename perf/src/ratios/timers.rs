//! The timing wheel, and what it takes to find the dead among a million who live.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;
use takhin_coordinator::engine::MemberHandle;
use takhin_coordinator::time::{Tick, Wheel, WheelConfig};

use super::Size;
use super::row::{Goal, Row};
use super::turns::{alone, by_turns, ns_a_step};
use crate::clock;
use crate::failure::Failure;
use crate::report::as_f64;
use crate::steady::{Member, Steady};
use crate::timeouts::{Numbers, Payload, full_wheel};

const STEP_MS: u64 = 10;

/// Timers whose memory is asked for together.
const GLANCED: usize = 32;

pub(super) fn rows(size: &Size) -> Result<Vec<Row>, Failure> {
    let mut rows = wheel(size)?;
    rows.extend(expiry(size)?);
    Ok(rows)
}

fn wheel(size: &Size) -> Result<Vec<Row>, Failure> {
    let members = u32::try_from(size.members).expect("a million at most");
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let words: Vec<_> = (0..members).map(|_| CachePadded::default()).collect();
    let mut full = Rearming {
        wheel: full_wheel(&mut numbers, members),
        words: &words,
        numbers,
        now: Tick(0),
        fired: Vec::new(),
    };
    let mut numbers = Numbers(0x2545_f491_4f6c_dd1d);
    let fires = by_turns(
        "wheel: a timer fires and is armed again / a random member is read",
        (size.turns, "ns", Goal::AtMost(1.5)),
        || {
            Ok(ns_a_step(size.members, |_| {
                let word = &words[numbers.member(members) as usize];
                black_box(word.load(Ordering::Relaxed));
            }))
        },
        || Ok(full.ns_a_fire(size.members / 4)),
    )?;
    let tick = alone(
        "wheel: 10,000 timers in one tick",
        (size.turns, "ms", Goal::AtMost(1.5)),
        || Ok(ms_of_one_tick(&words, members)),
    )?;
    Ok(vec![fires, tick])
}

/// A wheel whose timers are those of members that live: each is armed again when it fires.
struct Rearming<'w> {
    wheel: Wheel<Payload>,
    words: &'w [CachePadded<AtomicU64>],
    numbers: Numbers,
    now: Tick,
    fired: Vec<Payload>,
}

impl Rearming<'_> {
    fn step(&mut self) -> usize {
        self.now = self.now + STEP_MS;
        while self.wheel.advance(self.now, 1_024, &mut self.fired) {}
        let count = self.fired.len();
        let word = |member: u32| self.words[member as usize].load(Ordering::Relaxed);
        // As a shard does it: what is looked at together is asked for together.
        for fired in self.fired.chunks(GLANCED) {
            black_box(fired.iter().fold(0, |all, fired| all ^ word(fired.0)));
            for (member, _, sequence) in fired {
                let deadline = self.now + (word(*member) + self.numbers.timeout_ms());
                let armed = self.wheel.insert(deadline, (*member, 0, sequence + 1));
                armed.expect("one has just left");
            }
        }
        self.fired.clear();
        count
    }

    fn ns_a_fire(&mut self, least: usize) -> f64 {
        let mut done = 0;
        let before = clock::thread_time();
        while done < least {
            done += self.step();
        }
        ns_since(before) / as_f64(done as u64)
    }
}

/// A tick in which ten thousand random members are due, each read and filed again.
fn ms_of_one_tick(words: &[CachePadded<AtomicU64>], members: u32) -> f64 {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let mut wheel = Wheel::new(WheelConfig::default(), Tick(0));
    for _ in 0..10_000 {
        let payload = (numbers.member(members), 0, 0);
        wheel.insert(Tick(STEP_MS), payload).expect("there is room");
    }
    let mut one = Rearming {
        wheel,
        words,
        numbers,
        now: Tick(0),
        fired: Vec::new(),
    };
    let before = clock::thread_time();
    let fired = one.step();
    let spent = ns_since(before);
    assert_eq!(fired, 10_000);
    spent / 1e6
}

fn ns_since(before: std::time::Duration) -> f64 {
    clock::thread_time().saturating_sub(before).as_secs_f64() * 1e9
}

/// A member beats that often.
const BEAT_MS: u64 = 3_000;

/// Members that stop beating in the end.
const DYING: usize = 1_000;

/// All members beat each 3 s in a time that goes on as fast as it can; then some stop.
fn expiry(size: &Size) -> Result<Vec<Row>, Failure> {
    let mut living = Living::new(size.members)?;
    // The sessions come to be filed where they will be; then what counts.
    living.pass(size.expiry_ms);
    living.spent_ns = 0.0;
    living.pass(size.expiry_ms);
    let share_of_a_core = |ns: f64, ms: u64| ns / (as_f64(ms) * 1e6) * 100.0;
    let share = Row {
        floor: Some(share_of_a_core(living.ns_of_a_scan(), 1_000)),
        ..Row::alone(
            &format!(
                "expiry of {} who beat each 3 s / a packed scan each second",
                size.members
            ),
            share_of_a_core(living.spent_ns, size.expiry_ms),
            "% of a core",
            Goal::AtMost(0.5),
        )
    };
    let (late_ms, early_ms) = living.misses();
    Ok(vec![
        share,
        Row::alone("expiry: late at most", late_ms, "ms", Goal::AtMost(20.0)),
        Row::alone("expiry: early at most", early_ms, "ms", Goal::AtMost(0.0)),
    ])
}

/// Members whose sessions end after 10 to 45 s without a beat.
struct Living {
    steady: Steady,
    handles: Vec<MemberHandle>,
    timeouts_ms: Vec<u64>,
    /// When each beat last.
    beats_ms: Vec<u64>,
    now_ms: u64,
    /// What the engine has spent on what was due.
    spent_ns: f64,
}

impl Living {
    fn new(members: usize) -> Result<Self, Failure> {
        let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
        let mut timeouts_ms = Vec::with_capacity(members);
        let steady = Steady::with_sessions(members, || {
            let timeout_ms = numbers.timeout_ms();
            timeouts_ms.push(timeout_ms);
            i32::try_from(timeout_ms).expect("below a minute")
        });
        let find = |it: &Member| steady.engine.member(it.group.as_str(), it.id.as_str());
        let handles: Option<Vec<MemberHandle>> = steady.members.iter().map(find).collect();
        let handles = handles.ok_or_else(|| Failure::new("a member is gone already"))?;
        let mut living = Self {
            beats_ms: vec![0; handles.len()],
            steady,
            handles,
            timeouts_ms,
            now_ms: 0,
            spent_ns: 0.0,
        };
        (0..living.handles.len()).for_each(|at| living.beat(at));
        Ok(living)
    }

    fn beat(&mut self, at: usize) {
        let generation = self.steady.members[at].generation;
        let now = self.steady.engine.now();
        let heard = self.handles[at].heartbeat(generation, None, now);
        assert_eq!(heard, Some(Ok(())), "nobody dies who beats");
        self.beats_ms[at] = self.now_ms;
    }

    fn step(&mut self) {
        self.steady.clock.advance_ms(STEP_MS);
        self.now_ms += STEP_MS;
        let before = clock::thread_time();
        let now = self.steady.engine.now().tick;
        while self.steady.engine.run_due().is_some_and(|next| next <= now) {}
        self.spent_ns += ns_since(before);
    }

    /// That much time, in which all beat when it is their turn.
    fn pass(&mut self, ms: u64) {
        let turns = usize::try_from(BEAT_MS / STEP_MS).expect("few");
        for step in (0..turns)
            .cycle()
            .take(usize::try_from(ms / STEP_MS).expect("few"))
        {
            self.step();
            for at in (step..self.handles.len()).step_by(turns) {
                self.beat(at);
            }
        }
    }

    /// What it takes to read when each has beaten, one after the other.
    fn ns_of_a_scan(&self) -> f64 {
        let packed = |ms: &Vec<u64>| -> Vec<u32> {
            let short = ms.iter().map(|ms| u32::try_from(*ms).unwrap_or(u32::MAX));
            short.collect()
        };
        let (beats, timeouts) = (packed(&self.beats_ms), packed(&self.timeouts_ms));
        let now = u32::try_from(self.now_ms).expect("some minutes");
        let scan = |_| {
            let both = black_box(&beats).iter().zip(black_box(&timeouts));
            let dead = both
                .filter(|(beat, timeout)| *beat + *timeout < now)
                .count();
            assert_eq!(black_box(dead), 0);
        };
        ns_a_step(10, scan)
    }

    /// Whole groups stop beating; by how much the one that was found last was found late, and by
    /// how much any was given up too early.
    fn misses(&mut self) -> (f64, f64) {
        let dying = DYING.min(self.handles.len());
        let deadlines = self.beats_ms.iter().zip(&self.timeouts_ms).take(dying);
        let mut deadlines: Vec<u64> = deadlines.map(|(beat, timeout)| beat + timeout).collect();
        deadlines.sort_unstable();
        let (total, mut dead) = (self.steady.engine.members(), 0);
        let (mut late, mut early) = (0, 0);
        let turns = usize::try_from(BEAT_MS / STEP_MS).expect("few");
        for step in (0..turns).cycle() {
            if dead == dying {
                break;
            }
            self.step();
            let now_dead = total - self.steady.engine.members();
            for deadline in &deadlines[dead..now_dead.min(dying)] {
                late = late.max(self.now_ms.saturating_sub(*deadline));
                early = early.max(deadline.saturating_sub(self.now_ms));
            }
            // Those who are given up for lost and never are would make this go on for ever.
            assert!(
                self.now_ms < deadlines[dying - 1] + 60_000,
                "{dead} of {dying} are found"
            );
            dead = now_dead;
            for at in (step..self.handles.len())
                .step_by(turns)
                .skip_while(|at| *at < dying)
            {
                self.beat(at);
            }
        }
        (as_f64(late), as_f64(early))
    }
}
