//! One `apply`, proven: whatever way the records take, the facts are the same.
//!
//! ```text
//!   requests, timers --> groups --> entries --> log on a disk --> settled: the live facts
//!                                      |            |
//!                       all records, in order       the ring: what was carried, what is left
//!                           |                |            |
//!                        replayed     snapshot + tail   read back
//! ```
//!
//! After every history, and at every restart in it, the live facts are those of a replay of all
//! records, of a snapshot taken at some moment with the records after it, of what the ring holds
//! after segments were emptied and used again, and of a reading of the records that knows nothing
//! of `apply`: the last word on every key.
//!
//! `TAKHIN_REPLAYS=n` runs more histories; `TAKHIN_REPLAY_SEED=n` runs that one alone.

#[path = "../../../tests/stage/mod.rs"]
mod stage;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::Bytes;
use stage::{Stage, assign, delete_group, delete_offsets, joining, leave, leaver, now_at, sync};

use super::disk::SimDisk;
use super::workload::{Append, Random, commit, open, records};
use crate::error::Refusal;
use crate::group::{
    CommitPartition, CommitRequest, CommitTopic, EndTxnRequest, Entry, Groups, Producer, Record,
    Reply, ReplyTo, Request, Rules, Then, TopicDeletion, TxnCommitRequest,
};
use crate::ids::{Generation, GroupId, MemberId, PartitionIndex, ProducerId, TopicId, TopicName};
use crate::store::{Repair, StoreConfig};
use crate::time::WallMs;

/// So small that a few dozen records make the log go round.
const TINY: StoreConfig = StoreConfig {
    segment_bytes: 1 << 10,
    log_bytes_min: 6 << 10,
    repair: Repair::Refuse,
};
const GROUPS: [&str; 3] = ["g0", "g1", "g2"];
const TOPICS: [&str; 2] = ["t", "u"];
const STEPS: u64 = 60;

/// A client of a group, as far as it knows.
#[derive(Clone, Debug)]
struct Player {
    group: &'static str,
    instance: Option<&'static str>,
    member: MemberId,
    generation: Generation,
    members: Vec<MemberId>,
    asked: Option<ReplyTo>,
}

struct History {
    random: Random,
    stage: Stage,
    disk: SimDisk,
    log: super::super::log::Log,
    players: Vec<Player>,
    /// The facts after so many records.
    snapshot: (usize, Vec<Record>),
    offset: i64,
}

fn rules() -> Rules {
    Rules {
        offsets_retention_ms: 120_000,
        retention_check_interval_ms: 30_000,
        initial_rebalance_delay_ms: 0,
        ..Rules::default()
    }
}

impl History {
    fn new(seed: u64) -> Self {
        let disk = SimDisk::default();
        let player = |at: usize| Player {
            group: GROUPS[at % 2],
            instance: (at == 1).then_some("static"),
            member: MemberId::default(),
            generation: Generation::NONE,
            members: Vec::new(),
            asked: None,
        };
        Self {
            random: Random(seed),
            stage: Stage::with_slow_journal(rules()),
            log: open(&disk, TINY).unwrap(),
            disk,
            players: (0..4).map(player).collect(),
            snapshot: (0, Vec::new()),
            offset: 0,
        }
    }

    fn run(&mut self) {
        for _ in 0..STEPS {
            match self.random.below(100) {
                0..=24 => self.play(),
                25..=42 => self.commit(),
                43..=54 => self.in_transaction(),
                55..=60 => self.administer(),
                61..=90 => self.make_durable(),
                91..=94 => {
                    let ms = [500, 5_000, 70_000, 200_000][self.index(4)];
                    self.stage.advance(ms);
                }
                95..=97 => {
                    let at = self.stage.log.len();
                    self.snapshot = (at, self.stage.groups.snapshot());
                }
                _ => self.restart(),
            }
            self.check_nothing_is_released_early();
        }
        while !self.stage.in_flight.is_empty() {
            self.make_durable();
        }
        self.check();
    }

    fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.random.below(len as u64)).unwrap()
    }

    fn group(&mut self) -> &'static str {
        GROUPS[self.index(GROUPS.len())]
    }

    /// A client goes on: it joins, syncs, leads or leaves.
    fn play(&mut self) {
        let at = self.index(self.players.len());
        let mut player = self.players[at].clone();
        if let Some(reply) = player.asked.and_then(|to| self.stage.reply(to).cloned()) {
            player.take(reply);
        }
        let request = match self.random.below(10) {
            0 => {
                let leaver = leaver(&player.member, player.instance);
                leave(player.group, vec![leaver])
            }
            1..=4 if player.generation != Generation::NONE => {
                let all: Vec<_> = player.members.iter().map(|it| (it, "part")).collect();
                if all.is_empty() {
                    sync(player.group, &player.member, player.generation.0)
                } else {
                    assign(player.group, &player.member, player.generation.0, &all)
                }
            }
            _ => {
                let mut join = joining(player.group);
                join.member = player.member.clone();
                join.instance = player.instance.map(Into::into);
                join.protocols[0].metadata = if self.random.below(6) == 0 {
                    Bytes::from(format!("m{}", self.random.below(3)))
                } else {
                    join.protocols[0].metadata.clone()
                };
                player.generation = Generation::NONE;
                Request::Join(join)
            }
        };
        player.asked = Some(self.stage.ask(request));
        self.players[at] = player;
    }

    /// A commit with as many of the fields as an offset may have.
    fn a_commit(&mut self, group: &str) -> CommitRequest {
        let is_old = self.random.below(5) == 0;
        let topics = (0..=self.random.below(2)).map(|_| {
            let topic = TOPICS[self.index(TOPICS.len())];
            let partitions = (0..=self.random.below(3)).map(|partition| {
                self.offset += 1;
                let is_dated = self.random.below(4) == 0;
                CommitPartition {
                    partition: PartitionIndex::try_from(partition).unwrap(),
                    offset: self.offset,
                    leader_epoch: i32::try_from(self.random.below(3)).unwrap() - 1,
                    metadata: ["", "m", "more"][self.index(3)].into(),
                    committed_at: is_dated.then(|| WallMs(self.stage.now().wall.0 - 10_000)),
                }
            });
            CommitTopic {
                topic: topic.into(),
                partitions: partitions.collect(),
                id: TopicId([u8::try_from(self.random.below(2)).unwrap(); 16]),
            }
        });
        CommitRequest {
            topics: topics.collect(),
            retention_ms: is_old.then_some(90_000),
            ..CommitRequest::new(group)
        }
    }

    fn commit(&mut self) {
        let at = self.index(self.players.len() * 2);
        let request = if let Some(player) = self.players.get(at).cloned() {
            CommitRequest {
                member: player.member,
                generation: player.generation,
                instance: player.instance.map(Into::into),
                ..self.a_commit(player.group)
            }
        } else {
            let group = self.group();
            self.a_commit(group)
        };
        self.stage.ask(Request::Commit(request));
    }

    /// Stages offsets in a transaction, or ends one.
    fn in_transaction(&mut self) {
        let group = self.group();
        let epoch = i16::try_from(self.random.below(2)).unwrap();
        let producer = Producer::new(1 + i64::try_from(self.random.below(3)).unwrap(), epoch);
        let request = if self.random.below(5) < 3 {
            Request::TxnCommit(TxnCommitRequest {
                producer,
                commit: self.a_commit(group),
            })
        } else {
            Request::EndTxn(EndTxnRequest {
                group: group.into(),
                producer,
                committed: self.random.below(3) > 0,
            })
        };
        self.stage.ask(request);
    }

    fn administer(&mut self) {
        let group = self.group();
        let topic = TOPICS[self.index(TOPICS.len())];
        let request = match self.random.below(4) {
            0 => delete_group(group),
            1 => Request::TopicsDeleted(vec![TopicDeletion {
                topic: topic.into(),
                id: TopicId([u8::try_from(self.random.below(2)).unwrap(); 16]),
            }]),
            _ => delete_offsets(group, topic, &[0, 1]),
        };
        self.stage.ask(request);
    }

    /// The oldest entries become durable as one batch, or, now and then, fail.
    fn make_durable(&mut self) {
        let count = 1 + self.index(4);
        if self.random.below(12) == 0 {
            self.stage.settle(Err(Refusal::NotAvailable));
            return;
        }
        let entries: Vec<Entry> = self.stage.in_flight.iter().take(count).cloned().collect();
        if entries.is_empty() {
            return;
        }
        let settled = entries.len();
        let append = Append { shard: 0, entries };
        let durable = commit(&mut self.log, std::slice::from_ref(&append)).unwrap();
        assert_eq!(durable, 1);
        for _ in 0..settled {
            self.stage.settle(Ok(()));
        }
    }

    /// The power goes, and the groups come back from what the ring holds; what was on its way is
    /// forgotten.
    fn restart(&mut self) {
        self.check();
        if self.random.below(2) == 0 {
            self.log.close().unwrap();
        }
        self.disk = self.disk.survivor(&mut self.random);
        self.log = open(&self.disk, TINY).unwrap();
        let all = std::mem::replace(&mut self.stage.log, records(&self.log, 0));
        let mut next = self.stage.restart(rules());
        next.log = all;
        next.in_flight.clear();
        self.stage = next;
        self.check();
    }

    /// Who waits for an entry that is on its way was not answered.
    fn check_nothing_is_released_early(&self) {
        for entry in &self.stage.in_flight {
            let to = match &entry.then {
                Then::Committed { to, .. }
                | Then::Staged { to, .. }
                | Then::TxnEnded { to }
                | Then::OffsetsDeleted { to, .. }
                | Then::Removed { to }
                | Then::TopicsDeleted { to } => *to,
                Then::Rest | Then::Assign { .. } | Then::Replaced(_) => None,
            };
            let answer = to.and_then(|to| self.stage.reply(to));
            assert_eq!(answer, None, "answered before it is durable");
        }
    }

    fn check(&self) {
        let live = &self.stage.groups;
        let facts = live.snapshot();
        let all = &self.stage.log;
        assert_eq!(facts, last_words(all), "the last word on every key");
        let (at, snapshot) = &self.snapshot;
        let ring = records(&self.log, 0);
        let ways: [(&str, Vec<&Record>); 3] = [
            ("replayed", all.iter().collect()),
            (
                "a snapshot and the rest",
                snapshot.iter().chain(&all[*at..]).collect(),
            ),
            ("the ring", ring.iter().collect()),
        ];
        for (way, records) in ways {
            let mut groups = Groups::new(rules());
            for record in records {
                groups.apply(record, now_at(7));
            }
            let found = groups.snapshot();
            assert_eq!(found, facts, "{way}");
            assert_eq!(hash(&found), hash(&facts), "{way}");
            let counts = (groups.offsets(), groups.pending());
            assert_eq!(counts, (live.offsets(), live.pending()), "{way}");
        }
    }
}

