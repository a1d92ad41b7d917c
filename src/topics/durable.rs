//! What is admitted and not durable yet, and how it ends: applied or without a trace.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker, ready};
use std::thread::Thread;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::disk::{Place, Shelf};
use super::error::TopicError;
use super::partition::{Appended, Body, Log, Partition, Placed, cost};
use super::producers::PRODUCER_BYTES;
use super::registry::TopicKey;
use super::settings::Effective;

/// An outcome that may be told only when it is durable: a future, for any executor.
///
/// Dropping it takes nothing back. In memory it is there at once.
#[derive(Debug)]
#[must_use = "what is not awaited may not be durable"]
pub struct Durable<T>(State<T>);

#[derive(Debug)]
enum State<T> {
    Done(Option<Result<T, TopicError>>),
    Later(oneshot::Receiver<Result<T, TopicError>>, Named),
}

/// How the caller named the topic, which says how it is unknown once it has vanished.
#[derive(Clone, Copy, Debug)]
enum Named {
    ByName,
    ById,
}

impl Named {
    fn tell<T>(self, told: Option<Result<T, TopicError>>) -> Result<T, TopicError> {
        match (self, told) {
            (Self::ById, Some(Err(TopicError::UnknownTopicOrPartition))) => {
                Err(TopicError::UnknownTopicId)
            }
            (_, Some(outcome)) => outcome,
            // Whoever was to tell it is gone: nothing is known of it.
            (_, None) => Err(TopicError::StorageFailed),
        }
    }
}

impl<T> Durable<T> {
    pub(super) fn done(outcome: Result<T, TopicError>) -> Self {
        Self(State::Done(Some(outcome)))
    }

    pub(super) fn later() -> (Teller<T>, Self) {
        let (teller, told) = oneshot::channel();
        (teller, Self(State::Later(told, Named::ByName)))
    }

    /// A topic that vanishes under way is unknown by what it was named.
    pub(super) fn named_by(self, key: &TopicKey) -> Self {
        let named = match key {
            TopicKey::Name(_) => Named::ByName,
            TopicKey::Id(_) => Named::ById,
        };
        Self(match self.0 {
            State::Done(outcome) => State::Done(outcome.map(|it| named.tell(Some(it)))),
            State::Later(told, _) => State::Later(told, named),
        })
    }

    /// The outcome if it is there already.
    ///
    /// # Errors
    ///
    /// Itself, to be awaited, if it is not.
    pub fn now(self) -> Result<Result<T, TopicError>, Self> {
        match self.0 {
            State::Done(outcome) => Ok(Named::ByName.tell(outcome)),
            State::Later(mut told, named) => match told.try_recv() {
                Ok(outcome) => Ok(named.tell(Some(outcome))),
                Err(oneshot::error::TryRecvError::Closed) => Ok(named.tell(None)),
                Err(oneshot::error::TryRecvError::Empty) => Err(Self(State::Later(told, named))),
            },
        }
    }

    /// Blocks the thread until it is there; for threads without an executor.
    ///
    /// # Errors
    ///
    /// Those of the outcome.
    pub fn wait(mut self) -> Result<T, TopicError>
    where
        T: Unpin,
    {
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let mut cx = Context::from_waker(&waker);
        loop {
            if let Poll::Ready(outcome) = Pin::new(&mut self).poll(&mut cx) {
                return outcome;
            }
            std::thread::park();
        }
    }
}

impl<T: Unpin> Future for Durable<T> {
    type Output = Result<T, TopicError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Done(outcome) => Poll::Ready(Named::ByName.tell(outcome.take())),
            State::Later(told, named) => {
                let told = ready!(Pin::new(told).poll(cx));
                Poll::Ready(named.tell(told.ok()))
            }
        }
    }
}

/// Wakes a thread that waits.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

pub(super) type Teller<T> = oneshot::Sender<Result<T, TopicError>>;

/// A change of a partition on its way to the disk.
#[derive(Debug)]
pub(super) enum Change {
    Batch {
        placed: Placed,
        bytes: Bytes,
        effective: Effective,
    },
    /// The log is to begin there.
    Start(i64),
}

/// A change and who waits for it.
#[derive(Debug)]
pub(super) struct Pending {
    change: Change,
    appends: Vec<Teller<Appended>>,
    starts: Vec<Teller<i64>>,
}

impl Pending {
    pub(super) fn batch(&self) -> Option<&Placed> {
        match &self.change {
            Change::Batch { placed, .. } => Some(placed),
            Change::Start(_) => None,
        }
    }

    /// One more who waits for it: the same batch came again.
    pub(super) fn told(&mut self) -> Durable<Appended> {
        let (teller, durable) = Durable::later();
        // Those who gave up need no answer; so their number is that of the requests in flight.
        self.appends.retain(|teller| !teller.is_closed());
        self.appends.push(teller);
        durable
    }
}

/// A change as it is to be written.
#[derive(Clone, Debug)]
pub(super) enum Unwritten {
    Batch(Bytes),
    Start(i64),
}

