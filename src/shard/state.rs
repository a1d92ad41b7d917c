//! What a shard owns, and one step of it: an event in, its effects carried out.

use std::collections::VecDeque;
use std::sync::Arc;

use slab::Slab;
use tokio::sync::oneshot;

use super::doors::{Doors, Names};
use super::event::Event;
use super::limits::Limits;
use super::notes;
use crate::error::Refusal;
use crate::group::{
    Due, Effect, Entry, Groups, Reply, ReplyTo, Request, Room, Rules, SeatId, Then, Timer,
};
use crate::ids::ShardId;
use crate::journal::{Batch, Done, Journal, LoadError, Outcomes, Ticket};
use crate::metrics::{Metrics, RefusalCause, ShardMetrics};
use crate::session::Directory;
use crate::time::{Now, Tick, Wheel, WheelConfig};

/// What a shard shares with its engine.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) metrics: Arc<Metrics>,
}

/// Everything that one shard owns. Whoever holds it is the shard.
#[derive(Debug)]
pub(crate) struct ShardState {
    id: ShardId,
    shared: Arc<Shared>,
    groups: Groups,
    wheel: Wheel<Timer>,
    doors: Doors,
    waiting: Slab<oneshot::Sender<Reply>>,
    /// Decided in this drain and not handed over yet.
    batch: Vec<Entry>,
    /// Handed over and not settled yet, in order.
    in_flight: VecDeque<(Ticket, Vec<Entry>)>,
    term: u64,
    last_index: u64,
    /// The shard was given up: everything is refused with this.
    closed: Option<Refusal>,
    fx: Vec<Effect>,
    fired: Vec<Timer>,
    /// Armed for no later than the step that armed them; at most one a seat and three a group.
    due: VecDeque<Timer>,
}

impl ShardState {
    /// Batches that may be on their way to the journal at one time: one is written while the
    /// next is collected. It bounds the mailbox's control lane.
    pub(crate) const IN_FLIGHT_MAX: usize = 2;

    pub(crate) fn new(id: ShardId, rules: Rules, shared: Arc<Shared>, now: Now) -> Self {
        // Bounded by what is alive: see `arm`.
        let config = WheelConfig {
            entries_max: usize::MAX,
            ..WheelConfig::default()
        };
        let wheel = Wheel::new(config, now.tick);
        let doors = Doors::new(Arc::clone(&shared.directory));
        Self {
            id,
            shared,
            groups: Groups::new(rules),
            wheel,
            doors,
            waiting: Slab::new(),
            batch: Vec::new(),
            in_flight: VecDeque::new(),
            term: 1,
            last_index: 0,
            closed: None,
            fx: Vec::new(),
            fired: Vec::new(),
            due: VecDeque::new(),
        }
    }

    fn metrics(&self) -> &ShardMetrics {
        self.shared.metrics.shard(self.id.0 as usize)
    }

    /// Replays the journal and brings the groups to life.
    ///
    /// # Errors
    ///
    /// As [`Journal::load`]; the shard must not be used then.
    pub(crate) fn load(&mut self, now: Now) -> Result<(), LoadError> {
        let journal = Arc::clone(&self.shared.journal);
        let before = self.counts();
        journal.load(self.id, &mut |record| self.groups.apply(&record, now))?;
        let mut fx = std::mem::take(&mut self.fx);
        self.groups.revive(now, &mut fx);
        self.carry_out(fx, now);
        self.account(before, Reserved::default());
        Ok(())
    }

    /// Takes one event.
    pub(crate) fn step(&mut self, event: Event, now: Now) {
        self.metrics().events.add(1);
        match event {
            Event::Request { request, answer } => self.request(request, answer, now),
            Event::Settled { ticket, outcome } => self.settled(ticket, outcome, now),
            Event::Stalled { ms } => {
                tracing::warn!(
                    shard = self.id.0,
                    ms,
                    "the shard was not served; deadlines extended"
                );
                self.metrics().loop_stalls.add(1);
                self.metrics().loop_stalled_ms.add(ms);
                self.groups.stalled(ms, now);
            }
            Event::Close { refusal } => self.close(refusal, now),
        }
    }

    fn request(&mut self, request: Request, answer: oneshot::Sender<Reply>, now: Now) {
        if let Some(refusal) = self.closed {
            // The receiver may be gone: then nobody waits for the answer.
            let _ = answer.send(request.refused(refusal));
            return;
        }
        let before = self.counts();
        let (reserved, room) = match self.reserve(&request) {
            Ok(granted) => granted,
            Err(cause) => {
                self.metrics().refusals(cause).add(1);
                let _ = answer.send(request.refused(Refusal::Overloaded));
                return;
            }
        };
        let to = ReplyTo(self.waiting.insert(answer) as u64);
        let mut fx = std::mem::take(&mut self.fx);
        self.groups.handle(request, to, room, now, &mut fx);
        let kept = committed_records(&fx);
        self.carry_out(fx, now);
        self.account(before, Reserved { kept, ..reserved });
    }

