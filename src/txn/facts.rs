//! What is known of one transactional id: everything that outlives the process.

use std::collections::BTreeSet;

use crate::ids::{GroupId, PartitionIndex, TopicName, TransactionalId};
use crate::time::WallMs;

/// A producer id with its epoch; a lower epoch of the same id is a zombie's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Producer {
    /// The id; -1 is none.
    pub id: i64,
    /// The epoch; -1 is none.
    pub epoch: i16,
}

/// A partition of a topic.
pub type TxnPartition = (TopicName, PartitionIndex);

/// Where a transaction stands, under Kafka's names.
///
/// A transactional id that expired (`Dead`) is not known any more.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum TransactionState {
    /// No transaction since the producer was initialised.
    Empty,
    /// Partitions or groups were added.
    Ongoing,
    /// To be committed: decided, and the markers are being written.
    PrepareCommit,
    /// To be aborted: decided, and the markers are being written.
    PrepareAbort,
    /// Committed everywhere.
    CompleteCommit,
    /// Aborted everywhere.
    CompleteAbort,
}

impl TransactionState {
    /// All of them, by their numbers in Kafka's log.
    pub const ALL: [Self; 6] = [
        Self::Empty,
        Self::Ongoing,
        Self::PrepareCommit,
        Self::PrepareAbort,
        Self::CompleteCommit,
        Self::CompleteAbort,
    ];

    /// The name, as `DescribeTransactions` tells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Ongoing => "Ongoing",
            Self::PrepareCommit => "PrepareCommit",
            Self::PrepareAbort => "PrepareAbort",
            Self::CompleteCommit => "CompleteCommit",
            Self::CompleteAbort => "CompleteAbort",
        }
    }

    /// Whether the end is decided and not yet written everywhere.
    pub fn is_ending(self) -> bool {
        matches!(self, Self::PrepareCommit | Self::PrepareAbort)
    }

    /// The states from which this one can be reached in one step.
    pub fn is_reached_from(self, before: Option<Self>) -> bool {
        let Some(before) = before else {
            return self == Self::Empty;
        };
        match self {
            Self::Empty | Self::Ongoing => {
                !before.is_ending() && (before != Self::Ongoing || self == before)
            }
            Self::PrepareCommit => before == Self::Ongoing,
            // With transactions version 2 a transaction without partitions can be aborted, too.
            Self::PrepareAbort => !before.is_ending(),
            Self::CompleteCommit => before == Self::PrepareCommit,
            Self::CompleteAbort => before == Self::PrepareAbort,
        }
    }
}

/// The facts of a transactional id.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Facts {
    /// The producer; its epoch is -1 until the first initialisation is durable. While a
    /// transaction of version 2 ends, the epoch is that of the markers, one above the client's.
    pub producer: Producer,
    /// The epoch before a change that a client may ask for again; -1 is none.
    pub last_epoch: i16,
    /// The producer id before `producer.id`, whose epochs were used up; -1 is none.
    pub previous_id: i64,
    /// The producer id that takes over once the transaction has ended; -1 is none.
    pub next_id: i64,
    /// How long, in milliseconds, a transaction may take.
    pub timeout_ms: i32,
    /// Where the transaction stands.
    pub state: TransactionState,
    /// Whether the transaction keeps the rules of version 2 (KIP-890).
    pub is_v2: bool,
    /// The partitions that were added.
    pub partitions: BTreeSet<TxnPartition>,
    /// The groups whose offsets were added.
    pub groups: BTreeSet<GroupId>,
    /// When the transaction began; -1: none has.
    pub started: WallMs,
    /// When anything changed last.
    pub updated: WallMs,
}

impl Facts {
    /// Of an id that was never seen, before its first initialisation.
    pub(super) fn new(producer_id: i64) -> Self {
        Self {
            producer: Producer {
                id: producer_id,
                epoch: -1,
            },
            last_epoch: -1,
            previous_id: -1,
            next_id: -1,
            timeout_ms: 0,
            state: TransactionState::Empty,
            is_v2: false,
            partitions: BTreeSet::new(),
            groups: BTreeSet::new(),
            started: WallMs(-1),
            updated: WallMs(-1),
        }
    }

    /// Whether the next epoch is the last one, which clients never get to see.
    pub(super) fn is_exhausted(&self) -> bool {
        is_exhausted(self.producer.epoch)
    }

    /// How many partitions and groups are in the transaction.
    pub(super) fn size(&self) -> usize {
        self.partitions.len() + self.groups.len()
    }

    /// What is to be written for the end that was decided.
    pub(super) fn ending(&self, id: &TransactionalId) -> Option<Ending> {
        self.state.is_ending().then(|| Ending {
            id: id.clone(),
            producer: self.producer,
            committed: self.state == TransactionState::PrepareCommit,
            partitions: self.partitions.iter().cloned().collect(),
            groups: self.groups.iter().cloned().collect(),
        })
    }
}

/// Whether no epoch is left after this one but the last, which fences.
pub(super) fn is_exhausted(epoch: i16) -> bool {
    epoch >= i16::MAX - 1
}

/// A decided end: where the markers have to go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ending {
    /// Whose.
    pub id: TransactionalId,
    /// The producer, with the epoch of the markers.
    pub producer: Producer,
    /// Whether it commits.
    pub committed: bool,
    /// The partitions with records.
    pub partitions: Vec<TxnPartition>,
    /// The groups with offsets.
    pub groups: Vec<GroupId>,
}
