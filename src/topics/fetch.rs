//! Fetch: reading many partitions under one limit, and waiting until there is enough.
//!
//! A [`Fetch`] has no timer of its own. Its owner reads, and while that is not enough waits for a
//! change or for its own deadline, whichever comes first:
//!
//! ```text
//!  let mut fetch = topics.fetch(request, now)?;
//!  while !fetch.read() {
//!      select! { () = fetch.changed() => {}, () = &mut deadline => break }
//!  }
//!  let response = fetch.finish()?;
//! ```

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Notify;

use super::LEADER_EPOCH;
use super::error::TopicError;
use super::lock::Lock;
use super::offsets::check_current_epoch;
use super::partition::{Bounds, Partition, ReadAsk, Waiter};
use super::registry::TopicKey;
use super::session::{Cached, Mode, NO_SESSION, Place, Sessions};
use super::transactions::AbortedTransaction;
use crate::ids::PartitionIndex;
use crate::time::WallMs;

/// What a consumer asks for.
#[derive(Clone, Debug)]
pub struct FetchRequest {
    /// The session, 0 for none.
    pub session_id: i32,
    /// -1: no session; 0: open one; else the session's next.
    pub session_epoch: i32,
    /// Whether topics are named by id, in this request and its session.
    pub by_id: bool,
    /// The answer waits until it has that many bytes.
    pub min_bytes: i32,
    /// The answer has no more bytes than that, its first batch excepted.
    pub max_bytes: i32,
    /// Whether only what is committed is wanted: nothing from the last stable offset on, and a
    /// list of what was aborted before it.
    pub read_committed: bool,
    /// How long the answer may wait; the caller keeps the time, 0 or less means not at all.
    pub max_wait_ms: i32,
    /// Partitions: all, or within a session those that changed.
    pub partitions: Vec<FetchPartition>,
    /// Partitions that the session no longer wants.
    pub forgotten: Vec<(TopicKey, PartitionIndex)>,
}

/// One partition of a fetch request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FetchPartition {
    /// The topic.
    pub topic: TopicKey,
    /// The partition.
    pub partition: PartitionIndex,
    /// The leader epoch that the consumer takes for current, -1 for none.
    pub current_leader_epoch: i32,
    /// The offset of the first record wanted.
    pub fetch_offset: i64,
    /// The epoch of the last record that the consumer has, -1 for none.
    pub last_fetched_epoch: i32,
    /// No more bytes than that, unless it is the first batch of the answer.
    pub max_bytes: i32,
}

impl FetchPartition {
    pub(super) fn place(&self) -> Place {
        (self.topic.clone(), self.partition)
    }
}

/// The answer to a fetch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FetchResponse {
    /// The session, 0 if there is none.
    pub session_id: i32,
    /// The partitions, in the order in which they were read.
    pub partitions: Vec<FetchedPartition>,
}

/// One partition of the answer to a fetch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FetchedPartition {
    /// The topic, as the request named it.
    pub topic: TopicKey,
    /// The partition.
    pub partition: PartitionIndex,
    /// What went wrong.
    pub error: Option<TopicError>,
    /// The end of the log, -1 if it is not known.
    pub high_watermark: i64,
    /// The end, or before it the first offset of an open transaction; -1 if it is not known.
    pub last_stable_offset: i64,
    /// The start of the log, -1 if it is not known.
    pub log_start_offset: i64,
    /// Set if the consumer's history is not that of the log.
    pub divergence: Option<Divergence>,
    /// Whole batches as they are stored, to be sent one after the other. The first one contains
    /// the offset asked for and may begin before it.
    pub batches: Vec<Bytes>,
    /// The aborted transactions that have records in `batches`, by their first offset; none
    /// unless `read_committed`.
    pub aborted: Vec<AbortedTransaction>,
}

/// Where the consumer's history parted from the log (KIP-595).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Divergence {
    /// The last epoch that both share.
    pub epoch: i32,
    /// Where it ends in the log.
    pub end_offset: i64,
}

/// A fetch under way; see the module for how it is driven. Dropping it abandons it.
#[derive(Debug)]
pub struct Fetch {
    mode: Mode,
    by_id: bool,
    now: WallMs,
    min_bytes: usize,
    max_bytes: usize,
    may_wait: bool,
    read_committed: bool,
    wanted: Vec<Wanted>,
    // Made when the fetch waits for the first time; partitions hold clones of it.
    notify: Option<Arc<Notify>>,
    sessions: Arc<Lock<Sessions>>,
}