impl Player {
    fn take(&mut self, reply: Reply) {
        self.asked = None;
        #[expect(clippy::wildcard_enum_match_arm, reason = "the rest changes nothing")]
        match reply {
            Reply::Join(Ok(joined)) => {
                self.member = joined.member;
                self.generation = joined.generation;
                self.members = joined.members.into_iter().map(|it| it.member).collect();
            }
            Reply::Join(Err(refused)) if refused.refusal == Refusal::MemberIdRequired => {
                self.member = refused.member;
            }
            Reply::Join(Err(_)) | Reply::Sync(Err(Refusal::UnknownMemberId)) => {
                self.member = MemberId::default();
                self.generation = Generation::NONE;
            }
            _ => {}
        }
    }
}

/// What histories came by, so that they prove something.
#[derive(Clone, Copy, Default, Debug)]
struct Seen {
    members: usize,
    removed_groups: usize,
    offsets: usize,
    deleted_offsets: usize,
    dated_offsets: usize,
    staged: usize,
    ended: usize,
    overtaken: usize,
    /// Histories whose ring has dropped records, and those in which it carried some along.
    compacted: usize,
    carried: usize,
}

impl Seen {
    fn see(&mut self, record: &Record) {
        let counter = match record {
            Record::Group { value: None, .. } => &mut self.removed_groups,
            Record::Group {
                value: Some(value), ..
            } if !value.members.is_empty() => &mut self.members,
            Record::Group { .. } => return,
            Record::Offset { value: None, .. } => &mut self.deleted_offsets,
            Record::Offset {
                value: Some(value), ..
            } if value.expires_at.is_some() => &mut self.dated_offsets,
            Record::Offset { .. } => &mut self.offsets,
            Record::Pending { value: None, .. } => &mut self.ended,
            Record::Pending {
                value: Some(value), ..
            } if value.is_overtaken => &mut self.overtaken,
            Record::Pending { .. } => &mut self.staged,
        };
        *counter += 1;
    }

