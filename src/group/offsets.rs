//! Commit and deletion of offsets: specification 1.7 and 1.9, KIP-211, KIP-496.

use super::Phase;
use super::classic::Turn;
use super::effects::{Full, Note, Then};
use super::groups::Group;
use super::record::{OffsetValue, Record};
use super::records::Records;
use super::reply::{CommittedTopic, DeletedTopic, Reply};
use super::request::{
    CommitPartition, CommitRequest, CommitTopic, OffsetDeleteRequest, ReplyTo, TopicDeletion,
};
use super::room;
use super::row::{Row, Stored};
use crate::error::Refusal;
use crate::ids::{PartitionIndex, ProducerId, TopicId, TopicName};
use crate::mutation;
use crate::time::WallMs;

impl Turn<'_> {
    /// Decides a commit; its answer waits for the journal.
    pub(super) fn commit(&mut self, request: CommitRequest, to: ReplyTo) {
        let checked = self
            .check_commit(&request, false)
            .and_then(|()| self.check_offsets_fit(&request));
        if let Err(refusal) = checked {
            return self.reply(to, Reply::Commit(Err(refusal)));
        }
        // A commit is a sign of life while the member may still be heard (specification 2.9).
        if matches!(
            self.group.classic.phase,
            Phase::Stable | Phase::PreparingRebalance
        ) {
            self.arm_session(request.member.as_str());
        }
        let mut records = Records::with_capacity(room::asked(&request));
        let (mut new, mut repeated) = (0, 0);
        let (this, may_repeat) = (&*self, self.may_repeat());
        let topics = this.commit_topics(request, &mut |(topic, row), partition, value| {
            let stored = row.map_or(Stored::Nothing, |row| row.compare(partition, &value));
            repeated += usize::from(may_repeat && this.is_repeat(stored, &value));
            // What is being removed may be gone when this is settled.
            new += usize::from(stored == Stored::Nothing || this.group.removals > 0);
            records.push(Record::Offset {
                group: this.group.id.clone(),
                topic: topic.clone(),
                partition,
                value: Some(value),
            });
        });
        // All or nothing: where a partition is named twice, the last one is to win.
        if repeated == records.len() {
            if repeated > 0 {
                self.note(Note::OffsetsRepeated(repeated));
            }
            return self.reply(to, Reply::Commit(Ok(topics)));
        }
        if !self.group.facts.pending.is_empty() {
            self.group.overtake_all(&mut records);
        }
        let mut to = Some(to);
        if mutation::is("answered-before-it-is-durable")
            && let Some(to) = to.take()
        {
            self.reply(to, Reply::Commit(Ok(topics.clone())));
        }
        self.append(records, Then::Committed { to, topics, new });
    }

    /// Keeps what is to be kept of a commit, beside what is stored of its topic; each partition's
    /// outcome, in the memory in which it was asked.
    pub(super) fn commit_topics(
        &self,
        request: CommitRequest,
        keep: &mut impl FnMut((&TopicName, Option<&Row>), PartitionIndex, OffsetValue),
    ) -> Vec<CommittedTopic> {
        // -1 is how those clients say "the server's own".
        let expires_at = request
            .retention_ms
            .filter(|ms| *ms != -1)
            .map(|ms| WallMs(self.now.wall.0.saturating_add(ms)));
        let topics = request.topics.into_iter();
        topics
            .map(|topic| self.commit_topic(topic, expires_at, keep))
            .collect()
    }

    fn commit_topic(
        &self,
        topic: CommitTopic,
        expires_at: Option<WallMs>,
        keep: &mut impl FnMut((&TopicName, Option<&Row>), PartitionIndex, OffsetValue),
    ) -> CommittedTopic {
        // Stored with an expiry there is room for neither topic id nor epoch (value version 1);
        // clients that send one know of neither.
        let topic_id = if expires_at.is_none() {
            topic.id
        } else {
            TopicId::ZERO
        };
        let name = topic.topic;
        let row = self.group.facts.offsets.of_topic(name.as_str());
        let commit = |partition: CommitPartition| {
            let index = partition.partition;
            if !self.fits(&partition) {
                return (index, Err(Refusal::OffsetMetadataTooLarge));
            }
            let value = OffsetValue {
                offset: partition.offset,
                leader_epoch: if expires_at.is_none() {
                    partition.leader_epoch
                } else {
                    -1
                },
                metadata: partition.metadata,
                committed_at: partition.committed_at.unwrap_or(self.now.wall),
                expires_at,
                topic_id,
            };
            keep((&name, row), index, value);
            (index, Ok(()))
        };
        let partitions = topic.partitions.into_iter().map(commit).collect();
        CommittedTopic {
            topic: name,
            partitions,
        }
    }

    /// Kafka compares the limit with Java's string length: UTF-16 code units, not bytes.
    fn fits(&self, partition: &CommitPartition) -> bool {
        let max = self.rules.offset_metadata_length_max;
        let metadata = &partition.metadata;
        metadata.len() <= max || metadata.encode_utf16().take(max + 1).count() <= max
    }

    /// Who may commit. Within a transaction there are two freedoms more: nobody in particular may,
    /// whatever the phase, and so may a member while the group waits for its assignment.
    pub(super) fn check_commit(
        &self,
        request: &CommitRequest,
        in_transaction: bool,
    ) -> Result<(), Refusal> {
        let classic = &self.group.classic;
        if classic.phase == Phase::Dead {
            return Err(Refusal::NotAvailable);
        }
        let is_outside = request.generation.0 < 0;
        if is_outside && classic.phase == Phase::Empty {
            // An administrator, or a consumer that assigns its partitions itself.
            return Ok(());
        }
        if !is_outside || !request.member.is_empty() || request.instance.is_some() {
            classic
                .roster
                .validate(request.member.as_str(), request.instance.as_ref())?;
            if request.generation != classic.generation {
                return Err(Refusal::IllegalGeneration);
            }
        } else if classic.phase != Phase::Empty && !in_transaction {
            return Err(Refusal::UnknownMemberId);
        }
        if classic.phase == Phase::CompletingRebalance && !in_transaction {
            return Err(Refusal::RebalanceInProgress);
        }
        Ok(())
    }

    /// Whether the group has room for the partitions that it has no offset of yet.
    fn check_offsets_fit(&mut self, request: &CommitRequest) -> Result<(), Refusal> {
        // Most groups are far from their limit.
        if self.fit(room::asked(request)) || self.fit(self.group.new_offsets(request)) {
            return Ok(());
        }
        self.note(Note::Refused(Full::Offsets));
        Err(Refusal::Overloaded)
    }

    /// The same for those that the producer has not staged yet.
    pub(super) fn check_pending_fit(
        &mut self,
        request: &CommitRequest,
        producer: ProducerId,
    ) -> Result<(), Refusal> {
        if self.fit(room::asked(request)) || self.fit(self.group.new_pending(request, producer)) {
            return Ok(());
        }
        self.note(Note::Refused(Full::Offsets));
        Err(Refusal::Overloaded)
    }

    fn fit(&self, new: usize) -> bool {
        let (committed, pending) = self.group.facts.sizes();
        let held = committed + pending + self.group.promised;
        new == 0 || held.saturating_add(new) <= self.rules.group_offsets_max
    }

    /// Deletes offsets of topics that nobody reads.
    pub(super) fn delete_offsets(&mut self, request: &OffsetDeleteRequest, to: ReplyTo) {
        if let Err(refusal) = self.check_delete_offsets() {
            return self.reply(to, Reply::OffsetDelete(Err(refusal)));
        }
        let mut records = Vec::new();
        let mut topics = Vec::with_capacity(request.topics.len());
        for topic in &request.topics {
            let is_read = self.group.classic.is_subscribed(topic.topic.as_str());
            let outcome = if is_read {
                Err(Refusal::GroupSubscribedToTopic)
            } else {
                Ok(())
            };
            for partition in &topic.partitions {
                if !is_read {
                    self.group
                        .delete_offset(&topic.topic, *partition, &mut records);
                }
            }
            let partitions = topic
                .partitions
                .iter()
                .map(|index| (*index, outcome))
                .collect();
            topics.push(DeletedTopic {
                topic: topic.topic.clone(),
                partitions,
            });
        }
        if records.is_empty() {
            return self.reply(to, Reply::OffsetDelete(Ok(topics)));
        }
        let to = Some(to);
        self.append(records, Then::OffsetsDeleted { to, topics });
    }

    fn check_delete_offsets(&self) -> Result<(), Refusal> {
        let classic = &self.group.classic;
        match classic.phase {
            Phase::Dead => Err(Refusal::GroupIdNotFound),
            Phase::Stable | Phase::PreparingRebalance | Phase::CompletingRebalance
                if !classic.is_consumer() =>
            {
                Err(Refusal::NonEmptyGroup)
            }
            Phase::Empty
            | Phase::Stable
            | Phase::PreparingRebalance
            | Phase::CompletingRebalance => Ok(()),
        }
    }

    /// Removes the group with all that it holds, if nobody is in it.
    pub(super) fn delete_group(&mut self, to: ReplyTo) {
        match self.group.classic.phase {
            Phase::Empty => {}
            Phase::Dead => {
                return self.reply(to, Reply::DeleteGroup(Err(Refusal::GroupIdNotFound)));
            }
            Phase::PreparingRebalance | Phase::CompletingRebalance | Phase::Stable => {
                return self.reply(to, Reply::DeleteGroup(Err(Refusal::NonEmptyGroup)));
            }
        }
        self.remove_group(Some(to));
    }

    /// Tombstones for every offset, then for the group (specification 4.4).
    pub(super) fn remove_group(&mut self, to: Option<ReplyTo>) {
        let group = &*self.group;
        let offsets = group.facts.offsets.iter();
        let offsets = offsets.map(|(topic, partition, _)| group.tombstone(topic, partition));
        let pending = group.facts.pending.iter();
        let pending =
            pending.flat_map(|((topic, partition), _)| group.drop_pending(topic, *partition));
        let mut records: Vec<Record> = offsets.chain(pending).collect();
        records.push(Record::Group {
            group: group.id.clone(),
            value: None,
        });
        self.group.is_closing = true;
        self.append(records, Then::Removed { to });
    }
}

