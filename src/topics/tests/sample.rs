//! Batches and requests to test with.

use crate::ids::TopicName;
use crate::time::WallMs;
use crate::topics::{
    FetchPartition, FetchRequest, FetchResponse, NewTopic, TopicKey, Topics, TopicsConfig,
};

pub(in crate::topics) const NOW: WallMs = WallMs(1_800_000_000_000);

/// A batch to be encoded.
#[derive(Clone, Debug)]
pub(in crate::topics) struct Sample {
    pub(in crate::topics) base_offset: i64,
    pub(in crate::topics) attributes: i16,
    pub(in crate::topics) timestamps: Vec<i64>,
    pub(in crate::topics) value_bytes: usize,
    pub(in crate::topics) producer: (i64, i16, i32),
}

/// A batch of that many records, with timestamps 1000, 1001, ...
pub(in crate::topics) fn batch(count: i64) -> Sample {
    Sample {
        base_offset: 0,
        attributes: 0,
        timestamps: (1000..1000 + count).collect(),
        value_bytes: 10,
        producer: (-1, -1, -1),
    }
}

impl Sample {
    pub(in crate::topics) fn of(mut self, id: i64, epoch: i16, sequence: i32) -> Self {
        self.producer = (id, epoch, sequence);
        self
    }

    pub(in crate::topics) fn attributes(mut self, attributes: i16) -> Self {
        self.attributes = attributes;
        self
    }

    pub(in crate::topics) fn timestamps(mut self, timestamps: &[i64]) -> Self {
        self.timestamps = timestamps.to_vec();
        self
    }

    pub(in crate::topics) fn value_bytes(mut self, bytes: usize) -> Self {
        self.value_bytes = bytes;
        self
    }

    pub(in crate::topics) fn bytes(&self) -> Vec<u8> {
        let count = i32::try_from(self.timestamps.len()).unwrap();
        let first = self.timestamps.first().copied().unwrap_or(-1);
        let mut covered = Vec::new();
        covered.extend(self.attributes.to_be_bytes());
        covered.extend((count - 1).to_be_bytes());
        covered.extend(first.to_be_bytes());
        covered.extend(self.timestamps.iter().max().unwrap_or(&-1).to_be_bytes());
        covered.extend(self.producer.0.to_be_bytes());
        covered.extend(self.producer.1.to_be_bytes());
        covered.extend(self.producer.2.to_be_bytes());
        covered.extend(count.to_be_bytes());
        for (delta, timestamp) in (0..).zip(&self.timestamps) {
            let mut record = vec![0];
            varint(&mut record, timestamp - first);
            varint(&mut record, delta);
            varint(&mut record, -1);
            varint(&mut record, i64::try_from(self.value_bytes).unwrap());
            record.extend(vec![b'v'; self.value_bytes]);
            varint(&mut record, 0);
            varint(&mut covered, i64::try_from(record.len()).unwrap());
            covered.extend(record);
        }
        seal(self.base_offset, &covered)
    }
}

/// Puts the front of a batch before what its checksum covers.
pub(in crate::topics) fn seal(base_offset: i64, covered: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(base_offset.to_be_bytes());
    bytes.extend((9 + i32::try_from(covered.len()).unwrap()).to_be_bytes());
    bytes.extend((-1_i32).to_be_bytes());
    bytes.push(2);
    bytes.extend(crc32c::crc32c(covered).to_be_bytes());
    bytes.extend(covered);
    bytes
}

fn varint(bytes: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while rest >= 0x80 {
        bytes.push(u8::try_from(rest & 0x7f).unwrap() | 0x80);
        rest >>= 7;
    }
    bytes.push(u8::try_from(rest).unwrap());
}

pub(in crate::topics) fn name(name: &str) -> TopicKey {
    TopicKey::Name(TopicName::from(name))
}

pub(in crate::topics) fn new_topic(name: &str, partitions: i32) -> NewTopic {
    NewTopic {
        name: name.into(),
        partitions,
        replication_factor: -1,
        assignments: Vec::new(),
        configs: Vec::new(),
    }
}

pub(in crate::topics) fn with_config(mut new: NewTopic, key: &str, value: &str) -> NewTopic {
    new.configs.push((key.to_owned(), Some(value.to_owned())));
    new
}

/// Topics with one of that name and number of partitions.
pub(in crate::topics) fn topics_with(topic: &str, partitions: i32) -> Topics {
    let topics = Topics::new(TopicsConfig::default());
    topics.create(&new_topic(topic, partitions), false).unwrap();
    topics
}

pub(in crate::topics) fn ask(topic: &TopicKey, partition: i32, offset: i64) -> FetchPartition {
    FetchPartition {
        topic: topic.clone(),
        partition,
        current_leader_epoch: -1,
        fetch_offset: offset,
        last_fetched_epoch: -1,
        max_bytes: 1 << 20,
    }
}

/// A fetch without a session that may wait for one byte.
pub(in crate::topics) fn fetch_of(partitions: Vec<FetchPartition>) -> FetchRequest {
    FetchRequest {
        session_id: 0,
        session_epoch: -1,
        by_id: false,
        min_bytes: 1,
        max_bytes: 1 << 24,
        read_committed: false,
        max_wait_ms: 500,
        partitions,
        forgotten: Vec::new(),
    }
}

/// The answer to a fetch as if its time were over at once.
pub(in crate::topics) fn answer(topics: &Topics, request: FetchRequest) -> FetchResponse {
    let mut fetch = topics.fetch(request, NOW).unwrap();
    fetch.read();
    fetch.finish().unwrap()
}
