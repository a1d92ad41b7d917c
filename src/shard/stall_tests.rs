//! A shard with a thread of its own, after nobody took a turn for long. The test is that thread,
//! so that the clock moves between two turns and never within one.

use std::sync::{Arc, Weak};

use super::desk::Here;
use super::desk_tests::{Nowhere, shared};
use super::state::ShardState;
use crate::group::{FetchRequest, JoinRequest, Joined, Reply, Request, Rules, SyncRequest};
use crate::ids::ShardId;
use crate::journal::MemoryJournal;
use crate::time::{Clock as _, ManualClock, Now};

const SESSION_MS: i32 = 10_000;

struct Quiet {
    state: ShardState,
    clock: ManualClock,
}

impl Quiet {
    fn new() -> Self {
        let clock = ManualClock::new();
        let shared = Arc::new(shared(MemoryJournal, clock.clone(), true));
        let rules = Rules {
            initial_rebalance_delay_ms: 0,
            ..Rules::default()
        };
        let state = ShardState::new(ShardId(0), rules, shared, clock.now());
        Self { state, clock }
    }

    /// A turn by a thread that has read the clock already: with a request, or for what is due.
    fn turn(&mut self, request: Option<Request>, now: Now) -> Option<Reply> {
        let now = self.state.begin_turn(now, 0);
        if let Some(request) = request {
            self.state.step_here(request, now);
        }
        while self.state.fire_due(true, 0, 0, now, 256) {}
        self.state.hand_over(&Weak::<Nowhere>::new(), now);
        let here = self.state.take_here();
        self.state.end_turn();
        match here {
            Here::Answered(reply) => Some(reply),
            Here::None | Here::Asks(_) | Here::Waits(_) => None,
        }
    }

    fn join(&mut self, now: Now) -> Joined {
        let request = JoinRequest {
            session_timeout_ms: SESSION_MS,
            requires_known_member_id: false,
            ..JoinRequest::new("orders", "consumer").protocol("range", "m")
        };
        let Some(Reply::Join(Ok(joined))) = self.turn(Some(Request::Join(request)), now) else {
            panic!("it did not join");
        };
        let request = SyncRequest {
            group: "orders".into(),
            member: joined.member.clone(),
            instance: None,
            generation: joined.generation,
            protocol_type: None,
            protocol: None,
            assignments: Vec::new(),
        };
        let synced = self.turn(Some(Request::Sync(request)), now);
        assert!(matches!(synced, Some(Reply::Sync(Ok(_)))));
        joined
    }

    /// Something that concerns no member.
    fn fetch(&mut self) {
        let request = FetchRequest {
            group: "another".into(),
            topics: None,
            require_stable: false,
        };
        let fetched = self.turn(Some(Request::Fetch(request)), self.clock.now());
        assert!(matches!(fetched, Some(Reply::Fetch(Ok(_)))));
    }

    fn stalls(&self) -> u64 {
        self.state.shared.metrics.shard(0).loop_stalls.value()
    }

    fn members(&self) -> usize {
        self.state.groups.seats()
    }
}

#[test]
fn a_quiet_shard_was_stalled_if_it_had_a_member_and_else_not() {
    let mut shard = Quiet::new();
    shard.fetch();
    shard.clock.advance_ms(60_000);
    shard.join(shard.clock.now());
    shard.clock.advance_ms(500);
    shard.fetch();
    assert_eq!(shard.stalls(), 0);
    shard.clock.advance_ms(60_000);
    shard.fetch();
    assert_eq!((shard.stalls(), shard.members()), (1, 1));
}

#[test]
fn who_joins_in_a_turn_whose_thread_slept_since_it_read_the_clock_has_its_whole_session() {
    let mut shard = Quiet::new();
    let read = shard.clock.now();
    shard.clock.advance_ms(60_000);
    shard.join(read);
    shard.fetch();
    assert_eq!((shard.stalls(), shard.members()), (1, 1));
    // From now on it is served, and silent.
    for _ in 0..SESSION_MS / 500 {
        assert_eq!(shard.members(), 1);
        shard.clock.advance_ms(500);
        shard.fetch();
    }
    shard.clock.advance_ms(10);
    shard.fetch();
    assert_eq!((shard.stalls(), shard.members()), (1, 0));
}
