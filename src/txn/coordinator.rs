//! The coordinator as its callers see it: verbs that answer when their change is durable.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::sync::Arc;

use tokio::sync::{Notify, oneshot};

use super::error::{OpenError, TxnError};
use super::facts::{Ending, Facts, Producer, TransactionState, TxnPartition};
use super::init::InitRequest;
use super::lock::Lock;
use super::log::{self, Damage, Log};
use super::machine::{Change, Limits, Protocol, Step, Transactions};
use super::writer::{Job, Settle, Writer};
use crate::disk::{Disk, RealDisk};
use crate::ids::{GroupId, TransactionalId};
use crate::time::{Now, Tick};

/// A line of a listing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// The transactional id.
    pub id: TransactionalId,
    /// Its producer id.
    pub producer_id: i64,
    /// Where its transaction stands.
    pub state: TransactionState,
}

/// The transactions of the node.
///
/// Its verbs answer at once where nothing has to be written, or where there is no disk. Dropping
/// an answer that is awaited does not take back what it asked for.
///
/// The owner drives what happens by itself:
///
/// ```text
///  loop { select! { coordinator.woken(), the clock reaches coordinator.next_deadline(), .. }
///         coordinator.expire(..)
///         while let Some(ending) = coordinator.take_ending() { write its markers, finished(..) } }
/// ```
#[derive(Debug)]
pub struct Coordinator {
    shared: Arc<Shared>,
    // After `shared` is of no use to anyone else, the thread ends.
    writer: Option<Writer>,
}

#[derive(Debug)]
struct Shared {
    state: Lock<State>,
    wake: Notify,
}

#[derive(Debug)]
struct State {
    transactions: Transactions,
    // Decided, and not yet taken by the owner; at most one of each id.
    endings: VecDeque<Ending>,
    // Who decided an end, and would rather answer when it is carried out.
    waiting: BTreeMap<TransactionalId, oneshot::Sender<()>>,
}

impl Coordinator {
    /// Opens the log of transactions in a directory; without one everything is in memory and ends
    /// with the process.
    ///
    /// # Errors
    ///
    /// Says why the log cannot be used.
    pub fn open(
        dir: Option<&Path>,
        damage: Damage,
        limits: Limits,
        now: Now,
    ) -> Result<Self, OpenError> {
        let Some(dir) = dir else {
            return Ok(Self {
                shared: Arc::new(Shared::new(Transactions::new(limits))),
                writer: None,
            });
        };
        let failed = |error| OpenError::Io(log::path_in(dir), error);
        let disk = RealDisk::new(dir).map_err(failed)?;
        Self::open_on(Box::new(disk), dir, damage, (limits, now))
    }

    /// Whether [`Coordinator::open`] would find fault with the log in a directory, which is not
    /// touched.
    ///
    /// # Errors
    ///
    /// Says why the log cannot be used.
    pub fn examine(dir: &Path, damage: Damage) -> Result<(), OpenError> {
        if !dir.exists() {
            return Ok(());
        }
        let failed = |error| OpenError::Io(log::path_in(dir), error);
        let disk = RealDisk::new(dir).map_err(failed)?;
        Log::read(&disk, dir, damage)?;
        Ok(())
    }

    pub(super) fn open_on(
        disk: Box<dyn Disk>,
        dir: &Path,
        damage: Damage,
        (limits, now): (Limits, Now),
    ) -> Result<Self, OpenError> {
        let [a, b, c, d, ..] = uuid::Uuid::new_v4().into_bytes();
        let salt = u32::from_le_bytes([a, b, c, d]);
        let (log, changes) = Log::open(disk, dir, (damage, salt))?;
        let mut transactions = Transactions::new(limits);
        let mut endings = VecDeque::new();
        for Change { id, facts } in changes {
            if let Some(facts) = facts {
                endings.extend(transactions.restore(&id, facts, now));
            }
        }
        let shared = Arc::new(Shared::new(transactions));
        if !endings.is_empty() {
            shared.state.lock().endings = endings;
            shared.wake.notify_one();
        }
        let failed = |error| OpenError::Io(log::path_in(dir), error);
        let writer = Writer::start(log, Arc::clone(&shared)).map_err(failed)?;
        Ok(Self {
            shared,
            writer: Some(writer),
        })
    }

