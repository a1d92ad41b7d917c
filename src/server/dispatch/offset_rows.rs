//! Responses that give each partition a code: part of them from the broker, part from the
//! coordinator.

use crate::ids::{TopicId, TopicName};
use crate::wire::ErrorCode;

/// A topic of a response: its partitions with their codes.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: TopicName,
    pub(super) id: TopicId,
    pub(super) partitions: Vec<(i32, ErrorCode)>,
}

/// A response in Kafka's order: first what the broker itself had to say, then what the
/// coordinator said, the partitions of one topic together.
#[derive(Debug, Default)]
pub(super) struct Rows {
    broker: Vec<Row>,
    coordinator: Vec<Row>,
}

impl Rows {
    /// The broker refuses a partition.
    pub(super) fn refuse(&mut self, name: &TopicName, id: TopicId, index: i32, code: ErrorCode) {
        let same = |row: &&mut Row| row.id == id && row.name == *name;
        if let Some(row) = self.broker.iter_mut().rev().find(same) {
            row.partitions.push((index, code));
        } else {
            let (name, partitions) = (name.clone(), vec![(index, code)]);
            self.broker.push(Row {
                name,
                id,
                partitions,
            });
        }
    }

    /// The coordinator is asked for the partitions of a topic.
    pub(super) fn ask(
        &mut self,
        name: &TopicName,
        id: TopicId,
        indexes: impl Iterator<Item = i32>,
    ) {
        let partitions = indexes.map(|index| (index, ErrorCode::NONE)).collect();
        self.coordinator.push(Row {
            name: name.clone(),
            id,
            partitions,
        });
    }

    /// Puts what the coordinator said, in the order in which it was asked.
    pub(super) fn fill(&mut self, mut said: impl FnMut() -> ErrorCode) {
        for (_, code) in self
            .coordinator
            .iter_mut()
            .flat_map(|row| &mut row.partitions)
        {
            *code = said();
        }
    }

    pub(super) fn merged(self) -> Vec<Row> {
        let mut rows = self.broker;
        if rows.is_empty() {
            return self.coordinator;
        }
        for mut row in self.coordinator {
            let same = |it: &&mut Row| it.id == row.id && it.name == row.name;
            match rows.iter_mut().find(same) {
                Some(known) => known.partitions.append(&mut row.partitions),
                None => rows.push(row),
            }
        }
        rows
    }
}

/// What is wrong with a partition before the coordinator is asked, of a topic with so many; `None`:
/// there is no such topic.
pub(super) fn known(count: Option<i32>, index: i32, unknown: ErrorCode) -> Option<ErrorCode> {
    match count {
        None => Some(unknown),
        Some(count) if (0..count).contains(&index) => None,
        Some(_) => Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
    }
}
