//! `DeleteRecords`: moves the starts of logs.

use super::call::{Call, finished, later};
use super::topic_errors::code_of;
use crate::ids::TopicName;
use crate::server::service::Handled;
use crate::topics::{Durable, TopicError, TopicKey};
use crate::wire::codec::{DecodeError, Message};
use crate::wire::messages::{
    DeleteRecordsPartitionResult, DeleteRecordsRequest, DeleteRecordsResponse,
    DeleteRecordsTopicResult,
};

impl Call<'_> {
    pub(super) fn delete_records(&mut self) -> Result<Handled, DecodeError> {
        let request = DeleteRecordsRequest::decode(self.body, self.header.version)?;
        if self.names_too_many(
            request
                .topics
                .iter()
                .map(|topic| 1 + topic.partitions.len())
                .sum(),
        ) {
            return Ok(Handled::Close);
        }
        let data = &self.broker.topics;
        let topics = request.topics.iter().map(|topic| {
            let key = TopicKey::Name(TopicName::from(topic.name));
            let partitions = topic.partitions.iter().map(|partition| {
                let index = partition.partition_index;
                (index, data.delete_before(&key, index, partition.offset))
            });
            (topic.name.to_owned(), partitions.collect())
        });
        let topics: Vec<(String, Starts)> = topics.collect();
        let head = self.head();
        Ok(later(async move {
            let mut told = Vec::with_capacity(topics.len());
            for (name, partitions) in topics {
                let mut results = Vec::with_capacity(partitions.len());
                for (index, start) in partitions {
                    results.push(tell(index, start.await));
                }
                told.push((name, results));
            }
            let topics = told
                .iter()
                .map(|(name, partitions)| DeleteRecordsTopicResult {
                    name,
                    partitions: partitions.clone(),
                });
            let response = DeleteRecordsResponse {
                topics: topics.collect(),
                ..Default::default()
            };
            let mut out = Vec::new();
            let handled = head.write(&response, &mut out);
            finished(handled, out).await
        }))
    }
}

/// Partitions of a topic, and where their logs begin once that is durable.
type Starts = Vec<(i32, Durable<i64>)>;

fn tell(partition_index: i32, start: Result<i64, TopicError>) -> DeleteRecordsPartitionResult {
    let (low_watermark, error_code) = match start {
        Ok(start) => (start, 0),
        Err(error) => (-1, code_of(&error).0),
    };
    DeleteRecordsPartitionResult {
        partition_index,
        low_watermark,
        error_code,
    }
}
