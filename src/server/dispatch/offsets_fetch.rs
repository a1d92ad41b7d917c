//! A fetch that names `__consumer_offsets`, and perhaps other topics beside it.
//!
//! There are no sessions for it: every answer says that there is none, so that the client names
//! everything again with its next request (KIP-227 leaves that to the broker).

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::fetch::{Form, read};
use super::fetched::{FetchedBytes, Share};
use super::offsets_topic::OffsetsTopic;
use crate::server::service::Answer;
use crate::topics::{self, Fetch, FetchPartition, FetchResponse, FetchedPartition, TopicError};

/// After something was written the reading waits a moment, so that on a busy node it is done for
/// many records at a time.
const PAUSE: Duration = Duration::from_millis(5);

/// The part of a fetch that is the topic's own.
#[derive(Debug)]
pub(super) struct OffsetsFetch {
    pub(super) topic: Arc<OffsetsTopic>,
    partitions: Vec<FetchPartition>,
    has_others: bool,
    min_bytes: usize,
    max_bytes: usize,
}

impl OffsetsFetch {
    /// Takes the topic's partitions out of the request, which is without a session then; `None`,
    /// and the request as it was, if it names none.
    pub(super) fn split(
        topic: Option<&Arc<OffsetsTopic>>,
        request: &mut topics::FetchRequest,
        max_bytes: i32,
    ) -> Result<Option<Self>, TopicError> {
        let Some(topic) = topic else {
            return Ok(None);
        };
        let mut partitions = Vec::new();
        request.partitions.retain(|partition| {
            let is_ours = topic.is_named(&partition.topic);
            if is_ours {
                partitions.push(partition.clone());
            }
            !is_ours
        });
        if partitions.is_empty() {
            return Ok(None);
        }
        if request.session_id != 0 && request.session_epoch > 0 {
            // The client begins anew, and names everything.
            return Err(TopicError::FetchSessionIdNotFound);
        }
        (request.session_id, request.session_epoch) = (0, -1);
        let bytes = |count: i32| usize::try_from(count).unwrap_or(0);
        Ok(Some(Self {
            topic: Arc::clone(topic),
            partitions,
            has_others: !request.partitions.is_empty(),
            min_bytes: bytes(request.min_bytes),
            max_bytes: bytes(request.max_bytes.min(max_bytes)),
        }))
    }

    /// Reads all of its partitions, on a thread that may block.
    async fn read(&self, share: &mut Share) -> Vec<FetchedPartition> {
        let topic = Arc::clone(&self.topic);
        let partitions = self.partitions.clone();
        let bytes = share.bytes();
        let read = tokio::task::spawn_blocking(move || {
            let mut left = bytes;
            let mut fetched: Vec<FetchedPartition> = Vec::with_capacity(partitions.len());
            for partition in &partitions {
                let is_first = fetched.iter().all(|one| one.batches.is_empty());
                let one = topic.fetch(partition, left, is_first);
                left = left.saturating_sub(bytes_of(&one));
                fetched.push(one);
            }
            fetched
        });
        // It fails if the runtime ends, or with a panic that was told already.
        let fetched = read.await.unwrap_or_default();
        share.settle(fetched.iter().map(bytes_of).sum());
        fetched
    }

    /// Reads until there is enough, the time is over or the server stops.
    pub(super) async fn answer(
        self,
        mut others: Fetch,
        form: Form,
        wait: Duration,
        memory: Arc<FetchedBytes>,
        mut stopped: watch::Receiver<bool>,
    ) -> Answer {
        let mut deadline = std::pin::pin!(tokio::time::sleep(wait));
        let mut stopped = std::pin::pin!(stopped.wait_for(|stopped| *stopped));
        let mut is_over = wait.is_zero();
        loop {
            let mut progress = std::pin::pin!(self.topic.progress().notified());
            // From now on: nothing that is written after the reading is missed.
            progress.as_mut().enable();
            let mut share = memory.take(self.max_bytes);
            let fetched = self.read(&mut share).await;
            let (is_due, share_of_others) = read(&mut others, &memory);
            let bytes = share.bytes() + share_of_others.bytes();
            let has_failed = fetched.iter().any(|one| one.error.is_some());
            let is_enough = bytes >= self.min_bytes || has_failed || (is_due && self.has_others);
            if is_enough || is_over {
                drop(share_of_others);
                return finish(fetched, others, form, share);
            }
            drop((share, share_of_others, fetched));
            is_over = tokio::select! {
                () = others.changed() => false,
                () = async { progress.await; tokio::time::sleep(PAUSE).await } => false,
                () = &mut deadline => true,
                // An error means that the server is gone, which is a stop as well.
                _ = &mut stopped => true,
            };
        }
    }
}

fn finish(mut fetched: Vec<FetchedPartition>, others: Fetch, form: Form, share: Share) -> Answer {
    let response = others.finish().map(|others| {
        fetched.extend(others.partitions);
        FetchResponse {
            session_id: 0,
            partitions: fetched,
        }
    });
    form.answer_with(response, share)
}

fn bytes_of(partition: &FetchedPartition) -> usize {
    partition.batches.iter().map(bytes::Bytes::len).sum()
}
