//! Transactional offsets, the coordinator's half: stage, commit, abort (specification 1.15).
//!
//! ```text
//!   TxnCommit ----> Pending(producer, partition)        unstable, not shown
//!   EndTxn commit --> Offset(partition), no Pending     one entry: all of it, or nothing
//!   EndTxn abort  --> no Pending
//! ```
//!
//! **The later commit wins, whichever ends first.** What is staged takes its place among all
//! commits when it is staged, not when its transaction ends. So a plain commit, and a transaction
//! that commits, mark as overtaken whatever was staged before them for the same partition; what
//! is overtaken keeps the partition unstable until its transaction ends, and then is dropped.
//! The mark is part of the same entry, on the overtaken record itself: a log that keeps only the
//! last word on every key, in any order, still tells it.
//!
//! No marker is stored. The end of a transaction is the offsets that it commits, and tombstones of
//! what was staged, so replay has nothing to match.
//!
//! Decisions about what is staged are made on facts. So plain commits, ends and reads of what is
//! stable wait while entries that stage or end are on their way (see `must_hold`).

use super::Phase;
use super::classic::Turn;
use super::effects::{Effect, Note, Then};
use super::groups::{Group, Groups};
use super::record::{PendingValue, Record};
use super::records::Records;
use super::reply::Reply;
use super::request::{EndTxnRequest, ReplyTo, TxnCommitRequest, TxnGroupsRequest};
use super::room::Room;
use crate::error::Refusal;
use crate::ids::{PartitionIndex, ProducerId, TopicName};
use crate::mutation;
use crate::time::Now;

impl Groups {
    /// As a plain commit: the group is made, unless a generation is claimed.
    pub(super) fn stage_outside(
        &mut self,
        request: TxnCommitRequest,
        to: ReplyTo,
        room: Room,
        now: Now,
        fx: &mut Vec<Effect>,
    ) {
        if let Some(key) = self.create_to_commit(&request.commit, to, room, now, fx) {
            self.turn(key, now, fx, |turn| turn.stage(request, to));
        }
    }

    pub(super) fn txn_groups(&mut self, request: &TxnGroupsRequest) -> Reply {
        let admitted = self.producers.admit(request.producer);
        Reply::TxnGroups(admitted.map(|()| self.producers.groups(request.producer.id)))
    }

    /// The end of a transaction that has nothing staged, as the group does not exist.
    pub(super) fn end_txn_outside(&mut self, request: &EndTxnRequest) -> Reply {
        Reply::EndTxn(self.producers.admit(request.producer))
    }
}

impl Turn<'_> {
    /// Stages a commit; its answer waits for the journal.
    pub(super) fn stage(&mut self, request: TxnCommitRequest, to: ReplyTo) {
        let TxnCommitRequest { producer, commit } = request;
        let checked = self
            .check_commit(&commit, true)
            .and_then(|()| self.check_pending_fit(&commit, producer.id));
        if let Err(refusal) = checked {
            return self.reply(to, Reply::Commit(Err(refusal)));
        }
        let mut offsets = Vec::new();
        let topics = self.commit_topics(commit, &mut |(topic, _), partition, offset| {
            offsets.push((topic.clone(), partition, offset));
        });
        if offsets.is_empty() {
            return self.reply(to, Reply::Commit(Ok(topics)));
        }
        if let Err(refusal) = self.producers.admit(producer) {
            return self.reply(to, Reply::Commit(Err(refusal)));
        }
        let order = self.producers.next_order();
        let records: Vec<Record> = offsets
            .into_iter()
            .map(|(topic, partition, offset)| {
                let value = PendingValue {
                    epoch: producer.epoch,
                    order,
                    is_overtaken: false,
                    offset,
                };
                self.group
                    .pending_record(&topic, partition, producer.id, Some(value))
            })
            .collect();
        let new = self.group.new_pending_of(&records);
        self.producers.staging(producer.id, &self.group.id);
        let then = Then::Staged {
            to: Some(to),
            topics,
            new,
            producer: producer.id,
        };
        self.append(records, then);
    }

    /// Ends what a producer has staged here; answered when that is durable.
    pub(super) fn end_txn(&mut self, request: &EndTxnRequest, to: ReplyTo) {
        let admitted = if self.group.classic.phase == Phase::Dead {
            Err(Refusal::NotAvailable)
        } else {
            self.producers.admit(request.producer)
        };
        if let Err(refusal) = admitted {
            return self.reply(to, Reply::EndTxn(Err(refusal)));
        }
        let records = self.group.end_of(request.producer.id, request.committed);
        if records.is_empty() {
            return self.reply(to, Reply::EndTxn(Ok(())));
        }
        self.append(records, Then::TxnEnded { to: Some(to) });
    }

    /// A transaction has ended: what it committed begins to age, and what it protected may.
    pub(super) fn txn_ended(&mut self, records: &[Record]) {
        self.arm_retention_after_commit(records);
        let ended = records.iter().filter_map(|record| match record {
            Record::Pending {
                topic,
                partition,
                value: None,
                ..
            } => Some((topic, *partition)),
            Record::Pending { .. } | Record::Offset { .. } | Record::Group { .. } => None,
        });
        let ended: Vec<_> = ended.collect();
        self.arm_retention_after_end(&ended);
    }

    pub(super) fn staged(&mut self, count: usize, producer: ProducerId, is_durable: bool) {
        self.producers.staging_settled(producer, &self.group.id);
        if is_durable {
            self.note(Note::OffsetsCommitted(count));
        }
    }
}