impl Log {
    /// Puts a batch on its way.
    pub(super) fn pend(
        &mut self,
        change: Change,
        shelf: &Shelf,
        partition: &Arc<Partition>,
    ) -> Durable<Appended> {
        let (teller, durable) = Durable::later();
        self.pending.push_back(Pending {
            change,
            appends: vec![teller],
            starts: Vec::new(),
        });
        self.queue(shelf, partition);
        durable
    }

    /// Puts a new log start on its way.
    pub(super) fn pend_start(
        &mut self,
        target: i64,
        shelf: &Shelf,
        partition: &Arc<Partition>,
    ) -> Durable<i64> {
        let (teller, durable) = Durable::later();
        self.pending.push_back(Pending {
            change: Change::Start(target),
            appends: Vec::new(),
            starts: vec![teller],
        });
        self.queue(shelf, partition);
        durable
    }

    /// Lets the flusher know, once.
    pub(super) fn queue(&mut self, shelf: &Shelf, partition: &Arc<Partition>) {
        if !std::mem::replace(&mut self.is_queued, true) && !shelf.queue(partition) {
            partition.fail(self, &TopicError::StorageFailed);
        }
    }
}

impl Partition {
    /// Takes a batch over that was read back.
    pub(super) fn restore(
        &self,
        placed: &Placed,
        bytes: &[u8],
        place: Place,
        effective: &Effective,
    ) {
        let log = &mut *self.log.lock();
        self.apply(log, placed, bytes, Body::Disk(place), effective);
        self.budget.take(cost(0));
    }

    /// All batches were taken over; the log begins and ends there.
    pub(super) fn restored(&self, start: i64, end: i64, effective: &Effective) {
        let log = &mut *self.log.lock();
        log.end = log.end.max(end);
        self.advance(log, start);
        self.retain(log, effective);
    }

    /// What is to be written, no more than about `bytes_max` of it, and where the log begins. From
    /// now on the partition may be queued again.
    pub(super) fn unwritten(&self, bytes_max: usize) -> (i64, i64, Vec<Unwritten>) {
        let log = &mut *self.log.lock();
        log.is_queued = false;
        let mut bytes = 0;
        let mut unwritten = Vec::new();
        for pending in &log.pending {
            if bytes >= bytes_max {
                break;
            }
            unwritten.push(match &pending.change {
                Change::Batch { bytes: one, .. } => {
                    bytes += one.len();
                    Unwritten::Batch(one.clone())
                }
                Change::Start(start) => Unwritten::Start(*start),
            });
        }
        (log.start, log.end, unwritten)
    }

    /// The oldest changes on their way are durable: they are applied, and answered. Each batch has
    /// its place. Whether there is more to be written.
    pub(super) fn settle(self: &Arc<Self>, places: &[Option<Place>]) {
        let log = &mut *self.log.lock();
        if log.closed {
            return;
        }
        let mut limits = None;
        let mut answers = Vec::new();
        for place in places {
            let Some(pending) = log.pending.pop_front() else {
                break;
            };
            match (pending.change, place) {
                (
                    Change::Batch {
                        placed,
                        bytes,
                        effective,
                    },
                    Some(place),
                ) => {
                    let len = bytes.len();
                    let body = Body::Disk(*place);
                    let answer = self.apply(log, &placed, &bytes, body, &effective);
                    self.budget.release(len as u64);
                    limits = Some(effective);
                    answers.extend(pending.appends.into_iter().map(|teller| (teller, answer)));
                }
                (Change::Start(target), _) => {
                    self.advance(log, target);
                    for teller in pending.starts {
                        // Whoever asked may have given up.
                        let _ = teller.send(Ok(log.start));
                    }
                }
                (Change::Batch { .. }, None) => {}
            }
        }
        if let Some(effective) = limits {
            self.retain(log, &effective);
        }
        for (teller, answer) in answers {
            // Whoever asked may have given up.
            let _ = teller.send(Ok(Appended {
                log_start_offset: log.start,
                ..answer
            }));
        }
        if let Some(shelf) = &self.shelf
            && !log.pending.is_empty()
        {
            log.queue(shelf, self);
        }
        log.wake();
    }

    /// Up to where files may go; `None`: the partition is closed, which says nothing of them.
    pub(super) fn swept_before(&self) -> Option<i64> {
        let log = self.log.lock();
        (!log.closed).then_some(log.start)
    }

    /// Everything on its way has failed; whoever waits for it is told.
    pub(super) fn refuse_pending(&self, error: &TopicError) {
        self.fail(&mut self.log.lock(), error);
    }

    pub(super) fn fail(&self, log: &mut Log, error: &TopicError) {
        for pending in log.pending.drain(..) {
            if let Change::Batch { placed, bytes, .. } = &pending.change {
                let producer = u64::from(placed.pays_for_producer) * PRODUCER_BYTES;
                self.budget.release(cost(bytes.len()) + producer);
            }
            for teller in pending.appends {
                // Whoever asked may have given up.
                let _ = teller.send(Err(error.clone()));
            }
            for teller in pending.starts {
                let _ = teller.send(Err(error.clone()));
            }
        }
    }
}
