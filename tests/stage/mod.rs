//! A stage for groups: a virtual clock, timers that fire in order, a journal, and a side door.
//!
//! Whatever a group wants done outside is done here, and written down in [`Stage::seen`].

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each test file uses a part of the stage, and a test may trip"
)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use takhin_coordinator::error::Refusal;
use takhin_coordinator::group::{
    Client, CommitPartition, CommitRequest, CommitTopic, DeleteGroupRequest, DescribeRequest, Due,
    Effect, Entry, FetchRequest, FetchTopic, GroupKey, Groups, HeartbeatRequest, JoinRequest,
    LeaveRequest, Leaver, OffsetDeleteRequest, OffsetDeleteTopic, Phase, Protocol, Record, Reply,
    ReplyTo, Request, Room, Rules, SeatId, SyncRequest, Timer,
};
use takhin_coordinator::ids::{Generation, GroupId, MemberId};
use takhin_coordinator::time::{ManualClock, Now, Tick, WallMs};
use uuid::Uuid;

/// When entries are settled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Journal {
    /// With success, before the call returns.
    AtOnce,
    /// When the test says so.
    OnCommand,
}

/// Who sits in a seat, as the side door knows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sitter {
    pub group: GroupKey,
    pub group_id: GroupId,
    pub member: MemberId,
    pub beat: Option<Tick>,
}

pub struct Stage {
    pub groups: Groups,
    pub tick: u64,
    pub journal: Journal,
    /// Whether every group that can rest does, after every step.
    pub rests: bool,
    /// How many groups were found at rest then.
    pub rested: usize,
    /// Entries that are not settled yet, in order.
    pub in_flight: VecDeque<Entry>,
    /// What is durable, in order.
    pub log: Vec<Record>,
    /// Every effect since the last [`Stage::take_seen`].
    pub seen: Vec<Effect>,
    /// When each of them was decided.
    pub seen_at: Vec<u64>,
    pub replies: BTreeMap<ReplyTo, Reply>,
    /// Those of them that were held up before anything else.
    only_held: BTreeSet<ReplyTo>,
    /// What was held up and has been asked again since somebody looked here, and when; not what
    /// was held up once more.
    pub asked_again: Vec<(ReplyTo, u64)>,
    pub sitters: BTreeMap<SeatId, Sitter>,
    /// The published generation and phase.
    pub beacons: BTreeMap<GroupKey, (Generation, Phase)>,
    timers: BTreeMap<(Tick, u64), Timer>,
    armed: u64,
    asked: u64,
    fresh: u128,
}

impl Stage {
    pub fn new(rules: Rules) -> Self {
        Self {
            groups: Groups::new(rules),
            tick: 0,
            journal: Journal::AtOnce,
            rests: false,
            rested: 0,
            in_flight: VecDeque::new(),
            log: Vec::new(),
            seen: Vec::new(),
            seen_at: Vec::new(),
            replies: BTreeMap::new(),
            only_held: BTreeSet::new(),
            asked_again: Vec::new(),
            sitters: BTreeMap::new(),
            beacons: BTreeMap::new(),
            timers: BTreeMap::new(),
            armed: 0,
            asked: 0,
            fresh: 0,
        }
    }

    /// A stage whose journal waits for [`Stage::settle`].
    pub fn with_slow_journal(rules: Rules) -> Self {
        Self {
            journal: Journal::OnCommand,
            ..Self::new(rules)
        }
    }

    pub fn now(&self) -> Now {
        now_at(self.tick)
    }

    /// The randomness of the next new member: 1, 2, 3.
    pub fn next_fresh(&mut self) -> Uuid {
        self.fresh += 1;
        Uuid::from_u128(self.fresh)
    }

    /// The number of the id that the next join would be given.
    pub fn peek_fresh(&self) -> u128 {
        self.fresh + 1
    }

    pub fn ask(&mut self, request: Request) -> ReplyTo {
        self.ask_with(request, Room::PLENTY)
    }

    pub fn ask_with(&mut self, mut request: Request, room: Room) -> ReplyTo {
        self.asked += 1;
        let to = ReplyTo(self.asked);
        if let Request::Join(join) = &mut request
            && join.member.is_empty()
        {
            join.fresh = self.next_fresh();
        }
        self.act(|groups, now, fx| groups.handle(request, to, room, now, fx));
        to
    }

    /// Asks something that is answered at once.
    pub fn answer(&mut self, request: Request) -> Reply {
        let to = self.ask(request);
        self.replies.get(&to).cloned().expect("answered at once")
    }

