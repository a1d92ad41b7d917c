//! One run of one scenario: the server, the client's members and its tool, and what they said.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{BuildHasher, Hasher};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use crate::clock::now;
use crate::process::{Heard, Process, Speaker};
use crate::server::{Server, workspace};
use crate::{Client, Failure, install, parse};

/// How long any single thing may take that is not bounded more tightly: a JVM starts slowly on
/// a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_mins(1);

/// How long nothing must happen for a group to count as settled: some heartbeats (300 ms each).
pub(crate) const QUIET: Duration = Duration::from_millis(800);

/// Lines kept to be shown beside a failure.
const TRANSCRIPT_LINES_MAX: usize = 300;

/// One record as a member received it.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) partition: u32,
    pub(crate) offset: u64,
    pub(crate) key: String,
    pub(crate) value: String,
}

/// A member's place on the stage; the tool is one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberName(usize);

/// What is known of one driver.
#[derive(Debug)]
pub(crate) struct Actor {
    name: String,
    process: Process,
    /// Cleared when the scenario lets it go; before that its end is a failure.
    must_live: bool,
    ended: bool,
    closed: bool,
    pub(crate) owned: BTreeSet<u32>,
    /// As the client shows it, `-` if it does not.
    pub(crate) generation: String,
    /// How often an assignment came or went.
    pub(crate) changes: u32,
    pub(crate) records: Vec<Delivery>,
    commits: u32,
    /// Transactions that a transformer committed and aborted.
    transactions: (u32, u32),
    committed: BTreeMap<u32, u64>,
    /// The tool's answer so far, and whether it is whole.
    answer: Vec<String>,
    verdict: Option<Result<(), String>>,
}

/// A running scenario. Dropping it ends every process that it started.
#[derive(Debug)]
pub struct Stage {
    pub(crate) client: Client,
    pub(crate) group: String,
    pub(crate) topic: String,
    server: Server,
    mouth: Sender<(Speaker, Heard)>,
    lines: Receiver<(Speaker, Heard)>,
    actors: Vec<Actor>,
    tool: Option<MemberName>,
    began: Instant,
    transcript: VecDeque<String>,
    /// The run of records that the transcript's last line tells: whose, partition, first offset.
    run: Option<(Speaker, u32, u64)>,
}

/// Runs one scenario for one client and says how long it took, or that it is skipped because the
/// client is not installed.
///
/// # Errors
///
/// What went wrong, with what all processes said last.
pub fn run(
    client: Client,
    name: &str,
    scenario: fn(&mut Stage) -> Result<(), Failure>,
) -> Result<(), Failure> {
    if !install::ready(client.name())? {
        return Ok(());
    }
    let began = now();
    let mut stage = Stage::open(client, name)?;
    scenario(&mut stage).map_err(|failure| failure.with(&stage.told()))?;
    stage.note(&format!("passed in {:.1} s", (now() - began).as_secs_f32()));
    Ok(())
}

impl Stage {
    /// A server and fresh names; no client yet.
    fn open(client: Client, scenario: &str) -> Result<Self, Failure> {
        let (mouth, lines) = channel();
        let nonce = RandomState::new().build_hasher().finish();
        let name = format!("{}-{scenario}-{nonce:016x}", client.name());
        Ok(Self {
            client,
            group: format!("group-{name}"),
            topic: format!("topic-{name}"),
            server: Server::start()?,
            mouth,
            lines,
            actors: Vec::new(),
            tool: None,
            began: now(),
            transcript: VecDeque::new(),
            run: None,
        })
    }

    /// Takes a server that keeps its data on disk, before anybody has come; whether there is one.
    pub(crate) fn keep_data(&mut self) -> Result<bool, Failure> {
        let place = self.place();
        std::fs::create_dir_all(&place)?;
        match Server::start_keeping(&place.join("data"))? {
            Some(server) => self.server = server,
            None => return Ok(false),
        }
        Ok(true)
    }