    /// Takes what the request may need of the limits that all shards share.
    fn reserve(&self, request: &Request) -> Result<(Reserved, Room), RefusalCause> {
        let limits = &self.shared.limits;
        let mut reserved = Reserved::default();
        let mut room = Room::PLENTY;
        match request {
            Request::Join(join) => {
                if !self.groups.contains(&join.group) {
                    room.group = limits.groups.reserve(1);
                    reserved.groups = usize::from(room.group);
                }
                if join.member.is_empty() {
                    room.seat = limits.members.reserve(1);
                    reserved.seats = usize::from(room.seat);
                }
            }
            Request::Commit(commit) => {
                let asked = commit
                    .topics
                    .iter()
                    .map(|topic| topic.partitions.len())
                    .sum();
                if !limits.offsets.reserve(asked) {
                    return Err(RefusalCause::OffsetsMax);
                }
                reserved.offsets = asked;
                if commit.generation.0 < 0 && !self.groups.contains(&commit.group) {
                    room.group = limits.groups.reserve(1);
                    reserved.groups = usize::from(room.group);
                }
            }
            Request::Sync(_)
            | Request::Heartbeat(_)
            | Request::Leave(_)
            | Request::Fetch(_)
            | Request::OffsetDelete(_)
            | Request::Describe(_)
            | Request::DeleteGroup(_)
            | Request::List(_)
            | Request::TopicsDeleted(_) => {}
        }
        if !room.group {
            self.metrics().refusals(RefusalCause::GroupsMax).add(1);
        }
        if !room.seat {
            self.metrics().refusals(RefusalCause::MembersMax).add(1);
        }
        Ok((reserved, room))
    }

    fn counts(&self) -> Counts {
        Counts {
            groups: self.groups.len(),
            seats: self.groups.seats(),
            offsets: self.groups.offsets(),
        }
    }

    /// Sets what a step reserved against what it came to.
    fn account(&mut self, before: Counts, reserved: Reserved) {
        let after = self.counts();
        let limits = &self.shared.limits;
        limits
            .groups
            .account(reserved.groups, before.groups, after.groups);
        limits
            .members
            .account(reserved.seats, before.seats, after.seats);
        // Offsets that are on their way stay reserved until they are settled.
        limits.offsets.account(
            reserved.offsets,
            before.offsets,
            after.offsets + reserved.kept,
        );
        let delta = |before: usize, after: usize| {
            i64::try_from(after).unwrap_or(i64::MAX) - i64::try_from(before).unwrap_or(i64::MAX)
        };
        self.metrics().members.add(delta(before.seats, after.seats));
        self.metrics()
            .offsets
            .add(delta(before.offsets, after.offsets));
        self.metrics()
            .parked
            .set(i64::try_from(self.waiting.len()).unwrap_or(i64::MAX));
    }

    fn settled(&mut self, ticket: Ticket, outcome: Result<(), Refusal>, now: Now) {
        if self
            .in_flight
            .front()
            .is_none_or(|(first, _)| *first != ticket)
        {
            tracing::error!(
                shard = self.id.0,
                ?ticket,
                "an outcome of a batch that nobody awaits"
            );
            return;
        }
        let Some((_, entries)) = self.in_flight.pop_front() else {
            return;
        };
        for entry in entries {
            let before = self.counts();
            let is_commit = matches!(entry.then, Then::Committed { .. });
            let offsets = if is_commit { entry.records.len() } else { 0 };
            let mut fx = std::mem::take(&mut self.fx);
            self.groups.settle(entry, outcome, now, &mut fx);
            let kept = committed_records(&fx);
            self.carry_out(fx, now);
            self.account(
                before,
                Reserved {
                    offsets,
                    kept,
                    ..Reserved::default()
                },
            );
        }
    }

    /// Fires what is due, about `max` timers; whether more is due.
    pub(crate) fn fire_due(&mut self, now: Now, max: usize) -> bool {
        let mut fired = std::mem::take(&mut self.fired);
        let more = self.wheel.advance(now.tick, max, &mut fired);
        for timer in fired.drain(..) {
            self.fire(timer, now);
        }
        self.fired = fired;
        // What is armed for no later than now needs no wheel: a join without delay is complete
        // before its request returns. Each may arm another, hence the bound.
        for _ in 0..max {
            let Some(timer) = self.due.pop_front() else {
                return more;
            };
            self.fire(timer, now);
        }
        more || !self.due.is_empty()
    }

    fn fire(&mut self, timer: Timer, now: Now) {
        let before = self.counts();
        match timer {
            Timer::Session { seat, arming } => self.session_due(seat, arming, now),
            Timer::Join { .. } | Timer::Sync { .. } | Timer::Retention { .. } => {
                let mut fx = std::mem::take(&mut self.fx);
                self.groups.fire(timer, now, &mut fx);
                self.carry_out(fx, now);
            }
        }
        self.account(before, Reserved::default());
    }

