//! What asks the allocator for memory, and how often: nothing of a steady heartbeat does, by
//! whichever door it comes.
//!
//! Everything runs on the thread of the test and on a clock that moves when the test says so: what
//! is counted is all that a call causes. Debug builds allocate as release builds do.

#![cfg(feature = "server")]
#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test may fail it as the test itself"
)]

#[path = "../benches/commits/mod.rs"]
mod commits;
#[path = "../benches/line/mod.rs"]
mod line;
#[path = "../benches/requests/mod.rs"]
mod requests;
#[path = "../benches/steady/mod.rs"]
mod steady;

use std::hint::black_box;

use takhin_coordinator::config::Config;
use takhin_coordinator::engine::{Driving, Engine, Heartbeat, MemberHandle};
use takhin_coordinator::group::FetchRequest;
use takhin_coordinator::ids::{GroupId, MemberId};
use takhin_coordinator::shard::{Batch, MailboxConfig, Ran, ShardLoop, Turn};
use takhin_coordinator::time::{ManualClock, Tick, Wheel, WheelConfig};
use takhin_coordinator::wire::messages::OffsetFetchResponse;
use takhin_coordinator::wire::{ApiKey, Message as _, ResponseHeader};

use commits::commit;
use line::{Line, commit_frame, fetch_frame, heartbeat_frame};
use requests::{join, sync};
use steady::{Member, Steady};

const MEMBERS: usize = 100;

/// How often `work` asked for memory.
fn allocations(work: impl FnOnce()) -> u64 {
    allocation_counter::measure(work).count_total
}

#[test]
fn what_allocates_is_counted() {
    let counted = allocations(|| {
        let mut bytes: Vec<u8> = Vec::with_capacity(10);
        black_box(&mut bytes).reserve(1_000);
        drop(black_box(bytes));
    });
    assert_eq!(counted, 2);
}

/// Less than that is all that is kept, whether it lies in the shard or at the side door.
#[test]
fn an_idle_group_of_one_keeps_less_than_340_bytes() {
    const GROUPS: usize = 4_000;
    let clock = ManualClock::new();
    let config = Config::builder()
        .group_initial_rebalance_delay_ms(10)
        .takhin_shards(1)
        .build()
        .unwrap();
    let engine = Engine::builder(config)
        .clock(clock.clone())
        .driving(Driving::Host)
        .open()
        .unwrap();
    let pass = |ms| {
        clock.advance_ms(ms);
        engine.run_due();
    };
    let kept = allocation_counter::measure(|| {
        for number in 0..GROUPS {
            let group = GroupId::from(format!("orders-enrichment-{number:06}"));
            let mut joining = join(&group, MemberId::default());
            let first = engine.join(joining.clone());
            joining.member = first.wait().unwrap_err().member;
            let joined = engine.join(joining);
            pass(20);
            let joined = joined.wait().unwrap();
            assert!(engine.sync(sync(&group, &joined)).wait().is_ok());
        }
        // Two rounds until all of them rest, one in which the wheel is tidied up, in parts.
        for _ in 0..5_000 {
            pass(10);
        }
    });
    let at_rest = engine.metrics().shard(0).groups_at_rest.value();
    assert_eq!(usize::try_from(at_rest), Ok(GROUPS));
    let kept = usize::try_from(kept.bytes_current).unwrap() / GROUPS;
    assert!((250..340).contains(&kept), "{kept}");
}

#[test]
fn a_heartbeat_by_handle_allocates_nothing() {
    let steady = Steady::new(MEMBERS);
    let find = |member: &Member| {
        let engine = &steady.engine;
        engine.member(member.group.as_str(), member.id.as_str())
    };
    let handles: Option<Vec<MemberHandle>> = steady.members.iter().map(find).collect();
    let handles = handles.unwrap();
    let counted = allocations(|| {
        for (handle, member) in handles.iter().zip(&steady.members) {
            steady.clock.advance_ms(1);
            let heard = handle.heartbeat(member.generation, None, steady.engine.now());
            assert_eq!(heard, Some(Ok(())));
        }
    });
    assert_eq!(counted, 0);
}

#[test]
fn a_heartbeat_by_names_allocates_nothing() {
    let steady = Steady::new(MEMBERS);
    let beat = |it| beat_of(it);
    let beats: Vec<Heartbeat<'_>> = steady.members.iter().map(beat).collect();
    let one_by_one = allocations(|| {
        for beat in &beats {
            steady.clock.advance_ms(1);
            assert_eq!(steady.engine.heartbeat(beat).now().ok(), Some(Ok(())));
        }
    });
    assert_eq!(one_by_one, 0);
    let together = allocations(|| {
        steady.clock.advance_ms(1);
        steady
            .engine
            .heartbeats_at(&beats, steady.engine.now(), |_, heard| {
                assert_eq!(heard.now().ok(), Some(Ok(())));
            });
    });
    assert_eq!(together, 0);
}

fn beat_of(member: &Member) -> Heartbeat<'_> {
    let (group, id) = (member.group.as_str(), member.id.as_str());
    Heartbeat::new(group, id, member.generation)
}

