//! The one thread that writes the log: what arrives during a sync is the next frame.

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use super::log::Log;
use super::machine::Change;
use crate::time::Now;

/// A change on its way to the disk.
pub(super) struct Job {
    pub(super) change: Change,
    pub(super) now: Now,
    /// Told whether it is durable, after it was settled; whoever waits may be gone.
    pub(super) done: oneshot::Sender<bool>,
}

/// Settles changes that are durable, or that could not be made so.
pub(super) trait Settle: Send + Sync + 'static {
    fn settle(&self, change: Change, is_durable: bool, now: Now);
}

/// A handle of the thread; it ends when the handle is dropped, after what it was given.
pub(super) struct Writer {
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(log: Log, settle: Arc<impl Settle>) -> std::io::Result<Self> {
        let (jobs, inbox) = sync_channel(JOBS_MAX);
        let thread = std::thread::Builder::new()
            .name("transactions".to_owned())
            .spawn(move || run(log, &inbox, &*settle))?;
        Ok(Self {
            jobs: Some(jobs),
            thread: Some(thread),
        })
    }

    /// Hands a change over, or gives it back if the queue is full or the thread gone.
    pub(super) fn submit(&self, job: Job) -> Result<(), Box<Job>> {
        let Some(jobs) = &self.jobs else {
            return Err(Box::new(job));
        };
        jobs.try_send(job).map_err(|refused| match refused {
            TrySendError::Full(job) | TrySendError::Disconnected(job) => Box::new(job),
        })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the writer of the log of transactions has panicked");
        }
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}

fn run(mut log: Log, inbox: &Receiver<Job>, settle: &impl Settle) {
    let mut was_well = true;
    while let Ok(first) = inbox.recv() {
        let mut round = vec![first];
        while round.len() < ROUND_MAX
            && let Ok(job) = inbox.try_recv()
        {
            round.push(job);
        }
        let changes: Vec<Change> = round.iter().map(|job| job.change.clone()).collect();
        let written = log.append(&changes);
        match &written {
            Ok(()) => was_well = true,
            // Once, until it is well again.
            Err(error) if was_well => {
                was_well = false;
                tracing::error!(
                    "the log of transactions cannot be written, transactions are refused: {error}"
                );
            }
            Err(_) => {}
        }
        for job in round {
            settle.settle(job.change, written.is_ok(), job.now);
            // Nobody may be waiting any more.
            let _ = job.done.send(written.is_ok());
        }
    }
}

/// Changes that may wait; there is at most one of each transactional id.
const JOBS_MAX: usize = 8_192;

/// Changes of one frame.
const ROUND_MAX: usize = 512;
