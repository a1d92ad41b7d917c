//! `Fetch`: reads records, and waits for them if there are none.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::call::{Call, Head, later};
use super::fetched::{FetchedBytes, Share};
use super::offsets_fetch::OffsetsFetch;
use super::topic_errors::code_of;
use crate::ids::{TopicId, TopicName};
use crate::server::service::{Answer, Handled};
use crate::topics::{
    self, Fetch, FetchPartition, FetchResponse, FetchedPartition, TopicError, TopicKey,
};
use crate::wire::codec::{DecodeError, Message};
use crate::wire::messages::{
    self, FetchAbortedTransaction, FetchEpochEnd, FetchRequest, FetchResponsePartition,
    FetchResponseTopic,
};

impl Call<'_> {
    pub(super) fn fetch(&mut self) -> Result<Handled, DecodeError> {
        let request = FetchRequest::decode(self.body, self.header.version)?;
        let wanted = request.topics.iter().map(|topic| topic.partitions.len());
        let forgotten = request.forgotten_topics_data.iter();
        let forgotten = forgotten.map(|topic| topic.partitions.len());
        if self.names_too_many(wanted.sum()) || self.names_too_many(forgotten.sum()) {
            return Ok(Handled::Close);
        }
        let form = Form {
            head: self.head(),
            read_committed: request.isolation_level == READ_COMMITTED,
        };
        let wait_ms = u64::try_from(request.max_wait_ms).unwrap_or(0);
        let mut asked = asked(&request, &form);
        let topics = &self.broker.topics;
        let offsets_topic = self.broker.offsets_topic.as_ref();
        let max_bytes = topics.config().fetch_max_bytes;
        let ours = match OffsetsFetch::split(offsets_topic, &mut asked, max_bytes) {
            Ok(ours) => ours,
            Err(error) => return Ok(form.refuse(&error, self.out)),
        };
        let mut fetch = match self.broker.topics.fetch(asked, self.now.wall) {
            Ok(fetch) => fetch,
            Err(error) => return Ok(form.refuse(&error, self.out)),
        };
        let fetched = &self.broker.fetched;
        if let Some(ours) = ours {
            let wait_ms = if self.broker.is_stopping() {
                0
            } else {
                wait_ms
            };
            let wait = Duration::from_millis(wait_ms.min(WAIT_MS_MAX));
            let (fetched, stopped) = (Arc::clone(fetched), self.broker.stopped());
            return Ok(later(ours.answer(fetch, form, wait, fetched, stopped)));
        }
        let (is_due, share) = read(&mut fetch, fetched);
        if !is_due && !self.broker.is_stopping() {
            drop(share);
            let wait = Duration::from_millis(wait_ms.min(WAIT_MS_MAX));
            let (fetched, stopped) = (Arc::clone(fetched), self.broker.stopped());
            return Ok(later(wait_and_write(fetch, form, wait, fetched, stopped)));
        }
        if share.bytes() <= SMALL_BYTES_MAX {
            return Ok(form.write(fetch, self.out));
        }
        Ok(later(async move { form.answer(fetch, share) }))
    }
}

/// Reads as much as the node has memory for; whether the answer is due, and what it takes.
pub(super) fn read(fetch: &mut Fetch, fetched: &Arc<FetchedBytes>) -> (bool, Share) {
    let mut share = fetched.take(fetch.max_bytes());
    let is_due = fetch.read_within(share.bytes());
    share.settle(fetch.bytes());
    (is_due, share)
}

/// Reads until there is enough, the time is over or the server stops.
async fn wait_and_write(
    mut fetch: Fetch,
    form: Form,
    wait: Duration,
    fetched: Arc<FetchedBytes>,
    mut stopped: watch::Receiver<bool>,
) -> Answer {
    let mut deadline = std::pin::pin!(tokio::time::sleep(wait));
    let mut stopped = std::pin::pin!(stopped.wait_for(|stopped| *stopped));
    loop {
        let is_over = tokio::select! {
            () = fetch.changed() => false,
            () = &mut deadline => true,
            // An error means that the server is gone, which is a stop as well.
            _ = &mut stopped => true,
        };
        let (is_due, share) = read(&mut fetch, &fetched);
        if is_due || is_over {
            return form.answer(fetch, share);
        }
    }
}

/// The request in the words of the data plane.
fn asked(request: &FetchRequest<'_>, form: &Form) -> topics::FetchRequest {
    let by_id = form.is_by_id();
    let key = |name: &str, id: TopicId| {
        if by_id {
            TopicKey::Id(id)
        } else {
            TopicKey::Name(TopicName::from(name))
        }
    };
    let mut partitions = Vec::new();
    for topic in &request.topics {
        let key = key(topic.topic, topic.topic_id);
        partitions.extend(topic.partitions.iter().map(|partition| FetchPartition {
            topic: key.clone(),
            partition: partition.partition,
            current_leader_epoch: partition.current_leader_epoch,
            fetch_offset: partition.fetch_offset,
            last_fetched_epoch: partition.last_fetched_epoch,
            max_bytes: partition.partition_max_bytes,
        }));
    }
    let mut forgotten = Vec::new();
    for topic in &request.forgotten_topics_data {
        let key = key(topic.topic, topic.topic_id);
        let partitions = topic.partitions.iter();
        forgotten.extend(partitions.map(|partition| (key.clone(), *partition)));
    }
    topics::FetchRequest {
        session_id: request.session_id,
        session_epoch: request.session_epoch,
        by_id,
        min_bytes: request.min_bytes,
        max_bytes: request.max_bytes,
        read_committed: form.read_committed,
        max_wait_ms: request.max_wait_ms,
        partitions,
        forgotten,
    }
}

