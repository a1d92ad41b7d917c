//! The journal that keeps nothing.

use std::ops::ControlFlow;

use super::{Batch, Done, Durability, Journal, LoadError, Loaded};
use crate::ids::ShardId;

/// Settles every batch at once and keeps nothing: groups and offsets end with the process.
#[derive(Clone, Copy, Debug, Default)]
pub struct MemoryJournal;

impl Journal for MemoryJournal {
    fn append(&self, _batch: Batch<'_>, done: Done) {
        done.settle(Ok(()));
    }

    fn load(
        &self,
        _shard: ShardId,
        _each: &mut dyn FnMut(Loaded) -> ControlFlow<()>,
    ) -> Result<(), LoadError> {
        Ok(())
    }

    fn keeps_nothing(&self) -> bool {
        true
    }

    fn durability(&self) -> Durability {
        Durability::Memory
    }
}
