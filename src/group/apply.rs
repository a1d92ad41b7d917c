//! The one place where durable state changes: specification 4.5.

use std::slice;
use std::sync::Arc;

use super::effects::GroupKey;
use super::groups::{Group, Groups};
use super::places::Seen;
use super::record::Record;
use super::request::Producer;
use crate::mutation;
use crate::time::Now;

impl Groups {
    /// Makes a durable record part of the facts.
    ///
    /// Used live once a record is durable, on recovery, on followers and in every test, so that
    /// what is replayed equals what was. A record of a group that is not known makes it known; a
    /// tombstone of something that is not there changes nothing. A group's own tombstone takes
    /// its offsets along.
    pub fn apply(&mut self, record: &Record, now: Now) {
        let place = self.place_of(record.group());
        self.apply_at(place, slice::from_ref(record), now);
    }

    /// The same for all records of an entry, most likely of the group in that place.
    pub(super) fn apply_all(&mut self, place: GroupKey, records: &[Record], now: Now) {
        let mut left = records;
        while let Some(first) = left.first() {
            let is_there = |group: &Group| group.id == *first.group();
            let near = self.places.awake(place).is_some_and(is_there);
            let place = near.then_some(place);
            let place = place.or_else(|| self.place_of(first.group()));
            let applied = self.apply_at(place, left, now);
            left = left.get(applied..).unwrap_or_default();
        }
    }

    /// Applies the first of the records, and those behind it that can be with the same look at its
    /// group; how many that were.
    fn apply_at(&mut self, place: Option<GroupKey>, records: &[Record], now: Now) -> usize {
        let sizes = |group: &mut Group| group.facts.sizes();
        let before = place.and_then(|place| self.keyed_mut(place)).map(sizes);
        let before = before.unwrap_or_default();
        let mut applied = 1;
        let changed = self.change(place, records, &mut applied, now);
        let after = changed.map(sizes).unwrap_or_default();
        if after != before {
            self.offsets = self.offsets + after.0 - before.0;
            self.pending = self.pending + after.1 - before.1;
        }
        applied
    }

    /// The group as it is then, if there is one.
    fn change(
        &mut self,
        place: Option<GroupKey>,
        records: &[Record],
        applied: &mut usize,
        now: Now,
    ) -> Option<&mut Group> {
        let record = records.first()?;
        match record {
            Record::Offset {
                group,
                value: Some(_),
                ..
            } => {
                let group = self.group_for_facts(place, group, now);
                *applied = group.facts.offsets.set(&group.id, records).max(1);
                Some(group)
            }
            Record::Offset {
                group: _,
                topic,
                partition,
                value: None,
            } => {
                let group = self.keyed_mut(place?)?;
                if !mutation::is("apply-ignores-tombstones") {
                    group.facts.offsets.remove(topic.as_str(), *partition);
                }
                Some(group)
            }
            Record::Group {
                group,
                value: Some(value),
            } => {
                let group = self.group_for_facts(place, group, now);
                group.facts.metadata = Some(Arc::clone(value));
                Some(group)
            }
            Record::Group { group, value: None } => {
                let found = self.keyed_mut(place?)?;
                let mut facts = std::mem::take(&mut found.facts);
                if mutation::is("removed-groups-keep-offsets") {
                    std::mem::swap(&mut found.facts.offsets, &mut facts.offsets);
                }
                for producer in facts.pending.producers() {
                    self.producers.closed(producer, group);
                }
                self.keyed_mut(place?)
            }
            Record::Pending { .. } => self.change_pending(place, record, now),
        }
    }

    fn change_pending(
        &mut self,
        place: Option<GroupKey>,
        record: &Record,
        now: Now,
    ) -> Option<&mut Group> {
        let Record::Pending {
            group: id,
            topic,
            partition,
            producer,
            value,
        } = record
        else {
            return None;
        };
        let Some(value) = value else {
            let found = self.keyed_mut(place?)?;
            if !mutation::is("apply-keeps-what-has-ended")
                && found.facts.pending.remove(topic, *partition, *producer)
            {
                self.producers.closed(*producer, id);
            }
            return self.keyed_mut(place?);
        };
        let group = self.group_for_facts(place, id, now);
        let key = group.key;
        let pending = &mut group.facts.pending;
        pending.insert(topic, *partition, *producer, value.clone());
        let producer = Producer {
            id: *producer,
            epoch: value.epoch,
        };
        self.producers.opened(producer, id);
        self.producers.saw_order(value.order);
        self.keyed_mut(key)
    }

    /// The records that would rebuild all facts, by group name: a snapshot, and what tests
    /// compare. Groups without facts do not appear.
    pub fn snapshot(&self) -> Vec<Record> {
        let mut groups: Vec<Seen<'_>> = self.iter().collect();
        groups.sort_by(|a, b| a.id.cmp(&b.id));
        groups
            .into_iter()
            .flat_map(|group| group.facts.records(&group.id))
            .collect()
    }
}
