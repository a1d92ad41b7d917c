//! How the engine is: which shards are loaded, and whether the journal still takes records.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use super::builder::failure_of;
use super::{Engine, OpenError};
use crate::error::Refusal;
use crate::group::{ListPage, ListSlice, Request};
use crate::ids::ShardId;
use crate::shard::{Answer, Shard, ShardPhase};

/// How one shard is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ShardStatus {
    /// The shard.
    pub shard: ShardId,
    /// How far it is.
    pub phase: ShardPhase,
    /// Records that its load has applied so far, or has applied.
    pub records: u64,
}

impl Engine {
    /// How each shard is, in their order.
    pub fn shards(&self) -> Vec<ShardStatus> {
        let status = |shard: &std::sync::Arc<Shard>| ShardStatus {
            shard: shard.id(),
            phase: phase_of(shard),
            records: shard.gate().records(),
        };
        self.inner.shards.iter().map(status).collect()
    }

    /// The shards whose journal could not be read or in which a step panicked: what lives there
    /// is not available until the engine was opened anew.
    pub fn failed_shards(&self) -> Vec<ShardId> {
        let shards = self.inner.shards.iter();
        shards
            .filter(|shard| phase_of(shard) == ShardPhase::Failed)
            .map(|shard| shard.id())
            .collect()
    }

    /// Whether the journal still makes records durable. If not, commits and assignments are
    /// refused as not available and everything that only reads goes on; the engine must be opened
    /// anew.
    pub fn is_journal_healthy(&self) -> bool {
        self.inner.journal.is_healthy()
    }

    /// Ends when every shard is loaded, or one of them cannot be.
    ///
    /// ```
    /// use takhin_coordinator::{config::Config, engine::Engine};
    ///
    /// let engine = Engine::open(Config::default())?;
    /// engine.wait_until_loaded().wait()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_until_loaded(&self) -> Loading {
        Loading {
            engine: self.clone(),
            at: 0,
            passed: None,
        }
    }

    /// Ends when a shutdown was carried out by every shard, and what a journal keeps at an orderly
    /// stop is kept: for hosts whose process ends next. To be called after [`Engine::shutdown`].
    pub async fn stopped(&self) {
        let shards = self.inner.shards.iter();
        // A request comes after the shutdown that came before it, and is refused then.
        let answers: Vec<Answer<Result<ListPage, Refusal>>> = shards
            .map(|shard| shard.ask(Request::List(ListSlice::default()), self.now()))
            .collect();
        for answer in answers {
            let _ = answer.await;
        }
    }

    /// Loads one more shard on the calling thread, for hosts that load step by step
    /// ([`super::Builder::load_later`]); `None`: there is none left.
    ///
    /// # Errors
    ///
    /// [`OpenError::Load`] if its journal cannot be read; the others may be loaded all the same.
    pub fn load_next(&self) -> Result<Option<ShardId>, OpenError> {
        let mut shards = self.inner.shards.iter();
        let Some(shard) = shards.find(|shard| phase_of(shard) == ShardPhase::Loading) else {
            return Ok(None);
        };
        shard.load();
        failure_of(shard)?;
        Ok(Some(shard.id()))
    }
}

fn phase_of(shard: &Shard) -> ShardPhase {
    if shard.has_failed() {
        return ShardPhase::Failed;
    }
    shard.gate().phase()
}

/// The end of the loading: a future for any executor, or [`wait`](Self::wait).
///
/// Holds the engine open. Dropping it changes nothing.
#[derive(Debug)]
#[must_use = "nothing is waited for until it is polled or waited for"]
pub struct Loading {
    engine: Engine,
    /// The shard that is waited for; those before it are loaded.
    at: usize,
    passed: Option<oneshot::Receiver<()>>,
}

impl Loading {
    /// Waits on the calling thread, for threads without an executor.
    ///
    /// # Errors
    ///
    /// [`OpenError::Load`] for the first shard that cannot be loaded; others may be served.
    ///
    /// # Panics
    ///
    /// If it is called on a thread that drives asynchronous tasks of tokio.
    pub fn wait(self) -> Result<(), OpenError> {
        for shard in &self.engine.inner.shards[self.at..] {
            // A sender that is dropped says the same.
            let _ = shard.gate().passed().blocking_recv();
            failure_of(shard)?;
        }
        Ok(())
    }
}

impl Future for Loading {
    type Output = Result<(), OpenError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        while let Some(shard) = this.engine.inner.shards.get(this.at) {
            let passed = this.passed.get_or_insert_with(|| shard.gate().passed());
            if Pin::new(passed).poll(cx).is_pending() {
                return Poll::Pending;
            }
            failure_of(shard)?;
            this.passed = None;
            this.at += 1;
        }
        Poll::Ready(Ok(()))
    }
}