    /// A member may have been silent for too long. The side door decides: it is closed for the
    /// very beat that was looked at, or a newer beat wins and its deadline is looked at instead.
    fn session_due(&mut self, seat: SeatId, arming: u32, now: Now) {
        loop {
            let beat = self.doors.last_beat(seat);
            let mut fx = std::mem::take(&mut self.fx);
            let due = self.groups.session_due(seat, arming, beat, now, &mut fx);
            self.carry_out(fx, now);
            if due != Due::Expire {
                return;
            }
            if self.doors.close_if_silent(seat, beat) {
                let mut fx = std::mem::take(&mut self.fx);
                self.groups.expire(seat, now, &mut fx);
                return self.carry_out(fx, now);
            }
        }
    }

    /// Does what was decided, in order, and keeps the emptied list for the next step.
    fn carry_out(&mut self, mut fx: Vec<Effect>, now: Now) {
        for effect in fx.drain(..) {
            match effect {
                Effect::Reply { to, reply } => {
                    let slot = usize::try_from(to.0).ok();
                    if let Some(answer) = slot.and_then(|at| self.waiting.try_remove(at)) {
                        // A receiver that is gone does not want to know.
                        let _ = answer.send(reply);
                    }
                }
                Effect::Append(entry) => self.batch.push(entry),
                Effect::Arm { at, timer } => self.arm(at, timer, now),
                Effect::Seat {
                    seat,
                    group,
                    group_id,
                    member,
                    instance,
                } => {
                    let names = Names {
                        group: group_id,
                        member,
                        instance,
                    };
                    self.doors.open(seat, group, names, now.tick);
                }
                Effect::Unseat { seat, end } => self.doors.close(seat, end),
                Effect::Publish {
                    group,
                    generation,
                    phase,
                } => {
                    self.doors.publish(group, generation, phase);
                }
                Effect::Vacate { group } => self.doors.vacate(group),
                Effect::Note(note) => notes::count(self.metrics(), note),
            }
        }
        self.fx = fx;
    }

    fn arm(&mut self, at: Tick, timer: Timer, now: Now) {
        if at <= now.tick {
            self.due.push_back(timer);
            return;
        }
        // Overtaken timers stay filed until they fire; when they outnumber the living, they go.
        let living = self.groups.seats() + 3 * self.groups.len();
        if self.wheel.len() > 2 * living + 1_024 {
            let groups = &self.groups;
            self.wheel.retain(|timer| groups.is_current(*timer));
        }
        if self.wheel.insert(at, timer).is_err() {
            tracing::error!(shard = self.id.0, "the wheel is full");
        }
    }

    /// Hands over what was decided since the last time.
    pub(crate) fn hand_over(&mut self, outcomes: &Arc<dyn Outcomes>) {
        if self.batch.is_empty() || !self.can_hand_over() {
            return;
        }
        self.last_index += 1;
        let ticket = Ticket {
            shard: self.id,
            term: self.term,
            index: self.last_index,
        };
        let entries = std::mem::take(&mut self.batch);
        let done = Done::new(ticket, Arc::clone(outcomes));
        self.in_flight.push_back((ticket, entries));
        let (_, entries) = self.in_flight.back().expect("pushed just above");
        self.shared.journal.append(Batch { ticket, entries }, done);
    }

    /// Whether another batch may go on its way. While none may, nothing more is decided, and the
    /// mailbox fills.
    pub(crate) fn can_hand_over(&self) -> bool {
        self.in_flight.len() < Self::IN_FLIGHT_MAX
    }

    /// The earliest time at which something may be due.
    pub(crate) fn next_deadline(&self) -> Option<Tick> {
        // Time for what is due already is now, which every wheel has passed.
        if self.due.is_empty() {
            self.wheel.next_deadline()
        } else {
            Some(Tick(0))
        }
    }

    /// Whether anybody's silence is being measured.
    pub(crate) fn has_members(&self) -> bool {
        self.groups.seats() > 0
    }

    /// Gives the groups up: parked requests are answered as Kafka does at shutdown, later ones
    /// are refused.
    fn close(&mut self, refusal: Refusal, now: Now) {
        let before = self.counts();
        self.closed = Some(refusal);
        let mut fx = std::mem::take(&mut self.fx);
        self.groups.unload(now, &mut fx);
        self.carry_out(fx, now);
        self.account(before, Reserved::default());
    }
}

/// The shard is given up, in order or by a panic in a step: whoever waits sees its channel close,
/// and no heartbeat may say that all is well.
impl Drop for ShardState {
    fn drop(&mut self) {
        self.doors.close_all();
    }
}

/// The sizes that the shared limits count.
#[derive(Clone, Copy, Debug)]
struct Counts {
    groups: usize,
    seats: usize,
    offsets: usize,
}

/// What a step took of the shared limits, and what of it stays taken after the step.
#[derive(Clone, Copy, Debug, Default)]
struct Reserved {
    groups: usize,
    seats: usize,
    offsets: usize,
    kept: usize,
}

/// The offsets that are on their way to the journal with these effects.
fn committed_records(fx: &[Effect]) -> usize {
    let committed = fx.iter().filter_map(|effect| {
        if let Effect::Append(Entry {
            records,
            then: Then::Committed { .. },
            ..
        }) = effect
        {
            Some(records.len())
        } else {
            None
        }
    });
    committed.sum()
}