impl Fetch {
    pub(super) fn open(
        request: FetchRequest,
        max_bytes: i32,
        now: WallMs,
        sessions: &Arc<Lock<Sessions>>,
        find: impl Fn(&FetchPartition) -> Result<Arc<Partition>, TopicError>,
    ) -> Result<Self, TopicError> {
        let bytes = |count: i32| usize::try_from(count).unwrap_or(0);
        let by_id = request.by_id;
        let min_bytes = bytes(request.min_bytes);
        let max_bytes = bytes(request.max_bytes.min(max_bytes));
        let may_wait = request.max_wait_ms > 0;
        let read_committed = request.read_committed;
        let (mode, cached) = sessions.lock().open(request, now)?;
        let wanted = cached.into_iter().map(|cached| Wanted {
            partition: find(&cached.ask),
            cached,
            waiter: None,
            outcome: Outcome::default(),
        });
        Ok(Self {
            mode,
            by_id,
            now,
            min_bytes,
            max_bytes,
            may_wait,
            read_committed,
            wanted: wanted.collect(),
            notify: None,
            sessions: Arc::clone(sessions),
        })
    }

    /// The most bytes that a read gives, its first batch excepted.
    pub fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    /// The bytes of records that the last read gave.
    pub fn bytes(&self) -> usize {
        let batches = self.wanted.iter().flat_map(|one| &one.outcome.batches);
        batches.map(Bytes::len).sum()
    }

    /// Reads all partitions; whether the answer is due now: enough bytes, an error, or nothing
    /// that is worth waiting for. If not, [`Fetch::changed`] is ready to be awaited.
    pub fn read(&mut self) -> bool {
        self.read_within(self.max_bytes)
    }

    /// The same for a caller that is short of memory: no more than `bytes`, the first batch
    /// excepted.
    pub fn read_within(&mut self, bytes: usize) -> bool {
        if self.notify.is_none() {
            if self.read_all(bytes) || !self.may_wait {
                return true;
            }
            // Now it is worth the registration with each partition, which comes with a new read.
            let notify = self.notify.get_or_insert_default();
            for one in &mut self.wanted {
                one.waiter = Some(Waiter::new(notify));
            }
        }
        self.read_all(bytes)
    }

    /// Waits until a wanted partition changed since the last [`Fetch::read`].
    ///
    /// Wakes at times for no reason. Cancelling loses nothing. Before the first `read` that was
    /// not enough it waits for ever.
    pub async fn changed(&self) {
        match &self.notify {
            Some(notify) => notify.notified().await,
            None => std::future::pending().await,
        }
    }

    /// Composes the answer from the last [`Fetch::read`].
    ///
    /// # Errors
    ///
    /// `InvalidFetchSessionEpoch` if the client sent another request of the session meanwhile.
    pub fn finish(mut self) -> Result<FetchResponse, TopicError> {
        self.disarm();
        let wanted = std::mem::take(&mut self.wanted);
        let session_id = match self.mode {
            Mode::Sessionless => NO_SESSION,
            Mode::Full => {
                let seen = |one: &Wanted| Cached {
                    ask: one.cached.ask.clone(),
                    seen: one.outcome.seen(),
                };
                let seen = wanted.iter().map(seen).collect();
                self.sessions.lock().admit(self.by_id, seen, self.now)
            }
            Mode::Incremental { id, next_epoch } => {
                let told = wanted.iter().map(|one| {
                    let outcome = &one.outcome;
                    let gave_records = !outcome.batches.is_empty();
                    (one.cached.ask.place(), outcome.seen(), gave_records)
                });
                self.sessions.lock().settle(id, next_epoch, told)?;
                id
            }
        };
        let everything = !matches!(self.mode, Mode::Incremental { .. });
        let partitions = wanted
            .into_iter()
            .filter(|one| everything || one.is_news())
            .map(Wanted::into_answer)
            .collect();
        Ok(FetchResponse {
            session_id,
            partitions,
        })
    }