    /// Removes the data, which is kept after a failure, to be looked at.
    pub(crate) fn forget_data(&self) -> Result<(), Failure> {
        Ok(std::fs::remove_dir_all(self.place())?)
    }

    fn place(&self) -> PathBuf {
        workspace().join("target/tmp").join(&self.group)
    }

    /// Ends the server as `kill -9` does, and starts it again on its data.
    pub(crate) fn kill_server(&mut self) -> Result<(), Failure> {
        self.log("(the server is killed)");
        self.server.kill_and_restart()?;
        self.log("(the server is back)");
        Ok(())
    }

    /// Lets members commit, without waiting for it; how often each had committed before.
    pub(crate) fn order_commit(&mut self, members: &[MemberName]) -> Result<Vec<u32>, Failure> {
        let before = members.iter().map(|m| self.of(*m).commits).collect();
        for member in members {
            self.actors[member.0].process.tell("commit")?;
        }
        Ok(before)
    }

    /// Waits until each member has committed once more than before.
    pub(crate) fn await_commit(
        &mut self,
        members: &[MemberName],
        before: &[u32],
    ) -> Result<(), Failure> {
        self.wait("every commit is answered", LIMIT, |stage| {
            let mut all = members.iter().zip(before);
            all.all(|(m, before)| stage.of(*m).commits > *before)
        })
    }

    /// Writes a line for the person who watches, past the capture of the test harness.
    pub(crate) fn note(&self, words: &str) {
        install::note(&format!(
            "{}: {words}",
            self.topic.trim_start_matches("topic-")
        ));
    }

    /// Starts a member of the group.
    pub(crate) fn join(
        &mut self,
        name: &str,
        session_ms: u32,
        instance: Option<&str>,
    ) -> Result<MemberName, Failure> {
        let (group, topic) = (&self.group, &self.topic);
        let mut args = vec![
            format!("group={group}"),
            format!("topic={topic}"),
            format!("session={session_ms}"),
        ];
        args.extend(instance.map(|id| format!("instance={id}")));
        self.start(name, "member", &args)
    }

    /// Starts a transformer of the group, under a transactional id that ends in `id`.
    pub(crate) fn transform(
        &mut self,
        name: &str,
        id: &str,
        to: &str,
        session_ms: u32,
    ) -> Result<MemberName, Failure> {
        let (group, topic) = (&self.group, &self.topic);
        let args = [
            format!("group={group}"),
            format!("topic={topic}"),
            format!("to={to}"),
            format!("id={group}-{id}"),
            format!("session={session_ms}"),
        ];
        self.start(name, "transformer", &args)
    }

    fn start(&mut self, name: &str, role: &str, args: &[String]) -> Result<MemberName, Failure> {
        let place = self.actors.len();
        let mut command = self.client.driver();
        command
            .arg(role)
            .arg(format!("bootstrap={}", self.server.bootstrap()))
            .args(args);
        let process = Process::start(&mut command, Speaker(place), &self.mouth)?;
        self.actors.push(Actor {
            name: name.to_owned(),
            process,
            must_live: true,
            ended: false,
            closed: false,
            owned: BTreeSet::new(),
            generation: "-".to_owned(),
            changes: 0,
            records: Vec::new(),
            commits: 0,
            transactions: (0, 0),
            committed: BTreeMap::new(),
            answer: Vec::new(),
            verdict: None,
        });
        Ok(MemberName(place))
    }

    /// What is known of a member.
    pub(crate) fn of(&self, member: MemberName) -> &Actor {
        &self.actors[member.0]
    }

