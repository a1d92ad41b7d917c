//! Requests that ask about many groups, and answers that are long.
//!
//! A monitor asks for everything: a list of all groups, a description of each, all their offsets.
//! That must not be felt by anybody else, so it takes its time in portions:
//!
//! - [`ASKED_AT_ONCE`] groups are asked about at a time, so that one request fills no mailbox, and
//!   between two portions other connections have their turn;
//! - a longer answer than [`ROWS_MAX`] is put into bytes by a thread of its own, which the
//!   operating system interrupts as the others need the processor;
//! - [`LARGE_AT_ONCE`] requests of this kind are carried out at one time, the others wait in
//!   order, so that what they hold in memory is bounded.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::call::{Call, Head, finished, later};
use crate::engine::{Answer, Outcome};
use crate::server::service::{Answer as Later, Handled};

/// Groups that one request asks about at a time; each is about a microsecond.
pub(super) const ASKED_AT_ONCE: usize = 32;

/// Rows of an answer that are written at once; each is about a tenth of a microsecond.
pub(super) const ROWS_MAX: usize = 1_000;

/// Large requests that are carried out at one time.
const LARGE_AT_ONCE: usize = 2;

/// The room for large requests.
#[derive(Clone, Debug)]
pub(super) struct LargeRequests(Arc<Semaphore>);

impl Default for LargeRequests {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(LARGE_AT_ONCE)))
    }
}

impl LargeRequests {
    /// Waits for its turn; `None` only if nobody can have one any more.
    pub(super) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0).acquire_owned().await.ok()
    }
}

impl Call<'_> {
    /// Writes the answer of one request that asks many times, in portions if it is many. `asks`
    /// asks as it goes; `rows` tells how long the answer will be.
    pub(super) fn answer_each<T: Outcome + Unpin + 'static>(
        &mut self,
        mut asks: impl ExactSizeIterator<Item = Answer<T>> + Send + 'static,
        rows: impl Fn(&T) -> usize + Send + 'static,
        write: impl FnOnce(Vec<T>, Head, &mut Vec<u8>) -> Handled + Send + 'static,
    ) -> Handled {
        let head = self.head();
        let mut outcomes = Vec::with_capacity(asks.len());
        let mut waiting = Vec::new();
        for answer in asks.by_ref().take(ASKED_AT_ONCE) {
            if !waiting.is_empty() {
                waiting.push(answer);
                continue;
            }
            match answer.now() {
                Ok(outcome) => outcomes.push(outcome),
                Err(answer) => waiting.push(answer),
            }
        }
        if waiting.is_empty() && asks.len() == 0 && length(&outcomes, &rows) <= ROWS_MAX {
            return write(outcomes, head, self.out);
        }
        let large = self.broker.large.clone();
        later(async move {
            for answer in waiting {
                outcomes.push(answer.await);
            }
            let is_large = asks.len() > 0 || length(&outcomes, &rows) > ROWS_MAX;
            let turn = if is_large { large.turn().await } else { None };
            while asks.len() > 0 {
                tokio::task::yield_now().await;
                let portion: Vec<Answer<T>> = asks.by_ref().take(ASKED_AT_ONCE).collect();
                for answer in portion {
                    outcomes.push(answer.await);
                }
            }
            let length = length(&outcomes, &rows);
            let answer = written(length, move |out| write(outcomes, head, out)).await;
            drop(turn);
            answer
        })
    }
}

fn length<T>(outcomes: &[T], rows: impl Fn(&T) -> usize) -> usize {
    outcomes.iter().map(rows).sum()
}

/// Writes an answer of so many rows, on this thread if they are few.
pub(super) async fn written(
    rows: usize,
    write: impl FnOnce(&mut Vec<u8>) -> Handled + Send + 'static,
) -> Later {
    let write = move || {
        let mut out = Vec::new();
        let handled = write(&mut out);
        (handled, out)
    };
    if rows <= ROWS_MAX {
        let (handled, out) = write();
        return finished(handled, out).await;
    }
    match tokio::task::spawn_blocking(write).await {
        Ok((handled, out)) => finished(handled, out).await,
        // The runtime ends, or it panicked, which was told already.
        Err(_) => Later::Close,
    }
}
