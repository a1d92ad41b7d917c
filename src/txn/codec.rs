//! The bytes of a [`Change`] in the log, little-endian.
//!
//! ```text
//!  kind u8 (0 the id expired, 1 facts)   id: length u16, UTF-8
//!  facts: producer id i64, epoch i16, last epoch i16, previous id i64, next id i64,
//!         timeout i32, state u8, version u8 (1 or 2), started i64, updated i64,
//!         partitions: count u32, each topic (length u16, UTF-8) and index i32
//!         groups: count u32, each length u16 and UTF-8
//! ```

use bytes::{Buf, BufMut};

use super::facts::{Facts, Producer, TransactionState};
use super::machine::Change;
use crate::ids::TransactionalId;
use crate::time::WallMs;

/// Appends a change.
///
/// Names come from the wire, whose strings have at most 32,767 bytes.
pub(super) fn write(change: &Change, out: &mut Vec<u8>) {
    out.put_u8(u8::from(change.facts.is_some()));
    write_text(change.id.as_str(), out);
    let Some(facts) = &change.facts else {
        return;
    };
    out.put_i64_le(facts.producer.id);
    out.put_i16_le(facts.producer.epoch);
    out.put_i16_le(facts.last_epoch);
    out.put_i64_le(facts.previous_id);
    out.put_i64_le(facts.next_id);
    out.put_i32_le(facts.timeout_ms);
    out.put_u8(facts.state as u8);
    out.put_u8(if facts.is_v2 { 2 } else { 1 });
    out.put_i64_le(facts.started.0);
    out.put_i64_le(facts.updated.0);
    out.put_u32_le(count(facts.partitions.len()));
    for (topic, index) in &facts.partitions {
        write_text(topic.as_str(), out);
        out.put_i32_le(*index);
    }
    out.put_u32_le(count(facts.groups.len()));
    for group in &facts.groups {
        write_text(group.as_str(), out);
    }
}

/// Reads a change off the front; `None` if the bytes are none.
pub(super) fn read(from: &mut &[u8]) -> Option<Change> {
    let kind = from.try_get_u8().ok()?;
    let id: TransactionalId = read_text(from)?.into();
    match kind {
        0 => Some(Change { id, facts: None }),
        1 => {
            let facts = Some(read_facts(from)?);
            Some(Change { id, facts })
        }
        _ => None,
    }
}

fn read_facts(from: &mut &[u8]) -> Option<Facts> {
    let mut facts = Facts::new(-1);
    facts.producer = Producer {
        id: from.try_get_i64_le().ok()?,
        epoch: from.try_get_i16_le().ok()?,
    };
    facts.last_epoch = from.try_get_i16_le().ok()?;
    facts.previous_id = from.try_get_i64_le().ok()?;
    facts.next_id = from.try_get_i64_le().ok()?;
    facts.timeout_ms = from.try_get_i32_le().ok()?;
    let state = usize::from(from.try_get_u8().ok()?);
    facts.state = TransactionState::ALL.get(state).copied()?;
    facts.is_v2 = match from.try_get_u8().ok()? {
        1 => false,
        2 => true,
        _ => return None,
    };
    facts.started = WallMs(from.try_get_i64_le().ok()?);
    facts.updated = WallMs(from.try_get_i64_le().ok()?);
    // The counts are no promise of memory: each item is read before room is made for it.
    for _ in 0..from.try_get_u32_le().ok()? {
        let topic = read_text(from)?.into();
        facts
            .partitions
            .insert((topic, from.try_get_i32_le().ok()?));
    }
    for _ in 0..from.try_get_u32_le().ok()? {
        facts.groups.insert(read_text(from)?.into());
    }
    Some(facts)
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    out.put_u16_le(u16::try_from(text.len()).expect("a string on the wire has no more bytes"));
    out.extend(text.as_bytes());
}

fn read_text<'a>(from: &mut &'a [u8]) -> Option<&'a str> {
    let length = usize::from(from.try_get_u16_le().ok()?);
    let (text, rest) = from.split_at_checked(length)?;
    *from = rest;
    std::str::from_utf8(text).ok()
}

fn count(len: usize) -> u32 {
    u32::try_from(len).expect("a transaction has a bounded number of partitions")
}
