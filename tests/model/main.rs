//! Random histories of many members over a few groups, against promises that hold at every step.
//!
//! | promise | where from | checked in |
//! | --- | --- | --- |
//! | a request is answered once, in the end | contract of the engine | `Stage`, `finish` |
//! | one leader, who is a member; only the leader sees the members | spec 2.3, 2.5 | `joined` |
//! | no two members own the same assignment of one generation | spec 2.6 | `synced` |
//! | the generation never goes back while the group lives | spec 2.5, 2.13 | `published` |
//! | nobody is expelled early | spec 2.9 | `unseated` |
//! | nobody silent stays | spec 2.9 | `check_lives` |
//! | what was last published is what is | room `group` | `check_groups` |
//! | seats are members and pending members, no more | room `group` | `check_groups` |
//! | the facts are the replay of the records, compacted or not | spec 4.5 | `check_facts` |
//! | what is stored of a quiet stable group names its members | spec 2.7, 4.4 | `check_stored` |
//! | nobody can tell whether a group was at rest | room `group` | `rests_are_not_seen` |
//! | a restart keeps members, generations and offsets | spec 2.12 | `restart` |
//!
//! `MODEL_HISTORIES=n` runs more of them; `MODEL_SEED=n` picks the one of `one_history`.

#![allow(
    clippy::match_same_arms,
    clippy::print_stderr,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    clippy::wildcard_imports,
    reason = "a test may trip, and the stage is all its own"
)]

#[path = "../stage/mod.rs"]
mod stage;
mod watch;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use stage::*;
use takhin_coordinator::error::Refusal;
use takhin_coordinator::group::{
    CommitRequest, Effect, GroupKey, Groups, HeartbeatRequest, JoinRequest, Phase, Reply, ReplyTo,
    Request, Rules, SeatId, SyncRequest, TopicDeletion,
};
use takhin_coordinator::ids::{Generation, GroupId, InstanceId, MemberId, TopicId};

const GROUPS: [&str; 2] = ["g0", "g1"];
const PLAYERS: usize = 6;
const STEPS: usize = 120;

/// Numbers from a seed (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.roll(len as u64)).unwrap()
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.roll(n) == 0
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Out,
    Joined,
    Synced,
}

/// A client as clients are: it does what the answers tell it, mostly.
struct Player {
    group: &'static str,
    instance: Option<InstanceId>,
    member: MemberId,
    generation: Generation,
    at: At,
    waits_for: Option<ReplyTo>,
    /// The members, where it leads.
    leads: Vec<MemberId>,
    metadata: u8,
}

/// A member's silence, as the specification counts it.
struct Life {
    since: u64,
    timeout_ms: u64,
    /// Not part of a generation yet: a parked join is no sign of life.
    is_new: bool,
}

struct Model {
    stage: Stage,
    dice: Dice,
    players: Vec<Player>,
    /// Joins and syncs: who asked, as which member.
    asked: BTreeMap<ReplyTo, (usize, MemberId, Generation)>,
    /// Those of them that had to wait.
    parked: BTreeSet<ReplyTo>,
    all_asked: BTreeSet<ReplyTo>,
    /// Heartbeats and commits that were not answered at once: whoever sent one that was held up is
    /// heard when it is asked again.
    unanswered: BTreeMap<ReplyTo, MemberId>,
    lives: BTreeMap<MemberId, Life>,
    /// Who went last, when, and whether a parked join of it was refused for that.
    removed: Option<(Life, u64, bool)>,
    has_waited: bool,
    sitting: BTreeMap<SeatId, (GroupKey, MemberId)>,
    pending: usize,
    stalls: Vec<(u64, u64)>,
    generations: BTreeMap<GroupKey, Generation>,
    names: BTreeMap<GroupKey, GroupId>,
    owners: BTreeMap<(String, Generation, Bytes), String>,
    leaders: BTreeMap<(GroupKey, Generation), MemberId>,
    /// The replay of everything that was settled.
    mirror: Groups,
    replayed: usize,
    /// Everything that was decided.
    history: Vec<Effect>,
}

