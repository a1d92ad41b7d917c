//! What a shard owns, and one step of it: an event in, its effects carried out.

use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::answers::Answers;
use super::desk::{self, Desk, Here};
use super::doors::Doors;
use super::event::{Asked, Event};
use super::filed::Filed;
use super::in_flight::InFlight;
use super::limits::Limits;
use super::look::OffsetsLook;
use super::notes;
use super::rest::Tidying;
use super::share::Counts;
use crate::error::Refusal;
use crate::group::{Due, Effect, Groups, Reply, ReplyTo, Request, Rules, SeatId, Timer};
use crate::ids::ShardId;
use crate::journal::Journal;
use crate::metrics::{GroupPhase, Metrics, RefusalCause, ShardMetrics};
use crate::session::Directory;
use crate::time::{Clock, Now, Tick, Wheel, WheelConfig};

/// While members are watched a shard with a thread of its own takes a turn at least this often,
/// in milliseconds, so that a turn that comes late tells that the process was stopped. Two
/// wake-ups a second cost nothing.
const PULSE_MS: u64 = 500;

/// A turn that is later than its pulse by more than this, in milliseconds, is no matter of
/// scheduling any more.
const STALL_MS: u64 = 250;

/// What a shard shares with its engine.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Whether each shard has a thread of its own; else the host drives them.
    pub(crate) has_drivers: bool,
    /// How long whoever waits for a batch waits at most.
    pub(crate) write_timeout_ms: u64,
}

/// Everything that one shard owns. Whoever holds it is the shard.
///
/// In the order of its fields, since what each turn writes is to share a line of memory with the
/// lock around it: lines that two cores write in turn are what a busy shard costs.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct ShardState {
    pub(super) desk: Box<Desk>,
    /// Something lies on the desk for a later turn.
    desk_is_left: bool,
    /// New offsets that are on their way to the journal.
    pub(super) promised: usize,
    /// What this shard holds of the limits that all shards share.
    pub(super) taken: Counts,
    /// The journal keeps nothing: what is decided is settled at once.
    pub(super) keeps_nothing: bool,
    /// It was loaded: what it knows is worth keeping.
    pub(super) is_alive: bool,
    /// The shard was given up: everything is refused with this.
    closed: Option<Refusal>,
    pub(super) id: ShardId,
    pub(super) shared: Arc<Shared>,
    /// The time of the latest turn.
    pub(super) latest: Now,
    pub(super) groups: Groups,
    pub(super) wheel: Wheel<Filed>,
    doors: Doors,
    pub(super) answers: Answers,
    /// Requests that were held back and are now asked again, before any other.
    again: VecDeque<(Request, ReplyTo)>,
    pub(super) in_flight: InFlight,
    pub(super) term: u64,
    pub(super) last_index: u64,
    /// Where the timers stand that wait for a mailbox which is never empty.
    backlog: Option<Backlog>,
    /// When groups may rest next: see [`super::rest`].
    pub(super) rests_at: Tick,
    pub(super) tidying: Tidying,
    /// Taken from the wheel and not fired yet.
    fired: Vec<Filed>,
    /// Armed for no later than the step that armed them; at most one a seat and three a group.
    due: VecDeque<Timer>,
}

impl ShardState {
    /// Batches that may be on their way to the journal at one time: it bounds the mailbox's
    /// control lane.
    pub(crate) const IN_FLIGHT_MAX: usize = InFlight::MAX;

