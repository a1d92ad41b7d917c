//! The refusals of the data plane as Kafka's error codes: one table.

use crate::topics::TopicError;
use crate::wire::ErrorCode;

/// The code by which Kafka names a refusal.
pub(super) fn code_of(error: &TopicError) -> ErrorCode {
    match error {
        TopicError::OffsetOutOfRange => ErrorCode::OFFSET_OUT_OF_RANGE,
        TopicError::CorruptMessage => ErrorCode::CORRUPT_MESSAGE,
        TopicError::UnknownTopicOrPartition => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        TopicError::MessageTooLarge => ErrorCode::MESSAGE_TOO_LARGE,
        TopicError::InvalidTopic | TopicError::InternalTopic => ErrorCode::INVALID_TOPIC_EXCEPTION,
        TopicError::InvalidTimestamp => ErrorCode::INVALID_TIMESTAMP,
        TopicError::UnsupportedVersion => ErrorCode::UNSUPPORTED_VERSION,
        TopicError::TopicAlreadyExists => ErrorCode::TOPIC_ALREADY_EXISTS,
        TopicError::InvalidPartitions => ErrorCode::INVALID_PARTITIONS,
        TopicError::InvalidReplicationFactor => ErrorCode::INVALID_REPLICATION_FACTOR,
        TopicError::InvalidReplicaAssignment => ErrorCode::INVALID_REPLICA_ASSIGNMENT,
        TopicError::InvalidConfig(_) => ErrorCode::INVALID_CONFIG,
        TopicError::InvalidRequest => ErrorCode::INVALID_REQUEST,
        TopicError::PolicyViolation => ErrorCode::POLICY_VIOLATION,
        TopicError::OutOfOrderSequence => ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER,
        TopicError::InvalidProducerEpoch => ErrorCode::INVALID_PRODUCER_EPOCH,
        TopicError::InvalidTxnState => ErrorCode::INVALID_TXN_STATE,
        TopicError::StorageFull | TopicError::StorageFailed => ErrorCode::KAFKA_STORAGE_ERROR,
        TopicError::ProducerIdsNotReady => ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
        TopicError::InvalidProducerIdMapping => ErrorCode::INVALID_PRODUCER_ID_MAPPING,
        TopicError::ConcurrentTransactions => ErrorCode::CONCURRENT_TRANSACTIONS,
        TopicError::TransactionAbortable => ErrorCode::TRANSACTION_ABORTABLE,
        TopicError::CoordinatorNotAvailable => ErrorCode::COORDINATOR_NOT_AVAILABLE,
        TopicError::FetchSessionIdNotFound => ErrorCode::FETCH_SESSION_ID_NOT_FOUND,
        TopicError::InvalidFetchSessionEpoch => ErrorCode::INVALID_FETCH_SESSION_EPOCH,
        TopicError::UnknownLeaderEpoch => ErrorCode::UNKNOWN_LEADER_EPOCH,
        TopicError::UnsupportedCompressionType => ErrorCode::UNSUPPORTED_COMPRESSION_TYPE,
        TopicError::InvalidRecord => ErrorCode::INVALID_RECORD,
        TopicError::UnknownTopicId => ErrorCode::UNKNOWN_TOPIC_ID,
        TopicError::FetchSessionTopicIdError => ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR,
    }
}

/// An error code with the sentence that goes with it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Refused {
    pub(super) code: ErrorCode,
    pub(super) message: String,
}

impl Refused {
    pub(super) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

impl From<TopicError> for Refused {
    fn from(error: TopicError) -> Self {
        Self::new(code_of(&error), error.to_string())
    }
}
