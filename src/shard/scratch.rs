//! What a turn needs only while it lasts belongs to the thread that runs it.
//!
//! A shard's memory goes to the core of whoever runs its loop, line by line, and each line is
//! waited for. Lists that are empty between two turns need not go with it.

use std::cell::Cell;

use super::state::ShardState;
use crate::group::{Effect, Entry};

thread_local! {
    static SCRATCH: Cell<Scratch> = const {
        Cell::new(Scratch {
            fx: Vec::new(),
            batch: Vec::new(),
        })
    };
}

/// Emptied lists.
#[derive(Debug, Default)]
struct Scratch {
    fx: Vec<Effect>,
    batch: Vec<Entry>,
}

impl Scratch {
    /// The thread's lists; new ones within a turn that has them already, and where the thread ends.
    fn take() -> Self {
        SCRATCH.try_with(Cell::take).unwrap_or_default()
    }

    /// Keeps them for the thread's next turn, unless they have grown.
    fn give_back(self) {
        debug_assert!(self.fx.is_empty() && self.batch.is_empty());
        if self.fx.capacity() <= KEPT_MAX && self.batch.capacity() <= KEPT_MAX {
            // Where there is no place for them they are dropped.
            let _ = SCRATCH.try_with(|it| it.set(self));
        }
    }
}

impl ShardState {
    /// Takes the thread's lists for a turn.
    pub(super) fn take_scratch(&mut self) {
        let Scratch { fx, batch } = Scratch::take();
        self.fx = fx;
        // Where more is kept, what was decided may wait for the journal from turn to turn.
        if self.keeps_nothing && self.batch.is_empty() {
            self.batch = batch;
        }
    }

    /// Gives them back, emptied, at the turn's end.
    pub(super) fn give_scratch_back(&mut self) {
        let batch = if self.keeps_nothing && self.batch.is_empty() {
            std::mem::take(&mut self.batch)
        } else {
            Vec::new()
        };
        let fx = std::mem::take(&mut self.fx);
        Scratch { fx, batch }.give_back();
    }
}

/// Places of a list that is kept, of 200 bytes each: a turn of one commit needs a few, one of a
/// large group's rebalance thousands.
const KEPT_MAX: usize = 256;

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn with_room(places: usize) -> Scratch {
        Scratch {
            fx: Vec::with_capacity(places),
            batch: Vec::new(),
        }
    }

    #[test]
    fn the_next_turn_of_the_thread_has_the_lists_of_the_one_before() {
        with_room(7).give_back();
        assert_eq!(Scratch::take().fx.capacity(), 7);
    }

    #[test]
    fn a_turn_within_a_turn_has_lists_of_its_own() {
        with_room(7).give_back();
        let _outer = Scratch::take();
        assert_eq!(Scratch::take().fx.capacity(), 0);
    }

    #[test]
    fn lists_that_have_grown_are_not_kept() {
        with_room(KEPT_MAX + 1).give_back();
        assert_eq!(Scratch::take().fx.capacity(), 0);
    }
}
