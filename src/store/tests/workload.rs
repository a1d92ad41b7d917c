//! Random histories, and what must be there after them.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::super::config::{OpenError, Quarantined, Repair, StoreConfig};
use super::super::journal::{encode, read};
use super::super::log::{Body, Failed, Log};
use super::disk::SimDisk;
pub(super) use crate::disk::simulated::Random;
use crate::group::{
    Entry, GroupKey, GroupMetadata, Groups, OffsetValue, PendingValue, Record, Rules, Then,
};
use crate::ids::{Generation, ProducerEpoch, ProducerId, ShardId, TopicId};
use crate::journal::{Batch, Loaded, Ticket};
use crate::time::{Now, WallMs};

pub(super) const SHARDS: u32 = 2;

/// Small enough that a hundred batches fill segments and bring about carrying.
pub(super) const SMALL: StoreConfig = StoreConfig {
    segment_bytes: 2 << 10,
    log_bytes_min: 32 << 10,
    repair: Repair::Refuse,
};

/// A batch as a shard would append it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Append {
    pub(super) shard: u32,
    pub(super) entries: Vec<Entry>,
}

impl Append {
    pub(super) fn of(shard: u32, records: Vec<Record>) -> Self {
        Self {
            shard,
            entries: vec![entry(records)],
        }
    }

    /// One to three entries of one to four records; offsets count up with `serial`.
    pub(super) fn random(random: &mut Random, serial: &mut i64) -> Self {
        let shard = u32::try_from(random.below(u64::from(SHARDS))).unwrap();
        let entries = (0..=random.below(3)).map(|_| {
            let group = format!("g{shard}{}", random.below(4));
            let records = (0..=random.below(4)).map(|_| {
                *serial += 1;
                any_record(random, &group, *serial)
            });
            entry(records.collect())
        });
        Self {
            shard,
            entries: entries.collect(),
        }
    }

    pub(super) fn ticket(&self) -> Ticket {
        Ticket {
            shard: ShardId(self.shard),
            term: 1,
            index: 1,
        }
    }

    pub(super) fn body(&self) -> Body {
        let batch = Batch {
            ticket: self.ticket(),
            entries: &self.entries,
        };
        encode(batch, Body::default()).unwrap()
    }

    pub(super) fn records(&self) -> impl Iterator<Item = &Record> {
        self.entries.iter().flat_map(|entry| &entry.records)
    }
}

fn entry(records: Vec<Record>) -> Entry {
    Entry {
        group: GroupKey { slot: 0, serial: 0 },
        records: records.into(),
        then: Then::Rest,
    }
}

fn any_record(random: &mut Random, group: &str, serial: i64) -> Record {
    match random.below(20) {
        0 => Record::Group {
            group: group.into(),
            value: None,
        },
        1..=4 => Record::Group {
            group: group.into(),
            value: Some(Arc::new(GroupMetadata {
                protocol_type: Some("consumer".into()),
                generation: Generation(i32::try_from(serial).unwrap()),
                protocol: None,
                leader: None,
                phase_since: None,
                members: Vec::new(),
            })),
        },
        5..=7 => offset(group, random.below(6), None),
        8..=10 => staged(group, random.below(3), random.below(2), Some(serial)),
        11..=12 => staged(group, random.below(3), random.below(2), None),
        _ => offset(group, random.below(6), Some(serial)),
    }
}

/// A committed offset, or its tombstone.
pub(super) fn offset(group: &str, partition: u64, value: Option<i64>) -> Record {
    Record::Offset {
        group: group.into(),
        topic: "t".into(),
        partition: i32::try_from(partition).unwrap(),
        value: value.map(|offset| OffsetValue {
            offset,
            leader_epoch: -1,
            metadata: "m".into(),
            committed_at: WallMs(offset),
            expires_at: None,
            topic_id: TopicId::ZERO,
        }),
    }
}

/// A staged offset, or its end.
fn staged(group: &str, partition: u64, producer: u64, value: Option<i64>) -> Record {
    let Record::Offset {
        group,
        topic,
        partition,
        value,
    } = offset(group, partition, value)
    else {
        unreachable!("made as an offset");
    };
    Record::Pending {
        group,
        topic,
        partition,
        producer: ProducerId(producer.cast_signed()),
        value: value.map(|offset| PendingValue {
            epoch: ProducerEpoch(1),
            order: offset.offset.cast_unsigned(),
            is_overtaken: offset.offset % 2 == 0,
            offset,
        }),
    }
}

/// The facts that records come to, by the engine's own `apply`.
pub(super) fn facts<'a>(records: impl Iterator<Item = &'a Record> + 'a) -> Vec<Record> {
    let mut groups = Groups::new(Rules::default());
    for record in records {
        groups.apply(record, Now::default());
    }
    groups.snapshot()
}

/// The facts of a shard after these batches.
pub(super) fn facts_of(shard: u32, appends: &[Append]) -> Vec<Record> {
    let appends = appends.iter().filter(|append| append.shard == shard);
    facts(appends.flat_map(Append::records))
}

pub(super) fn open(disk: &SimDisk, config: StoreConfig) -> Result<Log, OpenError> {
    reopen(disk, config).map(|(log, _)| log)
}

pub(super) fn reopen(
    disk: &SimDisk,
    config: StoreConfig,
) -> Result<(Log, Vec<Quarantined>), OpenError> {
    Log::open(Arc::new(disk.clone()), config, SHARDS, 7)
}

/// Appends batches as one round; how many of them are durable.
pub(super) fn commit(log: &mut Log, appends: &[Append]) -> Result<usize, Failed> {
    let bodies: Vec<Body> = appends.iter().map(|append| append.body()).collect();
    // As the writer does between its rounds.
    log.prepare()?;
    log.commit(&bodies.iter().collect::<Vec<_>>())
}

/// Takes the records that a load hands out, which is nothing else here.
pub(super) fn collect(records: &mut Vec<Record>) -> impl FnMut(Loaded) -> ControlFlow<()> + '_ {
    |loaded| {
        let Loaded::Record(record) = loaded else {
            panic!("not a record: {loaded:?}");
        };
        records.push(record);
        ControlFlow::Continue(())
    }
}

/// Every record that is read back of a shard.
pub(super) fn records(log: &Log, shard: u32) -> Vec<Record> {
    let mut records = Vec::new();
    let mut each = collect(&mut records);
    read(&log.view(), shard, Repair::Refuse, &mut each).unwrap();
    drop(each);
    records
}

pub(super) fn loaded(log: &Log, shard: u32) -> Vec<Record> {
    facts(records(log, shard).iter())
}

/// The log holds these batches, no more and no less.
pub(super) fn assert_holds(log: &Log, appends: &[Append], context: &str) {
    for shard in 0..SHARDS {
        assert_eq!(loaded(log, shard), facts_of(shard, appends), "{context}");
    }
}