    /// Reads each partition in turn under the limit of the whole; whether the answer is due.
    fn read_all(&mut self, max_bytes: usize) -> bool {
        let mut left = self.max_bytes.min(max_bytes);
        let mut bytes = 0;
        let mut is_due = self.wanted.is_empty();
        for one in &mut self.wanted {
            // Kafka's rule (KIP-74): the first batch of the answer comes whatever its size.
            one.read(left, bytes == 0, self.read_committed);
            let size: usize = one.outcome.batches.iter().map(Bytes::len).sum();
            bytes += size;
            left = left.saturating_sub(size);
            is_due |= one.outcome.error.is_some() || one.outcome.divergence.is_some();
        }
        is_due || bytes >= self.min_bytes
    }

    fn disarm(&mut self) {
        for one in &mut self.wanted {
            if let (Ok(partition), Some(waiter)) = (&one.partition, one.waiter.take()) {
                partition.deregister(&waiter);
            }
        }
    }
}

impl Drop for Fetch {
    fn drop(&mut self) {
        self.disarm();
    }
}

/// One partition of a fetch under way.
#[derive(Debug)]
struct Wanted {
    cached: Cached,
    partition: Result<Arc<Partition>, TopicError>,
    // There once the fetch waits.
    waiter: Option<Waiter>,
    outcome: Outcome,
}

/// What the last read of a partition gave.
#[derive(Debug, Default)]
struct Outcome {
    error: Option<TopicError>,
    bounds: Option<Bounds>,
    divergence: Option<Divergence>,
    batches: Vec<Bytes>,
    aborted: Vec<AbortedTransaction>,
}

impl Outcome {
    /// What a session remembers as told; nothing after an error, so that its end is told, too.
    fn seen(&self) -> Option<Bounds> {
        self.bounds.filter(|_| self.error.is_none())
    }
}

impl Wanted {
    fn read(&mut self, left: usize, at_least_one: bool, committed: bool) {
        self.outcome = match self.try_read(left, at_least_one, committed) {
            Ok(outcome) => outcome,
            Err(error) => Outcome {
                error: Some(error),
                ..Outcome::default()
            },
        };
    }

    fn try_read(
        &mut self,
        left: usize,
        at_least_one: bool,
        committed: bool,
    ) -> Result<Outcome, TopicError> {
        let ask = &self.cached.ask;
        let partition = self.partition.as_ref().map_err(TopicError::clone)?;
        check_current_epoch(ask.current_leader_epoch)?;
        let wanted = ReadAsk {
            offset: ask.fetch_offset,
            max_bytes: usize::try_from(ask.max_bytes).unwrap_or(0).min(left),
            at_least_one,
            committed,
        };
        let read = partition.read(wanted, self.waiter.as_mut());
        let read = read.map_err(|gone| match ask.topic {
            TopicKey::Name(_) => gone,
            TopicKey::Id(_) => TopicError::UnknownTopicId,
        })?;
        let bounds = read.bounds;
        let mut outcome = Outcome {
            bounds: Some(bounds),
            batches: read.batches,
            aborted: read.aborted,
            ..Outcome::default()
        };
        let ahead = ask.fetch_offset > bounds.end;
        if ask.last_fetched_epoch == LEADER_EPOCH && ahead {
            outcome.divergence = Some(Divergence {
                epoch: LEADER_EPOCH,
                end_offset: bounds.end,
            });
        } else if ahead || ask.fetch_offset < bounds.start || ask.last_fetched_epoch > LEADER_EPOCH
        {
            outcome.error = Some(TopicError::OffsetOutOfRange);
            outcome.batches.clear();
            outcome.aborted.clear();
        }
        Ok(outcome)
    }

    /// Whether an incremental answer has to hold it.
    fn is_news(&self) -> bool {
        let outcome = &self.outcome;
        !outcome.batches.is_empty()
            || outcome.error.is_some()
            || outcome.divergence.is_some()
            || outcome.bounds != self.cached.seen
    }

    fn into_answer(self) -> FetchedPartition {
        let outcome = self.outcome;
        FetchedPartition {
            topic: self.cached.ask.topic,
            partition: self.cached.ask.partition,
            error: outcome.error,
            high_watermark: outcome.bounds.map_or(-1, |bounds| bounds.end),
            last_stable_offset: outcome.bounds.map_or(-1, |bounds| bounds.stable),
            log_start_offset: outcome.bounds.map_or(-1, |bounds| bounds.start),
            divergence: outcome.divergence,
            batches: outcome.batches,
            aborted: outcome.aborted,
        }
    }
}