fn rules() -> Rules {
    Rules {
        group_members_max: 4,
        offsets_retention_ms: 120_000,
        retention_check_interval_ms: 30_000,
        // A restart grants the session and no more, so that it is what the model knows.
        session_grace_after_load_ms: 0,
        ..Rules::default()
    }
}

/// The player behind a member id: its client or instance is named after its number.
fn player_of(member: &MemberId) -> usize {
    member.as_str()[1..2].parse().unwrap()
}

fn session_ms(player: usize) -> u64 {
    6_000 + 2_000 * player as u64
}

/// Whether the one counts as the other in its generation: a static member's replacement does.
fn owner_name(player: &Player, member: &MemberId) -> String {
    match &player.instance {
        Some(instance) => instance.as_str().into(),
        None => member.as_str().into(),
    }
}

impl Model {
    fn new(seed: u64) -> Self {
        let players = (0..PLAYERS).map(|at| Player {
            group: GROUPS[usize::from(at >= 4)],
            instance: (at % 3 == 1).then(|| InstanceId::from(format!("s{at}"))),
            member: MemberId::default(),
            generation: Generation::NONE,
            at: At::Out,
            waits_for: None,
            leads: Vec::new(),
            metadata: 0,
        });
        Self {
            stage: Stage::with_slow_journal(rules()),
            dice: Dice(seed),
            players: players.collect(),
            asked: BTreeMap::new(),
            parked: BTreeSet::new(),
            all_asked: BTreeSet::new(),
            unanswered: BTreeMap::new(),
            lives: BTreeMap::new(),
            removed: None,
            has_waited: false,
            sitting: BTreeMap::new(),
            pending: 0,
            stalls: Vec::new(),
            generations: BTreeMap::new(),
            names: BTreeMap::new(),
            owners: BTreeMap::new(),
            leaders: BTreeMap::new(),
            mirror: Groups::new(rules()),
            replayed: 0,
            history: Vec::new(),
        }
    }

    fn run(&mut self) {
        for _ in 0..STEPS {
            match self.dice.roll(100) {
                0..=54 => {
                    let at = self.dice.index(PLAYERS);
                    self.play(at);
                }
                55..=74 => self.settle(),
                75..=88 => {
                    let ms = match self.dice.roll(12) {
                        0 => 60_000,
                        1..=3 => 10_000,
                        _ => 2_500,
                    };
                    let ms = self.dice.roll(ms);
                    self.stage.advance(ms);
                }
                89..=97 => self.disturb(),
                98 => self.stall(),
                _ => {
                    if self.dice.one_in(3) {
                        self.restart();
                    }
                }
            }
            self.check();
        }
        self.finish();
    }

    fn ask(&mut self, at: usize, request: Request) -> ReplyTo {
        let member = match &request {
            Request::Join(join) => Some((join.member.clone(), Generation::NONE)),
            Request::Sync(sync) => Some((sync.member.clone(), sync.generation)),
            _ => None,
        };
        let to = self.stage.ask(request);
        self.all_asked.insert(to);
        if let Some((member, generation)) = member {
            self.asked.insert(to, (at, member, generation));
            self.watch();
            if self.stage.reply(to).is_none() {
                self.parked.insert(to);
            }
        }
        to
    }

    fn heard(&mut self, member: &MemberId, tick: u64) {
        if let Some(life) = self.lives.get_mut(member) {
            life.since = tick;
            life.timeout_ms = session_ms(player_of(member));
        }
    }

    fn play(&mut self, at: usize) {
        if let Some(to) = self.players[at].waits_for {
            match self.stage.reply(to).cloned() {
                Some(reply) => self.take(at, reply),
                // Now and then a connection breaks, and the client asks again.
                None if self.dice.one_in(12) => {}
                None => return,
            }
            self.players[at].waits_for = None;
        }
        let roll = self.dice.roll(20);
        match self.players[at].at {
            At::Out => self.join(at),
            At::Joined => self.sync(at),
            At::Synced if roll < 12 => self.beat(at),
            At::Synced if roll < 15 => self.commit(at),
            At::Synced if roll < 16 => self.join(at),
            At::Synced if roll < 17 => {
                self.players[at].metadata += 1;
                self.join(at);
            }
            At::Synced if roll < 18 => self.leave(at),
            At::Synced if roll < 19 => self.forget(at),
            At::Synced => self.sync(at),
        }
    }

