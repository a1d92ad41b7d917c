//! Random histories of transactions, against a model that works as Kafka's log does: every record
//! has an offset, markers end what stands before them, and of two commits the later record wins.
//!
//! `TXN_MODEL_SEEDS=100000` runs more histories; a failure names its seed, `TXN_MODEL_SEED=n` runs
//! that one alone.

#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test may trip, and the stage is all its own"
)]

mod common;
mod stage;

use std::collections::{BTreeMap, BTreeSet, HashSet};

use common::Chance;
use stage::*;
use takhin_coordinator::error::Refusal;
use takhin_coordinator::group::{
    CommitRequest, Effect, EndTxnRequest, Producer, Record, Reply, ReplyTo, Request, Rules,
    TopicDeletion, TxnGroupsRequest,
};
use takhin_coordinator::ids::{ProducerId, TopicId};

const GROUPS: [&str; 2] = ["g", "h"];
const TOPICS: [&str; 2] = ["t", "u"];
const PRODUCERS: usize = 3;

type Place = (&'static str, &'static str, i32);

/// What was asked.
#[derive(Clone, Debug)]
enum Asked {
    Commit(Vec<(Place, i64)>),
    Stage(i64, Vec<(Place, i64)>),
    End(&'static str, i64, bool),
    Delete(Place),
    DeleteGroup(&'static str),
    DeleteTopic(&'static str),
    Open,
}

/// A value with the offset of its record.
type Written = (i64, u64);

/// Kafka's rules, as they are told of its log.
#[derive(Default)]
struct Model {
    next: u64,
    main: BTreeMap<Place, Written>,
    pending: BTreeMap<(i64, Place), Written>,
}

impl Model {
    fn write(&mut self, value: i64) -> Written {
        self.next += 1;
        (value, self.next)
    }

    fn carry_out(&mut self, asked: &Asked) {
        match asked {
            Asked::Commit(offsets) => {
                for (place, value) in offsets {
                    let written = self.write(*value);
                    self.main.insert(*place, written);
                }
            }
            Asked::Stage(producer, offsets) => {
                for (place, value) in offsets {
                    let written = self.write(*value);
                    self.pending.insert((*producer, *place), written);
                }
            }
            Asked::End(group, producer, committed) => {
                let is_ended = |(by, place): &(i64, Place)| *by == *producer && place.0 == *group;
                let ended: Vec<_> = self.pending.keys().copied().filter(is_ended).collect();
                for key in ended {
                    let staged = self.pending.remove(&key).unwrap();
                    let newer = self.main.get(&key.1).is_none_or(|main| staged.1 > main.1);
                    if *committed && newer {
                        self.main.insert(key.1, staged);
                    }
                }
            }
            Asked::Delete(place) => self.drop(|it| it == place),
            Asked::DeleteGroup(group) => self.drop(|it| it.0 == *group),
            Asked::DeleteTopic(topic) => self.drop(|it| it.1 == *topic),
            Asked::Open => {}
        }
    }

    fn drop(&mut self, is_gone: impl Fn(&Place) -> bool) {
        self.main.retain(|place, _| !is_gone(place));
        self.pending.retain(|(_, place), _| !is_gone(place));
    }
}

struct History {
    stage: Stage,
    model: Model,
    chance: Chance,
    asked: BTreeMap<ReplyTo, Asked>,
    epochs: [i16; PRODUCERS],
    value: i64,
    ended: usize,
    restarts: usize,
}

impl History {
    fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let stage = match chance.below(4) {
            0 => Stage::new(Rules::default()),
            _ => Stage::with_slow_journal(Rules::default()),
        };
        Self {
            stage,
            model: Model::default(),
            chance,
            asked: BTreeMap::new(),
            epochs: [0; PRODUCERS],
            value: 0,
            ended: 0,
            restarts: 0,
        }
    }

    fn place(&mut self, group: &'static str) -> Place {
        let partition = i32::try_from(self.chance.below(2)).unwrap();
        (group, *self.chance.pick(&TOPICS), partition)
    }

    fn offsets(&mut self, group: &'static str) -> Vec<(Place, i64)> {
        let count = 1 + self.chance.below(2);
        let offset = |_| {
            self.value += 1;
            (self.place(group), self.value)
        };
        (0..count).map(offset).collect()
    }

    fn commit_of(group: &str, offsets: &[(Place, i64)]) -> CommitRequest {
        let add = |request: CommitRequest, (place, value): &(Place, i64)| {
            request.offset(place.1, place.2, *value)
        };
        offsets.iter().fold(CommitRequest::new(group), add)
    }

    fn producer(&mut self) -> Producer {
        let at = usize::try_from(self.chance.below(PRODUCERS as u64)).unwrap();
        Producer::new(i64::try_from(at).unwrap(), self.epochs[at])
    }

    fn step(&mut self) {
        let group = *self.chance.pick(&GROUPS);
        let (asked, request) = match self.chance.below(24) {
            0..=5 => {
                let (producer, offsets) = (self.producer(), self.offsets(group));
                let request = Self::commit_of(group, &offsets).in_transaction(producer);
                let asked = Asked::Stage(producer.id.0, offsets);
                (asked, Request::TxnCommit(request))
            }
            6..=8 => {
                let offsets = self.offsets(group);
                let request = Self::commit_of(group, &offsets);
                (Asked::Commit(offsets), Request::Commit(request))
            }
            9..=12 => return self.end(group),
            13 => {
                let place = self.place(group);
                let request = delete_offsets(group, place.1, &[place.2]);
                (Asked::Delete(place), request)
            }
            14 if self.chance.below(3) == 0 => (Asked::DeleteGroup(group), delete_group(group)),
            // What is on its way then counts as later.
            15 if self.stage.in_flight.is_empty() => {
                let topic = *self.chance.pick(&TOPICS);
                let request = Request::TopicsDeleted(vec![TopicDeletion {
                    topic: topic.into(),
                    id: TopicId::ZERO,
                }]);
                (Asked::DeleteTopic(topic), request)
            }
            16 if self.chance.below(4) == 0 => return self.restart(),
            _ => {
                let outcome = match self.chance.below(6) {
                    0 => Err(Refusal::NotAvailable),
                    _ => Ok(()),
                };
                self.stage.settle(outcome);
                return self.check();
            }
        };
        self.ask(asked, request);
    }

    /// Ends a transaction, in one group or wherever it is open, perhaps as of the next epoch.
    fn end(&mut self, group: &'static str) {
        let mut producer = self.producer();
        if self.chance.below(2) == 0 {
            producer.epoch.0 += 1;
            self.epochs[usize::try_from(producer.id.0).unwrap()] += 1;
        }
        let committed = self.chance.below(3) > 0;
        let mut groups = vec![group];
        if self.chance.below(2) == 0 {
            let open = TxnGroupsRequest { producer };
            let to = self.stage.ask(Request::TxnGroups(open));
            self.asked.insert(to, Asked::Open);
            let Some(Reply::TxnGroups(Ok(found))) = self.stage.reply(to) else {
                panic!("not told");
            };
            groups = GROUPS
                .into_iter()
                .filter(|it| found.contains(&(*it).into()))
                .collect();
            let open = self.model.pending.keys();
            let open = open.filter(|(by, _)| *by == producer.id.0);
            let open: BTreeSet<&str> = open.map(|(_, place)| place.0).collect();
            assert!(
                open.iter().all(|it| groups.contains(it)),
                "open in {open:?}"
            );
        }
        for group in groups {
            let request = EndTxnRequest {
                group: group.into(),
                producer,
                committed,
            };
            let asked = Asked::End(group, producer.id.0, committed);
            self.ask(asked, Request::EndTxn(request));
        }
    }

    fn ask(&mut self, asked: Asked, request: Request) {
        let next = self.asked.keys().next_back().map_or(1, |to| to.0 + 1);
        self.asked.insert(ReplyTo(next), asked);
        let is_of_all = matches!(request, Request::TopicsDeleted(_));
        assert_eq!(self.stage.ask(request), ReplyTo(next));
        if is_of_all {
            // Each group has an entry of its own, and only the last one is answered.
            self.stage.settle_all();
        }
        self.check();
    }

    /// What was answered is carried out in the model, in the order of the answers.
    fn check(&mut self) {
        for effect in self.stage.take_seen() {
            let Effect::Reply { to, reply } = effect else {
                continue;
            };
            let asked = &self.asked[&to];
            let is_done = match &reply {
                Reply::Commit(outcome) => outcome.is_ok(),
                Reply::OffsetDelete(outcome) => outcome.is_ok(),
                Reply::EndTxn(outcome)
                | Reply::DeleteGroup(outcome)
                | Reply::TopicsDeleted(outcome) => outcome.is_ok(),
                _ => false,
            };
            if is_done {
                self.ended += usize::from(matches!(asked, Asked::End(..)));
                self.model.carry_out(asked);
            }
        }
        self.compare();
    }

    fn compare(&self) {
        let (mut main, mut pending) = (BTreeMap::new(), BTreeMap::new());
        for record in self.stage.groups.snapshot() {
            match record {
                Record::Offset {
                    group,
                    topic,
                    partition,
                    value,
                } => {
                    let place = (group.to_string(), topic.to_string(), partition);
                    main.insert(place, value.unwrap().offset);
                }
                Record::Pending {
                    group,
                    topic,
                    partition,
                    producer: ProducerId(by),
                    value,
                } => {
                    let place = (group.to_string(), topic.to_string(), partition);
                    pending.insert((by, place), value.unwrap().offset.offset);
                }
                Record::Group { .. } => panic!("nobody joined"),
            }
        }
        let name = |place: &Place| (place.0.to_owned(), place.1.to_owned(), place.2);
        let wanted = self.model.main.iter();
        let wanted: BTreeMap<_, _> = wanted.map(|(at, value)| (name(at), value.0)).collect();
        assert_eq!(main, wanted, "committed");
        let wanted = self.model.pending.iter();
        let wanted: BTreeMap<_, _> = wanted
            .map(|((by, at), value)| ((*by, name(at)), value.0))
            .collect();
        assert_eq!(pending, wanted, "staged");
        let counts = (self.stage.groups.offsets(), self.stage.groups.pending());
        assert_eq!(counts, (main.len(), pending.len()), "counted");
    }

    /// A new process, with the log as it is or with the last word on every key, in any order.
    fn restart(&mut self) {
        self.restarts += 1;
        if self.chance.below(3) > 0 {
            self.stage.log = self.compacted();
        }
        let mut stage = self.stage.restart(Rules::default());
        // Whoever waited is gone with the old process.
        self.asked.retain(|to, _| self.stage.reply(*to).is_some());
        stage.replies = std::mem::take(&mut self.stage.replies);
        self.stage = stage;
        self.asked.insert(ReplyTo(self.stage.asked()), Asked::Open);
        self.check();
    }

    fn compacted(&mut self) -> Vec<Record> {
        let mut known = HashSet::new();
        let mut gone = BTreeSet::new();
        let mut kept = Vec::new();
        for record in self.stage.log.iter().rev() {
            let group = record.group().to_string();
            let (topic, partition, by, is_tombstone) = match record {
                Record::Offset {
                    topic,
                    partition,
                    value,
                    ..
                } => (topic, *partition, None, value.is_none()),
                Record::Pending {
                    topic,
                    partition,
                    producer,
                    value,
                    ..
                } => (topic, *partition, Some(*producer), value.is_none()),
                Record::Group { .. } => {
                    gone.insert(group);
                    continue;
                }
            };
            let is_last = known.insert((group.clone(), topic.clone(), partition, by));
            let is_dropped = is_tombstone && self.chance.below(2) == 0;
            if is_last && !is_dropped && !gone.contains(&group) {
                kept.push(record.clone());
            }
        }
        for at in (1..kept.len()).rev() {
            let other = usize::try_from(self.chance.below(at as u64 + 1)).unwrap();
            kept.swap(at, other);
        }
        kept
    }

    /// Everything is settled; what is stable is what no open transaction may change.
    fn finish(&mut self) {
        self.stage.settle_all();
        self.check();
        let unstable: BTreeSet<Place> = self.model.pending.keys().map(|(_, it)| *it).collect();
        for group in GROUPS {
            for topic in TOPICS {
                let Request::Fetch(fetch) = fetch(group, topic, &[0, 1]) else {
                    panic!("no fetch");
                };
                let to = self.stage.ask(Request::Fetch(fetch.stable()));
                self.asked.insert(to, Asked::Open);
                let Some(Reply::Fetch(Ok(topics))) = self.stage.reply(to) else {
                    panic!("not fetched");
                };
                for at in &topics[0].partitions {
                    let place = (group, topic, at.partition);
                    let is_unstable = unstable.contains(&place);
                    assert_eq!(at.is_unstable, is_unstable, "{place:?}");
                    let shown = at.committed.as_ref().map(|it| it.offset);
                    let main = self.model.main.get(&place).map(|it| it.0);
                    assert_eq!(shown, main.filter(|_| !is_unstable), "{place:?}");
                }
            }
        }
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|it| it.parse().unwrap())
}

#[test]
fn histories_of_transactions_are_those_of_kafkas_log() {
    let seeds = match number("TXN_MODEL_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("TXN_MODEL_SEEDS").unwrap_or(1_000),
    };
    let (mut ended, mut restarts) = (0, 0);
    let count = usize::try_from(seeds.end - seeds.start).unwrap();
    for seed in seeds {
        let mut history = History::new(seed);
        let run = std::panic::AssertUnwindSafe(|| {
            for _ in 0..120 {
                history.step();
            }
            history.finish();
        });
        if let Err(why) = std::panic::catch_unwind(run) {
            eprintln!("seed {seed}");
            std::panic::resume_unwind(why);
        }
        ended += history.ended;
        restarts += history.restarts;
    }
    assert!(
        ended > 4 * count && restarts > count / 2,
        "{ended} {restarts}"
    );
}