    /// Every delivery so far, to whom it came and what it was.
    pub(crate) fn deliveries(&self) -> impl Iterator<Item = (MemberName, &Delivery)> {
        let of = |(place, actor): (usize, &'_ Actor)| (MemberName(place), actor.records.len());
        let counts: Vec<_> = self.actors.iter().enumerate().map(of).collect();
        counts
            .into_iter()
            .flat_map(|(name, _)| self.of(name).records.iter().map(move |r| (name, r)))
    }

    /// Lets members commit all that they were given, and waits until each has said so.
    pub(crate) fn commit(&mut self, members: &[MemberName]) -> Result<(), Failure> {
        let before = self.order_commit(members)?;
        self.await_commit(members, &before)
    }

    /// What a member said that it last committed.
    pub(crate) fn committed(&self, member: MemberName) -> &BTreeMap<u32, u64> {
        &self.of(member).committed
    }

    /// Lets a member close as its client does, and waits for its clean end.
    pub(crate) fn quit(&mut self, member: MemberName) -> Result<(), Failure> {
        let actor = &mut self.actors[member.0];
        actor.must_live = false;
        actor.process.tell("quit")?;
        self.wait("the member closes", LIMIT, |stage| stage.of(member).ended)?;
        let actor = &mut self.actors[member.0];
        let status = actor.process.wait()?;
        let clean = actor.closed && status.success();
        Failure::unless(clean, || format!("{} closed badly: {status}", actor.name))
    }

    /// Ends a member as `kill -9` does.
    pub(crate) fn kill(&mut self, member: MemberName) -> Result<(), Failure> {
        let actor = &mut self.actors[member.0];
        actor.must_live = false;
        actor.process.kill()?;
        self.log(&format!("({} was killed)", self.of(member).name));
        self.wait("the killed member's last words", LIMIT, |stage| {
            stage.of(member).ended
        })
    }

    /// Gives the tool a command and returns its lines, or what it said went wrong.
    pub(crate) fn ask(&mut self, command: &str) -> Result<Result<Vec<String>, String>, Failure> {
        self.order(command)?;
        self.answer(command)
    }

    /// Gives the tool a command whose [`Stage::answer`] is waited for later.
    pub(crate) fn order(&mut self, command: &str) -> Result<(), Failure> {
        let tool = match self.tool {
            Some(tool) => tool,
            None => self.start("tool", "tool", &[])?,
        };
        self.tool = Some(tool);
        self.log(&format!("tool < {command}"));
        let actor = &mut self.actors[tool.0];
        actor.answer.clear();
        actor.verdict = None;
        actor.process.tell(command)
    }

    /// The tool's lines to the last command, or what it said went wrong.
    pub(crate) fn answer(&mut self, command: &str) -> Result<Result<Vec<String>, String>, Failure> {
        let tool = self
            .tool
            .ok_or_else(|| Failure::new("no command was given"))?;
        self.wait(command, LIMIT, |stage| stage.of(tool).verdict.is_some())?;
        let actor = &mut self.actors[tool.0];
        let lines = std::mem::take(&mut actor.answer);
        Ok(actor.verdict.take().unwrap_or(Ok(())).map(|()| lines))
    }

    /// As [`Stage::ask`], for a command that must succeed.
    pub(crate) fn get(&mut self, command: &str) -> Result<Vec<String>, Failure> {
        self.ask(command)?
            .map_err(|error| Failure::new(format!("{command}: {error}")))
    }

    /// Listens until `done`, at most for `limit`.
    pub(crate) fn wait(
        &mut self,
        what: &str,
        limit: Duration,
        done: impl Fn(&Self) -> bool,
    ) -> Result<(), Failure> {
        let deadline = now() + limit;
        while !done(self) {
            if !self.listen(deadline)? {
                return Err(Failure::new(format!("not within {limit:?}: {what}")));
            }
        }
        Ok(())
    }

    /// Listens for all of `time`.
    pub(crate) fn pass(&mut self, time: Duration) -> Result<(), Failure> {
        let deadline = now() + time;
        while self.listen(deadline)? {}
        Ok(())
    }

    /// Takes one line; false when none came before the deadline.
    fn listen(&mut self, deadline: Instant) -> Result<bool, Failure> {
        match self
            .lines
            .recv_timeout(deadline.saturating_duration_since(now()))
        {
            Ok((speaker, heard)) => self.hear(speaker, heard).map(|()| true),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Ok(false),
        }
    }

    fn hear(&mut self, speaker: Speaker, heard: Heard) -> Result<(), Failure> {
        let actor = &mut self.actors[speaker.0];
        let name = actor.name.clone();
        match heard {
            Heard::Line(line) => {
                let records = actor.records.len();
                let read = actor.read(&line);
                if actor.records.len() > records {
                    self.log_record(speaker);
                    return read;
                }
                // Other groups of a server that is not ours alone are no news.
                if !line.starts_with("group ") || line.contains(&self.group) {
                    self.log(&format!("{name} > {line}"));
                }
                read.map_err(|failure| failure.with(&format!("{name} > {line}")))
            }
            Heard::Murmur(line) => {
                self.log(&format!("{name} ! {line}"));
                Ok(())
            }
            Heard::End => {
                actor.ended = true;
                Failure::unless(!actor.must_live, || format!("{name} ended by itself"))
            }
        }
    }

    /// Keeps a run of records as one line.
    fn log_record(&mut self, speaker: Speaker) {
        let actor = &self.actors[speaker.0];
        let Some(Delivery {
            partition, offset, ..
        }) = actor.records.last()
        else {
            return;
        };
        let (name, partition, offset) = (actor.name.clone(), *partition, *offset);
        let first = match self.run {
            Some((of, place, first)) if of == speaker && place == partition => {
                self.transcript.pop_back();
                first
            }
            _ => offset,
        };
        self.log(&format!(
            "{name} > records {partition}:{first} to {partition}:{offset}"
        ));
        self.run = Some((speaker, partition, first));
    }

    fn log(&mut self, line: &str) {
        if self.transcript.len() == TRANSCRIPT_LINES_MAX {
            self.transcript.pop_front();
        }
        self.run = None;
        let seconds = (now() - self.began).as_secs_f32();
        self.transcript.push_back(format!("{seconds:7.2} {line}"));
    }

    /// The end of what everyone said.
    fn told(&mut self) -> String {
        // What the ended processes still had to say explains most failures.
        while let Ok((speaker, heard)) = self.lines.recv_timeout(Duration::from_millis(300)) {
            let _ = self.hear(speaker, heard);
        }
        let mut told = format!("--- {} on {}\n", self.group, self.server.bootstrap());
        for line in self.transcript.iter().cloned().chain(self.server.words()) {
            told += &line;
            told.push('\n');
        }
        told
    }
}

impl Actor {
    /// How many transactions it committed, and how many it aborted.
    pub(crate) fn ended_transactions(&self) -> (u32, u32) {
        self.transactions
    }

