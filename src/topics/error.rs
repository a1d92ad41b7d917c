//! What the data plane says when it does not do what was asked.

use std::fmt;

/// The answer to a request that the data plane understood and did not carry out; each is one error
/// code of Kafka's, by its name.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum TopicError {
    /// `OFFSET_OUT_OF_RANGE`: before the log start or beyond the log end.
    OffsetOutOfRange,
    /// `CORRUPT_MESSAGE`: a length or the checksum of a batch does not fit its bytes.
    CorruptMessage,
    /// `UNKNOWN_TOPIC_OR_PARTITION`: no topic of that name, or no such partition in it.
    UnknownTopicOrPartition,
    /// `MESSAGE_TOO_LARGE`: the batch is larger than the topic's `max.message.bytes`.
    MessageTooLarge,
    /// `INVALID_TOPIC_EXCEPTION`: the name breaks the rules for names, or differs from that of
    /// another topic only in `.` and `_`.
    InvalidTopic,
    /// The same: the topic is the coordinator's own, and its records are not kept here.
    InternalTopic,
    /// `INVALID_TIMESTAMP`: a record too far ahead of the node's clock
    /// (`message.timestamp.after.max.ms`), or a batch as if the log had stamped it.
    InvalidTimestamp,
    /// `UNSUPPORTED_VERSION`: a special timestamp that this version does not know.
    UnsupportedVersion,
    /// `TOPIC_ALREADY_EXISTS`.
    TopicAlreadyExists,
    /// `INVALID_PARTITIONS`: a count below 1, or one that would not grow the topic.
    InvalidPartitions,
    /// `INVALID_REPLICATION_FACTOR`: there is one node, so 1 (or -1, the default) it is.
    InvalidReplicationFactor,
    /// `INVALID_REPLICA_ASSIGNMENT`: partitions with gaps, or replicas other than the one node.
    InvalidReplicaAssignment,
    /// `INVALID_CONFIG`, with the reason.
    InvalidConfig(String),
    /// `INVALID_REQUEST`: the request contradicts itself.
    InvalidRequest,
    /// `POLICY_VIOLATION`: the count of topics or partitions of the node is at its limit, or
    /// records of a topic that is only to be compacted were to be deleted.
    PolicyViolation,
    /// `OUT_OF_ORDER_SEQUENCE_NUMBER`: a gap in an idempotent producer's numbers.
    OutOfOrderSequence,
    /// `INVALID_PRODUCER_EPOCH`: the producer has written under a newer epoch.
    InvalidProducerEpoch,
    /// `INVALID_TXN_STATE`: the partition is not in a transaction of the producer, or it is and
    /// the batch is not transactional.
    InvalidTxnState,
    /// `INVALID_PRODUCER_ID_MAPPING`: the transactional id is not known with that producer id.
    InvalidProducerIdMapping,
    /// `CONCURRENT_TRANSACTIONS`: the producer's transaction is changing at this moment.
    ConcurrentTransactions,
    /// `TRANSACTION_ABORTABLE`: the partition is not in the transaction; the producer must abort.
    TransactionAbortable,
    /// `COORDINATOR_NOT_AVAILABLE`: the transaction cannot be written down at this moment.
    CoordinatorNotAvailable,
    /// `KAFKA_STORAGE_ERROR`: the node's bytes are used up, or the disk is full; clients try again.
    StorageFull,
    /// `KAFKA_STORAGE_ERROR`: the disk has failed, and the node acknowledges nothing until it was
    /// started again; clients try again.
    StorageFailed,
    /// `COORDINATOR_LOAD_IN_PROGRESS`: the next producer ids are not reserved yet; clients try
    /// again.
    ProducerIdsNotReady,
    /// `FETCH_SESSION_ID_NOT_FOUND`: never given, or evicted.
    FetchSessionIdNotFound,
    /// `INVALID_FETCH_SESSION_EPOCH`: not the epoch that comes next.
    InvalidFetchSessionEpoch,
    /// `UNKNOWN_LEADER_EPOCH`: the caller speaks of a leader that was never elected here.
    UnknownLeaderEpoch,
    /// `UNSUPPORTED_COMPRESSION_TYPE`: a codec number above 4.
    UnsupportedCompressionType,
    /// `INVALID_RECORD`: the batch contradicts itself or is not for clients to write.
    InvalidRecord,
    /// `UNKNOWN_TOPIC_ID`.
    UnknownTopicId,
    /// `FETCH_SESSION_TOPIC_ID_ERROR`: a session of names was continued by ids, or the reverse.
    FetchSessionTopicIdError,
}

impl fmt::Display for TopicError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OffsetOutOfRange => "the offset is outside of the log",
            Self::CorruptMessage => "a length or checksum of the batch does not fit its bytes",
            Self::UnknownTopicOrPartition => "the topic or partition does not exist",
            Self::MessageTooLarge => "the batch is larger than max.message.bytes",
            Self::InvalidTopic => {
                "a topic name has 1 to 249 characters of [a-zA-Z0-9._-], is not \".\" or \"..\", \
                 and differs from others in more than \".\" and \"_\""
            }
            Self::InternalTopic => "the topic is the coordinator's own and can only be read",
            Self::InvalidTimestamp => "a timestamp is too far in the future or of the wrong type",
            Self::UnsupportedVersion => "the special timestamp is not known",
            Self::TopicAlreadyExists => "the topic exists already",
            Self::InvalidPartitions => {
                "the number of partitions must be positive and may only grow"
            }
            Self::InvalidReplicationFactor => "the replication factor must be 1: there is one node",
            Self::InvalidReplicaAssignment => {
                "partitions must follow each other from 0, each on the one node"
            }
            Self::InvalidConfig(reason) => reason,
            Self::InvalidRequest => "the request contradicts itself",
            Self::PolicyViolation => "a limit of the node or the cleanup policy forbids it",
            Self::OutOfOrderSequence => "the sequence number is not the one that comes next",
            Self::InvalidProducerEpoch => "the producer has written under a newer epoch",
            Self::InvalidTxnState => "the batch does not fit the producer's transaction",
            Self::InvalidProducerIdMapping => {
                "the transactional id is not known with this producer id"
            }
            Self::ConcurrentTransactions => "the transaction is changing at this moment",
            Self::TransactionAbortable => {
                "the partition is not in the producer's transaction, which must be aborted"
            }
            Self::CoordinatorNotAvailable => "the transaction cannot be written down now",
            Self::StorageFull => "the room for topics is used up",
            Self::StorageFailed => "the disk of the topics has failed",
            Self::ProducerIdsNotReady => "the next producer ids are not reserved yet",
            Self::FetchSessionIdNotFound => "the fetch session does not exist",
            Self::InvalidFetchSessionEpoch => "the epoch is not the fetch session's next",
            Self::UnknownLeaderEpoch => "the leader epoch is newer than any of the partition",
            Self::UnsupportedCompressionType => "the compression codec is not known",
            Self::InvalidRecord => "the record batch contradicts itself or is not for clients",
            Self::UnknownTopicId => "no topic has this id",
            Self::FetchSessionTopicIdError => "the fetch session mixes topic names and topic ids",
        })
    }
}

impl std::error::Error for TopicError {}
