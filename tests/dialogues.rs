//! Golden dialogues: scripts of requests, and everything that follows from them.
//!
//! Each file of `tests/dialogues` is prose (`#`) and blocks: commands, `---`, and the effects in
//! order, with the time at which they were decided. `UPDATE_GOLDEN=1` writes the effects anew.
//!
//! ```text
//! rules delay=0 max=2              first of all; also check=, retention=, refresh= (0 unless said)
//! join a [new] [instance=i] [two-step] [old] [protocols=x,y] [type=t] [topics=t,u]
//!        [session=ms] [rebalance=ms]     `new` forgets the id; `old`: before KIP-814
//! sync a 1 [a=x b=y]     beat a 1 [instance=i]     leave a b ["" instance=i]
//! commit [a 1] t/0=5 .. [keep=ms]   fetch [stable]     delete-offsets t/0     delete     describe
//! stage [a 1] t/0=5 by=7/0         end commit|abort by=7/0        by: producer and epoch
//! delete-topic t                   open by=7/0
//! wait 3000     stall 5000     slow     settle ok|fail     restart     unload
//! ```
//!
//! The group is always "g". A member is named after its client or instance and its number: `a#1`;
//! `a` alone is the newest of that name.

#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    clippy::wildcard_imports,
    reason = "a test may trip, and the stage is all its own"
)]

mod stage;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use stage::*;
use takhin_coordinator::error::Refusal;
use takhin_coordinator::group::{
    CommitRequest, Effect, EndTxnRequest, Entry, HeartbeatRequest, JoinRequest, Note, Producer,
    Record, Reply, ReplyTo, Request, Rules, SeatId, SyncRequest, Timer, TopicDeletion,
    TxnGroupsRequest,
};
use takhin_coordinator::ids::{Generation, MemberId, TopicId};

struct Script {
    stage: Stage,
    rules: Rules,
    /// The newest id of each name.
    newest: BTreeMap<String, MemberId>,
    labels: BTreeMap<ReplyTo, String>,
    seats: BTreeMap<SeatId, String>,
    out: String,
}

/// The words of a command: plain ones, and `key=value`.
struct Words<'a>(Vec<&'a str>);

impl<'a> Words<'a> {
    fn get(&self, key: &str) -> Option<&'a str> {
        self.pairs()
            .find(|(it, _)| *it == key)
            .map(|(_, value)| value)
    }

    fn number(&self, key: &str, otherwise: i64) -> i64 {
        self.get(key).map_or(otherwise, |it| it.parse().unwrap())
    }

    fn has(&self, word: &str) -> bool {
        self.0.contains(&word)
    }

    fn plain(&self) -> Vec<&'a str> {
        let plain = self.0.iter().skip(1).filter(|it| !it.contains('='));
        plain.copied().collect()
    }

    fn pairs(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.iter().filter_map(|it| it.split_once('='))
    }
}

impl Script {
    fn new() -> Self {
        let rules = Rules {
            offsets_refresh_ms: 0,
            ..Rules::default()
        };
        Self {
            stage: Stage::new(rules.clone()),
            rules,
            newest: BTreeMap::new(),
            labels: BTreeMap::new(),
            seats: BTreeMap::new(),
            out: String::new(),
        }
    }

    /// The id that a script means; "''" is the empty one.
    fn id(&self, name: &str) -> MemberId {
        match name.split_once('#') {
            _ if name == "''" => MemberId::default(),
            Some((stem, number)) => nth_static(stem, number.parse().unwrap()),
            None => self.newest.get(name).cloned().unwrap_or_default(),
        }
    }

