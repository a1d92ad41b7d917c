//! What was decided goes to the journal, and what became of it comes back.

use std::sync::Weak;

use super::state::ShardState;
use crate::error::Refusal;
use crate::group::Entry;
use crate::journal::{Batch, Done, Outcomes, Ticket};
use crate::time::Now;

impl ShardState {
    /// What became of a batch. Outcomes are followed in the order of their batches, whatever
    /// order they come in.
    pub(super) fn settled(&mut self, ticket: Ticket, outcome: Result<(), Refusal>, now: Now) {
        if !self.in_flight.note(ticket, outcome) {
            tracing::error!(
                shard = self.id.0,
                ?ticket,
                "an outcome of a batch that nobody awaits"
            );
            return;
        }
        while let Some((mut entries, outcome)) = self.in_flight.next_settled() {
            self.settle(&mut entries, outcome, now);
            self.in_flight.give_back(entries);
        }
    }

    /// Settles these, and empties their list.
    fn settle(&mut self, entries: &mut Vec<Entry>, outcome: Result<(), Refusal>, now: Now) {
        for entry in entries.iter_mut() {
            let new = entry.then.new_offsets();
            if new > 0 {
                self.promised -= new;
            }
            let mut fx = std::mem::take(&mut self.desk.fx);
            self.groups.settle_in_place(entry, outcome, now, &mut fx);
            self.carry_out(fx, now);
            self.account();
            self.ask_again(now);
        }
        entries.clear();
    }

    /// Refuses those who wait for a batch that takes too long (`offsets.commit.timeout.ms`). It
    /// may become durable all the same, and then counts; its answer is nobody's any more.
    pub(crate) fn refuse_overdue(&mut self, now: Now) {
        if self.in_flight.is_empty() {
            return;
        }
        self.in_flight.stop_growing_late(now.tick);
        while let Some(entries) = self.in_flight.next_overdue(now.tick) {
            tracing::warn!(
                shard = self.id.0,
                entries = entries.len(),
                "the journal takes too long; whoever waits is refused"
            );
            let mut fx = std::mem::take(&mut self.desk.fx);
            for entry in entries {
                self.groups.give_up_waiting(entry, now, &mut fx);
            }
            self.carry_out(fx, now);
        }
        // What is still to be handed over waits behind it.
        if self.in_flight.is_stuck() && !self.desk.batch.is_empty() {
            let mut fx = std::mem::take(&mut self.desk.fx);
            for entry in &mut self.desk.batch {
                self.groups.give_up_waiting(entry, now, &mut fx);
            }
            self.carry_out(fx, now);
        }
    }

    /// Hands over what was decided since the last time.
    pub(crate) fn hand_over<O: Outcomes + 'static>(&mut self, outcomes: &Weak<O>, now: Now) {
        if self.keeps_nothing {
            return self.settle_at_once(now);
        }
        if self.desk.batch.is_empty() || self.extends() || !self.in_flight.has_room() {
            return;
        }
        self.last_index += 1;
        let ticket = Ticket {
            shard: self.id,
            term: self.term,
            index: self.last_index,
        };
        let done = Done::new(ticket, Weak::clone(outcomes) as Weak<dyn Outcomes>);
        let next = self.in_flight.list();
        let entries = std::mem::replace(&mut self.desk.batch, next);
        let patience_ms = self.shared.write_timeout_ms;
        let entries = self.in_flight.push(ticket, entries, now.tick, patience_ms);
        self.shared.journal.append(Batch { ticket, entries }, done);
    }

    /// Puts what was decided into the batch that waits, if there is one.
    fn extends(&mut self) -> bool {
        let Some(ticket) = self.in_flight.growing() else {
            return false;
        };
        let entries = &self.desk.batch;
        let is_extended = self.shared.journal.extend(Batch { ticket, entries });
        if is_extended {
            self.in_flight.grow(&mut self.desk.batch);
        } else {
            self.in_flight.stop_growing();
        }
        is_extended
    }

    /// Settles what was decided, and what is decided by that.
    fn settle_at_once(&mut self, now: Now) {
        while !self.desk.batch.is_empty() {
            let mut entries = std::mem::take(&mut self.desk.batch);
            self.settle(&mut entries, Ok(()), now);
            if self.desk.batch.is_empty() {
                // Memory that is there already.
                self.desk.batch = entries;
            }
        }
    }

    pub(super) fn can_hand_over(&self) -> bool {
        self.in_flight.has_room() || self.in_flight.growing().is_some()
    }

    /// Whether requests are taken from the mailbox. While no other batch may go on its way
    /// nothing more is decided, and the mailbox fills; a shard that is closed or stuck refuses
    /// what may write.
    pub(crate) fn takes_requests(&self) -> bool {
        self.fires() || self.in_flight.is_stuck()
    }
}