/// What of the request shapes the answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    head: Head,
    read_committed: bool,
}

impl Form {
    /// Whether topics are named by their ids (KIP-516).
    fn is_by_id(self) -> bool {
        self.head.version >= 13
    }

    /// Says what is wrong with the session.
    fn refuse(self, error: &TopicError, out: &mut Vec<u8>) -> Handled {
        let response = messages::FetchResponse {
            error_code: code_of(error).0,
            ..Default::default()
        };
        self.head.write(&response, out)
    }

    /// What was read last, as an answer that keeps its share of the node's memory.
    fn answer(self, fetch: Fetch, share: Share) -> Answer {
        self.answer_with(fetch.finish(), share)
    }

    /// The same for an answer that was composed already.
    pub(super) fn answer_with(
        self,
        fetched: Result<FetchResponse, TopicError>,
        share: Share,
    ) -> Answer {
        let mut out = Vec::new();
        match self.write_response(fetched, &mut out) {
            Handled::Done => Answer::Reply(share.into_answer(out)),
            Handled::NoReply | Handled::Close | Handled::Pending(_) => Answer::Close,
        }
    }

    /// Writes what was read last.
    fn write(self, fetch: Fetch, out: &mut Vec<u8>) -> Handled {
        self.write_response(fetch.finish(), out)
    }

    fn write_response(
        self,
        fetched: Result<FetchResponse, TopicError>,
        out: &mut Vec<u8>,
    ) -> Handled {
        let fetched = match fetched {
            Ok(fetched) => fetched,
            Err(error) => return self.refuse(&error, out),
        };
        let records: Vec<Cow<'_, [u8]>> = fetched.partitions.iter().map(records).collect();
        let bytes: usize = records.iter().map(|records| records.len()).sum();
        out.reserve(bytes + fetched.partitions.len() * PARTITION_BYTES + PARTITION_BYTES);
        let mut responses: Vec<FetchResponseTopic<'_>> = Vec::new();
        let mut last = None;
        for (partition, records) in fetched.partitions.iter().zip(&records) {
            if last != Some(&partition.topic) {
                last = Some(&partition.topic);
                responses.push(topic(&partition.topic));
            }
            if let Some(topic) = responses.last_mut() {
                topic.partitions.push(self.tell(partition, records));
            }
        }
        let response = messages::FetchResponse {
            session_id: fetched.session_id,
            responses,
            ..Default::default()
        };
        self.head.write(&response, out)
    }

    fn tell<'a>(
        self,
        partition: &FetchedPartition,
        records: &'a [u8],
    ) -> FetchResponsePartition<'a> {
        let diverging_epoch = partition.divergence.map(|parted| FetchEpochEnd {
            epoch: parted.epoch,
            end_offset: parted.end_offset,
        });
        // Kafka tells no offsets with an error.
        let is_well = partition.error.is_none();
        let known = |offset| if is_well { offset } else { -1 };
        FetchResponsePartition {
            partition_index: partition.partition,
            error_code: partition.error.as_ref().map_or(0, |error| code_of(error).0),
            high_watermark: known(partition.high_watermark),
            last_stable_offset: known(partition.last_stable_offset),
            log_start_offset: known(partition.log_start_offset),
            diverging_epoch: diverging_epoch.unwrap_or_default(),
            aborted_transactions: self.read_committed.then(|| aborted(partition)),
            records: Some(records),
            ..Default::default()
        }
    }
}

fn topic(key: &TopicKey) -> FetchResponseTopic<'_> {
    match key {
        TopicKey::Name(name) => FetchResponseTopic {
            topic: name.as_str(),
            ..Default::default()
        },
        TopicKey::Id(id) => FetchResponseTopic {
            topic_id: *id,
            ..Default::default()
        },
    }
}

/// What a reader of committed records leaves out.
fn aborted(partition: &FetchedPartition) -> Vec<FetchAbortedTransaction> {
    let aborted = partition.aborted.iter();
    aborted
        .map(|one| FetchAbortedTransaction {
            producer_id: one.producer_id,
            first_offset: one.first_offset,
        })
        .collect()
}

/// The batches of a partition, one after the other.
fn records(partition: &FetchedPartition) -> Cow<'_, [u8]> {
    match &partition.batches[..] {
        [] => Cow::Borrowed(&[]),
        [one] => Cow::Borrowed(one),
        many => Cow::Owned(many.concat()),
    }
}

/// `READ_COMMITTED`; such a consumer wants a list of aborted transactions, be it empty.
pub(super) const READ_COMMITTED: i8 = 1;

/// No fetch waits for longer, whatever it asks for, so that a client that went away meanwhile does
/// not hold its place for weeks.
const WAIT_MS_MAX: u64 = 600_000;

/// What a partition takes in the answer besides its records, about.
const PARTITION_BYTES: usize = 64;

/// Records up to this are written into the burst, which is bounded itself.
const SMALL_BYTES_MAX: usize = 32 * 1024;