    fn run(&mut self, line: &str) {
        let words = Words(line.split_whitespace().collect());
        let plain = words.plain();
        let request = match words.0[0] {
            "rules" => return self.set_rules(&words),
            "wait" => return self.stage.advance(plain[0].parse().unwrap()),
            "stall" => return self.stage.stall(plain[0].parse().unwrap()),
            "slow" => return self.stage.journal = Journal::OnCommand,
            "settle" => {
                let failed = Err(Refusal::NotAvailable);
                let outcome = if words.has("ok") { Ok(()) } else { failed };
                assert!(self.stage.settle(outcome), "nothing to settle");
                return;
            }
            "overdue" => return self.stage.give_up_waiting(),
            "restart" => return self.restart(),
            "unload" => return self.stage.act(|groups, now, fx| groups.unload(now, fx)),
            "join" => self.join(&words),
            "sync" => self.sync(&words),
            "beat" => Request::Heartbeat(HeartbeatRequest {
                group: "g".into(),
                member: self.id(plain[0]),
                instance: words.get("instance").map(Into::into),
                generation: Generation(plain[1].parse().unwrap()),
            }),
            "leave" => {
                let instance = words.get("instance");
                let leavers = plain.iter().map(|name| leaver(&self.id(name), instance));
                leave("g", leavers.collect())
            }
            "commit" => self.commit(&words),
            "stage" => self.stage(&words),
            "end" => Request::EndTxn(EndTxnRequest {
                group: "g".into(),
                producer: producer(&words),
                committed: words.has("commit"),
            }),
            "open" => Request::TxnGroups(TxnGroupsRequest {
                producer: producer(&words),
            }),
            "delete-topic" => Request::TopicsDeleted(vec![TopicDeletion {
                topic: plain[0].into(),
                id: TopicId::ZERO,
            }]),
            "fetch" if words.has("stable") => fetch_stable("g"),
            "fetch" => fetch_all("g"),
            "delete-offsets" => {
                let (topic, partition) = plain[0].split_once('/').unwrap();
                delete_offsets("g", topic, &[partition.parse().unwrap()])
            }
            "delete" => delete_group("g"),
            "describe" => describe("g"),
            other => panic!("no command {other:?}"),
        };
        // The answer may come before `ask` returns.
        let next = ReplyTo(self.labels.len() as u64 + 1);
        self.labels
            .insert(next, line.split(" [").next().unwrap().into());
        assert_eq!(self.stage.ask(request), next);
    }

    fn set_rules(&mut self, words: &Words<'_>) {
        let natural = |key: &str, otherwise: u64| {
            u64::try_from(words.number(key, otherwise.cast_signed())).unwrap()
        };
        let old = Rules::default();
        self.rules = Rules {
            initial_rebalance_delay_ms: natural("delay", old.initial_rebalance_delay_ms),
            group_members_max: usize::try_from(words.number("max", 1_000)).unwrap(),
            offsets_retention_ms: words.number("retention", old.offsets_retention_ms),
            retention_check_interval_ms: natural("check", old.retention_check_interval_ms),
            offsets_refresh_ms: words.number("refresh", 0),
            ..old
        };
        let mut stage = Stage::new(self.rules.clone());
        stage.rests = self.stage.rests;
        *self = Self {
            stage,
            rules: self.rules.clone(),
            out: std::mem::take(&mut self.out),
            ..Self::new()
        };
    }

    fn restart(&mut self) {
        let mut stage = self.stage.restart(self.rules.clone());
        self.stage.seen.append(&mut stage.seen);
        self.stage.seen_at.append(&mut stage.seen_at);
        stage.seen = std::mem::take(&mut self.stage.seen);
        stage.seen_at = std::mem::take(&mut self.stage.seen_at);
        self.stage = stage;
    }

    fn join(&mut self, words: &Words<'_>) -> Request {
        let name = words.plain()[0];
        let stem = words.get("instance").unwrap_or(name);
        let member = if words.has("new") {
            MemberId::default()
        } else {
            self.id(name)
        };
        let topics: Vec<&str> = words.get("topics").unwrap_or("t").split(',').collect();
        let protocols = words.get("protocols").unwrap_or("range").split(',');
        let mut request = JoinRequest {
            member,
            instance: words.get("instance").map(Into::into),
            protocol_type: words.get("type").unwrap_or("consumer").into(),
            protocols: protocols
                .map(|it| protocol(it, subscription(&topics)))
                .collect(),
            session_timeout_ms: i32::try_from(words.number("session", 10_000)).unwrap(),
            rebalance_timeout_ms: i32::try_from(words.number("rebalance", 60_000)).unwrap(),
            requires_known_member_id: words.has("two-step"),
            can_skip_assignment: !words.has("old"),
            ..joining("g")
        };
        request.client.id = name.into();
        if request.member.is_empty() {
            let id = nth_static(stem, self.stage.peek_fresh());
            self.newest.insert(name.into(), id);
        }
        Request::Join(request)
    }

    fn sync(&self, words: &Words<'_>) -> Request {
        let plain = words.plain();
        let pairs = words.pairs().filter(|(key, _)| *key != "instance");
        let assignments = pairs.map(|(name, what)| (self.id(name), what.to_owned().into()));
        Request::Sync(SyncRequest {
            instance: words.get("instance").map(Into::into),
            assignments: assignments.collect(),
            ..syncing("g", &self.id(plain[0]), plain[1].parse().unwrap())
        })
    }

