//! What a shard takes of the limits that all shards share.

use super::state::ShardState;
use crate::group::{GroupKey, Request, Room};
use crate::metrics::RefusalCause;

/// The sizes that the shared limits count.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Counts {
    groups: usize,
    seats: usize,
    offsets: usize,
}

impl ShardState {
    /// Takes what the request, to the group in that place, may need of the limits that all shards
    /// share; `None`: there is no room for its offsets.
    pub(super) fn reserve(&mut self, request: &Request, place: Option<GroupKey>) -> Option<Room> {
        let limits = &self.shared.limits;
        let mut room = Room::PLENTY;
        let mut take_group = || {
            if place.is_none() {
                room.group = limits.groups.reserve(1);
                self.taken.groups += usize::from(room.group);
            }
        };
        match request {
            Request::Join(join) => {
                take_group();
                if self.groups.takes_seat(join) {
                    room.seat = limits.members.reserve(1);
                    self.taken.seats += usize::from(room.seat);
                }
            }
            Request::Commit(commit) => {
                let new = self.groups.new_offsets(place, commit);
                if new > 0 && !limits.offsets.reserve(new) {
                    return None;
                }
                if new > 0 {
                    self.taken.offsets += new;
                }
                if commit.generation.0 < 0 {
                    take_group();
                }
            }
            Request::TxnCommit(txn) => {
                let new = self.groups.new_pending(place, txn);
                if new > 0 && !limits.offsets.reserve(new) {
                    return None;
                }
                self.taken.offsets += new;
                if txn.commit.generation.0 < 0 {
                    take_group();
                }
            }
            Request::Sync(_)
            | Request::Heartbeat(_)
            | Request::Leave(_)
            | Request::EndTxn(_)
            | Request::Fetch(_)
            | Request::OffsetDelete(_)
            | Request::Describe(_)
            | Request::DeleteGroup(_)
            | Request::List(_)
            | Request::TxnGroups(_)
            | Request::TopicsDeleted(_) => {}
        }
        if !room.group {
            self.metrics().refusals(RefusalCause::GroupsMax).add(1);
        }
        if !room.seat {
            self.metrics().refusals(RefusalCause::MembersMax).add(1);
        }
        Some(room)
    }

    /// Sets what was taken of the shared limits against what a step came to. Nearly always it is
    /// what it was.
    pub(super) fn account(&mut self) {
        let owed = Counts {
            groups: self.groups.len(),
            seats: self.groups.seats(),
            // Offsets that are on their way stay taken until they are settled.
            offsets: self.groups.offsets() + self.groups.pending() + self.promised,
        };
        if owed != self.taken {
            self.settle_account(owed);
        }
    }

    fn settle_account(&mut self, owed: Counts) {
        let taken = std::mem::replace(&mut self.taken, owed);
        let limits = &self.shared.limits;
        limits.groups.account(taken.groups, owed.groups);
        limits.members.account(taken.seats, owed.seats);
        limits.offsets.account(taken.offsets, owed.offsets);
    }

    /// What it had taken is free for others.
    pub(super) fn give_back(&mut self) {
        self.settle_account(Counts::default());
    }

    /// Shows how much the shard holds; once a turn, as nobody looks within one.
    pub(super) fn show(&self) {
        let shown = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let metrics = self.metrics();
        metrics.members.set(shown(self.groups.seats()));
        metrics.groups_at_rest.set(shown(self.groups.at_rest()));
        metrics.offsets.set(shown(self.groups.offsets()));
        metrics.offsets_staged.set(shown(self.groups.pending()));
        metrics.parked.set(shown(self.answers.len()));
    }
}
