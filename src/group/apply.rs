//! The one place where durable state changes: specification 4.5.

use std::sync::Arc;

use super::groups::{Group, Groups};
use super::record::{OffsetValue, Record};
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
        let before = self
            .find_mut(record.group())
            .map_or((0, 0), |group| group.facts.sizes());
        self.change(record, now);
        let after = self
            .find_mut(record.group())
            .map_or((0, 0), |group| group.facts.sizes());
        self.offsets = self.offsets + after.0 - before.0;
        self.pending = self.pending + after.1 - before.1;
    }

    fn change(&mut self, record: &Record, now: Now) {
        match record {
            Record::Offset {
                group,
                topic,
                partition,
                value: Some(value),
            } => {
                let facts = &mut self.group_for_facts(group, now).facts;
                let forgotten = mutation::is("apply-forgets-the-leader-epoch");
                let forgotten = forgotten.then(|| OffsetValue {
                    leader_epoch: -1,
                    ..value.clone()
                });
                let value = forgotten.as_ref().unwrap_or(value);
                facts.offsets.insert(topic, *partition, value);
            }
            Record::Offset {
                group,
                topic,
                partition,
                value: None,
            } => {
                if let Some(group) = self.find_mut(group)
                    && !mutation::is("apply-ignores-tombstones")
                {
                    group.facts.offsets.remove(topic.as_str(), *partition);
                }
            }
            Record::Group {
                group,
                value: Some(value),
            } => {
                let group = self.group_for_facts(group, now);
                group.facts.metadata = Some(Arc::clone(value));
            }
            Record::Group { group, value: None } => {
                let Some(found) = self.find_mut(group) else {
                    return;
                };
                let mut facts = std::mem::take(&mut found.facts);
                if mutation::is("removed-groups-keep-offsets") {
                    std::mem::swap(&mut found.facts.offsets, &mut facts.offsets);
                }
                for producer in facts.pending.producers() {
                    self.producers.closed(producer, group);
                }
            }
            Record::Pending { .. } => self.change_pending(record, now),
        }
    }

    fn change_pending(&mut self, record: &Record, now: Now) {
        let Record::Pending {
            group: id,
            topic,
            partition,
            producer,
            value,
        } = record
        else {
            return;
        };
        let Some(value) = value else {
            let found = self.find_mut(id);
            if !mutation::is("apply-keeps-what-has-ended")
                && found.is_some_and(|it| it.facts.pending.remove(topic, *partition, *producer))
            {
                self.producers.closed(*producer, id);
            }
            return;
        };
        let facts = &mut self.group_for_facts(id, now).facts;
        facts
            .pending
            .insert(topic, *partition, *producer, value.clone());
        let producer = Producer {
            id: *producer,
            epoch: value.epoch,
        };
        self.producers.opened(producer, id);
        self.producers.saw_order(value.order);
    }

    /// The records that would rebuild all facts, by group name: a snapshot, and what tests
    /// compare. Groups without facts do not appear.
    pub fn snapshot(&self) -> Vec<Record> {
        let mut groups: Vec<&Group> = self.iter().collect();
        groups.sort_by(|a, b| a.id.cmp(&b.id));
        groups
            .into_iter()
            .flat_map(|group| group.facts.records(&group.id))
            .collect()
    }
}
