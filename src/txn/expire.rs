//! Time: a transaction that hangs is aborted, and an id that nobody uses is forgotten.

use super::facts::TransactionState;
use super::machine::{Change, Transactions};
use crate::ids::TransactionalId;
use crate::time::{Now, Tick};

impl Transactions {
    /// When [`Transactions::expire`] has something to do next.
    pub fn next_deadline(&self) -> Option<Tick> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// What has to be written because time is up: the abort of transactions, whose producers are
    /// fenced, and the end of ids. At most 1,024 at a time.
    pub fn expire(&mut self, mut fresh: impl FnMut() -> Option<i64>, now: Now) -> Vec<Change> {
        let mut changes = Vec::new();
        while changes.len() < EXPIRED_MAX {
            let due = self.deadlines.first().filter(|(at, _)| *at <= now.tick);
            let Some((_, id)) = due.cloned() else {
                break;
            };
            self.disarm(&id);
            let Some(slot) = self.by_id.get_mut(&id) else {
                continue;
            };
            let Some(facts) = slot.facts.as_ref() else {
                continue;
            };
            if slot.is_changing {
                // Whatever comes of it decides; if nothing does, the time is still up.
                self.arm_at(&id, now.tick + RETRY_MS);
                continue;
            }
            let facts = match facts.state {
                TransactionState::Ongoing => Some(facts.fenced(&mut fresh, now.wall)),
                TransactionState::PrepareCommit | TransactionState::PrepareAbort => continue,
                TransactionState::Empty
                | TransactionState::CompleteCommit
                | TransactionState::CompleteAbort => None,
            };
            slot.is_changing = true;
            changes.push(Change {
                id: id.clone(),
                facts,
            });
            // For the case that it cannot be written.
            self.arm_at(&id, now.tick + RETRY_MS);
        }
        changes
    }

    /// Sets the deadline that the id's state has, from what is left of its time.
    pub(super) fn arm(&mut self, id: &TransactionalId, now: Now) {
        self.disarm(id);
        let Some(facts) = self.facts(id.as_str()) else {
            return;
        };
        let (since, time_ms) = match facts.state {
            TransactionState::Ongoing => (facts.started, facts.timeout_ms),
            TransactionState::PrepareCommit | TransactionState::PrepareAbort => return,
            TransactionState::Empty
            | TransactionState::CompleteCommit
            | TransactionState::CompleteAbort => (facts.updated, self.limits.expiration_ms),
        };
        let time_ms = i64::from(time_ms).max(0);
        // A wall clock that was set back gives nobody more than its whole time.
        let passed_ms = now.wall.0.saturating_sub(since.0).clamp(0, time_ms);
        let left_ms = u64::try_from(time_ms - passed_ms).unwrap_or(0);
        self.arm_at(id, now.tick + left_ms);
    }

    fn arm_at(&mut self, id: &TransactionalId, at: Tick) {
        self.disarm(id);
        if let Some(slot) = self.by_id.get_mut(id) {
            slot.deadline = Some(at);
            self.deadlines.insert((at, id.clone()));
        }
    }

    pub(super) fn disarm(&mut self, id: &TransactionalId) {
        let deadline = self.by_id.get_mut(id).and_then(|slot| slot.deadline.take());
        if let Some(at) = deadline {
            self.deadlines.remove(&(at, id.clone()));
        }
    }
}

/// The most changes of one call, so that no call takes long.
pub(super) const EXPIRED_MAX: usize = 1_024;

/// When a change that is under way or that failed is looked at again.
const RETRY_MS: u64 = 1_000;
