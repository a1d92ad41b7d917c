//! All groups of one shard: finds the group, then lets it take its turn.

use super::classic::{Classic, Turn};
use super::committed::GroupOffsets;
use super::effects::{Effect, End, Full, GroupKey, Note, Timer};
use super::facts::Facts;
use super::places::{Places, Seen};
use super::producers::Producers;
use super::quarantine::Quarantine;
use super::reply::{LeftMember, Reply};
use super::request::{CommitRequest, JoinRequest, LeaveRequest, ReplyTo, Request};
use super::rest::Round;
use super::retention::Watch;
use super::room::Room;
use super::rules::Rules;
use super::seats::Seats;
use super::warm::Before;
use super::{Phase, classic};
use crate::error::Refusal;
use crate::ids::{Generation, GroupId};
use crate::time::{Now, Stalls, WallMs};

/// One group: its durable and its live half.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) key: GroupKey,
    pub(super) id: GroupId,
    pub(super) facts: Facts,
    pub(super) classic: Classic,
    /// Entries handed over and not settled yet.
    pub(super) in_flight: u32,
    /// Those of them that take offsets away.
    pub(super) removals: u32,
    /// Those of them that change what is staged.
    pub(super) pending_in_flight: u32,
    /// The new offsets among them.
    pub(super) promised: usize,
    /// The group's removal is one of them: nothing else may happen meanwhile.
    pub(super) is_closing: bool,
    /// Requests that wait for that, in order; at most [`Groups::HELD_MAX`].
    pub(super) held: Vec<(Request, ReplyTo)>,
    pub(super) retention: Option<Watch>,
    /// Something was done to it since it was last looked at.
    pub(super) is_touched: bool,
}

impl Group {
    /// An empty group.
    pub(super) fn new(key: GroupKey, id: GroupId, now: WallMs) -> Self {
        Self {
            key,
            id,
            facts: Facts::default(),
            classic: Classic::new(now),
            in_flight: 0,
            removals: 0,
            pending_in_flight: 0,
            promised: 0,
            is_closing: false,
            held: Vec::new(),
            retention: None,
            is_touched: true,
        }
    }

    /// A removal waits for what is on its way, and everything waits for the removal of the group.
    /// What is decided on what is staged waits for what changes it.
    fn must_hold(&self, request: &Request) -> bool {
        let waits = match request {
            // One that has members refuses at once.
            Request::DeleteGroup(_) => self.classic.phase == Phase::Empty && self.in_flight > 0,
            Request::EndTxn(_) | Request::OffsetDelete(_) => self.in_flight > 0,
            Request::Fetch(fetch) => return self.must_hold_fetch(fetch.require_stable),
            Request::Commit(_) => self.pending_in_flight > 0,
            Request::Join(_)
            | Request::Sync(_)
            | Request::Heartbeat(_)
            | Request::Leave(_)
            | Request::TxnCommit(_)
            | Request::Describe(_)
            | Request::List(_)
            | Request::TxnGroups(_)
            | Request::TopicsDeleted(_) => false,
        };
        waits || self.must_hold_all()
    }

    /// The same for a fetch: what is stable is known once nothing is on its way.
    pub(super) fn must_hold_fetch(&self, is_stable_required: bool) -> bool {
        self.must_hold_all() || (is_stable_required && self.in_flight > 0)
    }

    fn must_hold_all(&self) -> bool {
        self.is_closing || !self.held.is_empty()
    }
}

/// The groups of one shard.
#[derive(Debug)]
pub struct Groups {
    rules: Rules,
    pub(super) stalls: Stalls,
    pub(super) places: Places,
    pub(super) round: Round,
    pub(super) seats: Seats,
    pub(super) producers: Producers,
    /// Committed offsets of all groups.
    pub(super) offsets: usize,
    /// Staged offsets of all groups.
    pub(super) pending: usize,
    pub(super) quarantine: Quarantine,
    pub(super) before: Before,
    /// Groups that were removed so far.
    pub(super) removals: u64,
    /// The last entry that was settled has failed: it may be found after a restart, unless one
    /// after it succeeds.
    pub(super) in_doubt: bool,
}

impl Groups {
    /// How many requests may wait for one group's removal; one more is refused as overloaded.
    pub const HELD_MAX: usize = 1_024;

