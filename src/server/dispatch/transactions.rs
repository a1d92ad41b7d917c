//! `InitProducerId`, `AddPartitionsToTxn`, `AddOffsetsToTxn` and `EndTxn`: what a producer says to
//! the transaction coordinator.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::call::{Call, Head};
use super::topic_errors::code_of;
use crate::ids::{TopicName, TransactionalId};
use crate::server::service::Handled;
use crate::time::Now;
use crate::topics::{ProducerIdentity, TopicKey, Topics};
use crate::txn::{Coordinator, InitRequest, Producer, Protocol, TxnError, TxnPartition};
use crate::wire::ErrorCode;
use crate::wire::codec::{DecodeError, Message};
use crate::wire::messages::{
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnPartitionResult,
    AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, AddPartitionsToTxnResult,
    AddPartitionsToTxnTopic, AddPartitionsToTxnTopicResult, EndTxnRequest, EndTxnResponse,
    InitProducerIdRequest, InitProducerIdResponse,
};

const NO_PRODUCER: Producer = Producer { id: -1, epoch: -1 };

impl Call<'_> {
    pub(super) fn init_producer_id(&mut self) -> Result<Handled, DecodeError> {
        let request = InitProducerIdRequest::decode(self.body, self.header.version)?;
        let present = ProducerIdentity {
            id: request.producer_id,
            epoch: request.producer_epoch,
        };
        let Some(id) = request.transactional_id else {
            let given = self.broker.topics.init_producer(present);
            let given = given.map(|it| Producer {
                id: it.id,
                epoch: it.epoch,
            });
            let given = given.map_err(|error| code_of(&error));
            return Ok(tell_producer(given, self.head(), self.out));
        };
        if let Some(code) = refusal(&request) {
            return Ok(tell_producer(Err(code), self.head(), self.out));
        }
        let id = TransactionalId::from(id);
        let wanted = InitRequest {
            timeout_ms: request.transaction_timeout_ms,
            expected: (present.id != -1).then_some(Producer {
                id: present.id,
                epoch: present.epoch,
            }),
        };
        let now = self.now;
        let (coordinator, topics) = self.coordinator();
        let answer = async move {
            let fresh = || fresh_id(&topics);
            coordinator.init(&id, wanted, fresh, now).await
        };
        Ok(self.soon(answer, |given, head, out| {
            let given = given.map_err(|error| coordinator_code(error, head.version >= 4));
            tell_producer(given, head, out)
        }))
    }

    pub(super) fn add_partitions_to_txn(&mut self) -> Result<Handled, DecodeError> {
        let version = self.header.version;
        let request = AddPartitionsToTxnRequest::decode(self.body, version)?;
        let all = request.transactions.iter().map(|one| &one.topics);
        let all = all.chain([&request.v3_and_below_topics]).flatten();
        if self.names_too_many(all.map(|topic| 1 + topic.partitions.len()).sum()) {
            return Ok(Handled::Close);
        }
        let topics = &self.broker.topics;
        let mut asked = Vec::new();
        if version <= 3 {
            let producer = Producer {
                id: request.v3_and_below_producer_id,
                epoch: request.v3_and_below_producer_epoch,
            };
            let id = request.v3_and_below_transactional_id;
            asked.push(Asked::of(
                topics,
                id,
                producer,
                &request.v3_and_below_topics,
            ));
        }
        for one in &request.transactions {
            let producer = Producer {
                id: one.producer_id,
                epoch: one.producer_epoch,
            };
            let asked_for = Asked::of(topics, one.transactional_id, producer, &one.topics);
            asked.push(Asked {
                verify_only: one.verify_only,
                ..asked_for
            });
        }
        let (coordinator, _) = self.coordinator();
        let how = (protocol_since(version, 4), self.now);
        let answer = async move {
            for one in &mut asked {
                one.carry_out(&coordinator, how).await;
            }
            asked
        };
        Ok(self.soon(answer, |asked, head, out| tell_added(&asked, head, out)))
    }

    pub(super) fn add_offsets_to_txn(&mut self) -> Result<Handled, DecodeError> {
        let request = AddOffsetsToTxnRequest::decode(self.body, self.header.version)?;
        let id = TransactionalId::from(request.transactional_id);
        let producer = Producer {
            id: request.producer_id,
            epoch: request.producer_epoch,
        };
        let groups = BTreeSet::from([request.group_id.into()]);
        let (coordinator, _) = self.coordinator();
        let how = (Protocol::V1, self.now);
        let answer = async move {
            let none = BTreeSet::new();
            coordinator.add(&id, producer, none, groups, how).await
        };
        Ok(self.soon(answer, |added, head, out| {
            let response = AddOffsetsToTxnResponse {
                error_code: coordinator_code_of(added, head.version >= 2).0,
                ..Default::default()
            };
            head.write(&response, out)
        }))
    }

    pub(super) fn end_txn(&mut self) -> Result<Handled, DecodeError> {
        let version = self.header.version;
        let request = EndTxnRequest::decode(self.body, version)?;
        let id = TransactionalId::from(request.transactional_id);
        let producer = Producer {
            id: request.producer_id,
            epoch: request.producer_epoch,
        };
        let committed = request.committed;
        let (coordinator, topics) = self.coordinator();
        let how = (protocol_since(version, 5), self.now);
        let answer = async move {
            let fresh = || fresh_id(&topics);
            coordinator.end(&id, producer, committed, fresh, how).await
        };
        Ok(self.soon(answer, |ended, head, out| {
            let goes_on = ended.unwrap_or(NO_PRODUCER);
            let response = EndTxnResponse {
                error_code: coordinator_code_of(ended, head.version >= 2).0,
                producer_id: goes_on.id,
                producer_epoch: goes_on.epoch,
                ..Default::default()
            };
            head.write(&response, out)
        }))
    }

    pub(super) fn coordinator(&self) -> (Arc<Coordinator>, Arc<Topics>) {
        let (transactions, topics) = (&self.broker.transactions, &self.broker.topics);
        (Arc::clone(transactions), Arc::clone(topics))
    }
}