    /// Takes a line of the language that the crate's documentation describes.
    fn read(&mut self, line: &str) -> Result<(), Failure> {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["assigned", generation, parts] => {
                self.owned = parse::parts(parts)?;
                (*generation).clone_into(&mut self.generation);
                self.changes += 1;
            }
            ["revoked", parts] => {
                for part in parse::parts(parts)? {
                    self.owned.remove(&part);
                }
                self.changes += 1;
            }
            ["record", partition, offset, key, value] => self.records.push(Delivery {
                partition: parse::number(partition)?,
                offset: parse::number(offset)?,
                key: (*key).to_owned(),
                value: (*value).to_owned(),
            }),
            ["committed", offsets] => {
                self.committed = parse::offsets(offsets)?;
                self.commits += 1;
            }
            ["transaction", "committed", _] => self.transactions.0 += 1,
            ["transaction", "aborted", _] => self.transactions.1 += 1,
            ["closed"] => self.closed = true,
            ["ok"] => self.verdict = Some(Ok(())),
            ["error", text @ ..] if self.name == "tool" => {
                self.verdict = Some(Err(text.join(" ")));
            }
            ["error", ..] => return Err(Failure::new("a member gave up")),
            ["group" | "state" | "member" | "offset" | "value", ..] => {
                self.answer.push(line.to_owned());
            }
            _ => return Err(Failure::new("a line that no driver should say")),
        }
        Ok(())
    }
}
