//! What the coordinator says when it does not do what was asked.

use std::fmt;

/// The coordinator's answer to a request that it understood and did not carry out.
///
/// Each is one error code of Kafka's; the numbers live in `wire`. [`Refusal::Overloaded`] and
/// [`Refusal::Failed`] are the two whose Kafka code is chosen for how clients take it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum Refusal {
    /// `COORDINATOR_LOAD_IN_PROGRESS`: the group's shard is still being loaded; retry.
    LoadInProgress,
    /// `COORDINATOR_NOT_AVAILABLE`: not started, shutting down, or the append failed; retry.
    NotAvailable,
    /// `NOT_COORDINATOR`: the group lives elsewhere; find its coordinator again.
    NotCoordinator,
    /// A bounded queue or table is full; `COORDINATOR_NOT_AVAILABLE` on the wire, so that every
    /// client retries with its backoff.
    Overloaded,
    /// `INVALID_GROUP_ID`: the group id is missing or empty where it must not be.
    InvalidGroupId,
    /// `UNKNOWN_MEMBER_ID`: no such member, or no such group.
    UnknownMemberId,
    /// `FENCED_INSTANCE_ID`: the static member's instance id belongs to another member id by now.
    FencedInstanceId,
    /// `ILLEGAL_GENERATION`: the request is of another generation.
    IllegalGeneration,
    /// `REBALANCE_IN_PROGRESS`: join again.
    RebalanceInProgress,
    /// `INCONSISTENT_GROUP_PROTOCOL`: type or protocols do not fit the group's.
    InconsistentGroupProtocol,
    /// `INVALID_SESSION_TIMEOUT`: outside the configured bounds.
    InvalidSessionTimeout,
    /// `MEMBER_ID_REQUIRED`: join again with the id in the answer (KIP-394).
    MemberIdRequired,
    /// `GROUP_MAX_SIZE_REACHED` (KIP-389).
    GroupMaxSizeReached,
    /// `GROUP_ID_NOT_FOUND`.
    GroupIdNotFound,
    /// `NON_EMPTY_GROUP`: the group has members.
    NonEmptyGroup,
    /// `GROUP_SUBSCRIBED_TO_TOPIC` (KIP-496).
    GroupSubscribedToTopic,
    /// `OFFSET_METADATA_TOO_LARGE`.
    OffsetMetadataTooLarge,
    /// `INVALID_PRODUCER_EPOCH`: a producer with a newer epoch was seen.
    InvalidProducerEpoch,
    /// `UNKNOWN_TOPIC_OR_PARTITION`.
    UnknownTopicOrPartition,
    /// The same member asked the same again and only its newest request is answered; Kafka leaves
    /// this one without an answer, and so does the server.
    Superseded,
    /// `UNKNOWN_SERVER_ERROR`: what Kafka answers where it trips over itself, or a step failed.
    Failed,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LoadInProgress => "the coordinator is loading the group",
            Self::NotAvailable => "the coordinator is not available",
            Self::NotCoordinator => "this is not the group's coordinator",
            Self::Overloaded => "the coordinator is overloaded",
            Self::InvalidGroupId => "the group id is invalid",
            Self::UnknownMemberId => "the coordinator does not know this member",
            Self::FencedInstanceId => "another member took over this group instance id",
            Self::IllegalGeneration => "the generation is not the group's",
            Self::RebalanceInProgress => "the group is rebalancing",
            Self::InconsistentGroupProtocol => "the protocols do not fit the group's",
            Self::InvalidSessionTimeout => "the session timeout is outside the allowed range",
            Self::MemberIdRequired => "the member must join again with the id that it was given",
            Self::GroupMaxSizeReached => "the group has its maximum of members",
            Self::GroupIdNotFound => "the group does not exist",
            Self::NonEmptyGroup => "the group is not empty",
            Self::GroupSubscribedToTopic => "the group is subscribed to the topic",
            Self::OffsetMetadataTooLarge => "the metadata of the offset is too large",
            Self::InvalidProducerEpoch => "the producer's epoch is older than the latest",
            Self::UnknownTopicOrPartition => "the topic or partition does not exist",
            Self::Superseded => "a newer request of the same member took its place",
            Self::Failed => "the coordinator failed to carry out the request",
        })
    }
}

impl std::error::Error for Refusal {}
