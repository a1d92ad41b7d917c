//! The journal seam through the front door: what is answered, when, and what a restart finds.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test may fail it as the test itself"
)]

mod common;

use common::ledger::{Fate, Ledger};
use common::*;
use takhin_coordinator::error::Refusal;
use takhin_coordinator::group::{ListRequest, OffsetDeleteRequest, OffsetDeleteTopic, Phase};
use takhin_coordinator::ids::MemberId;
use takhin_coordinator::time::Clock;

fn host(ledger: &Ledger) -> Host {
    Host::with_journal(config(), ledger.clone())
}

#[test]
fn a_commit_is_answered_when_its_batch_is_settled_and_not_before() {
    let ledger = Ledger::new(Fate::AtOnce);
    let host = host(&ledger);
    host.engine.commit(commit("g", None, 1)).wait().unwrap();
    ledger.set(Fate::OnCommand);
    let second = host.engine.commit(commit("g", None, 2));
    let second = second.now().expect_err("its batch is on its way");
    assert_eq!(fetched(&host.engine, "g", 0), Some(1));
    host.pass(10_000);
    let second = second.now().expect_err("time makes nothing durable");
    ledger.settle_next(Ok(()));
    assert!(second.now().expect("settled").is_ok());
    assert_eq!(fetched(&host.engine, "g", 0), Some(2));
}

#[test]
fn commits_on_their_way_are_answered_in_their_order() {
    let ledger = Ledger::new(Fate::OnCommand);
    let host = host(&ledger);
    let first = host.engine.commit(commit("g", None, 1));
    let second = host.engine.commit(commit("g", None, 2));
    let third = host.engine.commit(commit("g", None, 3));
    ledger.settle_next(Ok(()));
    assert!(first.now().expect("settled").is_ok());
    let second = second.now().expect_err("not settled");
    ledger.settle_next(Ok(()));
    assert!(second.now().expect("settled").is_ok());
    let third = third.now().expect_err("not settled");
    ledger.settle_next(Ok(()));
    assert!(third.now().expect("settled").is_ok());
    assert_eq!(fetched(&host.engine, "g", 0), Some(3));
}

#[test]
fn a_commit_that_could_not_be_stored_is_refused_and_leaves_no_trace() {
    let ledger = Ledger::new(Fate::AtOnce);
    let host = host(&ledger);
    host.engine.commit(commit("g", None, 1)).wait().unwrap();
    ledger.set(Fate::Fails(Refusal::NotAvailable));
    let refused = host.engine.commit(commit("g", None, 2)).wait();
    assert_eq!(refused, Err(Refusal::NotAvailable));
    assert_eq!(fetched(&host.engine, "g", 0), Some(1));
}

#[test]
fn an_assignment_that_could_not_be_stored_is_refused_and_begins_a_rebalance() {
    let ledger = Ledger::new(Fate::AtOnce);
    let host = host(&ledger);
    let member = ask_join(&host.engine, "g", &MemberId::default(), 10_000);
    let member = member.wait().unwrap_err().member;
    let joined = ask_join(&host.engine, "g", &member, 10_000).wait().unwrap();
    ledger.set(Fate::Fails(Refusal::NotCoordinator));
    let synced = ask_sync(&host.engine, "g", &joined).wait();
    assert_eq!(synced, Err(Refusal::NotCoordinator));
    assert_eq!(
        beat(&host.engine, "g", &joined),
        Err(Refusal::RebalanceInProgress)
    );
    ledger.set(Fate::AtOnce);
    let again = ask_join(&host.engine, "g", &member, 10_000).wait().unwrap();
    assert_eq!(again.generation.0, joined.generation.0 + 1);
    ask_sync(&host.engine, "g", &again).wait().unwrap();
    assert_eq!(beat(&host.engine, "g", &again), Ok(()));
}

#[test]
fn a_group_whose_removal_could_not_be_stored_is_still_there() {
    let ledger = Ledger::new(Fate::AtOnce);
    let host = host(&ledger);
    host.engine.commit(commit("g", None, 1)).wait().unwrap();
    ledger.set(Fate::Fails(Refusal::NotAvailable));
    let refused = host.engine.delete_group("g".into()).wait();
    assert_eq!(refused, Err(Refusal::NotAvailable));
    assert_eq!(fetched(&host.engine, "g", 0), Some(1));
    ledger.set(Fate::AtOnce);
    assert_eq!(host.engine.delete_group("g".into()).wait(), Ok(()));
    assert_eq!(fetched(&host.engine, "g", 0), None);
}