    /// Gives a transactional id to a producer; see [`Transactions::init`].
    ///
    /// # Errors
    ///
    /// `InvalidRequest`, `InvalidTimeout`, `ProducerFenced`, `ConcurrentTransactions`,
    /// `NotAvailable`.
    pub async fn init(
        &self,
        id: &TransactionalId,
        request: InitRequest,
        fresh: impl FnOnce() -> Option<i64>,
        now: Now,
    ) -> Result<Producer, TxnError> {
        let step = {
            let state = &mut *self.shared.state.lock();
            state.transactions.init(id, request, fresh, now)
        };
        self.carry_out(step, now).await
    }

    /// Adds partitions and groups to a transaction; see [`Transactions::add`].
    ///
    /// # Errors
    ///
    /// `InvalidRequest`, `InvalidProducerIdMapping`, `ProducerFenced`, `ConcurrentTransactions`,
    /// `NotAvailable`.
    pub async fn add(
        &self,
        id: &TransactionalId,
        producer: Producer,
        partitions: BTreeSet<TxnPartition>,
        groups: BTreeSet<GroupId>,
        (protocol, now): (Protocol, Now),
    ) -> Result<(), TxnError> {
        let step = {
            let state = &mut *self.shared.state.lock();
            let how = (protocol, now);
            state
                .transactions
                .add(id, producer, partitions, groups, how)
        };
        self.carry_out(step, now).await
    }

    /// Ends a transaction; see [`Transactions::end`]. Answers once the markers are written or
    /// could not be at the first try: then they will be, for the end is decided.
    ///
    /// # Errors
    ///
    /// `InvalidRequest`, `InvalidProducerIdMapping`, `ProducerFenced`, `ConcurrentTransactions`,
    /// `InvalidState`, `NotAvailable`.
    pub async fn end(
        &self,
        id: &TransactionalId,
        producer: Producer,
        committed: bool,
        fresh: impl FnOnce() -> Option<i64>,
        (protocol, now): (Protocol, Now),
    ) -> Result<Producer, TxnError> {
        let (tell, told) = oneshot::channel();
        let step = {
            let state = &mut *self.shared.state.lock();
            let how = (protocol, now);
            let step = state.transactions.end(id, producer, committed, fresh, how);
            if step.change.is_some() {
                state.waiting.insert(id.clone(), tell);
            }
            step
        };
        let must_wait = step.change.is_some();
        let answer = self.carry_out(step, now).await;
        if answer.is_err() {
            self.shared.release(id);
        } else if must_wait {
            // An error says that it was tried, or that nobody will any more.
            let _ = told.await;
        }
        answer
    }

    /// Whether a producer's transaction has a partition; see [`Transactions::verify`].
    ///
    /// # Errors
    ///
    /// `InvalidRequest`, `InvalidProducerIdMapping`, `ProducerFenced`, `ConcurrentTransactions`,
    /// `Abortable`.
    pub fn verify(
        &self,
        id: &str,
        producer: Producer,
        partition: &TxnPartition,
    ) -> Result<(), TxnError> {
        let state = self.shared.state.lock();
        state.transactions.verify(id, producer, partition)
    }

    /// Does something if a producer's transaction has a group. Until it is done the end of the
    /// transaction cannot be decided, so that what is begun there is begun before its end is.
    ///
    /// # Errors
    ///
    /// As above.
    pub fn in_group<T>(
        &self,
        id: &str,
        producer: Producer,
        group: &GroupId,
        begin: impl FnOnce() -> T,
    ) -> Result<T, TxnError> {
        let state = self.shared.state.lock();
        state.transactions.verify_group(id, producer, group)?;
        Ok(begin())
    }

    /// What is known of an id.
    ///
    /// # Errors
    ///
    /// `InvalidRequest` for the empty id, `NotFound`.
    pub fn describe(&self, id: &str) -> Result<Facts, TxnError> {
        if id.is_empty() {
            return Err(TxnError::InvalidRequest);
        }
        let state = self.shared.state.lock();
        let facts = state.transactions.facts(id).cloned();
        facts.ok_or(TxnError::NotFound)
    }

