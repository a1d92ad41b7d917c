//! Record batches, and the requests around them.

use takhin_coordinator::ids::TopicId;
use takhin_coordinator::wire::ApiKey;
use takhin_coordinator::wire::messages::{
    CreatableTopic, CreateTopicsRequest, CreateTopicsResponse, FetchRequest, FetchRequestPartition,
    FetchRequestTopic, ProduceRequest, ProduceRequestPartition, ProduceRequestTopic,
    ProduceResponse,
};

use crate::client::{Client, read};

/// A topic by both its names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Topic {
    pub(crate) name: &'static str,
    pub(crate) id: TopicId,
}

/// Creates a topic.
pub(crate) fn create(client: &mut Client, name: &'static str, partitions: i32) -> Topic {
    let request = CreateTopicsRequest {
        topics: vec![CreatableTopic {
            name,
            num_partitions: partitions,
            replication_factor: 1,
            ..Default::default()
        }],
        ..Default::default()
    };
    let body = client.ask(ApiKey::CreateTopics, 7, &request);
    let created = &read::<CreateTopicsResponse<'_>>(&body, 7).topics[0];
    assert_eq!(created.error_code, 0, "{created:?}");
    Topic {
        name,
        id: created.topic_id,
    }
}

/// A batch of one record without a key, by an idempotent producer if its id is not negative.
pub(crate) fn batch(value: &[u8], producer: (i64, i16, i32)) -> Vec<u8> {
    batch_with(0, value, producer)
}

/// The same with attributes.
pub(crate) fn batch_with(attributes: i16, value: &[u8], producer: (i64, i16, i32)) -> Vec<u8> {
    // Attributes, timestamp and offset deltas, no key; the value; no headers.
    let mut record = vec![0, 0, 0, 1];
    varint(&mut record, value.len());
    record.extend(value);
    record.push(0);
    let mut covered = attributes.to_be_bytes().to_vec();
    covered.extend(0_i32.to_be_bytes());
    covered.extend([1_000_i64.to_be_bytes(); 2].concat());
    covered.extend(producer.0.to_be_bytes());
    covered.extend(producer.1.to_be_bytes());
    covered.extend(producer.2.to_be_bytes());
    covered.extend(1_i32.to_be_bytes());
    varint(&mut covered, record.len());
    covered.extend(record);
    let mut batch = 0_i64.to_be_bytes().to_vec();
    batch.extend((9 + i32::try_from(covered.len()).unwrap()).to_be_bytes());
    batch.extend(0_i32.to_be_bytes());
    batch.push(2);
    batch.extend(crc32c::crc32c(&covered).to_be_bytes());
    batch.extend(covered);
    batch
}

/// The number doubled, as zigzag does it, in groups of seven bits.
fn varint(out: &mut Vec<u8>, number: usize) {
    let mut rest = number * 2;
    while rest >= 0x80 {
        out.push(rest.to_le_bytes()[0] | 0x80);
        rest /= 0x80;
    }
    out.push(rest.to_le_bytes()[0]);
}

/// The batch with the offset that a log gives it.
pub(crate) fn at(offset: i64, mut batch: Vec<u8>) -> Vec<u8> {
    batch[..8].copy_from_slice(&offset.to_be_bytes());
    batch
}

/// No idempotent producer.
pub(crate) const NOBODY: (i64, i16, i32) = (-1, -1, -1);

/// A request to append to partition 0.
pub(crate) fn produce_request<'a>(
    topic: &Topic,
    version: i16,
    acks: i16,
    records: &'a [u8],
) -> ProduceRequest<'a> {
    ProduceRequest {
        acks,
        timeout_ms: 1_000,
        topic_data: vec![ProduceRequestTopic {
            topic_id: if version >= 13 {
                topic.id
            } else {
                TopicId::ZERO
            },
            name: if version >= 13 { "" } else { topic.name },
            partition_data: vec![ProduceRequestPartition {
                index: 0,
                records: Some(records),
            }],
        }],
        ..Default::default()
    }
}

/// Appends to partition 0: the error code and the offset.
pub(crate) fn produce(
    client: &mut Client,
    topic: &Topic,
    version: i16,
    records: &[u8],
) -> (i16, i64) {
    let request = produce_request(topic, version, -1, records);
    let body = client.ask(ApiKey::Produce, version, &request);
    let response = read::<ProduceResponse<'_>>(&body, version);
    let partition = &response.responses[0].partition_responses[0];
    (partition.error_code, partition.base_offset)
}

/// A request to read partition 0 without a session.
pub(crate) fn fetch_request<'a>(topic: &Topic, version: i16, offset: i64) -> FetchRequest<'a> {
    FetchRequest {
        max_wait_ms: 0,
        min_bytes: 1,
        max_bytes: 10_000_000,
        session_epoch: -1,
        topics: vec![FetchRequestTopic {
            topic: if version >= 13 { "" } else { topic.name },
            topic_id: if version >= 13 {
                topic.id
            } else {
                TopicId::ZERO
            },
            partitions: vec![FetchRequestPartition {
                partition: 0,
                fetch_offset: offset,
                partition_max_bytes: 10_000_000,
                ..Default::default()
            }],
        }],
        ..Default::default()
    }
}
