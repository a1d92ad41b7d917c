//! Random histories, then a second engine on the same journal, then a third.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test may fail it as the test itself"
)]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::ledger::{Fate, Ledger};
use common::*;
use takhin_coordinator::engine::{EndTxnRequest, Engine, FetchRequest, Heartbeat, Producer};
use takhin_coordinator::error::Refusal;
use takhin_coordinator::group::{
    CommitResult, Described, JoinResult, Joined, LeaveResult, OffsetDeleteRequest,
    OffsetDeleteResult, OffsetDeleteTopic, Phase, SyncResult,
};
use takhin_coordinator::ids::{Generation, InstanceId, MemberId};
use takhin_coordinator::shard::Answer;

const GROUPS: [&str; 3] = ["a", "b", "c"];
const PARTITIONS: i32 = 3;

/// A client: the member that it is, as far as it knows.
struct Seat {
    group: &'static str,
    instance: Option<InstanceId>,
    member: MemberId,
    joined: Option<Joined>,
    is_joining: bool,
}

/// What was asked, and is not answered yet.
enum Asked {
    Join(usize, Answer<JoinResult>),
    Sync(Answer<SyncResult>),
    Leave(usize, Answer<LeaveResult>),
    Fact(usize),
}

/// A request that changes offsets, with its answer once it is there.
struct Fact {
    group: &'static str,
    change: Change,
    answer: Option<FactAnswer>,
    is_done: bool,
}

enum Change {
    Commit {
        partition: i32,
        offset: i64,
    },
    Stage {
        by: i64,
        partition: i32,
        offset: i64,
    },
    End {
        by: i64,
        committed: bool,
    },
    Delete {
        partition: i32,
    },
    DeleteGroup,
}

enum FactAnswer {
    Commit(Answer<CommitResult>),
    Delete(Answer<OffsetDeleteResult>),
    /// The end of a transaction or of a group.
    End(Answer<Result<(), Refusal>>),
}

struct History {
    host: Host,
    ledger: Ledger,
    /// Else a thread of the ledger's settles.
    is_settled_by_test: bool,
    chance: Chance,
    seats: Vec<Seat>,
    asked: Vec<Asked>,
    facts: Vec<Fact>,
}

