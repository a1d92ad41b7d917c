//! `Produce`: appends record batches.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::call::{Call, Head, finished, later};
use super::topic_errors::Refused;
use super::transactions::coordinator_code;
use crate::ids::{TopicId, TopicName, TransactionalId};
use crate::server::service::{Answer, Handled};
use crate::time::Now;
use crate::topics::{self, Appended, Durable, ProducerIdentity, TopicError, TopicKey, Topics};
use crate::txn::{Coordinator, Producer, Protocol, TxnError};
use crate::wire::ErrorCode;
use crate::wire::codec::{DecodeError, Message};
use crate::wire::messages::{
    ProduceRequest, ProduceRequestPartition, ProduceRequestTopic, ProduceResponse,
    ProduceResponsePartition, ProduceResponseTopic,
};

/// One topic of a request, and what became of its partitions.
struct Topic<'a> {
    id: TopicId,
    name: Cow<'a, str>,
    partitions: Vec<(i32, Outcome)>,
}

/// What became of a batch.
enum Outcome {
    Told(Result<Appended, Refused>),
    /// It is on its way to the disk.
    OnItsWay(Durable<Appended>),
}

impl From<Durable<Appended>> for Outcome {
    fn from(durable: Durable<Appended>) -> Self {
        match durable.now() {
            Ok(told) => Self::Told(told.map_err(Refused::from)),
            Err(durable) => Self::OnItsWay(durable),
        }
    }
}

impl Call<'_> {
    pub(super) fn produce(&mut self) -> Result<Handled, DecodeError> {
        let version = self.header.version;
        let request = ProduceRequest::decode(self.body, version)?;
        if self.names_too_many(
            request
                .topic_data
                .iter()
                .map(|topic| 1 + topic.partition_data.len())
                .sum(),
        ) {
            return Ok(Handled::Close);
        }
        let appender = self.appender(&request);
        let refused = refusal_of_all(&request);
        let Some(begins) = appender.begins(&request).filter(|_| refused.is_none()) else {
            let topics = appender.append_all(&request, refused.as_ref());
            return Ok(answer(topics, request.acks, self.head(), self.out));
        };
        // The partitions are added to the transaction first, which may have to wait for the disk;
        // meanwhile the request is kept.
        let mut added = Box::pin(begins);
        let mut once = Context::from_waker(Waker::noop());
        if let Poll::Ready(added) = added.as_mut().poll(&mut once) {
            let refused = added.err().map(|error| Refused::of(error, version));
            let topics = appender.append_all(&request, refused.as_ref());
            return Ok(answer(topics, request.acks, self.head(), self.out));
        }
        let (body, head) = (self.body.to_vec(), self.head());
        Ok(later(async move {
            let refused = added.await.err().map(|error| Refused::of(error, version));
            let Ok(request) = ProduceRequest::decode(&body, version) else {
                return Answer::Close;
            };
            let topics = appender.append_all(&request, refused.as_ref());
            let mut out = Vec::new();
            let handled = answer(topics, request.acks, head, &mut out);
            finished(handled, out).await
        }))
    }

    fn appender(&self, request: &ProduceRequest<'_>) -> Appender {
        let (coordinator, topics) = self.coordinator();
        Appender {
            topics,
            coordinator,
            transactional_id: request.transactional_id.map(TransactionalId::from),
            version: self.header.version,
            now: self.now,
        }
    }
}

/// Appends the batches of one request.
struct Appender {
    topics: Arc<Topics>,
    coordinator: Arc<Coordinator>,
    transactional_id: Option<TransactionalId>,
    version: i16,
    now: Now,
}

impl Appender {
    fn key(&self, topic: &ProduceRequestTopic<'_>) -> TopicKey {
        if self.version >= 13 {
            TopicKey::Id(topic.topic_id)
        } else {
            TopicKey::Name(TopicName::from(topic.name))
        }
    }

