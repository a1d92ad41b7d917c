//! The bytes that all partitions of the node share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::config::TopicsConfig;
use super::disk::Store;
use super::error::TopicError;

/// What all partitions of the node share.
#[derive(Clone, Debug)]
pub(super) struct Resources {
    pub(super) budget: Arc<Budget>,
    /// None: everything is in memory alone.
    pub(super) disk: Option<Arc<Store>>,
}

impl Resources {
    pub(super) fn new(config: &TopicsConfig, disk: Option<&Arc<Store>>) -> Self {
        Self {
            budget: Arc::new(Budget::new(config.bytes_max)),
            disk: disk.map(Arc::clone),
        }
    }

    pub(super) fn is_healthy(&self) -> bool {
        self.disk.as_ref().is_none_or(|disk| disk.is_healthy())
    }

    /// Refuses changes that could not be made durable.
    pub(super) fn check(&self) -> Result<(), TopicError> {
        if self.is_healthy() {
            Ok(())
        } else {
            Err(TopicError::StorageFailed)
        }
    }

    /// Topics, their settings or the reserved producer ids are not as the catalog has them.
    pub(super) fn catalog_changed(&self) {
        if let Some(disk) = &self.disk {
            disk.catalog_changed();
        }
    }
}

/// A bounded count of bytes.
#[derive(Debug)]
pub(super) struct Budget {
    // Written by every append, eviction and deletion under the lock of its partition, read by any.
    used: AtomicU64,
    max: u64,
}

impl Budget {
    pub(super) fn new(max: u64) -> Self {
        Self {
            used: AtomicU64::new(0),
            max,
        }
    }

    /// Takes that many bytes, or none and says false.
    pub(super) fn reserve(&self, bytes: u64) -> bool {
        let grown = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= self.max);
        // Relaxed: the count guards no other memory, and a compare-and-swap keeps it exact.
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown)
            .is_ok()
    }

    /// Takes that many bytes even if there are none left: for the few that must have their place.
    pub(super) fn take(&self, bytes: u64) {
        // Relaxed: as above.
        self.used.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Gives back bytes that were reserved.
    pub(super) fn release(&self, bytes: u64) {
        // Relaxed: as above.
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// The bytes that are left at this moment.
    pub(super) fn free(&self) -> u64 {
        self.max.saturating_sub(self.used())
    }

    /// The bytes in use.
    pub(super) fn used(&self) -> u64 {
        // Relaxed: a figure for metrics.
        self.used.load(Ordering::Relaxed)
    }
}