#[test]
fn a_batch_that_the_journal_forgets_counts_as_failed() {
    let ledger = Ledger::new(Fate::Forgotten);
    let host = host(&ledger);
    let refused = host.engine.commit(commit("g", None, 1)).wait();
    assert_eq!(refused, Err(Refusal::NotAvailable));
    ledger.set(Fate::AtOnce);
    host.engine.commit(commit("g", None, 2)).wait().unwrap();
    assert_eq!(fetched(&host.engine, "g", 0), Some(2));
}

#[test]
fn outcomes_that_come_out_of_order_are_followed_in_order_and_none_is_lost() {
    let ledger = Ledger::new(Fate::OnCommand);
    let host = host(&ledger);
    let first = host.engine.commit(commit("g", None, 1));
    let second = host.engine.commit(commit("g", None, 2));
    ledger.take_newest().expect("two wait").settle(Ok(()));
    let second = second.now().expect_err("the first is not settled");
    ledger.settle_next(Ok(()));
    assert!(first.now().expect("settled").is_ok());
    assert!(second.now().expect("settled").is_ok());
    ledger.set(Fate::AtOnce);
    host.engine.commit(commit("g", None, 3)).wait().unwrap();
}

#[test]
fn what_is_decided_by_the_way_of_a_settlement_bears_the_time_of_the_day() {
    // The journal's thread has no clock of its own: what it sets going is dated all the same.
    let ledger = Ledger::new(Fate::OnCommand);
    let host = host(&ledger);
    let waiting: Vec<_> = (1..=3)
        .map(|offset| host.engine.commit(commit("g", None, offset)))
        .collect();
    host.clock.advance_ms(5_000);
    ledger.settle_all();
    for answer in waiting {
        answer.wait().unwrap();
    }
    let fetched = host.engine.fetch(fetch("g", 0)).wait().unwrap();
    let value = fetched[0].partitions[0].committed.clone().unwrap();
    assert_eq!(
        (value.offset, value.committed_at),
        (3, host.clock.now().wall)
    );
}

#[test]
fn a_session_that_begins_with_a_settlement_lasts_from_the_settlement_on() {
    let ledger = Ledger::new(Fate::AtOnce);
    let host = host(&ledger);
    let member = ask_join(&host.engine, "g", &MemberId::default(), 10_000);
    let member = member.wait().unwrap_err().member;
    let joined = ask_join(&host.engine, "g", &member, 10_000).wait().unwrap();
    ledger.set(Fate::OnCommand);
    let sync = ask_sync(&host.engine, "g", &joined);
    host.clock.advance_ms(9_000);
    ledger.settle_all();
    sync.wait().unwrap();
    host.pass(9_990);
    assert_eq!(host.engine.members(), 1);
    host.pass(20);
    assert_eq!(host.engine.members(), 0);
}

#[test]
fn shutting_down_answers_what_waits_behind_a_journal_that_says_nothing() {
    let ledger = Ledger::new(Fate::OnCommand);
    let host = host(&ledger);
    let on_their_way = [1, 2].map(|offset| host.engine.commit(commit("g", None, offset)));
    let queued = host.engine.commit(commit("g", None, 3));
    host.engine.shutdown();
    let queued = queued.now().expect("refused at the shutdown");
    assert_eq!(queued, Err(Refusal::NotAvailable));
    // What is on its way may still become durable: the journal has the word.
    let [first, second] = on_their_way.map(|answer| answer.now().expect_err("on its way"));
    ledger.settle_next(Ok(()));
    assert!(first.now().expect("settled").is_ok());
    // Without the engine nobody can be told any more.
    drop(host);
    let second = second.now().expect("answered with the engine's end");
    assert_eq!(second, Err(Refusal::NotAvailable));
    assert!(ledger.settle_next(Ok(())), "a late outcome disturbs nobody");
}

mod restarts {
    //! Random histories, then a second engine on the same journal, then a third.

    use std::collections::BTreeMap;

    use takhin_coordinator::engine::{Engine, Heartbeat};
    use takhin_coordinator::group::{
        CommitResult, Described, JoinResult, Joined, LeaveResult, OffsetDeleteResult, SyncResult,
    };
    use takhin_coordinator::ids::{Generation, InstanceId};
    use takhin_coordinator::shard::Answer;

