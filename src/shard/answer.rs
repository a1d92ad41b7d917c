//! The answer to a request: there at once, or later.

use std::fmt;
use std::future::Future;
use std::hint::spin_loop;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

use super::outbox::Sent;
use crate::error::Refusal;
use crate::group::{
    CommitResult, Described, FetchResult, JoinRefused, JoinResult, LeaveResult, ListPage,
    OffsetDeleteResult, Reply, SyncResult,
};
use crate::ids::{GroupId, MemberId};

/// Looks at an answer that another thread is about to give before the thread that waits for it
/// goes to sleep: some twenty microseconds, and to be woken takes as long.
const LOOKS_MAX: u32 = 1_000;

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
    /// The same, of a shard that another thread is serving, and that waits for nothing.
    Soon(oneshot::Receiver<Sent>),
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

    /// An answer that another thread gives within a turn or two, unless it is one to park for.
    pub(super) fn soon(receiver: oneshot::Receiver<Sent>) -> Self {
        Self {
            state: State::Soon(receiver),
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
            State::Waiting(receiver) | State::Soon(receiver) => received(receiver).ok_or(self),
        }
    }

    /// Waits for the outcome on the calling thread: for hosts and tests without an executor.
    ///
    /// Where another thread is about to give it, it is looked for over some twenty microseconds
    /// before this one goes to sleep.
    ///
    /// # Panics
    ///
    /// If it is called on a thread that drives asynchronous tasks of tokio.
    pub fn wait(self) -> T {
        match self.state {
            State::Ready(mut outcome) => taken(&mut outcome),
            State::Waiting(receiver) => outcome_of(reply_of(receiver.blocking_recv())),
            State::Soon(mut receiver) => {
                for _ in 0..LOOKS_MAX {
                    if let Some(outcome) = received(&mut receiver) {
                        return outcome;
                    }
                    spin_loop();
                }
                outcome_of(reply_of(receiver.blocking_recv()))
            }
        }
    }
}

#[inline]
fn taken<T: Outcome>(outcome: &mut Option<T>) -> T {
    outcome
        .take()
        .unwrap_or_else(|| T::refused(Refusal::Failed))
}

/// What has come; `None`: nothing yet.
#[inline]
fn received<T: Outcome>(receiver: &mut oneshot::Receiver<Sent>) -> Option<T> {
    match receiver.try_recv() {
        Ok(sent) => Some(outcome_of(Some(sent.reply))),
        Err(TryRecvError::Closed) => Some(outcome_of(None)),
        Err(TryRecvError::Empty) => None,
    }
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
            State::Waiting(receiver) | State::Soon(receiver) => Pin::new(receiver)
                .poll(cx)
                .map(|it| outcome_of(reply_of(it))),
        }
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    type Outcome = Result<(), Refusal>;

    fn soon() -> (oneshot::Sender<Sent>, Answer<Outcome>) {
        let (answer, receiver) = oneshot::channel();
        (answer, Answer::soon(receiver))
    }

    #[test]
    fn who_waits_has_what_came_before_and_what_comes_while_it_looks_or_sleeps() {
        for _ in 0..100 {
            let (before, answered) = soon();
            let _ = before.send(Sent::alone(Reply::Heartbeat(Ok(()))));
            assert_eq!(answered.wait(), Ok(()));

            let (meanwhile, asked) = soon();
            let waits = std::thread::spawn(|| asked.wait());
            let _ = meanwhile.send(Sent::alone(Reply::Heartbeat(Err(Refusal::UnknownMemberId))));
            let outcome = waits.join().expect("it does not panic");
            assert_eq!(outcome, Err(Refusal::UnknownMemberId));
        }
    }

    #[test]
    fn who_waits_for_a_shard_that_fails_is_refused() {
        let (answer, asked) = soon();
        drop(answer);
        assert_eq!(asked.wait(), Err(Refusal::NotAvailable));
    }

    #[test]
    fn an_answer_that_is_to_come_is_handed_back() {
        let (answer, asked) = soon();
        let asked = asked.now().expect_err("nothing has come");
        let _ = answer.send(Sent::alone(Reply::Heartbeat(Ok(()))));
        assert_eq!(asked.now().ok(), Some(Ok(())));
    }
}
