//! What a shard owns, and one step of it: an event in, its effects carried out.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::answers::Answers;
use super::desk::{self, Desk, Here};
use super::doors::Doors;
use super::event::{Asked, Event};
use super::filed::Filed;
use super::firing::Backlog;
use super::in_flight::InFlight;
use super::limits::Limits;
use super::look::OffsetsLook;
use super::notes;
use super::rest::Tidying;
use super::sections::Sections;
use super::share::Counts;
use crate::error::Refusal;
use crate::group::{Effect, Groups, Reply, ReplyTo, Request, Rules, Timer};
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
    pub(super) sections: Sections,
    pub(super) doors: Doors,
    pub(super) answers: Answers,
    /// Requests that were held back and are now asked again, before any other.
    again: VecDeque<(Request, ReplyTo)>,
    pub(super) in_flight: InFlight,
    pub(super) term: u64,
    pub(super) last_index: u64,
    /// Where the timers stand that wait for a mailbox which is never empty.
    pub(super) backlog: Option<Backlog>,
    /// When groups may rest next: see [`super::rest`].
    pub(super) rests_at: Tick,
    pub(super) tidying: Tidying,
    /// Taken from the wheel and not fired yet.
    pub(super) fired: Vec<Filed>,
    /// Armed for no later than the step that armed them; at most one a seat and three a group.
    pub(super) due: VecDeque<Timer>,
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
            sections: Sections::default(),
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

fn earlier(one: Option<Tick>, other: Option<Tick>) -> Option<Tick> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        _ => one.or(other),
    }
}