    /// In transactions of version 2 a first batch adds its partition by itself (KIP-890); `None`
    /// if there is none to add.
    fn begins(
        &self,
        request: &ProduceRequest<'_>,
    ) -> Option<impl Future<Output = Result<(), TxnError>> + Send + 'static> {
        let id = self.transactional_id.clone()?;
        if self.version < IMPLICIT_SINCE {
            return None;
        }
        let mut producer = None;
        let mut partitions = BTreeSet::new();
        for topic in &request.topic_data {
            let key = self.key(topic);
            let Ok(found) = self.topics.describe(&key) else {
                continue;
            };
            for partition in &topic.partition_data {
                let records = partition.records.unwrap_or_default();
                let Some(by) = topics::transactional_producer(records) else {
                    continue;
                };
                let index = partition.index;
                if (0..found.partitions).contains(&index)
                    && !self.topics.has_open_transaction(&key, index, by.id)
                {
                    producer = Some(by);
                    partitions.insert((found.name.clone(), index));
                }
            }
        }
        let producer = producer.map(|by| Producer {
            id: by.id,
            epoch: by.epoch,
        })?;
        let coordinator = Arc::clone(&self.coordinator);
        let how = (Protocol::V2, self.now);
        Some(async move {
            let none = BTreeSet::new();
            coordinator.add(&id, producer, partitions, none, how).await
        })
    }

    fn append_all<'a>(
        &self,
        request: &ProduceRequest<'a>,
        refused: Option<&Refused>,
    ) -> Vec<Topic<'a>> {
        let topics = request.topic_data.iter();
        topics
            .map(|topic| {
                let key = self.key(topic);
                let partitions = topic.partition_data.iter();
                let partitions = partitions.map(|partition| {
                    let outcome = match refused {
                        Some(refused) => Outcome::Told(Err(refused.clone())),
                        None => self.append(&key, partition),
                    };
                    (partition.index, outcome)
                });
                Topic {
                    id: topic.topic_id,
                    name: Cow::Borrowed(topic.name),
                    partitions: partitions.collect(),
                }
            })
            .collect()
    }

    fn append(&self, key: &TopicKey, partition: &ProduceRequestPartition<'_>) -> Outcome {
        let records = partition.records.unwrap_or_default();
        let refuse = |error| Outcome::Told(Err(Refused::from(error)));
        if records.is_empty() {
            return refuse(TopicError::InvalidRecord);
        }
        if self.version < ZSTD_SINCE && topics::is_zstd(records) {
            return refuse(TopicError::UnsupportedCompressionType);
        }
        let index = partition.index;
        let mut not_in = None;
        let verify = |by: ProducerIdentity| {
            self.verify(key, index, by).map_err(|error| {
                not_in = Some(error);
                TopicError::InvalidTxnState
            })
        };
        let appended = self
            .topics
            .append_in(key, index, records, self.now.wall, verify);
        match not_in {
            Some(error) => Outcome::Told(Err(Refused::of(error, self.version))),
            None => Outcome::from(appended),
        }
    }

    /// Whether a producer's first batch of a transaction may go there.
    fn verify(&self, key: &TopicKey, index: i32, by: ProducerIdentity) -> Result<(), TxnError> {
        let id = self.transactional_id.as_ref().ok_or(TxnError::Abortable)?;
        let topic = self.topics.describe(key);
        let topic = topic.map_err(|_| TxnError::Abortable)?;
        let producer = Producer {
            id: by.id,
            epoch: by.epoch,
        };
        self.coordinator
            .verify(id.as_str(), producer, &(topic.name, index))
    }
}

impl Refused {
    /// Why a batch is not in a transaction, in words that the clients of that version know.
    fn of(error: TxnError, version: i16) -> Self {
        let code = match error {
            // Both are tried again; older clients would not with the code's own name.
            TxnError::NotAvailable => ErrorCode::NOT_ENOUGH_REPLICAS,
            TxnError::ConcurrentTransactions if version < IMPLICIT_SINCE => {
                ErrorCode::NOT_ENOUGH_REPLICAS
            }
            TxnError::Abortable if version < ABORTABLE_SINCE => ErrorCode::INVALID_TXN_STATE,
            TxnError::InvalidRequest
            | TxnError::InvalidProducerIdMapping
            | TxnError::InvalidTimeout
            | TxnError::ConcurrentTransactions
            | TxnError::InvalidState
            | TxnError::ProducerFenced
            | TxnError::Abortable
            | TxnError::NotFound => coordinator_code(error, false),
        };
        Self::new(code, error.to_string())
    }
}

