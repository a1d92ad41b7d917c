//! Why a transaction request is refused, and why a coordinator does not open.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// The answer to a request that was understood and not carried out; each is one error code of
/// Kafka's, by its name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum TxnError {
    /// `COORDINATOR_NOT_AVAILABLE`: it could not be written down, or there is no room for one more
    /// transactional id.
    NotAvailable,
    /// `INVALID_REQUEST`: the transactional id is empty, or the transaction would be too large.
    InvalidRequest,
    /// `INVALID_PRODUCER_ID_MAPPING`: the transactional id is not known, or not with that producer.
    InvalidProducerIdMapping,
    /// `INVALID_TRANSACTION_TIMEOUT`: not positive, or above `transaction.max.timeout.ms`.
    InvalidTimeout,
    /// `CONCURRENT_TRANSACTIONS`: the transaction is changing at this moment; try again.
    ConcurrentTransactions,
    /// `INVALID_TXN_STATE`: the transaction cannot be ended that way.
    InvalidState,
    /// `PRODUCER_FENCED`: another producer has taken the transactional id over.
    ProducerFenced,
    /// `TRANSACTION_ABORTABLE`: the partition or group is not in the transaction.
    Abortable,
    /// `TRANSACTIONAL_ID_NOT_FOUND`.
    NotFound,
}

impl fmt::Display for TxnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAvailable => "the transaction cannot be written down now",
            Self::InvalidRequest => "the transactional id is empty or the transaction too large",
            Self::InvalidProducerIdMapping => {
                "the transactional id is not known with this producer id"
            }
            Self::InvalidTimeout => "the timeout is not within 1 and transaction.max.timeout.ms",
            Self::ConcurrentTransactions => "the transaction is changing at this moment",
            Self::InvalidState => "the transaction cannot be ended that way",
            Self::ProducerFenced => "another producer has taken the transactional id over",
            Self::Abortable => "the partition or group is not in the transaction",
            Self::NotFound => "the transactional id is not known",
        })
    }
}

impl std::error::Error for TxnError {}

/// Why the log of transactions cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// The disk refuses.
    Io(PathBuf, io::Error),
    /// Another process has it open.
    Locked(PathBuf),
    /// The file is not a log of transactions.
    Alien(PathBuf),
    /// The file was written by another version of this program.
    Version(PathBuf, u32),
    /// Something in the middle of the file is not what was written.
    Damaged {
        /// The file.
        file: PathBuf,
        /// Where, in bytes from its beginning.
        offset: u64,
        /// What is wrong there.
        reason: &'static str,
    },
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(path, error) => write!(f, "cannot open '{}': {error}", path.display()),
            Self::Locked(path) => {
                write!(f, "'{}' is in use by another process", path.display())
            }
            Self::Alien(path) => write!(f, "'{}' is not a log of transactions", path.display()),
            Self::Version(path, version) => write!(
                f,
                "'{}' has format version {version}, which is not known here",
                path.display()
            ),
            Self::Damaged {
                file,
                offset,
                reason,
            } => write!(
                f,
                "'{}' is damaged at byte {offset}: {reason}",
                file.display()
            ),
        }
    }
}

impl std::error::Error for OpenError {}
