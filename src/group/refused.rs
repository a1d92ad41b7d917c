//! How each kind of request is refused as a whole.

use super::classic::refused as refused_join;
use super::reply::Reply;
use super::request::Request;
use crate::error::Refusal;
use crate::ids::GroupId;

impl Request {
    /// Whether the empty string is no name for the group that is asked: a group of that name may
    /// hold offsets, and nothing else.
    pub(super) fn needs_name(&self) -> bool {
        match self {
            Self::Join(_)
            | Self::Sync(_)
            | Self::Heartbeat(_)
            | Self::Leave(_)
            | Self::TxnCommit(_)
            | Self::OffsetDelete(_) => true,
            Self::Commit(_)
            | Self::EndTxn(_)
            | Self::TxnGroups(_)
            | Self::Fetch(_)
            | Self::Describe(_)
            | Self::DeleteGroup(_)
            | Self::List(_)
            | Self::TopicsDeleted(_) => false,
        }
    }

    /// The answer while the shard is loading. As Kafka, a heartbeat is told that all is well,
    /// since nobody can say that it is not; an empty name is refused before anything is looked
    /// for.
    pub fn while_loading(&self) -> Reply {
        if self.needs_name() && self.group().is_some_and(GroupId::is_empty) {
            return self.refused(Refusal::InvalidGroupId);
        }
        if matches!(self, Self::Heartbeat(_)) {
            return Reply::Heartbeat(Ok(()));
        }
        self.refused(Refusal::LoadInProgress)
    }

    /// The reply that refuses this request as a whole.
    pub fn refused(&self, refusal: Refusal) -> Reply {
        match self {
            Self::Join(request) => refused_join(refusal, request.member.clone()),
            Self::Sync(_) => Reply::Sync(Err(refusal)),
            Self::Heartbeat(_) => Reply::Heartbeat(Err(refusal)),
            Self::Leave(_) => Reply::Leave(Err(refusal)),
            Self::Commit(_) | Self::TxnCommit(_) => Reply::Commit(Err(refusal)),
            Self::EndTxn(_) => Reply::EndTxn(Err(refusal)),
            Self::TxnGroups(_) => Reply::TxnGroups(Err(refusal)),
            Self::Fetch(_) => Reply::Fetch(Err(refusal)),
            Self::OffsetDelete(_) => Reply::OffsetDelete(Err(refusal)),
            Self::Describe(_) => Reply::Describe(Err(refusal)),
            Self::DeleteGroup(_) => Reply::DeleteGroup(Err(refusal)),
            Self::List(_) => Reply::List(Err(refusal)),
            Self::TopicsDeleted(_) => Reply::TopicsDeleted(Err(refusal)),
        }
    }
}