impl Group {
    /// Whether an open transaction may change the partition's offset.
    pub(super) fn is_unstable(&self, topic: &TopicName, partition: PartitionIndex) -> bool {
        self.facts.pending.at(topic, partition).is_some()
    }

    pub(super) fn pending_record(
        &self,
        topic: &TopicName,
        partition: PartitionIndex,
        producer: ProducerId,
        value: Option<PendingValue>,
    ) -> Record {
        Record::Pending {
            group: self.id.clone(),
            topic: topic.clone(),
            partition,
            producer,
            value,
        }
    }

    /// Tombstones of all that is staged for a partition.
    pub(super) fn drop_pending(
        &self,
        topic: &TopicName,
        partition: PartitionIndex,
    ) -> impl Iterator<Item = Record> {
        let stakes = self.facts.pending.at(topic, partition);
        stakes
            .into_iter()
            .flat_map(|stakes| stakes.keys())
            .map(move |id| self.pending_record(topic, partition, *id, None))
    }

    /// What is staged for the partitions of a plain commit is overtaken.
    pub(super) fn overtake_all(&self, records: &mut Records) {
        for at in 0..records.len() {
            if let Record::Offset {
                topic, partition, ..
            } = &records[at]
            {
                let place = (&topic.clone(), *partition);
                self.overtake(place, None, records);
            }
        }
    }

    /// Marks what is staged for a partition as overtaken: all of it, or only what others than
    /// the producer staged before the order that are given.
    fn overtake(
        &self,
        (topic, partition): (&TopicName, PartitionIndex),
        before: Option<(u64, ProducerId)>,
        records: &mut Records,
    ) {
        let is_earlier = |id: ProducerId, value: &PendingValue| match before {
            Some((order, by)) => value.order < order && id != by,
            None => true,
        };
        let stakes = self.facts.pending.at(topic, partition);
        for (id, value) in stakes.into_iter().flatten() {
            if !value.is_overtaken && is_earlier(*id, value) {
                let value = PendingValue {
                    is_overtaken: true,
                    ..value.clone()
                };
                records.push(self.pending_record(topic, partition, *id, Some(value)));
            }
        }
    }

    /// The records that end a producer's transaction; none, if it has nothing staged.
    fn end_of(&self, producer: ProducerId, committed: bool) -> Records {
        let mut records = Records::default();
        for (topic, partition) in self.facts.pending.places_of(producer) {
            let stakes = self.facts.pending.at(topic, *partition);
            let value = stakes.and_then(|stakes| stakes.get(&producer));
            if let Some(value) = value.filter(|value| {
                let is_overtaken = value.is_overtaken && !mutation::is("what-is-overtaken-counts");
                committed && !is_overtaken
            }) {
                records.push(Record::Offset {
                    group: self.id.clone(),
                    topic: topic.clone(),
                    partition: *partition,
                    value: Some(value.offset.clone()),
                });
                let before = Some((value.order, producer));
                self.overtake((topic, *partition), before, &mut records);
            }
            records.push(self.pending_record(topic, *partition, producer, None));
        }
        records
    }
}