    pub(crate) fn new(id: ShardId, rules: Rules, shared: Arc<Shared>, now: Now) -> Self {
        // Bounded by what is alive: see `arm`.
        let config = WheelConfig {
            entries_max: usize::MAX,
            ..WheelConfig::default()
        };
        let wheel = Wheel::new(config, now.tick);
        let doors = Doors::new(&shared.directory, id);
        let grows_to = shared.journal.grows_to();
        Self {
            id,
            keeps_nothing: shared.journal.keeps_nothing(),
            shared,
            groups: Groups::new(rules),
            wheel,
            doors,
            answers: Answers::new(),
            again: VecDeque::new(),
            desk: Box::default(),
            desk_is_left: false,
            in_flight: InFlight::new(grows_to),
            term: 1,
            last_index: 0,
            closed: None,
            is_alive: false,
            latest: now,
            backlog: None,
            rests_at: now.tick,
            tidying: Tidying::default(),
            promised: 0,
            taken: Counts::default(),
            fired: Vec::new(),
            due: VecDeque::new(),
        }
    }

    pub(super) fn metrics(&self) -> &ShardMetrics {
        self.shared.metrics.shard(self.id.0 as usize)
    }

    /// Begins a turn. Answers with its time, which is never before that of the turn before:
    /// threads read the clock before they own the loop.
    ///
    /// A turn that comes much too late, whoever takes it, means that nobody was served
    /// meanwhile: deadlines are extended by that before anything is looked at.
    pub(crate) fn begin_turn(&mut self, now: Now, unserved_ms: u64) -> Now {
        let before = self.latest;
        if now.tick > before.tick {
            self.latest = now;
        }
        if unserved_ms > 0 {
            self.stalled(unserved_ms);
        }
        if !self.desk_is_left {
            desk::change(&mut self.desk);
        }
        let gone_ms = now.tick.since_ms(before.tick);
        if self.shared.has_drivers && self.has_members() && gone_ms > PULSE_MS + STALL_MS {
            self.stalled(gone_ms);
        }
        self.latest
    }

    /// Ends a turn: the thread takes its desk along, unless something lies on it.
    pub(crate) fn end_turn(&mut self) {
        self.desk_is_left = !self.desk.batch.is_empty();
        if !self.desk_is_left {
            desk::change(&mut self.desk);
        }
    }

    fn stalled(&mut self, ms: u64) {
        tracing::warn!(
            shard = self.id.0,
            ms,
            "the shard was not served; deadlines extended"
        );
        self.metrics().loop_stalls.add(1);
        self.metrics().loop_stalled_ms.add(ms);
        self.groups.stalled(ms, self.latest);
        self.in_flight.stalled(ms);
    }

    /// Takes one event.
    pub(crate) fn step(&mut self, event: Event, now: Now) {
        self.metrics().events.count(1);
        match event {
            Event::Request(asked) => self.request(*asked, now),
            Event::Settled(settled) => self.settled(settled.ticket, settled.outcome, now),
            Event::Close { refusal } => self.close(refusal, now),
        }
    }

    fn request(&mut self, Asked { request, answer }: Asked, now: Now) {
        let to = self.answers.add(answer);
        self.handle(request, to, now);
        self.ask_again(now);
    }

    /// Takes a request of the very thread that takes the turn. Most are answered within it, so
    /// that nobody need wait for them; [`Self::take_here`] before it ends.
    pub(super) fn step_here(&mut self, request: Request, now: Now) {
        self.metrics().events.count(1);
        let to = self.answers.kept();
        self.desk.here = Here::Asks(to);
        self.handle(request, to, now);
        self.ask_again(now);
    }

    /// What became of the thread's own request, if there was one: answered, or waiting.
    pub(super) fn take_here(&mut self) -> Here {
        match std::mem::take(&mut self.desk.here) {
            Here::Asks(_) => {
                let (answer, receiver) = oneshot::channel();
                self.answers.take_kept(answer);
                Here::Waits(receiver)
            }
            here @ (Here::None | Here::Answered(_) | Here::Waits(_)) => here,
        }
    }

    /// Looks at what a group has committed, if a fetch would be answered at once and well.
    pub(super) fn look_at_offsets(&mut self, of: &mut OffsetsLook<'_>) {
        let is_refused = self.in_flight.is_stuck() && of.is_stable_required;
        if self.closed.is_some() || is_refused {
            return;
        }
        let groups = &mut self.groups;
        let is_done = groups.look_at_offsets(of.group, of.is_stable_required, of.look);
        self.metrics().events.count(u64::from(is_done));
    }