    fn forget(&mut self, at: usize) {
        self.players[at].member = MemberId::default();
        self.players[at].at = At::Out;
    }

    fn join(&mut self, at: usize) {
        let player = &self.players[at];
        let mut request = JoinRequest {
            member: player.member.clone(),
            instance: player.instance.clone(),
            session_timeout_ms: i32::try_from(session_ms(at)).unwrap(),
            rebalance_timeout_ms: 10_000 + 5_000 * i32::try_from(at).unwrap(),
            requires_known_member_id: at.is_multiple_of(2),
            can_skip_assignment: at.is_multiple_of(2),
            ..joining(player.group)
        };
        request.client.id = format!("p{at}").into();
        let mut metadata = subscription(&["t"]);
        metadata.push(player.metadata);
        request.protocols = vec![protocol("range", metadata)];
        if at % 3 != 2 {
            request.protocols.insert(0, protocol("sticky", ""));
        }
        let to = self.ask(at, Request::Join(request));
        self.players[at].waits_for = Some(to);
        self.players[at].at = At::Out;
    }

    fn sync(&mut self, at: usize) {
        let player = &self.players[at];
        let mut leads = player.leads.clone();
        if !leads.is_empty() {
            let by = self.dice.index(leads.len());
            leads.rotate_left(by);
        }
        let player = &self.players[at];
        let assignments = leads
            .into_iter()
            .enumerate()
            .map(|(part, member)| (member, Bytes::from(format!("part {part}"))))
            .collect();
        let request = Request::Sync(SyncRequest {
            instance: player.instance.clone(),
            assignments,
            ..syncing(player.group, &player.member, player.generation.0)
        });
        let to = self.ask(at, request);
        self.players[at].waits_for = Some(to);
    }

    fn beat(&mut self, at: usize) {
        let player = &self.players[at];
        let (group, member) = (player.group, player.member.clone());
        let tick = self.stage.tick;
        if self.dice.one_in(2) && self.stage.beat(group, &member, self.players[at].generation) {
            let life = self.lives.get_mut(&member).expect("has a seat");
            life.since = tick;
            return;
        }
        let player = &self.players[at];
        let request = Request::Heartbeat(HeartbeatRequest {
            group: group.into(),
            member: member.clone(),
            instance: player.instance.clone(),
            generation: player.generation,
        });
        let to = self.ask(at, request);
        self.watch();
        match self.stage.reply(to) {
            Some(Reply::Heartbeat(Ok(()) | Err(Refusal::RebalanceInProgress))) => {
                self.heard(&member, tick);
            }
            Some(_) => {}
            None => {
                self.unanswered.insert(to, member);
            }
        }
        self.players[at].waits_for = Some(to);
    }

    fn commit(&mut self, at: usize) {
        let player = &self.players[at];
        let (group, member) = (player.group, player.member.clone());
        let offset = i64::try_from(self.stage.tick).unwrap();
        let partition = i32::try_from(self.dice.roll(3)).unwrap();
        let request = Request::Commit(CommitRequest {
            instance: self.players[at].instance.clone(),
            member: member.clone(),
            generation: self.players[at].generation,
            ..committing(group, &[(partition, offset)])
        });
        let phase = self.stage.phase(group);
        let to = self.ask(at, request);
        // Nothing came of it yet.
        let is_held = self.stage.seen_at.is_empty();
        self.watch();
        let reply = self.stage.reply(to);
        if reply.is_none() {
            self.unanswered.insert(to, member.clone());
        }
        let was_accepted = !is_held && !matches!(reply, Some(Reply::Commit(Err(_))));
        if was_accepted && matches!(phase, Some(Phase::Stable | Phase::PreparingRebalance)) {
            let tick = self.stage.tick;
            self.heard(&member, tick);
        }
        self.players[at].waits_for = Some(to);
    }

