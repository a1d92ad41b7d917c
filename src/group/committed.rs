//! What a group has committed, as a fetch shows it: specification 1.8, KIP-447.
//!
//! A view borrows what the group holds, and lasts for a look within a turn: its rows go from there
//! to wherever the caller wants them, and nothing is put together in between. The values that a
//! fetch is answered with are read from the same view.

use super::Phase;
use super::block::{Plain, Run};
use super::facts::Facts;
use super::groups::{Group, Groups};
use super::pending::Pending;
use super::record::{OffsetMetadata, OffsetValue};
use super::reply::{FetchedPartition, FetchedTopic};
use super::request::FetchTopic;
use super::row::{Reader, Row, neighbours};
use crate::ids::{PartitionIndex, TopicName};
use crate::time::WallMs;

/// What a group has committed.
#[derive(Clone, Copy, Debug)]
pub struct GroupOffsets<'g> {
    /// `None`: there is no such group.
    facts: Option<&'g Facts>,
    is_stable_required: bool,
}

/// What a group has committed for one topic.
#[derive(Debug)]
pub struct TopicOffsets<'g> {
    /// `None`: nothing.
    reader: Option<Reader<'g>>,
    /// What is held back; `None`: nothing is.
    staged: Option<(&'g Pending, TopicName)>,
}

/// Takes what is shown, row by row, in the order of the partitions that were asked for.
pub trait Rows {
    /// A partition of which no more is known than that it has no offset to show.
    fn nothing(&mut self, partition: PartitionIndex);

    /// A partition of which what is stable was asked for, and a transaction is open that may
    /// change it (`UNSTABLE_OFFSET_COMMIT`).
    fn unstable(&mut self, partition: PartitionIndex);

    /// A partition with an offset, and whatever the consumer keeps beside it.
    fn offset(&mut self, partition: PartitionIndex, shown: Shown, metadata: &str);

    /// Partitions side by side, from the first on, that have offsets and nothing beside them.
    fn run(&mut self, first: PartitionIndex, run: impl ExactSizeIterator<Item = Shown>) {
        // Not a range: the last partition has no next one.
        let mut partition = first;
        for shown in run {
            self.offset(partition, shown, "");
            partition = partition.wrapping_add(1);
        }
    }
}

/// A committed offset, but for what few have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shown {
    /// The next offset to read.
    pub offset: i64,
    /// The leader epoch of the last record read (KIP-320), -1: unknown.
    pub leader_epoch: i32,
}

impl<'g> GroupOffsets<'g> {
    /// Of a group that does not exist: no error, and nothing committed.
    pub(super) const NOWHERE: Self = Self {
        facts: None,
        is_stable_required: false,
    };

    /// How many offsets there are.
    pub fn len(&self) -> usize {
        self.facts.map_or(0, |facts| facts.offsets.len())
    }

    /// Whether nothing is committed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One topic's, to be asked for its partitions.
    #[inline]
    pub fn topic(&self, name: &str) -> TopicOffsets<'g> {
        let row = self.facts.and_then(|facts| facts.offsets.of_topic(name));
        self.of_row(row, || name.into())
    }

    /// How many topics have offsets.
    pub fn topic_count(&self) -> usize {
        self.facts.map_or(0, |facts| facts.offsets.topic_count())
    }

    /// The topics that have offsets, in order.
    pub fn topics(&self) -> impl Iterator<Item = (&'g TopicName, TopicOffsets<'g>)> {
        let all = self.facts.map(|facts| facts.offsets.by_topic());
        let view = *self;
        all.into_iter()
            .flatten()
            .map(move |(name, row)| (name, view.of_row(Some(row), || name.clone())))
    }

    #[inline]
    fn of_row(&self, row: Option<&'g Row>, name: impl FnOnce() -> TopicName) -> TopicOffsets<'g> {
        let pending = self.facts.map(|facts| &facts.pending);
        // Most groups have nothing staged.
        let pending = pending.filter(|it| self.is_stable_required && !it.is_empty());
        TopicOffsets {
            reader: row.map(Row::reader),
            staged: pending.map(|pending| (pending, name())),
        }
    }

    /// The answer to a fetch of these topics; `None`: of all.
    pub(super) fn fetch(&self, topics: Option<Vec<FetchTopic>>) -> Vec<FetchedTopic> {
        let Some(topics) = topics else {
            let all = self.topics().map(|(name, topic)| FetchedTopic {
                topic: name.clone(),
                partitions: topic.fetch_all(),
            });
            return all.collect();
        };
        let asked = topics.into_iter().map(|asked| FetchedTopic {
            partitions: self.topic(asked.topic.as_str()).fetch(&asked.partitions),
            topic: asked.topic,
        });
        asked.collect()
    }
}