    /// Asks what was held back, in order, before anything that came later.
    pub(super) fn ask_again(&mut self, now: Now) {
        while let Some((request, to)) = self.again.pop_front() {
            self.handle(request, to, now);
        }
    }

    fn handle(&mut self, request: Request, to: ReplyTo, now: Now) {
        if let Some(refusal) = self.closed {
            self.metrics().refusals(RefusalCause::Stopping).add(1);
            return self.reply(to, request.refused(refusal));
        }
        if self.in_flight.is_stuck() && !request.only_reads() {
            self.metrics().refusals(RefusalCause::JournalStuck).add(1);
            return self.reply(to, request.refused(Refusal::NotAvailable));
        }
        let place = request.group().and_then(|id| self.groups.place_of(id));
        let Some(room) = self.reserve(&request, place) else {
            self.metrics().refusals(RefusalCause::OffsetsMax).add(1);
            return self.reply(to, request.refused(Refusal::Overloaded));
        };
        let mut fx = std::mem::take(&mut self.desk.fx);
        self.groups
            .handle_at(request, to, (place, room), now, &mut fx);
        self.carry_out(fx, now);
        self.account();
    }

    fn reply(&mut self, to: ReplyTo, reply: Reply) {
        match self.desk.here {
            Here::Asks(here) if here == to => self.desk.here = Here::Answered(reply),
            Here::None | Here::Asks(_) | Here::Answered(_) | Here::Waits(_) => {
                self.answers.reply(to, reply, self.latest.tick);
            }
        }
    }

    /// Fires what is due, about `max` timers; whether more is due.
    ///
    /// Whoever was heard must be heard before anyone is expired for silence. So timers wait until
    /// the mailbox is drained, or, where it never is, fire up to the last moment of which all
    /// requests were taken: `taken` of them in this turn, `left` are waiting. And while the
    /// journal has enough to do nothing is decided at all.
    pub(crate) fn fire_due(
        &mut self,
        is_drained: bool,
        taken: usize,
        left: usize,
        now: Now,
        max: usize,
    ) -> bool {
        let mut more = false;
        if !self.fires() {
            return more;
        }
        if let Some(heard_until) = self.heard_until(is_drained, taken, left, now.tick) {
            more = self.fire_some(heard_until, now, max);
        }
        // What is armed for no later than now needs no wheel: a join without delay is complete
        // before its request returns. Each may arm another, hence the bound.
        for _ in 0..DUE_MAX {
            let Some(timer) = self.due.pop_front() else {
                return more;
            };
            self.fire(timer, now.tick, now);
        }
        more || !self.due.is_empty()
    }

    /// Fires timers of the wheel until `max` have fired, or fewer that took more than a look;
    /// whether more is due.
    fn fire_some(&mut self, heard_until: Tick, now: Now, max: usize) -> bool {
        // Those first that were left over the last time.
        let mut more = true;
        if self.fired.is_empty() {
            more = self.wheel.advance(heard_until, max, &mut self.fired);
        }
        if self.fired.is_empty() {
            return more;
        }
        let mut fired = std::mem::take(&mut self.fired);
        let (mut done, mut left) = (0, max);
        while left > 0 && done < fired.len() {
            if done % GLANCED == 0 {
                self.glance(&fired[done..fired.len().min(done + GLANCED)]);
            }
            let is_a_look = self.fire(fired[done].into(), heard_until, now);
            left = left.saturating_sub(if is_a_look { 1 } else { LOOKS });
            done += 1;
        }
        fired.drain(..done);
        more |= !fired.is_empty();
        self.fired = fired;
        more
    }

