//! What transactions do by themselves: decided ends are carried out, and time is kept.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::Broker;
use super::transactions::fresh_id;
use crate::engine::{EndTxnRequest, Engine, Producer};
use crate::error::Refusal;
use crate::topics::{ProducerIdentity, TopicError, Topics};
use crate::txn::{Coordinator, Ending, TxnError};

/// What an end needs to be carried out.
#[derive(Clone, Debug)]
struct Hands {
    engine: Engine,
    topics: Arc<Topics>,
    coordinator: Arc<Coordinator>,
}

impl Broker {
    /// Carries out the ends of transactions, and aborts those that hang, until the server stops.
    /// What is under way then is taken up again at the next start, if there is a disk.
    pub fn carry_out_transactions(&self) -> impl Future<Output = ()> + Send + 'static {
        let hands = Hands {
            engine: self.engine.clone(),
            topics: Arc::clone(&self.topics),
            coordinator: Arc::clone(&self.transactions),
        };
        hands.run(self.stopped())
    }
}

impl Hands {
    async fn run(self, stopped: watch::Receiver<bool>) {
        let coordinator = &self.coordinator;
        let mut told = stopped.clone();
        loop {
            let now = self.engine.now();
            coordinator.expire(|| fresh_id(&self.topics), now);
            while let Some(ending) = coordinator.take_ending() {
                let (hands, mut stopped) = (self.clone(), stopped.clone());
                tokio::spawn(async move {
                    tokio::select! {
                        () = hands.carry_out(&ending) => {}
                        // An error means that the server is gone, which is a stop as well.
                        _ = stopped.wait_for(|stopped| *stopped) => {}
                    }
                });
            }
            let deadline = coordinator.next_deadline();
            let wait_ms = deadline.map_or(WAIT_MS_MAX, |at| at.since_ms(now.tick));
            let wait = Duration::from_millis(wait_ms.clamp(1, WAIT_MS_MAX));
            tokio::select! {
                () = coordinator.woken() => {}
                () = tokio::time::sleep(wait) => {}
                _ = told.wait_for(|stopped| *stopped) => return,
            }
        }
    }

    /// Writes the markers until all of them are there.
    async fn carry_out(&self, ending: &Ending) {
        let mut pause = PAUSE_MIN;
        while let Err(what) = self.try_once(ending).await {
            tracing::debug!(id = %ending.id, "a transaction cannot be ended yet: {what}");
            self.coordinator.delayed(ending);
            tokio::time::sleep(pause).await;
            pause = PAUSE_MAX.min(pause * 2);
        }
    }

    async fn try_once(&self, ending: &Ending) -> Result<(), String> {
        let by = ending.producer;
        let now = self.engine.now();
        let identity = ProducerIdentity {
            id: by.id,
            epoch: by.epoch,
        };
        let markers: Vec<_> = ending
            .partitions
            .iter()
            .map(|(topic, index)| {
                let committed = ending.committed;
                let topics = &self.topics;
                topics.append_marker(topic, *index, identity, committed, now.wall)
            })
            .collect();
        let groups: Vec<_> = ending
            .groups
            .iter()
            .map(|group| {
                self.engine.end_txn(EndTxnRequest {
                    group: group.clone(),
                    producer: Producer::new(by.id, by.epoch),
                    committed: ending.committed,
                })
            })
            .collect();
        for marker in markers {
            match marker.await {
                // Deleted meanwhile, with everything that was in it.
                Ok(_) | Err(TopicError::UnknownTopicOrPartition) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        for group in groups {
            match group.await {
                // A newer epoch was there: whatever the old one had was ended before it.
                Ok(()) | Err(Refusal::InvalidProducerEpoch) => {}
                Err(refusal) => return Err(refusal.to_string()),
            }
        }
        match self.coordinator.finished(ending, self.engine.now()).await {
            // Done before, by another try.
            Ok(()) | Err(TxnError::NotFound | TxnError::InvalidState) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// Between two tries to carry an end out.
const PAUSE_MIN: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// The longest sleep.
const WAIT_MS_MAX: u64 = 60_000;
