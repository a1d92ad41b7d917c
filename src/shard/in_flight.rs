//! The batches of a shard that are on their way to the journal.

use std::collections::VecDeque;

use crate::error::Refusal;
use crate::group::Entry;
use crate::journal::Ticket;
use crate::time::Tick;

/// Handed over and not settled yet, in order.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    batches: VecDeque<OnItsWay>,
}

#[derive(Debug)]
struct OnItsWay {
    ticket: Ticket,
    entries: Vec<Entry>,
    /// Known before that of an earlier batch.
    outcome: Option<Result<(), Refusal>>,
    /// Until when its outcome is awaited; `None`: whoever waited was told that it took too long.
    patience_until: Option<Tick>,
}

impl InFlight {
    /// Batches that may be on their way at one time: one is written while the next is collected.
    pub(super) const MAX: usize = 2;

    pub(super) fn has_room(&self) -> bool {
        self.batches.len() < Self::MAX
    }

    /// A batch begins its way; its entries as the journal is to see them.
    pub(super) fn push(&mut self, ticket: Ticket, entries: Vec<Entry>, until: Tick) -> &[Entry] {
        let batch = self.batches.push_back_mut(OnItsWay {
            ticket,
            entries,
            outcome: None,
            patience_until: Some(until),
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
