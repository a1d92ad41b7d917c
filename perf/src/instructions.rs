//! Fixed pieces of work for whoever counts instructions: no clock, one thread, the same each time.
//!
//! What is to be counted happens within [`counted`], whose name a counter can be told; what comes
//! before it makes everything ready and warm.

use std::hint::black_box;

use clap::ValueEnum;
use takhin_coordinator::engine::{Heartbeat, MemberHandle};
use takhin_coordinator::group::FetchRequest;
use takhin_coordinator::ids::GroupId;
use takhin_coordinator::time::{Now, Tick, WallMs};
use takhin_coordinator::wire::messages::OffsetFetchResponse;
use takhin_coordinator::wire::{ApiKey, Message as _, ResponseHeader};

use crate::args::InstructionsArgs;
use crate::commits::commit;
use crate::line::{Line, commit_frame, fetch_frame, heartbeat_frame};
use crate::ratios::join_all;
use crate::steady::{Member, Steady};
use crate::timeouts::{Numbers, full_wheel};

/// What can be counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Work {
    /// A heartbeat by a handle.
    HeartbeatHandle,
    /// A heartbeat by names.
    HeartbeatNames,
    /// A heartbeat by names, of 16 that are asked together.
    HeartbeatBatch,
    /// A heartbeat's frame on a connection, of 16 that came together.
    HeartbeatFrame,
    /// A commit of ten partitions.
    Commit,
    /// Its frame on a connection.
    CommitFrame,
    /// A fetch of a group's ten offsets.
    Fetch,
    /// Its frame on a connection.
    FetchFrame,
    /// A member's part in the join of a group of a thousand, its sync included.
    Join,
    /// A timer that fires and is armed again.
    WheelFire,
}

const MEMBERS: usize = 1_000;
const TIMERS: u32 = 10_000;
const PARTITIONS: i32 = 10;
const BURST: usize = 16;

/// Does the work that often, rounded up to whole bursts and groups; what it says is how often that
/// was.
pub(crate) fn run(args: &InstructionsArgs) -> String {
    let done = match args.work {
        Work::HeartbeatHandle => heartbeats_by_handle(args),
        Work::HeartbeatNames => heartbeats_by_names(args),
        Work::HeartbeatBatch => heartbeats_together(args),
        Work::HeartbeatFrame => heartbeat_frames(args),
        Work::Commit => commits(args),
        Work::CommitFrame => commit_frames(args),
        Work::Fetch => fetches(args),
        Work::FetchFrame => fetch_frames(args),
        Work::Join => joins(args),
        Work::WheelFire => wheel_fires(args),
    };
    format!("{done}\n")
}

/// Not inlined, so that a counter finds where to begin and where to stop.
#[inline(never)]
fn counted(mut work: impl FnMut()) {
    work();
}

impl InstructionsArgs {
    fn count(&self) -> usize {
        usize::try_from(self.count).expect("a hundred million at most")
    }

    /// Calls `step` a while, and then that often while it counts.
    fn stepped(&self, count: usize, mut step: impl FnMut(usize)) -> usize {
        (0..MEMBERS).for_each(&mut step);
        self.counted(|| (MEMBERS..MEMBERS + count).for_each(&mut step));
        count
    }

    fn counted(&self, work: impl FnMut()) {
        let profiled = self.profile.during(|| counted(work));
        profiled.expect("a file that can be written");
    }
}

/// A time that is later with each step: no heartbeat is spared its swap.
fn time_of(step: usize) -> Now {
    Now {
        tick: Tick(1_000_000 + step as u64),
        wall: WallMs(0),
    }
}

fn beat_of(member: &Member) -> Heartbeat<'_> {
    let (group, id) = (member.group.as_str(), member.id.as_str());
    Heartbeat::new(group, id, member.generation)
}

fn heartbeats_by_handle(args: &InstructionsArgs) -> usize {
    let steady = Steady::new(MEMBERS);
    let find = |it: &Member| steady.engine.member(it.group.as_str(), it.id.as_str());
    let handles = steady.members.iter().map(find);
    let handles: Vec<MemberHandle> = handles.collect::<Option<_>>().expect("everyone is there");
    args.stepped(args.count(), |n| {
        let generation = steady.members[n % MEMBERS].generation;
        let heard = handles[n % MEMBERS].heartbeat(generation, None, time_of(n));
        assert_eq!(black_box(heard), Some(Ok(())));
    })
}

fn heartbeats_by_names(args: &InstructionsArgs) -> usize {
    let steady = Steady::new(MEMBERS);
    args.stepped(args.count(), |n| {
        let beat = beat_of(&steady.members[n % MEMBERS]);
        let answer = steady.engine.heartbeat_at(black_box(&beat), time_of(n));
        assert_eq!(answer.now().ok(), Some(Ok(())));
    })
}

