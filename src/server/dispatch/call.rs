//! One request on its way through the broker.

use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::known_topics::Named;
use super::topic_errors::Refused;
use super::{Broker, Remembered};
use crate::engine::{Answer, Outcome};
use crate::server::service::{Answer as Later, Handled};
use crate::time::Now;
use crate::topics::TopicSummary;
use crate::wire::codec::DecodeError;
use crate::wire::header::{RequestHeader, ResponseHeader};
use crate::wire::{ApiKey, Message, Writer};

/// The patience where `connections.max.idle.ms` has no limit: Kafka's default.
const PATIENCE_MS: u64 = 600_000;

/// A request and where its answer goes.
pub(super) struct Call<'c> {
    pub(super) broker: &'c Broker,
    pub(super) connection: &'c mut Remembered,
    /// All of it, header and body.
    pub(super) frame: &'c [u8],
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
    pub(super) correlation_id: i32,
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
        self.write_with(out, |writer| response.encode(writer, self.version))
    }

    /// Appends a response whose body is what `body` writes.
    pub(super) fn write_with(
        self,
        out: &mut Vec<u8>,
        body: impl FnOnce(&mut Writer<'_>),
    ) -> Handled {
        let mut writer = Writer::new(out);
        let header = ResponseHeader {
            correlation_id: self.correlation_id,
        };
        header.encode(&mut writer, self.api, self.version);
        body(&mut writer);
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

    /// Whether a request names more topics or partitions than the node may hold. It is no
    /// client's, and what it takes to answer it is many times its size.
    pub(super) fn names_too_many(&self, named: usize) -> bool {
        let max = self.broker.topics.config().max_partitions;
        if named > max {
            let api = self.header.api;
            tracing::debug!(%api, "a connection is closed: a request names {named} things");
        }
        named > max
    }

    /// The topic, if it exists.
    pub(super) fn find_topic(&mut self, named: Named<'_>) -> Option<TopicSummary> {
        self.connection.topics.find(&self.broker.topics, named)
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
                finished(handled, out).await
            }),
        }
    }

    /// The same for any future; it is asked once here.
    pub(super) fn soon<T: Send + 'static>(
        &mut self,
        answer: impl Future<Output = T> + Send + 'static,
        write: impl FnOnce(T, Head, &mut Vec<u8>) -> Handled + Send + 'static,
    ) -> Handled {
        let head = self.head();
        let mut answer = Box::pin(answer);
        let mut once = Context::from_waker(Waker::noop());
        match answer.as_mut().poll(&mut once) {
            Poll::Ready(outcome) => write(outcome, head, self.out),
            Poll::Pending => later(async move {
                let outcome = answer.await;
                let mut out = Vec::new();
                let handled = write(outcome, head, &mut out);
                finished(handled, out).await
            }),
        }
    }

    /// Writes the answer once all changes of topics so far are durable, or says that they are not.
    pub(super) fn when_synced(
        &mut self,
        write: impl FnOnce(Result<(), Refused>, Head, &mut Vec<u8>) -> Handled + Send + 'static,
    ) -> Handled {
        let head = self.head();
        match self.broker.topics.synced().now() {
            Ok(synced) => write(synced.map_err(Refused::from), head, self.out),
            Err(synced) => later(async move {
                let synced = synced.await.map_err(Refused::from);
                let mut out = Vec::new();
                let handled = write(synced, head, &mut out);
                finished(handled, out).await
            }),
        }
    }

    /// How long a request without an answer is kept before its connection is closed.
    pub(super) fn patience(&self) -> Duration {
        let idle_ms = self.broker.config.connections_max_idle_ms;
        Duration::from_millis(u64::try_from(idle_ms).unwrap_or(PATIENCE_MS))
    }

    pub(super) fn carry_out(&mut self) -> Result<Handled, DecodeError> {
        match self.header.api {
            ApiKey::Heartbeat => self.heartbeat(),
            ApiKey::OffsetCommit => self.offset_commit(),
            ApiKey::TxnOffsetCommit => self.txn_offset_commit(),
            ApiKey::OffsetFetch => self.offset_fetch(),
            ApiKey::OffsetDelete => self.offset_delete(),
            ApiKey::JoinGroup => self.join_group(),
            ApiKey::SyncGroup => self.sync_group(),
            ApiKey::LeaveGroup => self.leave_group(),
            ApiKey::FindCoordinator => self.find_coordinator(),
            ApiKey::ListGroups => self.list_groups(),
            ApiKey::DescribeGroups => self.describe_groups(),
            ApiKey::DeleteGroups => self.delete_groups(),
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
            ApiKey::AddPartitionsToTxn => self.add_partitions_to_txn(),
            ApiKey::AddOffsetsToTxn => self.add_offsets_to_txn(),
            ApiKey::EndTxn => self.end_txn(),
            ApiKey::DescribeTransactions => self.describe_transactions(),
            ApiKey::ListTransactions => self.list_transactions(),
            // Not offered: the header was refused before.
            ApiKey::ConsumerGroupHeartbeat | ApiKey::ConsumerGroupDescribe => Ok(Handled::Close),
        }
    }
}

/// An answer that comes later.
pub(super) fn later(answer: impl Future<Output = Later> + Send + 'static) -> Handled {
    Handled::Pending(Box::pin(answer))
}

/// No answer at all, as Kafka gives none: the connection waits until its client closes it, or
/// until it counts as idle.
pub(super) fn never(patience: Duration) -> Handled {
    later(async move {
        tokio::time::sleep(patience).await;
        Later::Close
    })
}

/// What was written later, as the connection wants it.
pub(super) async fn finished(handled: Handled, out: Vec<u8>) -> Later {
    match handled {
        Handled::Done => Later::Reply(out.into()),
        Handled::NoReply => Later::NoReply,
        Handled::Close => Later::Close,
        Handled::Pending(answer) => answer.await,
    }
}
