//! One request on its way through the broker.

use super::{Broker, Remembered};
use crate::server::service::{Answer as Later, Handled};
use crate::shard::{Answer, Outcome};
use crate::time::Now;
use crate::wire::codec::DecodeError;
use crate::wire::header::{RequestHeader, ResponseHeader};
use crate::wire::{ApiKey, Message, Writer};

/// A request and where its answer goes.
pub(super) struct Call<'c> {
    pub(super) broker: &'c Broker,
    pub(super) connection: &'c mut Remembered,
    pub(super) header: RequestHeader<'c>,
    pub(super) body: &'c [u8],
    pub(super) now: Now,
    pub(super) out: &'c mut Vec<u8>,
}

/// What of a request's header the answer needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    api: ApiKey,
    pub(super) version: i16,
    correlation_id: i32,
}

impl Head {
    pub(super) fn new(api: ApiKey, version: i16, correlation_id: i32) -> Self {
        Self {
            api,
            version,
            correlation_id,
        }
    }

    /// Appends a response.
    pub(super) fn write<'m, M: Message<'m>>(self, response: &M, out: &mut Vec<u8>) -> Handled {
        let mut writer = Writer::new(out);
        let header = ResponseHeader {
            correlation_id: self.correlation_id,
        };
        header.encode(&mut writer, self.api, self.version);
        response.encode(&mut writer, self.version);
        match writer.finish() {
            Ok(()) => Handled::Done,
            Err(error) => {
                // A name or a list that the protocol cannot hold; nothing can be said to it.
                tracing::warn!(api = %self.api, "a response could not be written: {error}");
                Handled::Close
            }
        }
    }
}

impl Call<'_> {
    pub(super) fn head(&self) -> Head {
        let RequestHeader {
            api,
            version,
            correlation_id,
            ..
        } = self.header;
        Head {
            api,
            version,
            correlation_id,
        }
    }

    /// Appends a response that is known at once.
    pub(super) fn reply<'m, M: Message<'m>>(&mut self, response: &M) -> Handled {
        self.head().write(response, self.out)
    }

    /// Writes the answer now if it is there, or when it comes.
    pub(super) fn answer<T: Outcome + Unpin + 'static>(
        &mut self,
        answer: Answer<T>,
        write: impl FnOnce(T, Head, &mut Vec<u8>) -> Handled + Send + 'static,
    ) -> Handled {
        let head = self.head();
        match answer.now() {
            Ok(outcome) => write(outcome, head, self.out),
            Err(answer) => later(async move {
                let outcome = answer.await;
                let mut out = Vec::new();
                let handled = write(outcome, head, &mut out);
                finished(handled, out)
            }),
        }
    }

    pub(super) fn carry_out(&mut self) -> Result<Handled, DecodeError> {
        match self.header.api {
            ApiKey::ApiVersions => self.api_versions(),
            ApiKey::Metadata => self.metadata(),
            ApiKey::Produce => self.produce(),
            ApiKey::Fetch => self.fetch(),
            ApiKey::ListOffsets => self.list_offsets(),
            ApiKey::OffsetForLeaderEpoch => self.offset_for_leader_epoch(),
            ApiKey::InitProducerId => self.init_producer_id(),
            ApiKey::CreateTopics => self.create_topics(),
            ApiKey::DeleteTopics => self.delete_topics(),
            ApiKey::CreatePartitions => self.create_partitions(),
            ApiKey::DeleteRecords => self.delete_records(),
            ApiKey::DescribeConfigs => self.describe_configs(),
            ApiKey::IncrementalAlterConfigs => self.incremental_alter_configs(),
            ApiKey::DescribeCluster => self.describe_cluster(),
            ApiKey::DescribeTopicPartitions => self.describe_topic_partitions(),
            _ => Ok(Handled::Close),
        }
    }
}

/// An answer that comes later.
pub(super) fn later(answer: impl Future<Output = Later> + Send + 'static) -> Handled {
    Handled::Pending(Box::pin(answer))
}

/// What was written later, as the connection wants it.
pub(super) fn finished(handled: Handled, out: Vec<u8>) -> Later {
    match handled {
        Handled::Done => Later::Reply(out.into()),
        Handled::NoReply => Later::NoReply,
        Handled::Close | Handled::Pending(_) => Later::Close,
    }
}
