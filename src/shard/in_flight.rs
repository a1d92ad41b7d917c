//! The batches of a shard that are on their way to the journal.

use std::collections::VecDeque;

use crate::error::Refusal;
use crate::group::Entry;
use crate::journal::Ticket;
use crate::time::Tick;

/// A batch may grow for that part of its patience.
const GROWS_FOR: u64 = 10;
/// Entries of a list that is kept to be filled again.
const LIST_ENTRIES_MAX: usize = 4_096;

/// Handed over and not settled yet, in order.
#[derive(Debug)]
pub(super) struct InFlight {
    batches: VecDeque<OnItsWay>,
    /// Entries up to which the newest batch may grow while it waits; 0: not at all.
    grows_to: usize,
    /// Emptied lists to be filled again, as many as are in use at one time: memory that is there
    /// already.
    spare: Vec<Vec<Entry>>,
}

#[derive(Debug)]
struct OnItsWay {
    ticket: Ticket,
    entries: Vec<Entry>,
    /// Known before that of an earlier batch.
    outcome: Option<Result<(), Refusal>>,
    /// Until when it may grow, as long as the journal is still waiting to take it; what is added
    /// late has less patience than the rest. `None`: it grows no more.
    grows_until: Option<Tick>,
    /// Until when its outcome is awaited; `None`: whoever waited was told that it took too long.
    patience_until: Option<Tick>,
}

impl InFlight {
    /// Batches that may be on their way at one time: one is written while the next is collected.
    pub(super) const MAX: usize = 2;

    pub(super) fn new(grows_to: usize) -> Self {
        Self {
            batches: VecDeque::new(),
            grows_to,
            spare: Vec::with_capacity(Self::MAX),
        }
    }

    /// A list for the next batch.
    pub(super) fn list(&mut self) -> Vec<Entry> {
        self.spare.pop().unwrap_or_default()
    }

    /// Takes back a list whose entries were settled, unless it is longer than most.
    pub(super) fn give_back(&mut self, list: Vec<Entry>) {
        if self.spare.len() < Self::MAX && list.capacity() <= LIST_ENTRIES_MAX {
            self.spare.push(list);
        }
    }

    /// The newest batch, if more may be put into it.
    pub(super) fn growing(&self) -> Option<Ticket> {
        let newest = self.batches.back()?;
        let grows = newest.grows_until.is_some()
            && newest.outcome.is_none()
            && newest.entries.len() < self.grows_to;
        grows.then_some(newest.ticket)
    }

    /// The newest batch has grown by these.
    pub(super) fn grow(&mut self, entries: &mut Vec<Entry>) {
        if let Some(newest) = self.batches.back_mut() {
            newest.entries.append(entries);
        }
    }

    /// The newest batch is on its way, and grows no more.
    pub(super) fn stop_growing(&mut self) {
        if let Some(newest) = self.batches.back_mut() {
            newest.grows_until = None;
        }
    }

    /// What has waited for a part of its patience grows no more: who comes then has all of his.
    pub(super) fn stop_growing_late(&mut self, now: Tick) {
        if let Some(newest) = self.batches.back_mut() {
            newest.grows_until = newest.grows_until.filter(|until| now < *until);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    pub(super) fn has_room(&self) -> bool {
        self.batches.len() < Self::MAX
    }

    /// A batch begins its way; its entries as the journal is to see them.
    pub(super) fn push(
        &mut self,
        ticket: Ticket,
        entries: Vec<Entry>,
        now: Tick,
        patience_ms: u64,
    ) -> &[Entry] {
        let batch = self.batches.push_back_mut(OnItsWay {
            ticket,
            entries,
            outcome: None,
            grows_until: Some(now + patience_ms / GROWS_FOR),
            patience_until: Some(now + patience_ms),
        });
        &batch.entries
    }

    /// Notes what became of a batch; whether there is such a batch.
    pub(super) fn note(&mut self, ticket: Ticket, outcome: Result<(), Refusal>) -> bool {
        let batch = self.batches.iter_mut().find(|it| it.ticket == ticket);
        batch.map(|it| it.outcome = Some(outcome)).is_some()
    }

    /// Takes the oldest batch out if its outcome is known.
    pub(super) fn next_settled(&mut self) -> Option<(Vec<Entry>, Result<(), Refusal>)> {
        let outcome = self.batches.front()?.outcome?;
        let batch = self.batches.pop_front()?;
        Some((batch.entries, outcome))
    }

    /// Nobody was served for that long, the journal's outcomes included.
    pub(super) fn stalled(&mut self, ms: u64) {
        for batch in &mut self.batches {
            batch.patience_until = batch.patience_until.map(|until| until + ms);
        }
    }

    /// When the next batch will have taken too long. One that waits only for an earlier batch
    /// has been taking as long as that.
    pub(super) fn overdue_at(&self) -> Option<Tick> {
        self.batches.iter().find_map(|it| it.patience_until)
    }

    /// Whether the oldest batch has taken too long already.
    pub(super) fn is_stuck(&self) -> bool {
        let oldest = self.batches.front();
        oldest.is_some_and(|it| it.patience_until.is_none())
    }

    /// The entries of a batch that has taken too long, told once for each batch.
    pub(super) fn next_overdue(&mut self, now: Tick) -> Option<&mut Vec<Entry>> {
        let is_overdue = |it: &OnItsWay| it.patience_until.is_some_and(|until| until <= now);
        let batch = self.batches.iter_mut().find(|it| is_overdue(it))?;
        batch.patience_until = None;
        Some(&mut batch.entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ShardId;

    fn ticket(index: u64) -> Ticket {
        Ticket {
            shard: ShardId(0),
            term: 1,
            index,
        }
    }

    #[test]
    fn a_batch_grows_for_a_part_of_its_patience_and_the_newest_alone() {
        let mut in_flight = InFlight::new(100);
        in_flight.push(ticket(1), Vec::new(), Tick(0), 5_000);
        in_flight.push(ticket(2), Vec::new(), Tick(100), 5_000);
        in_flight.stop_growing_late(Tick(599));
        assert_eq!(in_flight.growing(), Some(ticket(2)));
        in_flight.stop_growing_late(Tick(600));
        assert_eq!(in_flight.growing(), None);
        assert!(!in_flight.has_room());
    }

    #[test]
    fn a_batch_whose_outcome_is_known_grows_no_more() {
        let mut in_flight = InFlight::new(100);
        in_flight.push(ticket(1), Vec::new(), Tick(0), 5_000);
        in_flight.note(ticket(1), Ok(()));
        assert_eq!(in_flight.growing(), None);
    }

    #[test]
    fn a_journal_that_lets_no_batch_grow_is_handed_each() {
        let mut in_flight = InFlight::new(0);
        in_flight.push(ticket(1), Vec::new(), Tick(0), 5_000);
        assert_eq!(in_flight.growing(), None);
        assert!(in_flight.has_room());
    }
}