    /// Whether the request was held up and then answered at once: it never waited in its group.
    pub fn was_only_held(&self, to: ReplyTo) -> bool {
        self.only_held.contains(&to)
    }

    /// How many requests there were.
    pub fn asked(&self) -> u64 {
        self.asked
    }

    pub fn reply(&self, to: ReplyTo) -> Option<&Reply> {
        self.replies.get(&to)
    }

    pub fn take_seen(&mut self) -> Vec<Effect> {
        self.seen_at.clear();
        std::mem::take(&mut self.seen)
    }

    /// Lets the groups act and carries out what they want.
    pub fn act<T>(&mut self, act: impl FnOnce(&mut Groups, Now, &mut Vec<Effect>) -> T) -> T {
        let mut fx = Vec::new();
        let now = self.now();
        let out = act(&mut self.groups, now, &mut fx);
        self.carry_out(fx);
        while self.journal == Journal::AtOnce && self.settle(Ok(())) {}
        self.rest();
        out
    }

    fn rest(&mut self) {
        // Looked at once, and not touched when it is looked at again.
        for _ in 0..2 * usize::from(self.rests) {
            while !self.groups.rest() {}
        }
        self.rested += self.groups.at_rest();
    }

    fn carry_out(&mut self, fx: Vec<Effect>) {
        let mut again = Vec::new();
        for effect in fx {
            match effect.clone() {
                Effect::Again { request, to } => {
                    again.push((request, to));
                    continue;
                }
                Effect::Reply { to, reply } => {
                    let earlier = self.replies.insert(to, reply);
                    assert_eq!(earlier, None, "{to:?} was answered twice");
                }
                Effect::Append(entry) => self.in_flight.push_back(entry),
                Effect::Arm { at, timer } => {
                    self.armed += 1;
                    self.timers.insert((at, self.armed), timer);
                }
                Effect::Seat {
                    seat,
                    group,
                    group_id,
                    member,
                    ..
                } => {
                    let sitter = Sitter {
                        group,
                        group_id,
                        member,
                        beat: None,
                    };
                    self.sitters.insert(seat, sitter);
                }
                Effect::Unseat { seat, .. } => {
                    self.sitters.remove(&seat);
                }
                Effect::Publish {
                    group,
                    generation,
                    phase,
                } => {
                    self.beacons.insert(group, (generation, phase));
                }
                Effect::Vacate { group } => {
                    self.beacons.remove(&group);
                }
                Effect::Note(_) => {}
            }
            self.seen.push(effect);
            self.seen_at.push(self.tick);
        }
        for (request, to) in again {
            let mut fx = Vec::new();
            let now = self.now();
            self.groups.handle(request, to, Room::PLENTY, now, &mut fx);
            if !fx.is_empty() {
                self.asked_again.push((to, self.tick));
            }
            self.carry_out(fx);
            if self.replies.contains_key(&to) {
                self.only_held.insert(to);
            }
        }
    }

    /// Settles the oldest entry; whether there was one.
    pub fn settle(&mut self, outcome: Result<(), Refusal>) -> bool {
        let Some(entry) = self.in_flight.pop_front() else {
            return false;
        };
        if outcome.is_ok() {
            self.log.extend(entry.records.iter().cloned());
        }
        let mut fx = Vec::new();
        let now = self.now();
        self.groups.settle(entry, outcome, now, &mut fx);
        self.carry_out(fx);
        self.rest();
        true
    }

    /// All entries on their way take too long.
    pub fn give_up_waiting(&mut self) {
        let now = self.now();
        let mut fx = Vec::new();
        for entry in &mut self.in_flight {
            self.groups.give_up_waiting(entry, now, &mut fx);
        }
        self.carry_out(fx);
    }

    /// Settles all entries.
    pub fn settle_all(&mut self) {
        while self.settle(Ok(())) {}
    }

    /// A heartbeat as the side door hears it; whether the door could answer.
    pub fn beat(&mut self, group: &str, member: &MemberId, generation: Generation) -> bool {
        let tick = Tick(self.tick);
        let sitter = self
            .sitters
            .values_mut()
            .find(|it| it.group_id.as_str() == group && it.member == *member);
        let Some(sitter) = sitter else { return false };
        match self.beacons.get(&sitter.group) {
            Some((at, Phase::CompletingRebalance | Phase::Stable)) if *at == generation => {
                sitter.beat = Some(tick);
                true
            }
            _ => false,
        }
    }

    /// When the next timer fires.
    pub fn next_timer(&self) -> Option<Tick> {
        self.timers.keys().next().map(|(at, _)| *at)
    }

