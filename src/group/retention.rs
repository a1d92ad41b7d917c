//! What expires, and when to look: KIP-211, specification 2.11.
//!
//! Kafka walks every group at an interval. Here each group has one timer, armed for the first
//! moment at which something of it could expire; it is armed again by what it then finds. A
//! commit never moves it: a later commit only makes the group expire later.

use super::Phase;
use super::classic::Turn;
use super::effects::{Effect, Note, Then, Timer};
use super::record::{OffsetValue, Record};
use crate::ids::{PartitionIndex, TopicName};
use crate::time::{Tick, WallMs};

/// The group's timer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Watch {
    /// Its number; kept when it has fired, so that a stale timer is never taken for a later one.
    pub(super) arming: u32,
    /// When it fires; `None`: it has.
    pub(super) at: Option<Tick>,
}

/// When an offset of this group begins to age.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ages {
    /// From its commit on.
    FromCommit,
    /// From the moment the group became empty.
    FromEmpty(WallMs),
    /// Not at all: the group is in use.
    Never,
}

impl Turn<'_> {
    fn ages(&self) -> Ages {
        let classic = &self.group.classic;
        match (&classic.protocol_type, classic.phase) {
            (None, _) => Ages::FromCommit,
            (Some(_), Phase::Empty) => classic
                .phase_since
                .map_or(Ages::FromCommit, Ages::FromEmpty),
            (Some(_), Phase::Stable) if classic.is_consumer() && classic.subscribed.is_some() => {
                Ages::FromCommit
            }
            (Some(_), _) => Ages::Never,
        }
    }

    /// When that offset expires; `None`: not while things are as they are.
    ///
    /// One that an open transaction may change does not expire.
    fn expires_at(
        &self,
        ages: Ages,
        (topic, partition): (&TopicName, PartitionIndex),
        value: &OffsetValue,
    ) -> Option<WallMs> {
        let classic = &self.group.classic;
        let is_read = classic.subscribed.is_some() && classic.is_subscribed(topic.as_str());
        if ages == Ages::Never || is_read || self.group.is_unstable(topic, partition) {
            return None;
        }
        let from = match (value.expires_at, ages) {
            (Some(at), _) => return Some(at),
            (None, Ages::FromEmpty(since)) => since,
            (None, Ages::FromCommit | Ages::Never) => self.repeated_until(value),
        };
        Some(WallMs(
            from.0.saturating_add(self.rules.offsets_retention_ms),
        ))
    }

    /// When that offset may have been committed again without being written.
    fn repeated_until(&self, value: &OffsetValue) -> WallMs {
        let refresh_ms = self.rules.offsets_refresh_ms;
        WallMs(value.committed_at.0.saturating_add(refresh_ms))
    }

    /// The first moment at which something of the group expires; the past if something has, and
    /// an empty group without offsets has.
    fn next_expiry(&self) -> Option<WallMs> {
        let ages = self.ages();
        if ages == Ages::Never {
            return None;
        }
        let facts = &self.group.facts;
        if facts.offsets.is_empty() {
            // An open transaction keeps the group.
            let is_idle = self.group.classic.phase == Phase::Empty && facts.pending.is_empty();
            return is_idle.then_some(self.now.wall);
        }
        let offsets = facts.offsets.iter();
        offsets
            .filter_map(|(topic, partition, value)| {
                self.expires_at(ages, (topic, partition), &value)
            })
            .min()
    }

    /// Arms the group's retention timer, unless one is running that fires early enough.
    pub(super) fn arm_retention(&mut self) {
        let Some(expiry) = self.next_expiry() else {
            return;
        };
        self.arm_retention_for(expiry);
    }

    /// The same for offsets that were just committed, without a look at the others.
    pub(super) fn arm_retention_after_commit(&mut self, records: &[Record]) {
        let retention_ms = self.rules.offsets_retention_ms;
        let expiry = |record: &Record| match record {
            Record::Offset {
                value: Some(value), ..
            } => {
                let aged = WallMs(self.repeated_until(value).0.saturating_add(retention_ms));
                Some(value.expires_at.unwrap_or(aged))
            }
            Record::Offset { value: None, .. } | Record::Pending { .. } | Record::Group { .. } => {
                None
            }
        };
        if let Some(first) = records.iter().filter_map(expiry).min() {
            self.arm_retention_for(first);
        }
    }

    /// The same for partitions whose transactions ended: what they held back may age.
    pub(super) fn arm_retention_after_end(&mut self, ended: &[(&TopicName, PartitionIndex)]) {
        if self.group.facts.sizes() == (0, 0) {
            return self.arm_retention();
        }
        let ages = self.ages();
        let expiry = |(topic, partition): (&TopicName, PartitionIndex)| {
            let value = self.group.facts.offsets.get(topic.as_str(), partition)?;
            self.expires_at(ages, (topic, partition), &value)
        };
        if let Some(first) = ended.iter().copied().filter_map(expiry).min() {
            self.arm_retention_for(first);
        }
    }

    fn arm_retention_for(&mut self, expiry: WallMs) {
        let wait_ms = u64::try_from(expiry.0.saturating_sub(self.now.wall.0)).unwrap_or(0);
        // Never sooner than Kafka would look.
        let at = self.now.tick + wait_ms.max(self.rules.retention_check_interval_ms);
        let running = self.group.retention.and_then(|watch| watch.at);
        if running.is_some_and(|running| running <= at) {
            return;
        }
        let arming = self
            .group
            .retention
            .map_or(0, |watch| watch.arming.wrapping_add(1));
        self.group.retention = Some(Watch {
            arming,
            at: Some(at),
        });
        self.fx.push(Effect::Arm {
            at,
            timer: Timer::Retention {
                group: self.group.key,
                arming,
            },
        });
    }

    /// The retention timer fired: what has expired goes, and with the last of it an empty group.
    pub(super) fn retention_timer_fired(&mut self, arming: u32) {
        let watch = self.group.retention.as_mut();
        let Some(watch) = watch.filter(|watch| watch.arming == arming) else {
            return;
        };
        if self.group.classic.phase == Phase::Dead {
            return;
        }
        watch.at = None;
        if self.group.in_flight > 0 {
            // What is on its way may be newer than what would be removed.
            return self.arm_retention_for(self.now.wall);
        }
        let ages = self.ages();
        let expired: Vec<Record> = self
            .group
            .facts
            .offsets
            .iter()
            .filter(|(topic, partition, value)| {
                self.expires_at(ages, (topic, *partition), value)
                    .is_some_and(|at| at <= self.now.wall)
            })
            .map(|(topic, partition, _)| self.group.tombstone(topic, partition))
            .collect();
        let all_expired = self.group.facts.sizes() == (expired.len(), 0);
        if !expired.is_empty() {
            self.note(Note::OffsetsExpired(expired.len()));
        }
        if all_expired && ages != Ages::Never && self.group.classic.phase == Phase::Empty {
            return self.remove_group(None);
        }
        if !expired.is_empty() {
            self.append(expired, Then::Rest);
        }
        self.arm_retention();
    }
}