/// Tells what became of the batches, at once or when it is known.
fn answer(topics: Vec<Topic<'_>>, acks: i16, head: Head, out: &mut Vec<u8>) -> Handled {
    let mut outcomes = topics.iter().flat_map(|topic| &topic.partitions);
    if acks == 0 {
        // The client waits for no answer. A closed connection is the one way to tell it that
        // something went wrong, and Kafka's.
        let is_refused = |(_, it): &(i32, Outcome)| matches!(it, Outcome::Told(Err(_)));
        return if outcomes.any(is_refused) {
            Handled::Close
        } else {
            Handled::NoReply
        };
    }
    if outcomes.any(|(_, outcome)| matches!(outcome, Outcome::OnItsWay(_))) {
        let owned = topics.into_iter().map(|topic| Topic {
            name: Cow::Owned(topic.name.into_owned()),
            ..topic
        });
        return later(wait_and_tell(owned.collect(), head));
    }
    tell(&topics, head, out)
}

/// Waits until every batch is durable or refused.
async fn wait_and_tell(mut topics: Vec<Topic<'static>>, head: Head) -> Answer {
    for (_, outcome) in topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
        if let Outcome::OnItsWay(durable) = outcome {
            *outcome = Outcome::Told(durable.await.map_err(Refused::from));
        }
    }
    let mut out = Vec::new();
    let handled = tell(&topics, head, &mut out);
    finished(handled, out).await
}

/// Why nothing of the request can be carried out.
fn refusal_of_all(request: &ProduceRequest<'_>) -> Option<Refused> {
    if !matches!(request.acks, -1..=1) {
        let message = format!("acks must be -1, 0 or 1, not {}", request.acks);
        return Some(Refused::new(ErrorCode::INVALID_REQUIRED_ACKS, message));
    }
    let partitions = request.topic_data.iter().flat_map(|it| &it.partition_data);
    let mut records = partitions.filter_map(|partition| partition.records);
    let is_transactional = records.any(|it| topics::transactional_producer(it).is_some());
    (is_transactional && request.transactional_id.is_none()).then(|| {
        let code = ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
        Refused::new(code, "a transactional batch needs a transactional id")
    })
}

fn tell(topics: &[Topic<'_>], head: Head, out: &mut Vec<u8>) -> Handled {
    let responses = topics.iter().map(|topic| ProduceResponseTopic {
        topic_id: topic.id,
        name: &topic.name,
        partition_responses: topic.partitions.iter().map(tell_one).collect(),
    });
    let response = ProduceResponse {
        responses: responses.collect(),
        ..Default::default()
    };
    head.write(&response, out)
}

fn tell_one((index, outcome): &(i32, Outcome)) -> ProduceResponsePartition<'_> {
    let (error_code, message) = match outcome {
        Outcome::Told(Ok(appended)) => {
            return ProduceResponsePartition {
                index: *index,
                base_offset: appended.base_offset,
                log_append_time_ms: appended.log_append_time.map_or(-1, |time| time.0),
                log_start_offset: appended.log_start_offset,
                ..Default::default()
            };
        }
        Outcome::Told(Err(refused)) => (refused.code, Some(&refused.message[..])),
        // Told before it is durable it would be a lie; whoever asks again is told the truth.
        Outcome::OnItsWay(_) => (ErrorCode::REQUEST_TIMED_OUT, None),
    };
    ProduceResponsePartition {
        index: *index,
        error_code: error_code.0,
        base_offset: -1,
        error_message: message,
        ..Default::default()
    }
}

/// The first version in which batches may be compressed with zstd (KIP-110).
const ZSTD_SINCE: i16 = 7;

/// The first version whose clients know `TRANSACTION_ABORTABLE`, and the first that adds its
/// partitions to the transaction by itself (KIP-890).
const ABORTABLE_SINCE: i16 = 11;
const IMPLICIT_SINCE: i16 = 12;