    /// All ids that fit, in their order.
    pub fn list(&self, fits: impl Fn(&TransactionalId, &Facts) -> bool) -> Vec<Listed> {
        let state = self.shared.state.lock();
        let fitting = state
            .transactions
            .all()
            .filter(|(id, facts)| fits(id, facts));
        fitting
            .map(|(id, facts)| Listed {
                id: id.clone(),
                producer_id: facts.producer.id,
                state: facts.state,
            })
            .collect()
    }

    /// Waits until there may be something to do: an ending, or an earlier deadline.
    pub async fn woken(&self) {
        self.shared.wake.notified().await;
    }

    /// When [`Coordinator::expire`] has something to do next.
    pub fn next_deadline(&self) -> Option<Tick> {
        self.shared.state.lock().transactions.next_deadline()
    }

    /// Aborts what hangs and forgets what nobody uses; what it decides is carried out by itself.
    pub fn expire(&self, fresh: impl FnMut() -> Option<i64>, now: Now) {
        let changes = {
            let state = &mut *self.shared.state.lock();
            state.transactions.expire(fresh, now)
        };
        for change in changes {
            // Settled without anyone who waits for it.
            drop(self.write(change, now));
        }
    }

    /// The next end to carry out.
    pub fn take_ending(&self) -> Option<Ending> {
        self.shared.state.lock().endings.pop_front()
    }

    /// The first try to write the markers of an end has failed; who waits for it is answered.
    pub fn delayed(&self, ending: &Ending) {
        self.shared.release(&ending.id);
    }

    /// The markers of an end are written.
    ///
    /// # Errors
    ///
    /// `NotAvailable`: it could not be written down, and is to be repeated; `NotFound` and
    /// `InvalidState`: it was done already.
    pub async fn finished(&self, ending: &Ending, now: Now) -> Result<(), TxnError> {
        let step = {
            let state = &mut *self.shared.state.lock();
            state.transactions.finished(ending, now)
        };
        let answer = self.carry_out(step, now).await;
        self.shared.release(&ending.id);
        answer
    }

    async fn carry_out<T>(&self, step: Step<T>, now: Now) -> Result<T, TxnError> {
        let Some(change) = step.change else {
            return step.answer;
        };
        match self.write(change, now) {
            Written::Settled(true) => step.answer,
            Written::Settled(false) => Err(TxnError::NotAvailable),
            Written::Later(done) => match done.await {
                Ok(true) => step.answer,
                Ok(false) | Err(_) => Err(TxnError::NotAvailable),
            },
        }
    }

    fn write(&self, change: Change, now: Now) -> Written {
        let Some(writer) = &self.writer else {
            self.shared.settle(change, true, now);
            return Written::Settled(true);
        };
        let (done, later) = oneshot::channel();
        match writer.submit(Job { change, now, done }) {
            Ok(()) => Written::Later(later),
            Err(refused) => {
                self.shared.settle(refused.change, false, now);
                Written::Settled(false)
            }
        }
    }
}

/// What became of a change.
enum Written {
    Settled(bool),
    Later(oneshot::Receiver<bool>),
}

impl Shared {
    fn new(transactions: Transactions) -> Self {
        Self {
            state: Lock::new(State {
                transactions,
                endings: VecDeque::new(),
                waiting: BTreeMap::new(),
            }),
            wake: Notify::new(),
        }
    }

    /// Whoever waits for the end of this transaction is told.
    fn release(&self, id: &TransactionalId) {
        let waiting = self.state.lock().waiting.remove(id);
        drop(waiting);
    }
}

impl Settle for Shared {
    fn settle(&self, change: Change, is_durable: bool, now: Now) {
        let state = &mut *self.state.lock();
        let deadline = state.transactions.next_deadline();
        let ending = state.transactions.settle(change, is_durable, now);
        let is_earlier = match (state.transactions.next_deadline(), deadline) {
            (Some(at), Some(before)) => at < before,
            (at, None) => at.is_some(),
            (None, Some(_)) => false,
        };
        if is_earlier || ending.is_some() {
            state.endings.extend(ending);
            self.wake.notify_one();
        }
    }
}
