//! Whether what was known of topics still holds.

use std::sync::atomic::{AtomicU64, Ordering};

use super::front::Topics;

/// Counts changes of what there is to know of topics.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Written by whoever has the registry to himself, before anybody else can see it; read by any.
    number: AtomicU64,
}

impl Changes {
    pub(super) fn note(&self) {
        // Release: pairs with `Topics::changes`.
        self.number.fetch_add(1, Ordering::Release);
    }
}

impl Topics {
    /// A number that is another one after each change of what [`Topics::describe`] says of a topic
    /// that exists, before anybody is told that it was made.
    pub fn changes(&self) -> u64 {
        // Acquire: who sees the number of a change finds the topics changed.
        self.changes.number.load(Ordering::Acquire)
    }
}