    /// Moves the clock, firing what is due on the way.
    pub fn advance(&mut self, ms: u64) {
        let end = self.tick + ms;
        while let Some(&(at, number)) = self.timers.keys().next()
            && at.0 <= end
        {
            self.tick = self.tick.max(at.0);
            let timer = self.timers.remove(&(at, number)).expect("seen just above");
            self.fire(timer);
        }
        self.tick = end;
    }

    /// Moves the clock without firing anything: a process that was stopped.
    pub fn stall(&mut self, ms: u64) {
        self.tick += ms;
        self.act(|groups, now, _| groups.stalled(ms, now));
    }

    fn fire(&mut self, timer: Timer) {
        let Timer::Session { seat, arming } = timer else {
            return self.act(|groups, now, fx| groups.fire(timer, now, fx));
        };
        let beat = self.sitters.get(&seat).and_then(|sitter| sitter.beat);
        let due = self.act(|groups, now, fx| groups.session_due(seat, arming, beat, now, fx));
        if due == Due::Expire {
            self.act(|groups, now, fx| groups.expire(seat, now, fx));
        }
    }

    /// A new process with what is durable here.
    pub fn restart(&self, rules: Rules) -> Self {
        let mut stage = Self::new(rules);
        stage.tick = self.tick;
        stage.fresh = self.fresh;
        stage.asked = self.asked;
        stage.journal = self.journal;
        stage.rests = self.rests;
        stage.rested = self.rested;
        stage.log.clone_from(&self.log);
        stage.act(|groups, now, fx| {
            for record in &self.log {
                groups.apply(record, now);
            }
            groups.revive(now, fx);
        });
        stage
    }

    /// The phase of a group, if it exists.
    pub fn phase(&self, group: &str) -> Option<Phase> {
        self.groups.state(&group.into()).map(|(_, phase)| phase)
    }
}

pub fn now_at(tick: u64) -> Now {
    let wall = ManualClock::WALL_START_MS + i64::try_from(tick).unwrap();
    Now {
        tick: Tick(tick),
        wall: WallMs(wall),
    }
}

/// The id that the `n`th new member of client "c" is given.
pub fn nth(n: u128) -> MemberId {
    MemberId::from(format!("c-{}", Uuid::from_u128(n)))
}

/// The id that the `n`th new member is given as a static member.
pub fn nth_static(instance: &str, n: u128) -> MemberId {
    MemberId::from(format!("{instance}-{}", Uuid::from_u128(n)))
}

/// A join of a new member with "range"; sessions of 10 s, rebalances of 60 s; no id asked for.
pub fn joining(group: &str) -> JoinRequest {
    JoinRequest {
        group: group.into(),
        member: MemberId::default(),
        instance: None,
        client: Client {
            id: "c".into(),
            host: "/127.0.0.1".into(),
        },
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 60_000,
        protocol_type: "consumer".into(),
        protocols: vec![protocol("range", subscription(&["t"]))],
        reason: None,
        requires_known_member_id: false,
        can_skip_assignment: true,
        fresh: Uuid::nil(),
    }
}

pub fn protocol(name: &str, metadata: impl Into<Bytes>) -> Protocol {
    Protocol {
        name: name.into(),
        metadata: metadata.into(),
    }
}

/// The bytes of a consumer's subscription, version 0.
pub fn subscription(topics: &[&str]) -> Vec<u8> {
    let mut bytes = vec![0, 0];
    bytes.extend(u32::try_from(topics.len()).unwrap().to_be_bytes());
    for topic in topics {
        bytes.extend(u16::try_from(topic.len()).unwrap().to_be_bytes());
        bytes.extend(topic.as_bytes());
    }
    bytes.extend([0xff; 4]);
    bytes
}

pub fn join(group: &str) -> Request {
    Request::Join(joining(group))
}

pub fn join_as(group: &str, member: &MemberId) -> Request {
    Request::Join(JoinRequest {
        member: member.clone(),
        ..joining(group)
    })
}

pub fn join_static(group: &str, instance: &str) -> Request {
    Request::Join(JoinRequest {
        instance: Some(instance.into()),
        ..joining(group)
    })
}

pub fn syncing(group: &str, member: &MemberId, generation: i32) -> SyncRequest {
    SyncRequest {
        group: group.into(),
        member: member.clone(),
        instance: None,
        generation: Generation(generation),
        protocol_type: None,
        protocol: None,
        assignments: Vec::new(),
    }
}

pub fn sync(group: &str, member: &MemberId, generation: i32) -> Request {
    Request::Sync(syncing(group, member, generation))
}