    /// No groups yet.
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            stalls: Stalls::default(),
            places: Places::default(),
            round: Round::default(),
            seats: Seats::default(),
            producers: Producers::default(),
            offsets: 0,
            pending: 0,
            quarantine: Quarantine::default(),
            before: Before::default(),
            removals: 0,
            in_doubt: false,
        }
    }

    /// Forgets everything: what was replayed is of no use.
    pub(crate) fn reset(&mut self) {
        *self = Self::new(self.rules.clone());
    }

    /// How many groups there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is no group.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many members and pending members there are.
    pub fn seats(&self) -> usize {
        self.seats.len()
    }

    /// How many offsets are committed.
    pub fn offsets(&self) -> usize {
        self.offsets
    }

    /// How many offsets are staged by open transactions.
    pub fn pending(&self) -> usize {
        self.pending
    }

    /// Whether somebody still waits for that timer: one that was overtaken may be thrown away.
    pub fn is_current(&self, timer: Timer) -> bool {
        match timer {
            Timer::Session { seat, arming } => self.seats.is_current(seat, arming),
            // Neither runs for a group at rest.
            Timer::Join { group, arming } => self
                .places
                .awake(group)
                .is_some_and(|it| it.classic.awaits_join_timer(arming)),
            Timer::Sync { group, arming } => self
                .places
                .awake(group)
                .is_some_and(|it| it.classic.awaits_sync_timer(arming)),
            Timer::Retention { group, arming } => self
                .places
                .retention(group)
                .is_some_and(|watch| watch.arming == arming && watch.at.is_some()),
        }
    }

    /// Whether the group exists.
    pub fn contains(&self, group: &GroupId) -> bool {
        self.place_of(group).is_some()
    }

    /// The generation and phase of a group, as they are now.
    pub fn state(&self, group: &GroupId) -> Option<(Generation, Phase)> {
        let group = self.find(group)?;
        Some((group.classic.generation, group.classic.phase))
    }

    /// All groups, by slot.
    pub(super) fn iter(&self) -> impl Iterator<Item = Seen<'_>> {
        self.places.iter()
    }

    pub(super) fn find(&self, id: &GroupId) -> Option<Seen<'_>> {
        self.keyed(self.place_of(id)?)
    }

    pub(super) fn keyed(&self, key: GroupKey) -> Option<Seen<'_>> {
        self.places.see(key)
    }

    /// The group, which is awake then.
    pub(super) fn keyed_mut(&mut self, key: GroupKey) -> Option<&mut Group> {
        self.places.wake(key, &mut self.seats)
    }

    /// Where the group is, if it exists.
    pub fn place_of(&self, id: &GroupId) -> Option<GroupKey> {
        self.places.find(id.as_str())
    }

    /// The group for a record, made if need be: a group that only holds offsets has no record of
    /// its own.
    pub(super) fn group_for_facts(
        &mut self,
        place: Option<GroupKey>,
        id: &GroupId,
        now: Now,
    ) -> &mut Group {
        let key = place.unwrap_or_else(|| self.insert(id, now));
        self.keyed_mut(key).expect("found or made just now")
    }

    fn insert(&mut self, id: &GroupId, now: Now) -> GroupKey {
        self.places
            .insert(id, |key| Group::new(key, id.clone(), now.wall))
    }

    /// Makes the group and has it looked at by the retention check, should it stay empty.
    fn create(&mut self, id: &GroupId, now: Now, fx: &mut Vec<Effect>) -> GroupKey {
        let key = self.insert(id, now);
        fx.push(Effect::Note(Note::GroupCreated));
        self.turn(key, now, fx, |turn| turn.arm_retention());
        key
    }

    /// Lets the group take its turn, if it is still there.
    pub(super) fn turn<T>(
        &mut self,
        key: GroupKey,
        now: Now,
        fx: &mut Vec<Effect>,
        act: impl FnOnce(&mut Turn<'_>) -> T,
    ) -> Option<T> {
        let mut turn = self.begin(key, now, fx)?;
        let out = act(&mut turn);
        turn.end();
        Some(out)
    }

    /// Begins a turn of the group, if it is still there.
    fn begin<'t>(
        &'t mut self,
        key: GroupKey,
        now: Now,
        fx: &'t mut Vec<Effect>,
    ) -> Option<Turn<'t>> {
        Some(Turn {
            group: self.places.wake(key, &mut self.seats)?,
            seats: &mut self.seats,
            producers: &mut self.producers,
            rules: &self.rules,
            stalls: &self.stalls,
            before: &self.before,
            in_doubt: self.in_doubt,
            now,
            fx,
        })
    }

    /// Carries out a request. Its answer is among the effects, or comes with a later turn.
    pub fn handle(
        &mut self,
        request: Request,
        to: ReplyTo,
        room: Room,
        now: Now,
        fx: &mut Vec<Effect>,
    ) {
        let place = request.group().and_then(|id| self.place_of(id));
        self.handle_at(request, to, (place, room), now, fx);
    }

    /// The same where the place of the request's group is known, `None` if there is none.
    pub(crate) fn handle_at(
        &mut self,
        request: Request,
        to: ReplyTo,
        (place, room): (Option<GroupKey>, Room),
        now: Now,
        fx: &mut Vec<Effect>,
    ) {
        if request.needs_name() && request.group().is_some_and(GroupId::is_empty) {
            let reply = request.refused(Refusal::InvalidGroupId);
            return fx.push(Effect::Reply { to, reply });
        }
        if let Some(refusal) = self.quarantine.refusal(&request) {
            let reply = request.refused(refusal);
            return fx.push(Effect::Reply { to, reply });
        }
        // Nothing is on its way in a group at rest.
        if let Some(group) = place.and_then(|place| self.places.awake_mut(place))
            && group.must_hold(&request)
        {
            if group.held.len() < Self::HELD_MAX {
                group.held.push((request, to));
            } else {
                fx.push(Effect::Note(Note::Refused(Full::Held)));
                fx.push(Effect::Reply {
                    to,
                    reply: request.refused(Refusal::Overloaded),
                });
            }
            return;
        }
        self.dispatch(request, to, (place, room), now, fx);
    }

    fn dispatch(
        &mut self,
        request: Request,
        to: ReplyTo,
        (place, room): (Option<GroupKey>, Room),
        now: Now,
        fx: &mut Vec<Effect>,
    ) {
        let (Some(key), false) = (place, matches!(request, Request::Join(_))) else {
            return self.dispatch_without_group(request, to, room, now, fx);
        };
        if matches!(request, Request::Fetch(_) | Request::Describe(_)) {
            return self.read_for(key, request, to, fx);
        }
        let Some(mut turn) = self.begin(key, now, fx) else {
            return;
        };
        match request {
            Request::Sync(request) => turn.sync(request, to),
            Request::Heartbeat(request) => {
                let reply = turn.heartbeat(&request);
                turn.reply(to, Reply::Heartbeat(reply));
            }
            Request::Leave(request) => {
                let reply = turn.leave(request);
                turn.reply(to, Reply::Leave(reply));
            }
            Request::Commit(request) => turn.commit(request, to),
            Request::TxnCommit(request) => turn.stage(request, to),
            Request::EndTxn(request) => turn.end_txn(&request, to),
            Request::OffsetDelete(request) => turn.delete_offsets(&request, to),
            Request::DeleteGroup(_) => turn.delete_group(to),
            Request::Join(_)
            | Request::Fetch(_)
            | Request::Describe(_)
            | Request::List(_)
            | Request::TxnGroups(_)
            | Request::TopicsDeleted(_) => {}
        }
        turn.end();
    }

    /// Requests of all groups, of groups that do not exist, and joins, which may create one.
    fn dispatch_without_group(
        &mut self,
        request: Request,
        to: ReplyTo,
        room: Room,
        now: Now,
        fx: &mut Vec<Effect>,
    ) {
        let reply = match request {
            Request::Join(request) => return self.join(request, to, room, now, fx),
            Request::Commit(request) => return self.commit_outside(request, to, room, now, fx),
            Request::TxnCommit(request) => return self.stage_outside(request, to, room, now, fx),
            Request::EndTxn(request) => self.end_txn_outside(&request),
            Request::TxnGroups(request) => self.txn_groups(&request),
            Request::TopicsDeleted(topics) => return self.topics_deleted(&topics, to, now, fx),
            Request::List(slice) => Reply::List(Ok(self.list(slice))),
            Request::Sync(_) | Request::Heartbeat(_) => request.refused(Refusal::UnknownMemberId),
            Request::Leave(request) => Reply::Leave(Ok(nobody_left(request))),
            Request::Fetch(it) => Reply::Fetch(Ok(GroupOffsets::NOWHERE.fetch(it.topics))),
            Request::OffsetDelete(_) | Request::Describe(_) | Request::DeleteGroup(_) => {
                request.refused(Refusal::GroupIdNotFound)
            }
        };
        fx.push(Effect::Reply { to, reply });
    }

    fn join(
        &mut self,
        request: JoinRequest,
        to: ReplyTo,
        room: Room,
        now: Now,
        fx: &mut Vec<Effect>,
    ) {
        let echo = request.member.clone();
        let mut refuse = |refusal| {
            fx.push(Effect::Reply {
                to,
                reply: classic::refused(refusal, echo.clone()),
            });
        };
        let session = self.rules.session_timeout_ms_min..=self.rules.session_timeout_ms_max;
        if !session.contains(&request.session_timeout_ms) {
            return refuse(Refusal::InvalidSessionTimeout);
        }
        let known = self.place_of(&request.group);
        if known.is_none() && !request.member.is_empty() {
            return refuse(Refusal::UnknownMemberId);
        }
        if (known.is_none() && !room.group) || (self.takes_seat(&request) && !room.seat) {
            return refuse(Refusal::Overloaded);
        }
        let key = known.unwrap_or_else(|| self.create(&request.group, now, fx));
        self.turn(key, now, fx, |turn| turn.join(request, to, known.is_none()));
    }

    /// A commit to a group that does not exist makes one that only holds offsets, unless it
    /// claims to be of a generation.
    fn commit_outside(
        &mut self,
        request: CommitRequest,
        to: ReplyTo,
        room: Room,
        now: Now,
        fx: &mut Vec<Effect>,
    ) {
        if let Some(key) = self.create_to_commit(&request, to, room, now, fx) {
            self.turn(key, now, fx, |turn| turn.commit(request, to));
        }
    }

    /// Makes the group that is to hold the offsets; `None`: the commit was refused.
    pub(super) fn create_to_commit(
        &mut self,
        request: &CommitRequest,
        to: ReplyTo,
        room: Room,
        now: Now,
        fx: &mut Vec<Effect>,
    ) -> Option<GroupKey> {
        let refusal = match (request.generation.0 < 0, room.group) {
            (true, true) => return Some(self.create(&request.group, now, fx)),
            (true, false) => Refusal::Overloaded,
            (false, _) => Refusal::GroupIdNotFound,
        };
        fx.push(Effect::Reply {
            to,
            reply: Reply::Commit(Err(refusal)),
        });
        None
    }

    /// A timer of a group fired. Session timers go to [`Self::session_due`].
    pub fn fire(&mut self, timer: Timer, now: Now, fx: &mut Vec<Effect>) {
        if !self.is_current(timer) {
            // One that was overtaken wakes nobody.
            return;
        }
        match timer {
            Timer::Session { .. } => {}
            Timer::Join { group, arming } => {
                self.turn(group, now, fx, |turn| turn.join_timer_fired(arming));
            }
            Timer::Sync { group, arming } => {
                self.turn(group, now, fx, |turn| turn.sync_timer_fired(arming));
            }
            Timer::Retention { group, arming } => {
                let was_at_rest = self.places.awake(group).is_none();
                self.turn(group, now, fx, |turn| turn.retention_timer_fired(arming));
                if was_at_rest {
                    self.rest_again(group);
                }
            }
        }
    }

    /// What has become of a group that was told to hold its requests: once the first of them may
    /// go on, all are asked again.
    pub(super) fn release_held(&mut self, key: GroupKey, fx: &mut Vec<Effect>) {
        let Some(group) = self.keyed_mut(key).filter(|group| !group.held.is_empty()) else {
            return;
        };
        let held = std::mem::take(&mut group.held);
        if held
            .first()
            .is_some_and(|(first, _)| group.must_hold(first))
        {
            group.held = held;
            return;
        }
        fx.extend(held.into_iter().map(again));
    }

    /// Takes the group out; what was held for it is asked again of what comes after it.
    pub(super) fn remove(&mut self, key: GroupKey, now: Now, fx: &mut Vec<Effect>) {
        self.turn(key, now, fx, |turn| turn.drain_pending(End::Left));
        self.removals += 1;
        let Some(group) = self.places.remove(key) else {
            return;
        };
        fx.push(Effect::Vacate { group: key });
        fx.push(Effect::Note(Note::GroupRemoved {
            phase: group.classic.phase,
        }));
        fx.extend(group.held.into_iter().map(again));
    }

    /// Drops groups of which the replayed records left nothing: they were removed.
    pub(super) fn forget_traceless(&mut self) {
        for key in self.keys() {
            let has_traces =
                |group: &Group| group.facts.metadata.is_some() || group.facts.sizes() != (0, 0);
            if !self.keyed(key).is_some_and(|group| has_traces(&group)) {
                self.places.remove(key);
            }
        }
    }

    /// The groups' keys, by slot.
    pub(super) fn keys(&self) -> Vec<GroupKey> {
        self.places.keys().collect()
    }

    /// The shard is given up: every group becomes Dead, and whoever waits is told to look for
    /// the new coordinator (specification 2.12).
    pub fn unload(&mut self, now: Now, fx: &mut Vec<Effect>) {
        for key in self.keys() {
            let was_at_rest = self.places.awake(key).is_none();
            let held = self.turn(key, now, fx, |turn| {
                turn.unload();
                std::mem::take(&mut turn.group.held)
            });
            if was_at_rest {
                self.rest_again(key);
            }
            for (request, to) in held.into_iter().flatten() {
                let reply = request.refused(Refusal::NotCoordinator);
                fx.push(Effect::Reply { to, reply });
            }
        }
    }
}

fn again((request, to): (Request, ReplyTo)) -> Effect {
    Effect::Again { request, to }
}

/// The answer of a group that does not exist: nobody it knows.
fn nobody_left(request: LeaveRequest) -> Vec<LeftMember> {
    let unknown = |leaver: super::Leaver| LeftMember {
        member: leaver.member,
        instance: leaver.instance,
        result: Err(Refusal::UnknownMemberId),
    };
    request.leavers.into_iter().map(unknown).collect()
}
