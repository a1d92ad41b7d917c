//! The one place where durable state changes: specification 4.5.

use std::sync::Arc;

use super::groups::{Group, Groups};
use super::record::Record;
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
            .map_or(0, |group| group.facts.offsets.len());
        self.change(record, now);
        let after = self
            .find_mut(record.group())
            .map_or(0, |group| group.facts.offsets.len());
        self.offsets = self.offsets + after - before;
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
                facts.offsets.insert(topic, *partition, value.clone());
            }
            Record::Offset {
                group,
                topic,
                partition,
                value: None,
            } => {
                if let Some(group) = self.find_mut(group) {
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
                if let Some(group) = self.find_mut(group) {
                    group.facts = super::facts::Facts::default();
                }
            }
        }
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
