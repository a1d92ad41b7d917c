//! The words of the drivers' lines.

use std::collections::{BTreeMap, BTreeSet};

use crate::Failure;

/// Reads `0,2`, or `-` for none.
pub(crate) fn parts(word: &str) -> Result<BTreeSet<u32>, Failure> {
    if word == "-" {
        return Ok(BTreeSet::new());
    }
    word.split(',').map(number).collect()
}

/// Reads `0:17,2:4`, or `-` for none.
pub(crate) fn offsets(word: &str) -> Result<BTreeMap<u32, u64>, Failure> {
    if word == "-" {
        return Ok(BTreeMap::new());
    }
    word.split(',')
        .map(|pair| {
            let (partition, offset) = pair
                .split_once(':')
                .ok_or_else(|| Failure::new(format!("not PARTITION:OFFSET: {pair}")))?;
            Ok((number(partition)?, number(offset)?))
        })
        .collect()
}

/// Writes what [`offsets`] reads.
pub(crate) fn join_offsets(offsets: &BTreeMap<u32, u64>) -> String {
    offsets
        .iter()
        .map(|(p, o)| format!("{p}:{o}"))
        .collect::<Vec<_>>()
        .join(",")
}

/// Reads one number.
pub(crate) fn number<N: std::str::FromStr>(word: &str) -> Result<N, Failure> {
    word.parse()
        .map_err(|_| Failure::new(format!("not a number: {word:?}")))
}

/// One spelling of a group state: clients write `Stable`, `STABLE`, `PreparingRebalance`,
/// `PREPARING_REBALANCING`.
pub(crate) fn state(word: &str) -> String {
    word.chars()
        .filter(char::is_ascii_alphabetic)
        .collect::<String>()
        .to_ascii_lowercase()
}