    /// Reads what will be looked at for these timers, so that no member waits for memory which
    /// could have been on its way while another was looked at. Their deadlines lie anywhere.
    fn glance(&self, timers: &[Filed]) {
        let seats = || timers.iter().filter_map(|it| it.seat());
        let places = seats().map(|seat| self.groups.glance(seat) ^ self.doors.glance(seat));
        black_box(places.fold(0, |all, it| all ^ it));
        let beats = seats().map(|seat| self.doors.last_beat(seat).map_or(0, |it| it.0));
        black_box(beats.fold(0, |all, it| all ^ it));
    }

    /// The last moment of which every request was taken.
    fn heard_until(
        &mut self,
        is_drained: bool,
        taken: usize,
        left: usize,
        now: Tick,
    ) -> Option<Tick> {
        if is_drained {
            if self.backlog.is_some() {
                self.backlog = None;
            }
            return Some(now);
        }
        let next = Backlog {
            since: now,
            ahead: left,
        };
        let Some(backlog) = &mut self.backlog else {
            self.backlog = Some(next);
            return None;
        };
        backlog.ahead = backlog.ahead.saturating_sub(taken);
        if backlog.ahead > 0 {
            return None;
        }
        let heard_until = backlog.since;
        self.backlog = Some(next);
        Some(heard_until)
    }

    /// Whether it took no more than a look at a member.
    fn fire(&mut self, timer: Timer, heard_until: Tick, now: Now) -> bool {
        // Nearly every timer is of a member that was heard of, and nothing else changes then.
        if let Timer::Session { seat, arming } = timer
            && let beat = self.doors.last_beat(seat)
            && let Some((at, timer)) = self.groups.later(seat, arming, beat, heard_until)
        {
            self.arm(at, timer, heard_until);
            return true;
        }
        match timer {
            Timer::Session { seat, arming } => self.session_due(seat, arming, heard_until, now),
            Timer::Join { .. } | Timer::Sync { .. } | Timer::Retention { .. } => {
                let mut fx = std::mem::take(&mut self.desk.fx);
                self.groups.fire(timer, now, &mut fx);
                self.carry_out(fx, now);
            }
        }
        self.account();
        self.ask_again(now);
        false
    }

    /// A member may have been silent for too long. The side door decides: it is closed for the
    /// very beat that was looked at, or a newer beat wins and its deadline is looked at instead.
    fn session_due(&mut self, seat: SeatId, arming: u32, heard_until: Tick, now: Now) {
        // What came later may lie in the mailbox.
        let judged_at = Now {
            tick: heard_until,
            ..now
        };
        loop {
            let beat = self.doors.last_beat(seat);
            let mut fx = std::mem::take(&mut self.desk.fx);
            let due = self
                .groups
                .session_due(seat, arming, beat, judged_at, &mut fx);
            self.carry_out(fx, judged_at);
            if due != Due::Expire {
                return;
            }
            if self.doors.close_if_silent(seat, beat) {
                let mut fx = std::mem::take(&mut self.desk.fx);
                self.groups.expire(seat, now, &mut fx);
                return self.carry_out(fx, now);
            }
        }
    }