    fn commit(&self, words: &Words<'_>) -> Request {
        Request::Commit(self.committing(words))
    }

    fn stage(&self, words: &Words<'_>) -> Request {
        Request::TxnCommit(self.committing(words).in_transaction(producer(words)))
    }

    fn committing(&self, words: &Words<'_>) -> CommitRequest {
        let plain = words.plain();
        // Of one topic.
        let places = words
            .pairs()
            .filter_map(|(key, value)| Some((key.split_once('/')?, value)));
        let mut topic = "";
        let offsets: Vec<(i32, i64)> = places
            .map(|((of, partition), offset)| {
                topic = of;
                (partition.parse().unwrap(), offset.parse().unwrap())
            })
            .collect();
        let mut request = CommitRequest {
            retention_ms: words.get("keep").map(|it| it.parse().unwrap()),
            instance: words.get("instance").map(Into::into),
            ..committing("g", &offsets)
        };
        request.topics[0].topic = topic.into();
        if let [name, generation] = plain[..] {
            request.member = self.id(name);
            request.generation = Generation(generation.parse().unwrap());
        }
        request
    }
}

fn producer(words: &Words<'_>) -> Producer {
    let (id, epoch) = words.get("by").unwrap().split_once('/').unwrap();
    Producer::new(id.parse().unwrap(), epoch.parse().unwrap())
}

/// What follows, for the eye.
impl Script {
    fn tell(&mut self) {
        let at = std::mem::take(&mut self.stage.seen_at);
        for (effect, tick) in self.stage.take_seen().into_iter().zip(at) {
            if matches!(effect, Effect::Note(Note::PhaseChanged { .. })) {
                continue; // As published.
            }
            let line = self.line(effect);
            writeln!(self.out, "{tick:>6} {}", short(&line)).unwrap();
        }
    }

    fn line(&mut self, effect: Effect) -> String {
        match effect {
            Effect::Reply { to, reply } => format!("{}: {}", self.labels[&to], told(&reply)),
            Effect::Again { to, .. } => format!("again: {}", self.labels[&to]),
            Effect::Append(entry) => format!("append {}", appended(&entry)),
            Effect::Seat { seat, member, .. } => {
                self.seats.insert(seat, member.to_string());
                format!("seat {member}")
            }
            Effect::Unseat { seat, end } => {
                let who = self.seats.remove(&seat);
                format!(
                    "unseat {} {end:?}",
                    who.as_deref().unwrap_or("a pending member")
                )
            }
            Effect::Publish {
                generation, phase, ..
            } => format!("publish {} {phase}", generation.0),
            Effect::Arm { at, timer } => match timer {
                Timer::Session { seat, .. } => {
                    let who = self
                        .seats
                        .get(&seat)
                        .map_or("a pending member", String::as_str);
                    format!("arm session of {who} for {}", at.0)
                }
                Timer::Join { .. } => format!("arm join for {}", at.0),
                Timer::Sync { .. } => format!("arm sync for {}", at.0),
                Timer::Retention { .. } => format!("arm retention for {}", at.0),
            },
            Effect::Vacate { .. } => "vacate".into(),
            Effect::Note(note) => format!("note {note:?}"),
        }
    }
}

