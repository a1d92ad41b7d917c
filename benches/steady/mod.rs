//! An engine with steady groups, made outside of what is timed.

use takhin_coordinator::config::Config;
use takhin_coordinator::engine::{Answer, Driving, Engine, Outcome};
use takhin_coordinator::group::Joined;
use takhin_coordinator::ids::{Generation, GroupId, MemberId};
use takhin_coordinator::time::ManualClock;

use super::requests::{join, sync};

/// Members of one group: a usual size.
pub(crate) const MEMBERS_PER_GROUP: usize = 10;

/// A member of a group that is at rest.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) group: GroupId,
    pub(crate) id: MemberId,
    pub(crate) generation: Generation,
}

/// An engine whose clock stands still, and its members.
#[derive(Debug)]
pub(crate) struct Steady {
    pub(crate) engine: Engine,
    pub(crate) clock: ManualClock,
    pub(crate) members: Vec<Member>,
}

impl Steady {
    /// That many members in groups of [`MEMBERS_PER_GROUP`], all of them joined and synced, whose
    /// sessions last.
    pub(crate) fn new(members: usize) -> Self {
        Self::with_sessions(members, || 1_800_000)
    }

    /// The same with a session timeout in milliseconds for each, one after the other.
    pub(crate) fn with_sessions(members: usize, mut session_ms: impl FnMut() -> i32) -> Self {
        let clock = ManualClock::new();
        let config = Config::builder()
            .group_initial_rebalance_delay_ms(10)
            .build()
            .expect("the defaults are valid");
        let engine = Engine::builder(config)
            .clock(clock.clone())
            .driving(Driving::Host)
            .open()
            .expect("memory only");
        let mut steady = Self {
            engine,
            clock,
            members: Vec::with_capacity(members),
        };
        let groups = members.div_ceil(MEMBERS_PER_GROUP);
        // In portions: each parks the joins of its groups until the clock moves.
        for first in (0..groups).step_by(1_000) {
            steady.settle_groups(first..groups.min(first + 1_000), &mut session_ms);
        }
        assert_eq!(steady.engine.members(), groups * MEMBERS_PER_GROUP);
        steady
    }

    fn settle_groups(
        &mut self,
        numbers: std::ops::Range<usize>,
        session_ms: &mut impl FnMut() -> i32,
    ) {
        let mut parked = Vec::new();
        for number in numbers {
            let group = GroupId::from(format!("orders-enrichment-{number:06}"));
            for _ in 0..MEMBERS_PER_GROUP {
                let mut join = join(&group, MemberId::default());
                join.session_timeout_ms = session_ms();
                let first = self.engine.join(join.clone());
                join.member = first.wait().expect_err("an id comes first").member;
                parked.push((group.clone(), self.engine.join(join)));
            }
        }
        self.clock.advance_ms(20);
        self.engine.run_due();
        self.clock.advance_ms(20);
        self.engine.run_due();
        let joined: Vec<(GroupId, Joined)> = parked
            .into_iter()
            .map(|(group, answer)| (group, self.wait(answer).expect("the join phase is over")))
            .collect();
        let syncs: Vec<_> = joined
            .iter()
            .map(|(group, joined)| self.engine.sync(sync(group, joined)))
            .collect();
        for sync in syncs {
            self.wait(sync).expect("the leader synced too");
        }
        self.members
            .extend(joined.into_iter().map(|(group, joined)| Member {
                group,
                id: joined.member,
                generation: joined.generation,
            }));
    }

    /// Waits for an answer that does not hang on the clock; those of a crowd leave in portions, as
    /// the engine is driven.
    pub(crate) fn wait<T: Outcome>(&self, mut answer: Answer<T>) -> T {
        loop {
            match answer.now() {
                Ok(outcome) => return outcome,
                Err(pending) => answer = pending,
            }
            self.engine.run_due();
        }
    }
}