    fn see_history(&mut self, history: &History) {
        let all = &history.stage.log;
        for record in all {
            self.see(record);
        }
        let ring = records(&history.log, 0);
        self.compacted += usize::from(ring.len() < all.len());
        self.carried += usize::from(!all.ends_with(&ring));
    }

    fn all(&self) -> [usize; 10] {
        [
            self.members,
            self.removed_groups,
            self.offsets,
            self.deleted_offsets,
            self.dated_offsets,
            self.staged,
            self.ended,
            self.overtaken,
            self.compacted,
            self.carried,
        ]
    }
}

fn hash(facts: &[Record]) -> u64 {
    let mut hasher = DefaultHasher::new();
    facts.hash(&mut hasher);
    hasher.finish()
}

/// The kinds of records, in the order in which facts are told.
type Key = (GroupId, u8, TopicName, PartitionIndex, ProducerId);

/// What the records come to, by the plainest reading.
fn last_words(records: &[Record]) -> Vec<Record> {
    let mut last: BTreeMap<Key, Record> = BTreeMap::new();
    for record in records {
        let (key, is_value) = match record {
            Record::Group { group, value } => {
                if value.is_none() {
                    last.retain(|(of, ..), _| of != group);
                }
                let none = ("".into(), 0, ProducerId(0));
                ((group.clone(), 0, none.0, none.1, none.2), value.is_some())
            }
            Record::Offset {
                group,
                topic,
                partition,
                value,
            } => {
                let key = (group.clone(), 1, topic.clone(), *partition, ProducerId(0));
                (key, value.is_some())
            }
            Record::Pending {
                group,
                topic,
                partition,
                producer,
                value,
            } => {
                let key = (group.clone(), 2, topic.clone(), *partition, *producer);
                (key, value.is_some())
            }
        };
        if is_value {
            last.insert(key, record.clone());
        } else {
            last.remove(&key);
        }
    }
    last.into_values().collect()
}

/// Says which history failed.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the history of TAKHIN_REPLAY_SEED={} failed", self.0);
        }
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn live_replayed_snapshotted_and_compacted_facts_are_the_same() {
    let run = |seed| {
        let _seed = Seed(seed);
        let mut history = History::new(seed);
        history.run();
        history
    };
    if let Some(seed) = number("TAKHIN_REPLAY_SEED") {
        run(seed);
        return;
    }
    let many = number("TAKHIN_REPLAYS").unwrap_or(10_000);
    let threads = std::thread::available_parallelism().map_or(1, |it| it.get() as u64);
    let all_of = |first| {
        let mut seen = Seen::default();
        for seed in (first..many).step_by(usize::try_from(threads).unwrap()) {
            seen.see_history(&run(seed));
        }
        seen
    };
    let seen: Vec<Seen> = std::thread::scope(|scope| {
        let threads = (0..threads).map(|first| scope.spawn(move || all_of(first)));
        let threads: Vec<_> = threads.collect();
        threads.into_iter().map(|it| it.join().unwrap()).collect()
    });
    for seen in seen {
        let least = usize::try_from(many / threads / 10).unwrap();
        assert!(seen.all().iter().all(|count| *count > least), "{seen:?}");
    }
}
