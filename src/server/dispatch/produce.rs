//! `Produce`: appends record batches.

use std::borrow::Cow;

use super::call::{Call, Head, finished, later};
use super::topic_errors::Refused;
use crate::ids::{TopicId, TopicName};
use crate::server::service::{Answer, Handled};
use crate::topics::{self, Appended, Durable, TopicError, TopicKey};
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
        let refused = refusal_of_all(&request);
        let topics = request.topic_data.iter();
        let topics: Vec<Topic<'_>> = topics
            .map(|topic| Topic {
                id: topic.topic_id,
                name: Cow::Borrowed(topic.name),
                partitions: self.append_all(topic, refused.as_ref()),
            })
            .collect();
        let mut outcomes = topics.iter().flat_map(|topic| &topic.partitions);
        if request.acks == 0 {
            // The client waits for no answer. A closed connection is the one way to tell it that
            // something went wrong, and Kafka's.
            let is_refused = |(_, it): &(i32, Outcome)| matches!(it, Outcome::Told(Err(_)));
            return Ok(if outcomes.any(is_refused) {
                Handled::Close
            } else {
                Handled::NoReply
            });
        }
        if outcomes.any(|(_, outcome)| matches!(outcome, Outcome::OnItsWay(_))) {
            let owned = topics.into_iter().map(|topic| Topic {
                name: Cow::Owned(topic.name.into_owned()),
                ..topic
            });
            return Ok(later(wait_and_tell(owned.collect(), self.head())));
        }
        Ok(tell(&topics, self.head(), self.out))
    }

    fn append_all(
        &self,
        topic: &ProduceRequestTopic<'_>,
        refused: Option<&Refused>,
    ) -> Vec<(i32, Outcome)> {
        let key = if self.header.version >= 13 {
            TopicKey::Id(topic.topic_id)
        } else {
            TopicKey::Name(TopicName::from(topic.name))
        };
        let partitions = topic.partition_data.iter();
        partitions
            .map(|partition| {
                let outcome = match refused {
                    Some(refused) => Outcome::Told(Err(refused.clone())),
                    None => self.append(&key, partition),
                };
                (partition.index, outcome)
            })
            .collect()
    }

    fn append(&self, key: &TopicKey, partition: &ProduceRequestPartition<'_>) -> Outcome {
        let records = partition.records.unwrap_or_default();
        let refuse = |error| Outcome::Told(Err(Refused::from(error)));
        if records.is_empty() {
            return refuse(TopicError::InvalidRecord);
        }
        if self.header.version < ZSTD_SINCE && topics::is_zstd(records) {
            return refuse(TopicError::UnsupportedCompressionType);
        }
        let topics = &self.broker.topics;
        let appended = topics.append(key, partition.index, records, self.now.wall);
        Outcome::from(appended)
    }
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
    request
        .transactional_id
        .map(|_| Refused::from(TopicError::InvalidTxnState))
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
