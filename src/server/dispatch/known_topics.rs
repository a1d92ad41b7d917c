//! The topics of which a connection has spoken.
//!
//! A consumer commits and fetches for the same few topics all the time. What is known of them is
//! kept with the connection, under names of its own, and believed as long as no topic has changed:
//! so its requests take no lock of the data plane, and count no references where those of other
//! connections count theirs, which would send that memory from core to core with each of them.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::ids::{TopicId, TopicName};
use crate::topics::{TopicKey, TopicSummary, Topics};

/// How a request names a topic.
#[derive(Clone, Copy, Debug)]
pub(super) enum Named<'r> {
    Name(&'r str),
    Id(TopicId),
}

/// Topics that exist, as of some change of them.
#[derive(Debug, Default)]
pub(super) struct KnownTopics {
    changes: u64,
    by_name: HashMap<TopicName, TopicSummary, RandomState>,
    by_id: HashMap<TopicId, TopicSummary, RandomState>,
}

impl KnownTopics {
    /// The topic, if it exists.
    pub(super) fn find(&mut self, topics: &Topics, named: Named<'_>) -> Option<TopicSummary> {
        // Before it is looked up: what is kept is never newer than it says.
        let changes = topics.changes();
        if changes != self.changes {
            self.by_name.clear();
            self.by_id.clear();
            self.changes = changes;
        }
        let known = match named {
            Named::Name(name) => self.by_name.get(name),
            Named::Id(id) => self.by_id.get(&id),
        };
        known.cloned().or_else(|| self.look_up(topics, named))
    }

    #[cold]
    fn look_up(&mut self, topics: &Topics, named: Named<'_>) -> Option<TopicSummary> {
        let key = match named {
            Named::Name(name) => TopicKey::Name(name.into()),
            Named::Id(id) => TopicKey::Id(id),
        };
        let found = topics.describe(&key).ok()?;
        let found = TopicSummary {
            name: found.name.as_str().into(),
            ..found
        };
        // Where there are many, the first ones are kept.
        match key {
            TopicKey::Name(name) if self.by_name.len() < TOPICS_MAX => {
                self.by_name.insert(name, found.clone());
            }
            TopicKey::Id(id) if self.by_id.len() < TOPICS_MAX => {
                self.by_id.insert(id, found.clone());
            }
            TopicKey::Name(_) | TopicKey::Id(_) => {}
        }
        Some(found)
    }
}

/// Topics that a connection keeps, of those that are named by their names and of those by their
/// ids: some 200 bytes each.
const TOPICS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topics::{NewTopic, TopicsConfig};

    fn create(topics: &Topics, name: &str) -> TopicSummary {
        let new = NewTopic {
            name: name.into(),
            partitions: 1,
            replication_factor: 1,
            assignments: Vec::new(),
            configs: Vec::new(),
        };
        topics.create(&new, false).unwrap()
    }

    #[test]
    fn what_has_changed_is_looked_up_again() {
        let topics = Topics::new(TopicsConfig::default());
        let mut known = KnownTopics::default();
        let by_name = Named::Name("t");
        assert_eq!(known.find(&topics, by_name), None);
        let first = create(&topics, "t");
        let by_id = Named::Id(first.id);
        for _ in 0..2 {
            assert_eq!(known.find(&topics, by_name), Some(first.clone()));
            assert_eq!(known.find(&topics, by_id), Some(first.clone()));
        }
        let key = TopicKey::Id(first.id);
        let grown = topics.create_partitions(&key, 3, &[], false).unwrap();
        assert_eq!(known.find(&topics, by_name), Some(grown.clone()));
        assert_eq!(known.find(&topics, by_id), Some(grown));
        topics.delete(&key).unwrap();
        assert_eq!(known.find(&topics, by_name), None);
        assert_eq!(known.find(&topics, by_id), None);
        let second = create(&topics, "t");
        assert_eq!(known.find(&topics, by_name), Some(second));
        assert_eq!(known.find(&topics, by_id), None);
    }

    #[test]
    fn no_more_than_so_many_are_kept_and_all_are_found() {
        let topics = Topics::new(TopicsConfig::default());
        let mut known = KnownTopics::default();
        let names = (0..2 * TOPICS_MAX).map(|n| format!("t{n}"));
        let created: Vec<_> = names.map(|name| create(&topics, &name)).collect();
        for topic in &created {
            let by_name = Named::Name(topic.name.as_str());
            assert_eq!(known.find(&topics, by_name).as_ref(), Some(topic));
            let by_id = Named::Id(topic.id);
            assert_eq!(known.find(&topics, by_id).as_ref(), Some(topic));
        }
        assert_eq!(known.by_name.len(), TOPICS_MAX);
        assert_eq!(known.by_id.len(), TOPICS_MAX);
    }
}