#[test]
fn a_timer_that_fires_and_is_armed_again_allocates_nothing() {
    const TIMEOUT_MS: u64 = 10_000;
    let mut wheel = Wheel::new(WheelConfig::default(), Tick(0));
    for member in 0..1_000 {
        wheel
            .insert(Tick(TIMEOUT_MS + u64::from(member) * 10), member)
            .unwrap();
    }
    let mut fired: Vec<u32> = Vec::with_capacity(1_000);
    let mut turn = |from: u64| {
        let mut count = 0;
        for ms in (from..from + 2 * TIMEOUT_MS).step_by(10) {
            while wheel.advance(Tick(ms), 1_024, &mut fired) {}
            for member in fired.drain(..) {
                wheel.insert(Tick(ms + TIMEOUT_MS), member).unwrap();
                count += 1;
            }
        }
        count
    };
    // Five turns of 82 s: each slot has held what it will hold.
    for n in 0..20 {
        turn(n * 2 * TIMEOUT_MS);
    }
    let mut rearmed = 0;
    let counted = allocations(|| rearmed = turn(20 * 2 * TIMEOUT_MS));
    assert_eq!((rearmed, counted), (2_000, 0));
}

#[test]
fn an_event_that_passes_through_a_mailbox_allocates_nothing() {
    fn serve(sum: &mut u64, batch: &mut Batch<'_, [u64; 4]>) -> Turn {
        for event in batch {
            *sum += event[0];
        }
        Turn::default()
    }
    let (shard, _driver) = ShardLoop::new(0, &MailboxConfig::default());
    shard.drive(serve);
    let counted = allocations(|| {
        for n in 0..10_000 {
            shard.submit([n; 4]).unwrap();
            assert_ne!(shard.run(serve), Ran::Poisoned);
        }
    });
    assert_eq!(counted, 0);
}

/// Members at rest, of whom the first has committed that many partitions a hundred times.
fn committed(partitions: i32) -> Steady {
    let steady = Steady::new(MEMBERS);
    for offset in 0..100 {
        let request = commit(&steady.members[0], partitions, offset);
        steady.engine.commit(request).wait().unwrap();
    }
    steady
}

#[test]
fn a_commit_allocates_for_the_request_and_not_for_each_partition() {
    for (partitions, bound) in [(1, 6), (10, 7), (100, 7)] {
        let steady = committed(partitions);
        let request = commit(&steady.members[0], partitions, 100);
        let counted = allocations(|| {
            let committed = steady.engine.commit(request).wait();
            assert!(committed.is_ok());
        });
        assert!(counted <= bound, "{partitions} partitions: {counted}");
    }
}

#[test]
fn a_fetch_allocates_for_the_request_and_not_for_each_partition() {
    for (partitions, bound) in [(1, 2), (10, 4), (100, 7)] {
        let steady = committed(partitions);
        let request = FetchRequest::all(steady.members[0].group.clone());
        let counted = allocations(|| {
            let fetched = steady.engine.fetch(request).wait().unwrap();
            assert_eq!(fetched[0].partitions.len(), of(partitions));
        });
        assert!(counted <= bound, "{partitions} partitions: {counted}");
    }
}

#[test]
fn a_steady_heartbeat_over_a_connection_allocates_nothing() {
    let steady = Steady::new(MEMBERS);
    let mut line = Line::to(&steady);
    let frames: Vec<Vec<u8>> = steady.members.iter().map(heartbeat_frame).collect();
    let round = |line: &mut Line| {
        for frame in &frames {
            steady.clock.advance_ms(1);
            line.ask(frame, 1);
        }
    };
    // The connection finds its members, and its buffers their lengths.
    round(&mut line);
    let answer = line.last_answer();
    // Of what follows the correlation id: no tags, no throttling, no error, no tags.
    assert_eq!(answer[8..], [0; 8]);
    let counted = allocations(|| round(&mut line));
    assert_eq!(counted, 0);
    assert_eq!(line.last_answer(), answer);
}

#[test]
fn a_commit_over_a_connection_allocates_for_the_request_and_not_for_each_partition() {
    for (partitions, bound) in [(1, 16), (10, 17), (100, 17)] {
        let steady = Steady::new(MEMBERS);
        let mut line = Line::to(&steady);
        for offset in 0..100 {
            line.ask(&commit_frame(&steady.members[0], partitions, offset), 1);
        }
        let frame = commit_frame(&steady.members[0], partitions, 100);
        let counted = allocations(|| line.ask(&frame, 1));
        assert!(counted <= bound, "{partitions} partitions: {counted}");
        assert_eq!(offsets(&steady), vec![100; of(partitions)]);
    }
}

#[test]
fn a_fetch_over_a_connection_allocates_for_the_request_and_not_for_each_partition() {
    for (partitions, bound) in [(1, 4), (10, 4), (100, 4)] {
        let steady = committed(partitions);
        let mut line = Line::to(&steady);
        let frame = fetch_frame(&steady.members[0], partitions);
        for _ in 0..100 {
            line.ask(&frame, 1);
        }
        let counted = allocations(|| line.ask(&frame, 1));
        assert!(counted <= bound, "{partitions} partitions: {counted}");
        let answer = line.last_answer();
        let (_, body) = ResponseHeader::decode(&answer[4..], ApiKey::OffsetFetch, 9).unwrap();
        let fetched = OffsetFetchResponse::decode_exact(body, 9).unwrap();
        let rows = fetched.groups[0].topics[0].partitions.iter();
        let rows: Vec<i64> = rows.map(|it| it.committed_offset).collect();
        assert_eq!(rows, vec![99; of(partitions)]);
    }
}

fn of(partitions: i32) -> usize {
    usize::try_from(partitions).unwrap()
}

/// What the first member's group has committed.
fn offsets(steady: &Steady) -> Vec<i64> {
    let request = FetchRequest::all(steady.members[0].group.clone());
    let fetched = steady.engine.fetch(request).wait().unwrap();
    let rows = fetched[0].partitions.iter();
    rows.map(|it| it.committed.as_ref().unwrap().offset)
        .collect()
}