impl TopicOffsets<'_> {
    /// How many offsets there are.
    pub fn len(&self) -> usize {
        self.reader.as_ref().map_or(0, |reader| reader.row().len())
    }

    /// Whether nothing is committed.
    pub fn is_empty(&self) -> bool {
        self.reader.is_none()
    }

    /// Shows partitions, best in their order: a run of neighbours is found at once.
    pub fn show(&mut self, partitions: &[PartitionIndex], rows: &mut impl Rows) {
        match (&mut self.reader, &self.staged) {
            (Some(reader), None) if reader.row().is_plain() => show_runs(reader, partitions, rows),
            _ => partitions.iter().for_each(|it| self.show_one(*it, rows)),
        }
    }

    fn show_one(&mut self, partition: PartitionIndex, rows: &mut impl Rows) {
        if self.is_unstable(partition) {
            return rows.unstable(partition);
        }
        let reader = self.reader.as_mut();
        let found = reader.and_then(|reader| Some((reader.plain(partition)?, reader.row())));
        match found {
            Some((plain, row)) => rows.offset(partition, plain.into(), row.metadata(partition)),
            None => rows.nothing(partition),
        }
    }

    /// Shows all partitions that have offsets, in their order.
    pub fn show_all(&mut self, rows: &mut impl Rows) {
        let Some(row) = self.reader.as_ref().map(Reader::row) else {
            return;
        };
        if self.staged.is_none() && row.is_plain() {
            row.each_run(|first, run| show_run(first, &run, rows));
        } else {
            row.each_run(|first, run| {
                for step in 0..run.len() {
                    self.show_one(first.wrapping_add_unsigned(step), rows);
                }
            });
        }
    }

    #[inline]
    fn is_unstable(&self, partition: PartitionIndex) -> bool {
        let staged = self.staged.as_ref();
        staged.is_some_and(|(pending, topic)| pending.at(topic, partition).is_some())
    }

    fn fetch(mut self, partitions: &[PartitionIndex]) -> Vec<FetchedPartition> {
        if self.staged.is_none()
            && let Some(row) = self.reader.take()
        {
            return fetch_row(row, partitions);
        }
        let each = partitions
            .iter()
            .map(|partition| self.fetch_one(*partition));
        each.collect()
    }

    fn fetch_one(&mut self, partition: PartitionIndex) -> FetchedPartition {
        let is_unstable = self.is_unstable(partition);
        let reader = self.reader.as_mut().filter(|_| !is_unstable);
        FetchedPartition {
            partition,
            committed: reader.and_then(|reader| reader.get(partition)),
            is_unstable,
        }
    }

    fn fetch_all(&self) -> Vec<FetchedPartition> {
        let Some(row) = self.reader.as_ref().map(Reader::row) else {
            return Vec::new();
        };
        let mut partitions = Vec::with_capacity(row.len());
        // From within, which is one loop a block.
        row.iter().for_each(|(partition, value)| {
            let is_unstable = self.is_unstable(partition);
            partitions.push(FetchedPartition {
                partition,
                committed: (!is_unstable).then_some(value),
                is_unstable,
            });
        });
        partitions
    }
}

/// Shows partitions of a topic of which no offset has what few have.
fn show_runs(reader: &mut Reader<'_>, partitions: &[PartitionIndex], rows: &mut impl Rows) {
    let mut rest = partitions;
    while let Some(first) = rest.first() {
        let (len, run) = reader.next(*first, neighbours(rest));
        let (shown, others) = rest.split_at(len as usize);
        match run {
            Some(run) => show_run(*first, &run, rows),
            None => shown.iter().for_each(|it| rows.nothing(*it)),
        }
        rest = others;
    }
}

#[inline]
fn show_run(first: PartitionIndex, run: &Run<'_>, rows: &mut impl Rows) {
    match run {
        Run::Narrow(since, slots) => {
            rows.run(first, slots.iter().map(|slot| slot.plain(*since).into()));
        }
        Run::Wide(slots) => rows.run(first, slots.iter().map(|slot| slot.plain().into())),
    }
}

impl From<Plain> for Shown {
    #[inline]
    fn from(plain: Plain) -> Self {
        Self {
            offset: plain.offset,
            leader_epoch: plain.leader_epoch,
        }
    }
}

impl Group {
    /// What is committed, as it is shown to who asks for what is stable, or for all.
    pub(super) fn committed(&self, is_stable_required: bool) -> GroupOffsets<'_> {
        if self.classic.phase == Phase::Dead {
            return GroupOffsets::NOWHERE;
        }
        GroupOffsets {
            facts: Some(&self.facts),
            is_stable_required,
        }
    }
}

impl Groups {
    /// Looks at what a group has committed, where a fetch would be answered with it at once;
    /// `false`: it would not, and nothing was looked at.
    pub(crate) fn look_at_offsets(
        &mut self,
        group: &str,
        is_stable_required: bool,
        look: &mut dyn FnMut(&GroupOffsets<'_>),
    ) -> bool {
        if self.quarantine.holds(group) {
            return false;
        }
        let place = self.places.find(group);
        // As with any request: nothing is on its way in a group at rest.
        let awake = place.and_then(|place| self.places.awake(place));
        if awake.is_some_and(|group| group.must_hold_fetch(is_stable_required)) {
            return false;
        }
        match place.and_then(|place| self.read(place)) {
            Some(group) => look(&group.committed(is_stable_required)),
            None => look(&GroupOffsets::NOWHERE),
        }
        true
    }
}

/// The offsets of a topic, stable or not.
fn fetch_row(mut row: Reader<'_>, partitions: &[PartitionIndex]) -> Vec<FetchedPartition> {
    let Some(topic_id) = row.topic_id() else {
        let fetched = partitions.iter().map(|partition| FetchedPartition {
            partition: *partition,
            committed: row.get(*partition),
            is_unstable: false,
        });
        return fetched.collect();
    };
    // Filled in place: a value that is put together elsewhere, number by number, and moved at
    // once is waited for by the processor, which took twice as long as all the rest.
    let blank = FetchedPartition {
        partition: 0,
        committed: Some(OffsetValue {
            offset: -1,
            leader_epoch: -1,
            metadata: OffsetMetadata::default(),
            committed_at: WallMs(0),
            expires_at: None,
            topic_id,
        }),
        is_unstable: false,
    };
    let mut fetched = vec![blank; partitions.len()];
    for (slot, partition) in fetched.iter_mut().zip(partitions) {
        slot.partition = *partition;
        match (row.plain(*partition), &mut slot.committed) {
            (Some(plain), Some(value)) => {
                value.offset = plain.offset;
                value.leader_epoch = plain.leader_epoch;
                value.committed_at = plain.committed_at;
            }
            (_, committed) => *committed = None,
        }
    }
    fetched
}