/// The leader's sync, with assignments.
pub fn assign(
    group: &str,
    member: &MemberId,
    generation: i32,
    to: &[(&MemberId, &str)],
) -> Request {
    let assignments = to
        .iter()
        .map(|(id, bytes)| ((*id).clone(), Bytes::copy_from_slice(bytes.as_bytes())))
        .collect();
    Request::Sync(SyncRequest {
        assignments,
        ..syncing(group, member, generation)
    })
}

pub fn heartbeat(group: &str, member: &MemberId, generation: i32) -> Request {
    Request::Heartbeat(HeartbeatRequest {
        group: group.into(),
        member: member.clone(),
        instance: None,
        generation: Generation(generation),
    })
}

pub fn leaver(member: &MemberId, instance: Option<&str>) -> Leaver {
    Leaver {
        member: member.clone(),
        instance: instance.map(Into::into),
        reason: None,
    }
}

pub fn leave(group: &str, leavers: Vec<Leaver>) -> Request {
    Request::Leave(LeaveRequest {
        group: group.into(),
        leavers,
    })
}

/// A commit of offsets of topic "t", by partition, from outside the group protocol.
pub fn committing(group: &str, offsets: &[(i32, i64)]) -> CommitRequest {
    let partitions = offsets
        .iter()
        .map(|(partition, offset)| CommitPartition {
            partition: *partition,
            offset: *offset,
            leader_epoch: -1,
            metadata: "".into(),
            committed_at: None,
        })
        .collect();
    CommitRequest {
        group: group.into(),
        member: MemberId::default(),
        instance: None,
        generation: Generation::NONE,
        retention_ms: None,
        topics: vec![CommitTopic {
            topic: "t".into(),
            id: takhin_coordinator::ids::TopicId::ZERO,
            partitions,
        }],
    }
}

pub fn commit(group: &str, offsets: &[(i32, i64)]) -> Request {
    Request::Commit(committing(group, offsets))
}

pub fn commit_as(
    group: &str,
    member: &MemberId,
    generation: i32,
    offsets: &[(i32, i64)],
) -> Request {
    Request::Commit(CommitRequest {
        member: member.clone(),
        generation: Generation(generation),
        ..committing(group, offsets)
    })
}

pub fn fetch(group: &str, topic: &str, partitions: &[i32]) -> Request {
    Request::Fetch(FetchRequest {
        group: group.into(),
        topics: Some(vec![FetchTopic {
            topic: topic.into(),
            partitions: partitions.to_vec(),
        }]),
        require_stable: false,
    })
}

pub fn fetch_all(group: &str) -> Request {
    Request::Fetch(FetchRequest {
        group: group.into(),
        topics: None,
        require_stable: false,
    })
}

pub fn fetch_stable(group: &str) -> Request {
    Request::Fetch(FetchRequest::all(group).stable())
}

pub fn delete_offsets(group: &str, topic: &str, partitions: &[i32]) -> Request {
    Request::OffsetDelete(OffsetDeleteRequest {
        group: group.into(),
        topics: vec![OffsetDeleteTopic {
            topic: topic.into(),
            partitions: partitions.to_vec(),
        }],
    })
}

pub fn describe(group: &str) -> Request {
    Request::Describe(DescribeRequest {
        group: group.into(),
    })
}

pub fn delete_group(group: &str) -> Request {
    Request::DeleteGroup(DeleteGroupRequest {
        group: group.into(),
    })
}

/// A stage with a stable group "g" of that many dynamic members `nth(1)` .., in generation 1.
///
/// Each is assigned its own number; the first leads.
pub fn stable_group(rules: Rules, members: u128) -> Stage {
    let mut stage = Stage::new(rules);
    for _ in 0..members {
        stage.ask(join("g"));
    }
    // The initial delay passes, and everyone syncs.
    while stage.phase("g") != Some(Phase::CompletingRebalance) {
        stage.advance(1_000);
    }
    let ids: Vec<MemberId> = (1..=members).map(nth).collect();
    let names: Vec<String> = (1..=members).map(|n| n.to_string()).collect();
    let named = ids.iter().zip(&names);
    let all: Vec<(&MemberId, &str)> = named.map(|(id, name)| (id, name.as_str())).collect();
    for id in &ids[1..] {
        stage.ask(sync("g", id, 1));
    }
    stage.ask(assign("g", &ids[0], 1, &all));
    assert_eq!(stage.phase("g"), Some(Phase::Stable));
    stage.take_seen();
    stage
}
