//! One topic: its partitions and its settings.

use std::sync::Arc;

use super::budget::Resources;
use super::config::TopicsConfig;
use super::disk::Line;
use super::error::TopicError;
use super::lock::Shared;
use super::partition::Partition;
use super::registry::TopicSummary;
use super::settings::{ConfigChange, ConfigEntry, Effective, Settings};
use crate::ids::{PartitionIndex, TopicId, TopicName};

/// A topic that exists, or did when it was looked up.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) name: TopicName,
    pub(super) id: TopicId,
    state: Shared<State>,
}

#[derive(Debug)]
struct State {
    partitions: Vec<Arc<Partition>>,
    settings: Settings,
    // What `settings` says.
    effective: Effective,
}

impl Topic {
    pub(super) fn new(
        name: TopicName,
        id: TopicId,
        settings: Settings,
        config: &TopicsConfig,
    ) -> Self {
        let effective = settings.effective(config);
        Self {
            name,
            id,
            state: Shared::new(State {
                partitions: Vec::new(),
                settings,
                effective,
            }),
        }
    }

    /// Adds partitions until there are that many.
    pub(super) fn grow(&self, partitions: usize, resources: &Resources) {
        let state = &mut *self.state.write();
        let fresh = |index| Arc::new(Partition::new(resources, self.id, index));
        let from = i32::try_from(state.partitions.len()).unwrap_or(i32::MAX);
        let more = partitions.saturating_sub(state.partitions.len());
        state.partitions.extend((from..).take(more).map(fresh));
    }

    /// The topic as the catalog has it.
    pub(super) fn line(&self) -> Line {
        let state = self.state.read();
        Line {
            name: self.name.clone(),
            id: self.id,
            partitions: state.partitions.len(),
            settings: state.settings.pairs(),
        }
    }

    /// Removes the files of all partitions: the catalog does not name the topic any more.
    pub(super) fn clear_shelves(&self) {
        for partition in &self.state.read().partitions {
            if let Some(shelf) = &partition.shelf {
                shelf.clear();
            }
        }
    }

    pub(super) fn partition_count(&self) -> usize {
        self.state.read().partitions.len()
    }

    pub(super) fn summary(&self) -> TopicSummary {
        let count = self.partition_count();
        TopicSummary {
            name: self.name.clone(),
            id: self.id,
            partitions: i32::try_from(count).expect("partitions are created by a count of i32"),
        }
    }

    /// A partition with the settings that hold for it.
    pub(super) fn partition(
        &self,
        index: PartitionIndex,
    ) -> Result<(Arc<Partition>, Effective), TopicError> {
        let state = self.state.read();
        let found = usize::try_from(index)
            .ok()
            .and_then(|index| state.partitions.get(index));
        found
            .map(|partition| (Arc::clone(partition), state.effective))
            .ok_or(TopicError::UnknownTopicOrPartition)
    }

    /// All values in force.
    pub(super) fn describe_configs(&self, config: &TopicsConfig) -> Vec<ConfigEntry> {
        self.state.read().settings.entries(config)
    }

    /// Changes settings, all or none; smaller limits hold at once.
    pub(super) fn alter_configs(
        &self,
        changes: &[ConfigChange],
        config: &TopicsConfig,
        validate_only: bool,
    ) -> Result<(), TopicError> {
        let state = &mut *self.state.write();
        let settings = state.settings.changed(changes, config)?;
        if !validate_only {
            state.effective = settings.effective(config);
            state.settings = settings;
            for partition in &state.partitions {
                partition.trim(&state.effective);
            }
        }
        Ok(())
    }

    /// Empties and closes all partitions: the topic was deleted.
    pub(super) fn close(&self) {
        for partition in &self.state.read().partitions {
            partition.close();
        }
    }
}
