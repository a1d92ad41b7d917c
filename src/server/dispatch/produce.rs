//! `Produce`: appends record batches.

use super::call::Call;
use super::topic_errors::Refused;
use crate::ids::TopicName;
use crate::server::service::Handled;
use crate::topics::{self, Appended, TopicError, TopicKey};
use crate::wire::ErrorCode;
use crate::wire::codec::{DecodeError, Message};
use crate::wire::messages::{
    ProduceRequest, ProduceRequestPartition, ProduceRequestTopic, ProduceResponse,
    ProduceResponsePartition, ProduceResponseTopic,
};

/// What became of the partitions of one topic.
type Outcomes = Vec<Result<Appended, Refused>>;

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
        let outcomes: Vec<Outcomes> = match refusal_of_all(&request) {
            None => {
                let topics = request.topic_data.iter();
                topics.map(|topic| self.append_all(topic)).collect()
            }
            Some(refused) => {
                let topics = request.topic_data.iter();
                let all = |topic: &ProduceRequestTopic<'_>| {
                    vec![Err(refused.clone()); topic.partition_data.len()]
                };
                topics.map(all).collect()
            }
        };
        if request.acks == 0 {
            // The client waits for no answer. A closed connection is the one way to tell it that
            // something went wrong, and Kafka's.
            let all_well = outcomes.iter().flatten().all(Result::is_ok);
            return Ok(if all_well {
                Handled::NoReply
            } else {
                Handled::Close
            });
        }
        let topics = request.topic_data.iter().zip(&outcomes);
        Ok(self.reply(&ProduceResponse {
            responses: topics
                .map(|(topic, outcomes)| tell(topic, outcomes))
                .collect(),
            ..Default::default()
        }))
    }

    fn append_all(&self, topic: &ProduceRequestTopic<'_>) -> Outcomes {
        let key = if self.header.version >= 13 {
            TopicKey::Id(topic.topic_id)
        } else {
            TopicKey::Name(TopicName::from(topic.name))
        };
        let partitions = topic.partition_data.iter();
        partitions
            .map(|partition| self.append(&key, partition).map_err(Refused::from))
            .collect()
    }

    fn append(
        &self,
        key: &TopicKey,
        partition: &ProduceRequestPartition<'_>,
    ) -> Result<Appended, TopicError> {
        let records = partition.records.unwrap_or_default();
        if records.is_empty() {
            return Err(TopicError::InvalidRecord);
        }
        if self.header.version < ZSTD_SINCE && topics::is_zstd(records) {
            return Err(TopicError::UnsupportedCompressionType);
        }
        let topics = &self.broker.topics;
        topics.produce(key, partition.index, records, self.now.wall)
    }
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

fn tell<'a>(
    topic: &ProduceRequestTopic<'a>,
    outcomes: &'a [Result<Appended, Refused>],
) -> ProduceResponseTopic<'a> {
    let partitions = topic.partition_data.iter().zip(outcomes);
    let partition_responses = partitions.map(|(partition, outcome)| match outcome {
        Ok(appended) => ProduceResponsePartition {
            index: partition.index,
            base_offset: appended.base_offset,
            log_append_time_ms: appended.log_append_time.map_or(-1, |time| time.0),
            log_start_offset: appended.log_start_offset,
            ..Default::default()
        },
        Err(refused) => ProduceResponsePartition {
            index: partition.index,
            error_code: refused.code.0,
            base_offset: -1,
            error_message: Some(&refused.message),
            ..Default::default()
        },
    });
    ProduceResponseTopic {
        topic_id: topic.topic_id,
        name: topic.name,
        partition_responses: partition_responses.collect(),
    }
}

/// The first version in which batches may be compressed with zstd (KIP-110).
const ZSTD_SINCE: i16 = 7;