impl Group {
    pub(super) fn tombstone(&self, topic: &TopicName, partition: PartitionIndex) -> Record {
        Record::Offset {
            group: self.id.clone(),
            topic: topic.clone(),
            partition,
            value: None,
        }
    }

    /// Takes away what is committed and what is staged for a partition.
    fn delete_offset(
        &self,
        topic: &TopicName,
        partition: PartitionIndex,
        records: &mut Vec<Record>,
    ) {
        let is_committed = self.facts.offsets.contains(topic.as_str(), partition);
        if is_committed || self.is_unstable(topic, partition) {
            records.push(self.tombstone(topic, partition));
        }
        records.extend(self.drop_pending(topic, partition));
    }

    /// Takes away what is stored for a topic that is gone, or for no topic id in particular.
    pub(super) fn of_deleted_topic(&self, deleted: &TopicDeletion) -> Vec<Record> {
        let is_gone =
            |value: &OffsetValue| value.topic_id.is_zero() || value.topic_id == deleted.id;
        let row = self.facts.offsets.of_topic(deleted.topic.as_str());
        let mut records: Vec<Record> = row
            .into_iter()
            .flat_map(Row::iter)
            .filter(|(_, value)| is_gone(value))
            .map(|(partition, _)| self.tombstone(&deleted.topic, partition))
            .collect();
        for ((topic, partition), stakes) in self.facts.pending.of_topic(&deleted.topic) {
            let gone = stakes.iter().filter(|(_, value)| is_gone(&value.offset));
            let before = records.len();
            records.extend(gone.map(|(id, _)| self.pending_record(topic, *partition, *id, None)));
            let is_committed = self.facts.offsets.contains(topic.as_str(), *partition);
            if records.len() > before && !is_committed {
                // Its transaction's commit may be on its way.
                records.push(self.tombstone(topic, *partition));
            }
        }
        records
    }
}
