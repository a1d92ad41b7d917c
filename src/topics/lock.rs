//! The locks of the data plane: short, never held across an await, and without poison.
//!
//! A partition's writers must agree on the next offset, so a lock per partition is the plain
//! answer; the engine's rule against locks is about the coordinator's own path. A panic under a
//! lock does not take the partition away from others: what is guarded is changed in steps that
//! leave it whole.

#![expect(
    clippy::disallowed_types,
    reason = "the standalone server's data plane, not the coordinator's path; see the module doc"
)]

use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// One owner at a time.
#[derive(Debug, Default)]
pub(super) struct Lock<T>(Mutex<T>);

impl<T> Lock<T> {
    pub(super) fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Many readers or one writer.
#[derive(Debug, Default)]
pub(super) struct Shared<T>(RwLock<T>);

impl<T> Shared<T> {
    pub(super) fn new(value: T) -> Self {
        Self(RwLock::new(value))
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, T> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}
