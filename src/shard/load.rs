//! Loading a shard: its records are replayed, then its groups are brought to life.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::gate::Gate;
use super::state::ShardState;
use crate::group::Record;
use crate::ids::GroupId;
use crate::journal::{LoadError, Loaded, schema};
use crate::time::{Now, Tick};

impl ShardState {
    /// Replays the journal, until `stop` says that it is for nobody.
    ///
    /// # Errors
    ///
    /// As [`crate::journal::Journal::load`]; nothing of what was read is kept.
    pub(super) fn replay(
        &mut self,
        gate: &Gate,
        stop: impl Fn() -> bool,
        now: Now,
    ) -> Result<(), LoadError> {
        // Whoever closes a shard that nobody has driven yet comes here in the driver's place.
        if stop() {
            return Err(LoadError::Interrupted);
        }
        let journal = Arc::clone(&self.shared.journal);
        let mut suspects = Suspects::default();
        let mut is_stopped = false;
        let loaded = journal.load(self.id, &mut |loaded| {
            is_stopped = stop();
            if is_stopped {
                return ControlFlow::Break(());
            }
            match loaded {
                Loaded::Record(record) => {
                    suspects.read(&record);
                    self.groups.apply(&record, now);
                    gate.count_record();
                }
                Loaded::Unreadable { group, key, reason } => suspects.add(group, key, reason),
                Loaded::Heard(heard) => self.groups.was_heard(heard),
            }
            ControlFlow::Continue(())
        });
        if loaded.is_err() || is_stopped {
            self.groups.reset();
            return loaded.and(Err(LoadError::Interrupted));
        }
        for (group, reason) in suspects.found() {
            tracing::error!(
                shard = self.id.0,
                %group,
                reason,
                "the group is quarantined: a record of it cannot be read. Requests to it are \
                 answered that it is not available, nothing is written for it, and its records \
                 stay in the journal; all other groups serve"
            );
            self.groups.quarantine(&group, now);
        }
        Ok(())
    }

    /// Brings the groups to life.
    pub(super) fn revive(&mut self, now: Now) {
        // As of the tick before, so that a beat in this very tick is known to be a later one.
        let tick = Tick(now.tick.0.saturating_sub(1));
        let before = Now { tick, ..now };
        let mut fx = std::mem::take(&mut self.desk.fx);
        self.groups.revive(before, &mut fx);
        self.carry_out(fx, before);
        self.account();
        self.show();
        // However long the load took: it was no stall of anybody who lives now.
        self.latest = now;
        self.is_alive = true;
    }

    pub(super) fn count_load(&self, records: u64, load_ms: u64) {
        let shown = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let metrics = self.metrics();
        metrics.load_ms.set(shown(load_ms));
        metrics.load_records.set(shown(records));
        let quarantined = i64::try_from(self.groups.quarantined()).unwrap_or(i64::MAX);
        metrics.groups_quarantined.set(quarantined);
    }
}

/// Records that could not be read and were not overwritten by a readable one yet.
///
/// A journal drops what is overwritten when it likes. So that a load says the same before and
/// after, only the last record of a key counts.
#[derive(Debug, Default)]
struct Suspects {
    groups: BTreeMap<GroupId, BTreeMap<Vec<u8>, String>>,
}

impl Suspects {
    fn add(&mut self, group: GroupId, key: Vec<u8>, reason: String) {
        self.groups.entry(group).or_default().insert(key, reason);
    }

    fn read(&mut self, record: &Record) {
        // As good as always there is no suspect.
        if self.groups.is_empty() {
            return;
        }
        let Some(keys) = self.groups.get_mut(record.group()) else {
            return;
        };
        if let Ok(encoded) = schema::encode(record) {
            keys.remove(&encoded.key);
        }
        // A group's tombstone takes all along that was said of it before.
        if keys.is_empty() || matches!(record, Record::Group { value: None, .. }) {
            self.groups.remove(record.group());
        }
    }

    /// Each group with the reason of one of its records.
    fn found(self) -> impl Iterator<Item = (GroupId, String)> {
        self.groups.into_iter().filter_map(|(group, keys)| {
            let (_, reason) = keys.into_iter().next()?;
            Some((group, reason))
        })
    }
}
