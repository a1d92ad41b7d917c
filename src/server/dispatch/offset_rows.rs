//! Responses that give each partition a code: part of them from the broker, part from the
//! coordinator.

use crate::engine::CommitResult;
use crate::error::Refusal;
use crate::ids::{PartitionIndex, TopicId, TopicName};
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

    /// Puts what the coordinator said of each topic, in the order in which it was asked.
    pub(super) fn fill(
        &mut self,
        said: impl Iterator<Item: AsRef<[(PartitionIndex, Result<(), Refusal>)]>>,
        code_of: impl Fn(Refusal) -> ErrorCode,
    ) {
        for (row, said) in self.coordinator.iter_mut().zip(said) {
            for ((_, code), (_, outcome)) in row.partitions.iter_mut().zip(said.as_ref()) {
                if let Err(refusal) = outcome {
                    *code = code_of(*refusal);
                }
            }
        }
    }

    /// The same for a commit.
    pub(super) fn fill_committed(
        &mut self,
        outcome: &CommitResult,
        code_of: impl Fn(Refusal) -> ErrorCode,
    ) {
        match outcome {
            Ok(topics) => self.fill(topics.iter().map(|it| &it.partitions), code_of),
            Err(refusal) => self.refuse_all(code_of(*refusal)),
        }
    }

    /// The coordinator says no to all that it was asked.
    pub(super) fn refuse_all(&mut self, code: ErrorCode) {
        for row in &mut self.coordinator {
            for (_, said) in &mut row.partitions {
                *said = code;
            }
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

impl Row {
    /// Takes its partitions, to be put into a response in the memory in which they are.
    pub(super) fn take(&mut self) -> impl Iterator<Item = (i32, ErrorCode)> + use<> {
        std::mem::take(&mut self.partitions).into_iter()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn with_an_unknown_9(topic: &TopicName) -> Rows {
        let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
        let mut rows = Rows::default();
        rows.refuse(topic, TopicId::ZERO, 9, unknown);
        rows
    }

    #[test]
    fn what_the_coordinator_says_goes_to_the_partitions_that_it_was_asked_for() {
        let (one, two) = (TopicName::from("one"), TopicName::from("two"));
        let mut rows = with_an_unknown_9(&two);
        rows.ask(&one, TopicId::ZERO, [0, 1].into_iter());
        rows.ask(&two, TopicId::ZERO, [2].into_iter());
        let large = Refusal::OffsetMetadataTooLarge;
        let said: [&[_]; 2] = [&[(0, Ok(())), (1, Err(large))], &[(2, Err(large))]];
        rows.fill(said.into_iter(), Into::into);
        let rows = rows.merged();
        let rows = rows.into_iter().map(|it| (it.name, it.partitions));
        let large = ErrorCode::from(large);
        let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
        let expected = [
            (two, vec![(9, unknown), (2, large)]),
            (one, vec![(0, ErrorCode::NONE), (1, large)]),
        ];
        assert_eq!(rows.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn who_refuses_all_refuses_what_it_was_asked_and_no_more() {
        let topic = TopicName::from("topic");
        let mut rows = with_an_unknown_9(&topic);
        rows.ask(&topic, TopicId::ZERO, [0, 1].into_iter());
        let refused = Err(Refusal::IllegalGeneration);
        rows.fill_committed(&refused, Into::into);
        let (unknown, illegal) = (
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            ErrorCode::ILLEGAL_GENERATION,
        );
        let expected = [(9, unknown), (0, illegal), (1, illegal)];
        assert_eq!(rows.merged()[0].partitions, expected);
    }
}