/// Why a transactional producer is refused whatever the coordinator knows of it.
fn refusal(request: &InitProducerIdRequest<'_>) -> Option<ErrorCode> {
    if (request.producer_id == -1) != (request.producer_epoch == -1) {
        return Some(ErrorCode::INVALID_REQUEST);
    }
    if request.transactional_id == Some("") {
        return Some(ErrorCode::INVALID_REQUEST);
    }
    // Two-phase commit (KIP-939) is switched off, and Kafka's words for that are these.
    if request.enable_2pc {
        return Some(ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
    }
    request
        .keep_prepared_txn
        .then_some(ErrorCode::UNSUPPORTED_VERSION)
}

/// A producer id that nobody has; `None` for the moment.
pub(super) fn fresh_id(topics: &Topics) -> Option<i64> {
    let none = ProducerIdentity { id: -1, epoch: -1 };
    topics.init_producer(none).ok().map(|given| given.id)
}

/// The rules that a request's version stands for.
pub(super) fn protocol_since(version: i16, first_of_v2: i16) -> Protocol {
    if version >= first_of_v2 {
        Protocol::V2
    } else {
        Protocol::V1
    }
}

/// The code by which Kafka names a refusal. `PRODUCER_FENCED` is younger than the APIs: old
/// versions say `INVALID_PRODUCER_EPOCH` (KIP-588).
pub(super) fn coordinator_code(error: TxnError, knows_fenced: bool) -> ErrorCode {
    match error {
        TxnError::NotAvailable => ErrorCode::COORDINATOR_NOT_AVAILABLE,
        TxnError::InvalidRequest => ErrorCode::INVALID_REQUEST,
        TxnError::InvalidProducerIdMapping => ErrorCode::INVALID_PRODUCER_ID_MAPPING,
        TxnError::InvalidTimeout => ErrorCode::INVALID_TRANSACTION_TIMEOUT,
        TxnError::ConcurrentTransactions => ErrorCode::CONCURRENT_TRANSACTIONS,
        TxnError::InvalidState => ErrorCode::INVALID_TXN_STATE,
        TxnError::ProducerFenced if knows_fenced => ErrorCode::PRODUCER_FENCED,
        TxnError::ProducerFenced => ErrorCode::INVALID_PRODUCER_EPOCH,
        TxnError::Abortable => ErrorCode::TRANSACTION_ABORTABLE,
        TxnError::NotFound => ErrorCode::TRANSACTIONAL_ID_NOT_FOUND,
    }
}

fn coordinator_code_of<T: Copy>(outcome: Result<T, TxnError>, knows_fenced: bool) -> ErrorCode {
    match outcome {
        Ok(_) => ErrorCode::NONE,
        Err(error) => coordinator_code(error, knows_fenced),
    }
}

fn tell_producer(given: Result<Producer, ErrorCode>, head: Head, out: &mut Vec<u8>) -> Handled {
    let producer = given.unwrap_or(NO_PRODUCER);
    let response = InitProducerIdResponse {
        error_code: given.err().unwrap_or(ErrorCode::NONE).0,
        producer_id: producer.id,
        producer_epoch: producer.epoch,
        ..Default::default()
    };
    head.write(&response, out)
}

/// The partitions of one transaction, and what becomes of them.
struct Asked {
    id: TransactionalId,
    producer: Producer,
    verify_only: bool,
    /// As they were named, in their order.
    topics: Vec<(TopicName, Vec<i32>)>,
    codes: BTreeMap<TxnPartition, ErrorCode>,
    /// All of them are there.
    are_known: bool,
}

impl Asked {
    fn of(
        all: &Topics,
        id: &str,
        producer: Producer,
        topics: &[AddPartitionsToTxnTopic<'_>],
    ) -> Self {
        let mut codes = BTreeMap::new();
        let mut named = Vec::with_capacity(topics.len());
        let mut are_known = true;
        for topic in topics {
            let name = TopicName::from(topic.name);
            let count = all.describe(&TopicKey::Name(name.clone()));
            let count = count.map_or(0, |topic| topic.partitions);
            for index in &topic.partitions {
                let code = if (0..count).contains(index) {
                    ErrorCode::OPERATION_NOT_ATTEMPTED
                } else {
                    are_known = false;
                    ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
                };
                codes.insert((name.clone(), *index), code);
            }
            named.push((name, topic.partitions.clone()));
        }
        Self {
            id: id.into(),
            producer,
            verify_only: false,
            topics: named,
            codes,
            are_known,
        }
    }

    /// All partitions or none, as Kafka adds them.
    async fn carry_out(&mut self, coordinator: &Coordinator, how: (Protocol, Now)) {
        if !self.are_known {
            return;
        }
        if self.verify_only {
            for (partition, code) in &mut self.codes {
                let verified = coordinator.verify(self.id.as_str(), self.producer, partition);
                *code = coordinator_code_of(verified, true);
            }
            return;
        }
        let partitions = self.codes.keys().cloned().collect();
        let none = BTreeSet::new();
        let added = coordinator.add(&self.id, self.producer, partitions, none, how);
        let added = added.await;
        // Version 2 and above know the code; it is put back for older ones when it is told.
        let said = coordinator_code_of(added, true);
        for code in self.codes.values_mut() {
            *code = said;
        }
    }

    fn tell(&self, version: i16) -> Vec<AddPartitionsToTxnTopicResult<'_>> {
        let code_of = |topic: &TopicName, index: i32| {
            let code = self.codes.get(&(topic.clone(), index)).copied();
            match code.unwrap_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION) {
                ErrorCode::PRODUCER_FENCED if version < 2 => ErrorCode::INVALID_PRODUCER_EPOCH,
                code => code,
            }
        };
        let topics = self.topics.iter();
        topics
            .map(|(topic, indexes)| AddPartitionsToTxnTopicResult {
                name: topic.as_str(),
                results_by_partition: indexes
                    .iter()
                    .map(|index| AddPartitionsToTxnPartitionResult {
                        partition_index: *index,
                        partition_error_code: code_of(topic, *index).0,
                    })
                    .collect(),
            })
            .collect()
    }
}

fn tell_added(asked: &[Asked], head: Head, out: &mut Vec<u8>) -> Handled {
    let version = head.version;
    let mut response = AddPartitionsToTxnResponse::default();
    if version <= 3 {
        response.results_by_topic_v3_and_below =
            asked.iter().flat_map(|one| one.tell(version)).collect();
    } else {
        let results = asked.iter().map(|one| AddPartitionsToTxnResult {
            transactional_id: one.id.as_str(),
            topic_results: one.tell(version),
        });
        response.results_by_transaction = results.collect();
    }
    head.write(&response, out)
}