    use super::*;

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
        Commit { partition: i32, offset: i64 },
        Delete { partition: i32 },
        DeleteGroup,
    }

    enum FactAnswer {
        Commit(Answer<CommitResult>),
        Delete(Answer<OffsetDeleteResult>),
        DeleteGroup(Answer<Result<(), Refusal>>),
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
            let host = Host::with_journal(config().takhin_shards(2), ledger.clone());
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
            match self.chance.below(20) {
                0..=4 => self.join(seat),
                5..=8 => self.sync(seat),
                9..=11 => self.commit(seat),
                12 => self.leave(seat),
                13 => self.delete(),
                14 => {
                    let ms = self.chance.below(4_000);
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

        fn delete(&mut self) {
            let group = *self.chance.pick(&GROUPS);
            if self.chance.below(3) == 0 {
                let answer = self.host.engine.delete_group(group.into());
                let answer = FactAnswer::DeleteGroup(answer);
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
        fn offsets(&self) -> BTreeMap<(&'static str, i32), i64> {
            let mut offsets = BTreeMap::new();
            for fact in self.facts.iter().filter(|it| it.is_done) {
                match fact.change {
                    Change::Commit { partition, offset } => {
                        offsets.insert((fact.group, partition), offset);
                    }
                    Change::Delete { partition } => {
                        offsets.remove(&(fact.group, partition));
                    }
                    Change::DeleteGroup => offsets.retain(|(group, _), _| *group != fact.group),
                }
            }
            offsets
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
                Some(FactAnswer::DeleteGroup(answer)) => match answer.now() {
                    Ok(outcome) => (outcome.is_ok(), None),
                    Err(answer) => (false, Some(FactAnswer::DeleteGroup(answer))),
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

    fn offsets_of(engine: &Engine) -> BTreeMap<(&'static str, i32), i64> {
        let each = |group| (0..PARTITIONS).map(move |partition| (group, partition));
        let offset_at = |at: (&'static str, i32)| {
            let topics = engine.fetch(fetch(at.0, at.1)).wait().unwrap();
            let committed = topics[0].partitions[0].committed.as_ref();
            committed.map(|value| (at, value.offset))
        };
        let all = GROUPS.into_iter().flat_map(each);
        all.filter_map(offset_at).collect()
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
        let acknowledged = history.offsets();
        assert_eq!(offsets_of(first), acknowledged, "live, seed {seed}");
        let second = Host::with_journal(config().takhin_shards(2), history.ledger.clone());
        assert_eq!(offsets_of(&second.engine), acknowledged, "seed {seed}");
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
}

#[test]
fn an_engine_that_is_opened_on_a_journal_lists_what_is_in_it() {
    let ledger = Ledger::new(Fate::AtOnce);
    let first = host(&ledger);
    first.alone_in("stable", 10_000);
    first
        .engine
        .commit(commit("offsets", None, 1))
        .wait()
        .unwrap();
    first.engine.commit(commit("gone", None, 1)).wait().unwrap();
    first.engine.delete_group("gone".into()).wait().unwrap();
    let second = host(&ledger);
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let listed = runtime
        .unwrap()
        .block_on(second.engine.list(ListRequest::default()));
    let mut rows: Vec<_> = listed
        .unwrap()
        .into_iter()
        .map(|row| (row.group.to_string(), row.phase))
        .collect();
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    let expected = [("offsets", Phase::Empty), ("stable", Phase::Stable)];
    assert_eq!(rows, expected.map(|(name, phase)| (name.to_owned(), phase)));
}

#[test]
fn revived_members_are_expired_a_session_after_the_restart_unless_they_beat() {
    let ledger = Ledger::new(Fate::AtOnce);
    let first = host(&ledger);
    let (beats, silent) = (first.alone_in("b", 10_000), first.alone_in("s", 10_000));
    first.pass(9_000);
    let second = Host::with_journal(config(), ledger);
    second.pass(9_000);
    assert_eq!(beat(&second.engine, "b", &beats), Ok(()));
    second.pass(1_020);
    assert_eq!(beat(&second.engine, "b", &beats), Ok(()));
    let unknown = Err(Refusal::UnknownMemberId);
    assert_eq!(beat(&second.engine, "s", &silent), unknown);
}
