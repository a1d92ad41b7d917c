//! Questions about offsets: by position, by time and by leader epoch.

use super::LEADER_EPOCH;
use super::error::TopicError;
use super::partition::Partition;

/// Which offset is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum OffsetSpec {
    /// The first of the log (-2), or of its local part (-4, KIP-405), which is all of it.
    Earliest,
    /// The one after the last (-1).
    Latest,
    /// The one of the largest timestamp (-3, KIP-734).
    MaxTimestamp,
    /// One in tiered storage (-5 and -6, KIP-1005 and KIP-1023): there is none.
    Tiered,
    /// The first whose timestamp is at least that.
    AtOrAfter(i64),
}

impl OffsetSpec {
    /// What a request's timestamp means.
    ///
    /// # Errors
    ///
    /// `UnsupportedVersion` for a special timestamp that is not known, as Kafka answers.
    pub fn from_timestamp(timestamp: i64) -> Result<Self, TopicError> {
        match timestamp {
            0.. => Ok(Self::AtOrAfter(timestamp)),
            -1 => Ok(Self::Latest),
            -2 | -4 => Ok(Self::Earliest),
            -3 => Ok(Self::MaxTimestamp),
            -5 | -6 => Ok(Self::Tiered),
            _ => Err(TopicError::UnsupportedVersion),
        }
    }
}

/// The answer to an [`OffsetSpec`]; all -1 if there is no such offset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ListedOffset {
    /// The timestamp of the record; -1 where the question was not about time.
    pub timestamp: i64,
    /// The offset.
    pub offset: i64,
    /// Its leader epoch.
    pub leader_epoch: i32,
}

/// Where a leader epoch ends (KIP-101, KIP-320); all -1 if that is not known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EpochEnd {
    /// The epoch.
    pub leader_epoch: i32,
    /// The offset after its last.
    pub end_offset: i64,
}

/// Holds the leader epoch that a caller takes for current, -1 for none, against the one that is.
pub(super) fn check_current_epoch(epoch: i32) -> Result<(), TopicError> {
    if epoch > LEADER_EPOCH {
        return Err(TopicError::UnknownLeaderEpoch);
    }
    Ok(())
}

/// Looks an offset up, below the last stable offset if only `committed` records count. Records in
/// compressed batches are not read: a question by time is answered with the first offset of the
/// batch that holds the record.
pub(super) fn list(
    partition: &Partition,
    spec: OffsetSpec,
    committed: bool,
) -> Result<ListedOffset, TopicError> {
    let bounds = partition.bounds()?;
    let end = if committed { bounds.stable } else { bounds.end };
    let at = |(offset, timestamp): (i64, i64)| ListedOffset {
        timestamp,
        offset,
        leader_epoch: LEADER_EPOCH,
    };
    let is_below = |(offset, _): &(i64, i64)| *offset < end;
    let found = match spec {
        OffsetSpec::Earliest => Some((bounds.start, -1)),
        OffsetSpec::Latest => Some((end, -1)),
        OffsetSpec::MaxTimestamp => partition.newest_timestamp()?.filter(is_below),
        OffsetSpec::AtOrAfter(timestamp) => partition.find_timestamp(timestamp)?.filter(is_below),
        OffsetSpec::Tiered => None,
    };
    Ok(found.map_or(NOT_FOUND, at))
}

/// Where an epoch ends: the only one with the log.
pub(super) fn epoch_end(partition: &Partition, epoch: i32) -> Result<EpochEnd, TopicError> {
    let bounds = partition.bounds()?;
    Ok(if epoch == LEADER_EPOCH {
        EpochEnd {
            leader_epoch: epoch,
            end_offset: bounds.end,
        }
    } else {
        EpochEnd {
            leader_epoch: -1,
            end_offset: -1,
        }
    })
}

const NOT_FOUND: ListedOffset = ListedOffset {
    timestamp: -1,
    offset: -1,
    leader_epoch: -1,
};