fn heartbeats_together(args: &InstructionsArgs) -> usize {
    let steady = Steady::new(MEMBERS);
    let beats: Vec<Heartbeat<'_>> = steady.members.iter().map(beat_of).collect();
    let bursts: Vec<&[Heartbeat<'_>]> = beats.chunks_exact(BURST).collect();
    let done = args.stepped(args.count().div_ceil(BURST), |n| {
        let burst = bursts[n % bursts.len()];
        steady.engine.heartbeats_at(burst, time_of(n), |_, answer| {
            assert_eq!(answer.now().ok(), Some(Ok(())));
        });
    });
    done * BURST
}

fn heartbeat_frames(args: &InstructionsArgs) -> usize {
    let steady = Steady::new(MEMBERS);
    let mut line = Line::to(&steady);
    let burst = steady.members[..BURST].iter();
    let burst: Vec<u8> = burst.flat_map(heartbeat_frame).collect();
    let done = args.stepped(args.count().div_ceil(BURST), |_| {
        steady.clock.advance_ms(1);
        line.ask(&burst, BURST);
    });
    // A length, the number of the request, and no error.
    let answers = line.last_answer();
    let mut answers = answers.chunks(answers.len() / BURST);
    assert!(answers.all(|it| it[8..].iter().all(|byte| *byte == 0)));
    done * BURST
}

fn commits(args: &InstructionsArgs) -> usize {
    let steady = Steady::new(MEMBERS);
    let members = steady.members.iter().cycle().take(MEMBERS + args.count());
    let requests = members.zip(1..).map(|(it, n)| commit(it, PARTITIONS, n));
    let mut requests = requests.collect::<Vec<_>>().into_iter();
    args.stepped(args.count(), |_| {
        let request = requests.next().expect("as many as steps");
        let committed = steady.engine.commit(request).wait();
        assert!(black_box(committed).is_ok());
    })
}

fn fetches(args: &InstructionsArgs) -> usize {
    let steady = Steady::new(MEMBERS);
    for member in &steady.members {
        let committed = steady.engine.commit(commit(member, PARTITIONS, 1)).wait();
        committed.expect("nobody else commits");
    }
    args.stepped(args.count(), |n| {
        let group = steady.members[n % MEMBERS].group.clone();
        let fetched = steady.engine.fetch(FetchRequest::all(group)).wait();
        assert!(black_box(fetched).is_ok_and(|it| it[0].partitions.len() == 10));
    })
}

fn commit_frames(args: &InstructionsArgs) -> usize {
    let steady = Steady::new(MEMBERS);
    let mut line = Line::to(&steady);
    let members = steady.members.iter().cycle().take(MEMBERS + args.count());
    let frames = members
        .zip(1..)
        .map(|(it, n)| commit_frame(it, PARTITIONS, n));
    let frames: Vec<Vec<u8>> = frames.collect();
    let done = args.stepped(args.count(), |n| line.ask(&frames[n], 1));
    let last = &steady.members[(frames.len() - 1) % MEMBERS];
    let fetched = steady.engine.fetch(FetchRequest::all(last.group.clone()));
    let rows = fetched.wait().expect("nobody is in doubt");
    let offset = i64::try_from(frames.len()).ok();
    let offsets = rows[0].partitions.iter();
    let offsets = offsets.map(|it| it.committed.as_ref().map(|it| it.offset));
    assert_eq!(
        offsets.filter(|it| *it == offset).count(),
        10,
        "all were heard"
    );
    done
}

fn fetch_frames(args: &InstructionsArgs) -> usize {
    let steady = Steady::new(MEMBERS);
    let mut line = Line::to(&steady);
    for member in &steady.members {
        line.ask(&commit_frame(member, PARTITIONS, 1), 1);
    }
    let frames = steady.members.iter().map(|it| fetch_frame(it, PARTITIONS));
    let frames: Vec<Vec<u8>> = frames.collect();
    let done = args.stepped(args.count(), |n| line.ask(&frames[n % MEMBERS], 1));
    let answer = line.last_answer();
    let (_, body) = ResponseHeader::decode(&answer[4..], ApiKey::OffsetFetch, 9).expect("whole");
    let fetched = OffsetFetchResponse::decode_exact(body, 9).expect("whole");
    let rows = &fetched.groups[0].topics[0].partitions;
    assert!(rows.len() == 10 && rows.iter().all(|it| it.committed_offset == 1));
    done
}

fn joins(args: &InstructionsArgs) -> usize {
    let steady = Steady::new(0);
    let group = |n: usize| GroupId::from(format!("orders-enrichment-{n}"));
    let storm = |n: usize| {
        join_all(&steady, &group(n), MEMBERS).expect("the first members");
    };
    storm(0);
    let storms = args.count().div_ceil(MEMBERS);
    args.counted(|| (1..=storms).for_each(storm));
    storms * MEMBERS
}

fn wheel_fires(args: &InstructionsArgs) -> usize {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let mut wheel = full_wheel(&mut numbers, TIMERS);
    let mut now = Tick(0);
    let mut fired = Vec::with_capacity(TIMERS as usize);
    let mut fire = |least: usize| {
        let mut done = 0;
        while done < least {
            now = now + 10;
            while wheel.advance(now, 1_024, &mut fired) {}
            for (member, _, sequence) in fired.drain(..) {
                let deadline = now + numbers.timeout_ms();
                let armed = wheel.insert(deadline, (member, 0, sequence + 1));
                armed.expect("there is room");
                done += 1;
            }
        }
        done
    };
    // Each timer has fired some times.
    fire(10 * TIMERS as usize);
    let mut done = 0;
    args.counted(|| done = fire(args.count()));
    done
}
