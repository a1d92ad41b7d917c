//! Memory for large frames, bounded for the whole node.
//!
//! Small frames need no count: a connection's buffer holds little, and connections are limited. A
//! large frame takes its whole length from the budget before more of it is read, so two that are
//! half there never wait for each other; connections that get nothing are not read from, in turn,
//! until others are done or their own time of silence is over.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::metrics::Metrics;

/// The node's bytes for large frames (`queued.max.request.bytes`).
#[derive(Debug)]
pub(super) struct FrameBudget {
    // One permit a KiB; none: there is no limit.
    permits: Option<Arc<Semaphore>>,
    permits_max: u32,
    metrics: Arc<Metrics>,
}

impl FrameBudget {
    /// A budget of that many bytes; without a limit if they are negative.
    pub(super) fn new(bytes_max: i64, metrics: Arc<Metrics>) -> Self {
        let permits_max = u64::try_from(bytes_max).ok().map(permits);
        Self {
            permits: permits_max.map(|max| Arc::new(Semaphore::new(max as usize))),
            permits_max: permits_max.unwrap_or(u32::MAX),
            metrics,
        }
    }

    /// Waits until there are bytes for a frame of that length; one that is larger than the budget
    /// takes all of it. First come, first served. Nothing is lost if the future is dropped, but
    /// the place in the row.
    pub(super) async fn take(&self, frame_bytes: usize) -> FrameMemory {
        let permit = match &self.permits {
            None => None,
            Some(semaphore) => {
                let wanted = permits(frame_bytes as u64).min(self.permits_max);
                let semaphore = Arc::clone(semaphore);
                // Nobody closes the semaphore.
                semaphore.acquire_many_owned(wanted).await.ok()
            }
        };
        let bytes = i64::try_from(frame_bytes).unwrap_or(i64::MAX);
        self.metrics.server().large_frame_bytes.add(bytes);
        FrameMemory {
            bytes,
            metrics: Arc::clone(&self.metrics),
            _permit: permit,
        }
    }
}

/// The memory of one large frame, given back when dropped.
#[derive(Debug)]
pub(super) struct FrameMemory {
    bytes: i64,
    metrics: Arc<Metrics>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Drop for FrameMemory {
    fn drop(&mut self) {
        self.metrics.server().large_frame_bytes.add(-self.bytes);
    }
}

/// Bytes in KiB, rounded up, at least one.
fn permits(bytes: u64) -> u32 {
    let max = u64::try_from(Semaphore::MAX_PERMITS).unwrap_or(u64::MAX);
    let permits = bytes.div_ceil(1024).clamp(1, max);
    u32::try_from(permits).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    fn budget(bytes_max: i64) -> FrameBudget {
        FrameBudget::new(bytes_max, Arc::new(Metrics::new(1)))
    }

    fn now<T>(future: impl Future<Output = T>) -> Option<T> {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            std::task::Poll::Ready(ready) => Some(ready),
            std::task::Poll::Pending => None,
        }
    }

    #[test]
    fn frames_share_the_budget_and_give_it_back() {
        let budget = budget(1 << 20);
        let first = now(budget.take(600 << 10)).unwrap();
        assert!(now(budget.take(600 << 10)).is_none());
        let second = now(budget.take(400 << 10)).unwrap();
        let told = |budget: &FrameBudget| budget.metrics.server().large_frame_bytes.value();
        assert_eq!(told(&budget), 1_000 << 10);
        drop(first);
        let third = now(budget.take(600 << 10)).unwrap();
        drop((second, third));
        assert_eq!(told(&budget), 0);
    }

    #[test]
    fn a_frame_beyond_the_budget_takes_all_of_it() {
        let budget = budget(1 << 20);
        let all = now(budget.take(5 << 20)).unwrap();
        assert!(now(budget.take(1)).is_none());
        drop(all);
        assert!(now(budget.take(1)).is_some());
    }

    #[test]
    fn without_a_limit_nobody_waits() {
        let budget = budget(-1);
        let _first = now(budget.take(usize::MAX)).unwrap();
        assert!(now(budget.take(usize::MAX)).is_some());
    }
}