    /// Does what was decided, in order, and keeps the emptied list for the next step.
    pub(super) fn carry_out(&mut self, mut fx: Vec<Effect>, now: Now) {
        for effect in fx.drain(..) {
            match effect {
                Effect::Reply { to, reply } => self.reply(to, reply),
                Effect::Again { request, to } => self.again.push_back((request, to)),
                Effect::Append(entry) => {
                    let new = entry.then.new_offsets();
                    if new > 0 {
                        self.promised += new;
                    }
                    self.desk.batch.push(entry);
                }
                Effect::Arm { at, timer } => self.arm(at, timer, now.tick),
                Effect::Seat {
                    seat,
                    group,
                    group_id,
                    member,
                    instance,
                } => {
                    let names = (group_id, member, instance);
                    self.doors.open(seat, group, &names, now.tick);
                }
                Effect::Unseat { seat, end: _ } => self.doors.close(seat),
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
        self.desk.fx = fx;
    }

    fn arm(&mut self, at: Tick, timer: Timer, now: Tick) {
        if at <= now {
            self.due.push_back(timer);
            return;
        }
        // Overtaken timers stay filed until they fire; when they outnumber the living, they go.
        let living = self.groups.seats() + 3 * self.groups.len();
        if self.wheel.len() > 2 * living + 1_024 {
            let groups = &self.groups;
            self.wheel
                .retain(|timer| groups.is_current((*timer).into()));
        }
        if self.wheel.insert(at, timer.into()).is_err() {
            tracing::error!(shard = self.id.0, "the wheel is full");
        }
    }

    /// Whether timers fire. They may write, so they wait while no other batch may go on its way.
    pub(super) fn fires(&self) -> bool {
        self.closed.is_some() || self.can_hand_over()
    }

    /// The earliest time at which the shard must be looked at.
    pub(crate) fn wake_at(&mut self, now: Now) -> Option<Tick> {
        let due = if !self.fires() {
            // The journal's outcome is looked at when it comes.
            None
        } else if self.due.is_empty() && self.fired.is_empty() {
            self.wheel.next_deadline()
        } else {
            // Time for what is due already is now, which every wheel has passed.
            Some(Tick(0))
        };
        let pulse = self.shared.has_drivers && self.has_members();
        let pulse = pulse.then(|| now.tick + PULSE_MS);
        let overdue = self.in_flight.overdue_at();
        let answers = self.answers.wake_at(now.tick);
        [pulse, overdue, self.rest_at(), answers]
            .into_iter()
            .fold(due, earlier)
    }

    /// Whether anybody's silence is being measured.
    fn has_members(&self) -> bool {
        self.groups.seats() > 0
    }

    /// Gives the groups up: parked requests are answered as Kafka does at shutdown, later ones
    /// are refused.
    fn close(&mut self, refusal: Refusal, now: Now) {
        self.closed = Some(refusal);
        if self.is_alive {
            let heard = self.groups.heard(|seat| self.doors.last_beat(seat), now);
            self.shared.journal.keep_heard(self.id, &heard);
        }
        let mut fx = std::mem::take(&mut self.desk.fx);
        self.groups.unload(now, &mut fx);
        self.carry_out(fx, now);
        self.answers.send_all();
        self.account();
    }
}

/// The shard is given up, in order or by a panic in a step: whoever waits sees its channel close,
/// no heartbeat may say that all is well, and what it had taken is free for others.
impl Drop for ShardState {
    fn drop(&mut self) {
        self.doors.close_all();
        self.give_back();
        let metrics = self.metrics();
        metrics.members.set(0);
        metrics.groups_at_rest.set(0);
        metrics.offsets.set(0);
        metrics.offsets_staged.set(0);
        metrics.parked.set(0);
        for phase in GroupPhase::ALL {
            metrics.groups(*phase).set(0);
        }
    }
}

/// Timers of one turn at most that were armed for no later than now.
const DUE_MAX: usize = 256;

/// Timers whose memory is asked for together: twice as many cache misses as a core has under way.
const GLANCED: usize = 32;

/// For how many looks a timer counts that takes more than one: somebody is expired, or a phase of a
/// group ends. Two of them end the driver's turn: they cost a microsecond each while their memory
/// is at hand, but nobody has touched it for a session's length, and each page of it that the
/// system has taken back in the meantime costs a hundred.
const LOOKS: usize = 128;

fn earlier(one: Option<Tick>, other: Option<Tick>) -> Option<Tick> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        _ => one.or(other),
    }
}

/// A moment, and how many of the requests that waited then wait still.
#[derive(Clone, Copy, Debug)]
struct Backlog {
    since: Tick,
    ahead: usize,
}
