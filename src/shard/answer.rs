//! The answer to a request: there at once, or later.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use super::outbox::Sent;
use crate::error::Refusal;
use crate::group::{
    CommitResult, Described, FetchResult, JoinRefused, JoinResult, LeaveResult, ListPage,
    OffsetDeleteResult, Reply, SyncResult,
};
use crate::ids::{GroupId, MemberId};

/// What a kind of request is answered with; implemented by the outcomes of `group`.
pub trait Outcome: Sized + Send + fmt::Debug + private::FromReply {
    /// The outcome that says no.
    fn refused(refusal: Refusal) -> Self;
}

mod private {
    #[expect(unnameable_types, reason = "sealed: outcomes are those of `group`")]
    pub trait FromReply: Sized {
        fn from_reply(reply: crate::group::Reply) -> Option<Self>;
    }
}

macro_rules! outcomes {
    ($($variant:ident => $type:ty;)*) => {$(
        impl private::FromReply for $type {
            fn from_reply(reply: Reply) -> Option<Self> {
                if let Reply::$variant(outcome) = reply { Some(outcome) } else { None }
            }
        }
    )*};
}

outcomes! {
    Join => JoinResult;
    Sync => SyncResult;
    Leave => LeaveResult;
    Commit => CommitResult;
    Fetch => FetchResult;
    OffsetDelete => OffsetDeleteResult;
    Describe => Result<Described, Refusal>;
    List => Result<ListPage, Refusal>;
    TxnGroups => Result<Vec<GroupId>, Refusal>;
}

impl Outcome for JoinResult {
    fn refused(refusal: Refusal) -> Self {
        Err(JoinRefused {
            refusal,
            member: MemberId::default(),
            standing: None,
        })
    }
}

macro_rules! plain_outcomes {
    ($($type:ty;)*) => {$(
        impl Outcome for Result<$type, Refusal> {
            fn refused(refusal: Refusal) -> Self {
                Err(refusal)
            }
        }
    )*};
}

plain_outcomes! {
    crate::group::Synced;
    Vec<crate::group::LeftMember>;
    Vec<crate::group::CommittedTopic>;
    Vec<crate::group::FetchedTopic>;
    Vec<crate::group::DeletedTopic>;
    Described;
    ListPage;
    Vec<GroupId>;
    ();
}

// Four requests are answered with nothing but success.
impl private::FromReply for Result<(), Refusal> {
    fn from_reply(reply: Reply) -> Option<Self> {
        match reply {
            Reply::Heartbeat(outcome)
            | Reply::EndTxn(outcome)
            | Reply::DeleteGroup(outcome)
            | Reply::TopicsDeleted(outcome) => Some(outcome),
            Reply::Join(_)
            | Reply::Sync(_)
            | Reply::Leave(_)
            | Reply::Commit(_)
            | Reply::Fetch(_)
            | Reply::OffsetDelete(_)
            | Reply::Describe(_)
            | Reply::List(_)
            | Reply::TxnGroups(_) => None,
        }
    }
}

/// An answer that is there already or will come; a future that runs on any executor.
///
/// Dropping it forgets the answer, never the request.
#[derive(Debug)]
#[must_use = "an answer that is not looked at is lost"]
pub struct Answer<T> {
    state: State<T>,
}

#[derive(Debug)]
enum State<T> {
    Ready(Option<T>),
    Waiting(oneshot::Receiver<Sent>),
}

impl<T: Outcome> Answer<T> {
    #[inline]
    pub(crate) fn ready(outcome: T) -> Self {
        Self {
            state: State::Ready(Some(outcome)),
        }
    }

    pub(crate) fn replied(reply: Reply) -> Self {
        Self::ready(outcome_of(Some(reply)))
    }

    pub(crate) fn waiting(receiver: oneshot::Receiver<Sent>) -> Self {
        Self {
            state: State::Waiting(receiver),
        }
    }

    /// The outcome if it is there already, else the answer to wait for.
    ///
    /// # Errors
    ///
    /// The answer itself, where its outcome is still to come.
    #[inline]
    pub fn now(mut self) -> Result<T, Self> {
        match &mut self.state {
            State::Ready(outcome) => Ok(taken(outcome)),
            State::Waiting(receiver) => match receiver.try_recv() {
                Ok(sent) => Ok(outcome_of(Some(sent.reply))),
                Err(oneshot::error::TryRecvError::Closed) => Ok(T::refused(Refusal::NotAvailable)),
                Err(oneshot::error::TryRecvError::Empty) => Err(self),
            },
        }
    }

    /// Waits for the outcome on the calling thread: for hosts and tests without an executor.
    ///
    /// # Panics
    ///
    /// If it is called on a thread that drives asynchronous tasks of tokio.
    pub fn wait(self) -> T {
        match self.state {
            State::Ready(mut outcome) => taken(&mut outcome),
            State::Waiting(receiver) => outcome_of(reply_of(receiver.blocking_recv())),
        }
    }
}

#[inline]
fn taken<T: Outcome>(outcome: &mut Option<T>) -> T {
    outcome
        .take()
        .unwrap_or_else(|| T::refused(Refusal::Failed))
}

fn reply_of(received: Result<Sent, oneshot::error::RecvError>) -> Option<Reply> {
    received.ok().map(|sent| sent.reply)
}

/// A reply that never comes means that the shard failed or the engine is gone.
fn outcome_of<T: Outcome>(reply: Option<Reply>) -> T {
    match reply {
        Some(reply) => T::from_reply(reply).unwrap_or_else(|| T::refused(Refusal::Failed)),
        None => T::refused(Refusal::NotAvailable),
    }
}

impl<T: Outcome + Unpin> Future for Answer<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        match &mut self.state {
            State::Ready(outcome) => Poll::Ready(taken(outcome)),
            State::Waiting(receiver) => Pin::new(receiver)
                .poll(cx)
                .map(|it| outcome_of(reply_of(it))),
        }
    }
}
