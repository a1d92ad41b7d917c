//! `DeleteRecords`: moves the starts of logs.

use super::call::Call;
use super::topic_errors::code_of;
use crate::ids::TopicName;
use crate::server::service::Handled;
use crate::topics::TopicKey;
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
                let (low_watermark, error_code) =
                    match data.delete_records(&key, index, partition.offset) {
                        Ok(start) => (start, 0),
                        Err(error) => (-1, code_of(&error).0),
                    };
                DeleteRecordsPartitionResult {
                    partition_index: index,
                    low_watermark,
                    error_code,
                }
            });
            DeleteRecordsTopicResult {
                name: topic.name,
                partitions: partitions.collect(),
            }
        });
        let topics = topics.collect();
        Ok(self.reply(&DeleteRecordsResponse {
            topics,
            ..Default::default()
        }))
    }
}