impl History {
    fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let (ledger, is_settled_by_test) = match chance.below(4) {
            0 => (Ledger::new(Fate::AtOnce), true),
            1 => (Ledger::by_thread(), false),
            _ => (Ledger::new(Fate::OnCommand), true),
        };
        let config = config().takhin_shards(2);
        let config = if is_patient(seed) {
            config.offsets_commit_timeout_ms(i32::MAX)
        } else {
            config
        };
        let host = Host::with_journal(config, ledger.clone());
        let seats = (0..9).map(|n| Seat {
            group: GROUPS[n % 3],
            instance: (n < 3).then(|| "static".into()),
            member: MemberId::default(),
            joined: None,
            is_joining: false,
        });
        Self {
            host,
            ledger,
            is_settled_by_test,
            chance,
            seats: seats.collect(),
            asked: Vec::new(),
            facts: Vec::new(),
        }
    }

    fn step(&mut self) {
        let seat = usize::try_from(self.chance.below(9)).unwrap();
        match self.chance.below(24) {
            20..=22 => self.stage(seat),
            23 => self.end_txn(seat),
            0..=4 => self.join(seat),
            5..=8 => self.sync(seat),
            9..=11 => self.commit(seat),
            12 => self.leave(seat),
            13 => self.delete(),
            14 => {
                let ms = self.chance.below(2_000);
                self.host.pass(ms);
            }
            15 => {
                if let Some(joined) = &self.seats[seat].joined {
                    drop(ask_beat(&self.host.engine, self.seats[seat].group, joined));
                }
            }
            _ if self.chance.below(8) == 0 => {
                self.ledger.settle_next(Err(Refusal::NotAvailable));
            }
            _ => {
                self.ledger.settle_next(Ok(()));
            }
        }
        self.hear();
    }

    fn join(&mut self, at: usize) {
        let seat = &mut self.seats[at];
        if seat.is_joining {
            return;
        }
        let mut request = join_request(seat.group, &seat.member, 30_000);
        request.instance.clone_from(&seat.instance);
        if request.instance.is_some() && self.chance.below(3) == 0 {
            // Restarted: it comes back by its static name.
            request.member = MemberId::default();
        }
        if self.chance.below(4) == 0 {
            let metadata = format!("m{}", self.chance.below(3));
            request.protocols[0].metadata = metadata.into_bytes().into();
        }
        seat.is_joining = true;
        self.asked
            .push(Asked::Join(at, self.host.engine.join(request)));
    }

    fn sync(&mut self, at: usize) {
        let seat = &self.seats[at];
        let Some(joined) = &seat.joined else { return };
        let answer = ask_sync(&self.host.engine, seat.group, joined);
        self.asked.push(Asked::Sync(answer));
    }

    fn leave(&mut self, at: usize) {
        let seat = &self.seats[at];
        let request = leave(seat.group, &seat.member);
        self.asked
            .push(Asked::Leave(at, self.host.engine.leave(request)));
    }

    fn commit(&mut self, at: usize) {
        let group = self.seats[at].group;
        let joined = self.seats[at].joined.clone();
        let joined = joined.filter(|_| self.chance.below(4) != 0);
        let partition = i32::try_from(self.chance.below(3)).unwrap();
        let offset = i64::try_from(self.facts.len()).unwrap();
        let request = commit_of(group, joined.as_ref(), [partition], offset);
        let answer = FactAnswer::Commit(self.host.engine.commit(request));
        self.fact(group, Change::Commit { partition, offset }, answer);
    }

    fn stage(&mut self, at: usize) {
        let group = self.seats[at].group;
        let by = i64::try_from(self.chance.below(2)).unwrap();
        let partition = i32::try_from(self.chance.below(3)).unwrap();
        let offset = i64::try_from(self.facts.len()).unwrap();
        let joined = self.seats[at].joined.clone();
        let joined = joined.filter(|_| self.chance.below(2) == 0);
        let request = commit_of(group, joined.as_ref(), [partition], offset);
        let request = request.in_transaction(Producer::new(by, 0));
        let answer = FactAnswer::Commit(self.host.engine.txn_commit(request));
        let change = Change::Stage {
            by,
            partition,
            offset,
        };
        self.fact(group, change, answer);
    }

    fn end_txn(&mut self, at: usize) {
        let group = self.seats[at].group;
        let by = i64::try_from(self.chance.below(2)).unwrap();
        let committed = self.chance.below(3) > 0;
        let answer = self.host.engine.end_txn(EndTxnRequest {
            group: group.into(),
            producer: Producer::new(by, 0),
            committed,
        });
        let change = Change::End { by, committed };
        self.fact(group, change, FactAnswer::End(answer));
    }

    fn delete(&mut self) {
        let group = *self.chance.pick(&GROUPS);
        if self.chance.below(3) == 0 {
            let answer = self.host.engine.delete_group(group.into());
            let answer = FactAnswer::End(answer);
            return self.fact(group, Change::DeleteGroup, answer);
        }
        // A deletion looks at what is durable: beside a commit that is on its way it may
        // come first.
        if self.facts.iter().any(|it| it.answer.is_some()) {
            return;
        }
        let partition = i32::try_from(self.chance.below(3)).unwrap();
        let request = OffsetDeleteRequest {
            group: group.into(),
            topics: vec![OffsetDeleteTopic {
                topic: "topic".into(),
                partitions: vec![partition],
            }],
        };
        let answer = FactAnswer::Delete(self.host.engine.delete_offsets(request));
        self.fact(group, Change::Delete { partition }, answer);
    }

    fn fact(&mut self, group: &'static str, change: Change, answer: FactAnswer) {
        self.asked.push(Asked::Fact(self.facts.len()));
        self.facts.push(Fact {
            group,
            change,
            answer: Some(answer),
            is_done: false,
        });
    }

    /// Takes the answers that are there.
    fn hear(&mut self) {
        for asked in std::mem::take(&mut self.asked) {
            let left = match asked {
                Asked::Join(at, answer) => match answer.now() {
                    Ok(outcome) => {
                        self.seats[at].take(outcome);
                        None
                    }
                    Err(answer) => Some(Asked::Join(at, answer)),
                },
                Asked::Sync(answer) => answer.now().err().map(Asked::Sync),
                Asked::Leave(at, answer) => match answer.now() {
                    Ok(outcome) => {
                        if outcome.is_ok() {
                            self.seats[at].joined = None;
                        }
                        None
                    }
                    Err(answer) => Some(Asked::Leave(at, answer)),
                },
                Asked::Fact(at) => (!self.facts[at].hear()).then_some(Asked::Fact(at)),
            };
            self.asked.extend(left);
        }
    }

    /// Lets the groups come to rest, as far as their members are there.
    fn calm_down(&mut self) {
        for _ in 0..4 {
            for at in 0..self.seats.len() {
                let seat = &self.seats[at];
                let Some(joined) = &seat.joined else { continue };
                match ask_beat(&self.host.engine, seat.group, joined).now() {
                    Ok(Err(Refusal::RebalanceInProgress)) => self.join(at),
                    Ok(_) => self.sync(at),
                    Err(_) => {}
                }
                self.ledger.settle_all();
                self.hear();
            }
        }
    }

    /// Settles everything, and lets every parked join and sync find its end or wait.
    fn end(&mut self) {
        if self.is_settled_by_test {
            while self.ledger.waiting() > 0 {
                self.ledger.settle_all();
                self.host.engine.run_due();
            }
        }
        for _ in 0..2_000 {
            self.hear();
            let is_quiet = self.is_settled_by_test || self.ledger.is_quiet();
            if is_quiet && self.facts.iter().all(|it| it.answer.is_none()) {
                return;
            }
            // Settled by another thread: it only has to be scheduled.
            std::thread::yield_now();
            sleep_ms(1);
        }
        panic!("a commit or deletion is not answered although all is settled");
    }

    /// What the acknowledged requests left, in the order in which they were asked.
    ///
    /// Offsets are counted up, so that of two commits the later one has the greater offset.
    fn left(&self) -> Left {
        let mut left = Left::default();
        for fact in self.facts.iter().filter(|it| it.is_done) {
            match fact.change {
                Change::Commit { partition, offset } => {
                    left.offsets.insert((fact.group, partition), offset);
                }
                Change::Stage {
                    by,
                    partition,
                    offset,
                } => {
                    left.staged.insert((by, (fact.group, partition)), offset);
                }
                Change::End { by, committed } => left.end(fact.group, by, committed),
                Change::Delete { partition } => {
                    left.forget(|place| *place == (fact.group, partition));
                }
                Change::DeleteGroup => left.forget(|(group, _)| *group == fact.group),
            }
        }
        left
    }
}