    fn leave(&mut self, at: usize) {
        let player = &self.players[at];
        let instance = player.instance.as_ref().map(InstanceId::as_str);
        let request = leave(player.group, vec![leaver(&player.member, instance)]);
        self.ask(at, request);
        self.forget(at);
    }

    /// A client learns what it was told.
    fn take(&mut self, at: usize, reply: Reply) {
        let player = &mut self.players[at];
        match reply {
            Reply::Join(Ok(joined)) => {
                player.member = joined.member;
                player.generation = joined.generation;
                player.leads = joined.members.into_iter().map(|it| it.member).collect();
                player.at = At::Joined;
            }
            Reply::Join(Err(refused)) if refused.refusal == Refusal::MemberIdRequired => {
                player.member = refused.member;
            }
            Reply::Sync(Ok(_)) => player.at = At::Synced,
            Reply::Sync(Err(Refusal::RebalanceInProgress))
            | Reply::Heartbeat(Err(Refusal::RebalanceInProgress)) => player.at = At::Out,
            Reply::Join(Err(_)) | Reply::Sync(Err(_)) | Reply::Heartbeat(Err(_)) => self.forget(at),
            _ => {}
        }
    }

    /// The unforeseen: strangers, administrators, topics that go.
    fn disturb(&mut self) {
        let at = self.dice.index(PLAYERS);
        let group = GROUPS[self.dice.index(2)];
        let player = &self.players[at];
        let member = player.member.clone();
        let instance = player.instance.clone();
        let generation = i32::try_from(self.dice.roll(5)).unwrap() - 1;
        let request = match self.dice.roll(9) {
            0 => heartbeat(group, &"x9-stranger".into(), generation),
            1 => sync(group, &"x9-stranger".into(), generation),
            2 => join_as(group, &"x9-stranger".into()),
            3 => leave(
                group,
                vec![
                    leaver(&member, None),
                    leaver(&"".into(), instance.as_ref().map(InstanceId::as_str)),
                    leaver(&member, None),
                ],
            ),
            4 => commit(group, &[(generation, 7)]),
            5 => delete_group(group),
            6 => delete_offsets(group, "t", &[0, 1]),
            7 => Request::TopicsDeleted(vec![TopicDeletion {
                topic: "t".into(),
                id: TopicId::ZERO,
            }]),
            _ => fetch_all(group),
        };
        self.ask(at, request);
    }

    fn settle(&mut self) {
        let outcome = if self.dice.one_in(15) {
            Err(Refusal::NotAvailable)
        } else {
            Ok(())
        };
        self.stage.settle(outcome);
        self.watch();
        self.check_facts();
    }

    fn stall(&mut self) {
        if self.stalls.len() < 10 {
            let ms = 1 + self.dice.roll(20_000);
            self.stage.stall(ms);
            self.stalls.push((self.stage.tick, ms));
        }
    }
}

/// Says which history failed.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the history of MODEL_SEED={} failed", self.0);
        }
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn random_histories_keep_every_promise() {
    for seed in 0..number("MODEL_HISTORIES").unwrap_or(4_000) {
        let _seed = Seed(seed);
        Model::new(seed).run();
    }
}

#[test]
fn rests_are_not_seen() {
    let mut rested = 0;
    for seed in 0..number("MODEL_HISTORIES").unwrap_or(4_000) / 8 {
        let _seed = Seed(seed);
        let mut awake = Model::new(seed);
        awake.run();
        let mut at_rest = Model::new(seed);
        at_rest.stage.rests = true;
        at_rest.run();
        assert_eq!(awake.history, at_rest.history);
        rested += at_rest.stage.rested;
    }
    assert!(rested > 0, "nobody came to rest");
}

#[test]
fn one_history() {
    Model::new(number("MODEL_SEED").unwrap_or(0)).run();
}