fn told(reply: &Reply) -> String {
    match reply {
        Reply::Join(Ok(joined)) => {
            let members: Vec<&str> = joined.members.iter().map(|it| it.member.as_str()).collect();
            format!(
                "{} joined {}, {} leads{}, {}, members {members:?}",
                joined.member,
                joined.generation.0,
                joined.leader,
                if joined.skip_assignment {
                    " and may skip"
                } else {
                    ""
                },
                joined.protocol.as_deref().unwrap_or("no protocol"),
            )
        }
        Reply::Join(Err(refused)) => {
            let standing = refused.standing.as_ref();
            let standing = standing.map(|it| format!(", {} leads {}", it.leader, it.generation.0));
            let (why, member) = (refused.refusal, &refused.member);
            format!(
                "{why:?} {:?}{}",
                member.as_str(),
                standing.unwrap_or_default()
            )
        }
        Reply::Sync(Ok(synced)) => format!("assigned {:?}", synced.assignment),
        Reply::Leave(Ok(left)) => {
            let results: Vec<_> = left.iter().map(|it| it.result).collect();
            format!("{results:?}")
        }
        Reply::Fetch(Ok(topics)) => {
            let mut out = "fetched".to_owned();
            for topic in topics {
                for at in &topic.partitions {
                    if at.is_unstable {
                        write!(out, " {}/{} unstable", topic.topic, at.partition).unwrap();
                        continue;
                    }
                    let offset = at.committed.as_ref().map_or(-1, |it| it.offset);
                    write!(out, " {}/{}={offset}", topic.topic, at.partition).unwrap();
                }
            }
            out
        }
        Reply::Commit(Ok(topics)) => format!("{:?}", topics[0].partitions),
        Reply::OffsetDelete(Ok(topics)) => format!("{:?}", topics[0].partitions),
        Reply::Describe(Ok(it)) => {
            let members: Vec<&str> = it.members.iter().map(|it| it.member.as_str()).collect();
            format!(
                "{} {:?} {:?} {members:?}",
                it.phase, it.protocol_type, it.protocol
            )
        }
        Reply::Heartbeat(it)
        | Reply::EndTxn(it)
        | Reply::DeleteGroup(it)
        | Reply::TopicsDeleted(it) => {
            format!("{it:?}")
        }
        other => format!("{other:?}"),
    }
}

fn appended(entry: &Entry) -> String {
    let mut out = Vec::new();
    for record in &entry.records {
        out.push(match record {
            Record::Offset {
                topic,
                partition,
                value,
                ..
            } => match value {
                Some(value) => format!("{topic}/{partition}={}", value.offset),
                None => format!("{topic}/{partition} gone"),
            },
            Record::Pending {
                topic,
                partition,
                producer,
                value,
                ..
            } => match value {
                None => format!("{topic}/{partition} of {} ended", producer.0),
                Some(it) if it.is_overtaken => {
                    format!("{topic}/{partition} of {} overtaken", producer.0)
                }
                Some(it) => format!(
                    "{topic}/{partition} of {} ={}",
                    producer.0, it.offset.offset
                ),
            },
            Record::Group { value: None, .. } => "group gone".into(),
            Record::Group {
                value: Some(it), ..
            } => {
                let members: Vec<String> = it
                    .members
                    .iter()
                    .map(|it| format!("{} {:?}", it.member, it.assignment))
                    .collect();
                let leader = it.leader.clone().unwrap_or_default();
                format!(
                    "group {} led by {:?}: {members:?}",
                    it.generation.0,
                    leader.as_str()
                )
            }
        });
    }
    out.join(", ")
}

/// `a#1` for `a-00000000-0000-0000-0000-000000000001`, and no quotes.
fn short(line: &str) -> String {
    const ZEROS: &str = "-00000000-0000-0000-0000-";
    let mut parts = line.split(ZEROS);
    let mut out = parts.next().unwrap_or("").to_owned();
    for part in parts {
        let (number, rest) = part.split_at(12);
        let number = u64::from_str_radix(number, 16).unwrap();
        write!(out, "#{number}{rest}").unwrap();
    }
    out.replace("\\\"", "\"")
        .replace("b\"", "\"")
        .replace('"', "")
}

/// The script again, with the effects that its commands have; with every group coming to rest
/// after every step, if it can, which nobody is to see.
fn played(script: &str, rests: bool) -> String {
    let mut it = Script::new();
    it.stage.rests = rests;
    let (mut is_output, mut has_commands) = (false, false);
    for line in script.lines().chain([""]) {
        match line {
            "---" => {
                is_output = true;
                it.out.push_str("---\n");
                it.tell();
            }
            "" => {
                assert!(is_output || !has_commands, "commands without a ---");
                (is_output, has_commands) = (false, false);
                it.out.push('\n');
            }
            _ if is_output => {}
            _ => {
                writeln!(it.out, "{line}").unwrap();
                if !line.starts_with('#') {
                    has_commands = true;
                    it.run(line);
                }
            }
        }
    }
    format!("{}\n", it.out.trim_end())
}

#[test]
fn every_dialogue_goes_as_it_is_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dialogues");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|it| it.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        let script = std::fs::read_to_string(&file).unwrap();
        let played_at_rest = played(&script, true);
        let played = played(&script, false);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&file, &played).unwrap();
            continue;
        }
        let name = file.file_name().unwrap().display();
        assert_eq!(played, script, "{name} goes otherwise");
        assert_eq!(played_at_rest, script, "{name} goes otherwise at rest");
    }
}
