//! A machine that settles at once, with a clock that stands until it is moved.

use std::collections::BTreeSet;

use crate::ids::{GroupId, TransactionalId};
use crate::time::{Now, Tick, WallMs};
use crate::txn::{
    Change, Ending, Facts, InitRequest, Limits, Producer, Protocol, Step, TransactionState,
    Transactions, TxnError, TxnPartition,
};

/// The wall clock at tick 0.
pub(super) const WALL: i64 = 1_800_000_000_000;

pub(super) fn at(tick: u64) -> Now {
    Now {
        tick: Tick(tick),
        wall: WallMs(WALL + i64::try_from(tick).unwrap()),
    }
}

pub(super) fn producer(id: i64, epoch: i16) -> Producer {
    Producer { id, epoch }
}

pub(super) fn partitions(indexes: &[i32]) -> BTreeSet<TxnPartition> {
    let one = |index: &i32| ("t".into(), *index);
    indexes.iter().map(one).collect()
}

pub(super) fn groups(names: &[&str]) -> BTreeSet<GroupId> {
    names.iter().map(|name| GroupId::from(*name)).collect()
}

/// The machine; each verb is settled at once unless it says otherwise.
pub(super) struct Bench {
    pub(super) machine: Transactions,
    pub(super) now: Now,
    /// What was decided.
    pub(super) endings: Vec<Ending>,
    next_id: i64,
}

pub(super) const ID: &str = "tx";

pub(super) fn bench() -> Bench {
    with(Limits::default())
}

pub(super) fn with(limits: Limits) -> Bench {
    Bench {
        machine: Transactions::new(limits),
        now: at(0),
        endings: Vec::new(),
        next_id: 100,
    }
}

impl Bench {
    pub(super) fn settle(&mut self, change: Option<Change>, is_durable: bool) {
        if let Some(change) = change {
            let ending = self.machine.settle(change, is_durable, self.now);
            self.endings.extend(ending);
        }
    }

    fn settled<T>(&mut self, step: Step<T>) -> Result<T, TxnError> {
        self.settle(step.change, true);
        step.answer
    }

    pub(super) fn init_step(&mut self, expected: Option<Producer>) -> Step<Producer> {
        let request = InitRequest {
            timeout_ms: 1_000,
            expected,
        };
        let next_id = &mut self.next_id;
        let fresh = || {
            *next_id += 1;
            Some(*next_id)
        };
        self.machine.init(&ID.into(), request, fresh, self.now)
    }

    pub(super) fn init(&mut self, expected: Option<Producer>) -> Result<Producer, TxnError> {
        let step = self.init_step(expected);
        self.settled(step)
    }

    pub(super) fn add_step(&mut self, by: Producer, indexes: &[i32], v: Protocol) -> Step<()> {
        let (partitions, how) = (partitions(indexes), (v, self.now));
        let none = BTreeSet::new();
        self.machine.add(&ID.into(), by, partitions, none, how)
    }

    pub(super) fn add(
        &mut self,
        by: Producer,
        indexes: &[i32],
        v: Protocol,
    ) -> Result<(), TxnError> {
        let step = self.add_step(by, indexes, v);
        self.settled(step)
    }

    pub(super) fn end_step(
        &mut self,
        by: Producer,
        committed: bool,
        v: Protocol,
    ) -> Step<Producer> {
        let next_id = &mut self.next_id;
        let fresh = || {
            *next_id += 1;
            Some(*next_id)
        };
        let how = (v, self.now);
        self.machine.end(&ID.into(), by, committed, fresh, how)
    }

    pub(super) fn end(
        &mut self,
        by: Producer,
        committed: bool,
        v: Protocol,
    ) -> Result<Producer, TxnError> {
        let step = self.end_step(by, committed, v);
        self.settled(step)
    }

    /// Carries the decided ends out.
    pub(super) fn finish(&mut self) -> Vec<Ending> {
        let endings = std::mem::take(&mut self.endings);
        for ending in &endings {
            let step = self.machine.finished(ending, self.now);
            self.settled(step).unwrap();
        }
        endings
    }

    pub(super) fn expire(&mut self) {
        let next_id = &mut self.next_id;
        let fresh = || {
            *next_id += 1;
            Some(*next_id)
        };
        for change in self.machine.expire(fresh, self.now) {
            self.settle(Some(change), true);
        }
    }

    pub(super) fn facts(&self) -> Facts {
        self.machine.facts(ID).unwrap().clone()
    }

    pub(super) fn state(&self) -> TransactionState {
        self.facts().state
    }

    /// Gives the id that epoch, as if it had been counted up to it.
    pub(super) fn set_epoch(&mut self, epoch: i16) -> Producer {
        let mut facts = self.facts();
        facts.producer.epoch = epoch;
        let id = TransactionalId::from(ID);
        self.machine.restore(&id, facts.clone(), self.now);
        facts.producer
    }
}