type Place = (&'static str, i32);

/// What requests left: offsets, and what open transactions have staged.
#[derive(Default)]
struct Left {
    offsets: BTreeMap<Place, i64>,
    staged: BTreeMap<(i64, Place), i64>,
}

impl Left {
    fn end(&mut self, group: &str, by: i64, committed: bool) {
        for ((producer, place), offset) in std::mem::take(&mut self.staged) {
            if (producer, place.0) != (by, group) {
                self.staged.insert((producer, place), offset);
            } else if committed {
                let latest = self.offsets.entry(place).or_default();
                *latest = offset.max(*latest);
            }
        }
    }

    fn forget(&mut self, is_gone: impl Fn(&Place) -> bool) {
        self.offsets.retain(|place, _| !is_gone(place));
        self.staged.retain(|(_, place), _| !is_gone(place));
    }

    fn unstable(&self) -> BTreeSet<Place> {
        self.staged.keys().map(|(_, place)| *place).collect()
    }
}

impl Seat {
    fn take(&mut self, outcome: JoinResult) {
        self.is_joining = false;
        match outcome {
            Ok(joined) => {
                self.member = joined.member.clone();
                self.joined = Some(joined);
            }
            Err(refused) if refused.refusal == Refusal::MemberIdRequired => {
                self.member = refused.member;
            }
            Err(_) => {
                self.member = MemberId::default();
                self.joined = None;
            }
        }
    }
}

impl Fact {
    /// Whether the answer is there, now or already.
    fn hear(&mut self) -> bool {
        let (is_done, answer) = match self.answer.take() {
            None => return true,
            Some(FactAnswer::Commit(answer)) => match answer.now() {
                Ok(outcome) => (outcome.is_ok_and(|it| it[0].partitions[0].1.is_ok()), None),
                Err(answer) => (false, Some(FactAnswer::Commit(answer))),
            },
            Some(FactAnswer::Delete(answer)) => match answer.now() {
                Ok(outcome) => (outcome.is_ok_and(|it| it[0].partitions[0].1.is_ok()), None),
                Err(answer) => (false, Some(FactAnswer::Delete(answer))),
            },
            Some(FactAnswer::End(answer)) => match answer.now() {
                Ok(outcome) => (outcome.is_ok(), None),
                Err(answer) => (false, Some(FactAnswer::End(answer))),
            },
        };
        (self.is_done, self.answer) = (is_done, answer);
        self.answer.is_none()
    }
}

fn describe(engine: &Engine, group: &str) -> Option<Described> {
    let mut described = engine.describe(group.into()).wait().ok()?;
    // An undone replacement changes their order.
    described.members.sort_by(|a, b| a.member.cmp(&b.member));
    Some(described)
}

fn offsets_of(engine: &Engine) -> BTreeMap<Place, i64> {
    let each = |group| (0..PARTITIONS).map(move |partition| (group, partition));
    let offset_at = |at: Place| {
        let topics = engine.fetch(fetch(at.0, at.1)).wait().unwrap();
        let committed = topics[0].partitions[0].committed.as_ref();
        committed.map(|value| (at, value.offset))
    };
    let all = GROUPS.into_iter().flat_map(each);
    all.filter_map(offset_at).collect()
}

/// The partitions whose offsets an open transaction may change.
fn unstable_of(engine: &Engine) -> BTreeSet<Place> {
    let each = |group| (0..PARTITIONS).map(move |partition| (group, partition));
    let is_unstable = |at: &Place| {
        let fetch = FetchRequest {
            require_stable: true,
            ..fetch(at.0, at.1)
        };
        engine.fetch(fetch).wait().unwrap()[0].partitions[0].is_unstable
    };
    let all = GROUPS.into_iter().flat_map(each);
    all.filter(is_unstable).collect()
}

/// Ends all transactions, in an order of its own.
fn end_all(engine: &Engine, left: &mut Left) {
    for (by, committed) in [(1, true), (0, false)] {
        for group in GROUPS {
            let end = EndTxnRequest {
                group: group.into(),
                producer: Producer::new(by, 0),
                committed,
            };
            engine.end_txn(end).wait().unwrap();
            left.end(group, by, committed);
        }
    }
}

fn beats(engine: &Engine, seat: &Seat, member: &MemberId, generation: Generation) -> bool {
    let beat = Heartbeat {
        group: seat.group,
        member: member.as_str(),
        instance: seat.instance.as_ref().map(InstanceId::as_str),
        generation,
    };
    engine.heartbeat(&beat).wait().is_ok()
}

/// Whether nobody is told in this history that the journal takes too long.
fn is_patient(seed: u64) -> bool {
    !seed.is_multiple_of(3)
}

fn check(seed: u64) -> usize {
    let mut history = History::new(seed);
    for _ in 0..150 {
        history.step();
    }
    if seed.is_multiple_of(2) {
        history.calm_down();
    }
    history.end();
    let first = &history.host.engine;
    let (acknowledged, unstable) = (offsets_of(first), unstable_of(first));
    let mut left = history.left();
    // What was refused for its slowness may have succeeded; it did so for good.
    if is_patient(seed) {
        assert_eq!(acknowledged, left.offsets, "live, seed {seed}");
        assert_eq!(unstable, left.unstable(), "live, seed {seed}");
    }
    let second = Host::with_journal(config().takhin_shards(2), history.ledger.clone());
    assert_eq!(offsets_of(&second.engine), acknowledged, "seed {seed}");
    assert_eq!(unstable_of(&second.engine), unstable, "seed {seed}");
    let mut stable = 0;
    for group in GROUPS {
        let (before, after) = (describe(first, group), describe(&second.engine, group));
        assert!(before.is_some() || after.is_none(), "{group}, seed {seed}");
        let Some(before) = before.filter(|it| it.phase == Phase::Stable) else {
            continue;
        };
        stable += 1;
        assert_eq!(Some(&before), after.as_ref(), "{group}, seed {seed}");
        let mut beating = 0;
        for seat in history.seats.iter().filter(|seat| seat.group == group) {
            let Some(joined) = &seat.joined else { continue };
            let lives = beats(first, seat, &joined.member, joined.generation);
            let revived = beats(&second.engine, seat, &joined.member, joined.generation);
            assert_eq!(lives, revived, "{}, seed {seed}", joined.member);
            beating += usize::from(lives);
        }
        assert!(beating <= before.members.len(), "{group}, seed {seed}");
    }
    let third = Host::with_journal(config().takhin_shards(2), history.ledger.clone());
    for group in GROUPS {
        let after = describe(&second.engine, group);
        assert_eq!(
            after,
            describe(&third.engine, group),
            "{group}, seed {seed}"
        );
    }
    assert_eq!(offsets_of(&third.engine), acknowledged, "seed {seed}");
    if is_patient(seed) {
        history.ledger.set(Fate::AtOnce);
        end_all(&third.engine, &mut left);
        assert_eq!(offsets_of(&third.engine), left.offsets, "ended, {seed}");
    }
    stable
}

#[test]
fn what_was_acknowledged_outlives_a_restart_and_what_failed_does_not() {
    let stable: usize = (0..500).map(check).sum();
    assert!(
        stable > 250,
        "the histories must come to something: {stable}"
    );
}

/// For a seed that the test above has named.
#[test]
fn one_history() {
    let seed = std::env::var("SEED").ok().and_then(|it| it.parse().ok());
    check(seed.unwrap_or(7));
}
