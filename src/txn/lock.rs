//! The coordinator's one lock: short, never held across an await or a write to the disk.

#![expect(
    clippy::disallowed_types,
    reason = "the standalone server's transactions, not the group coordinator's path"
)]

use std::sync::{Mutex, MutexGuard, PoisonError};

/// One owner at a time. A panic under the lock does not take the value away from others: what is
/// guarded is changed in steps that leave it whole.
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
