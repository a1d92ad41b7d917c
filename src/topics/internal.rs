//! A topic that is listed and described like others, and whose records are kept by somebody else.
//!
//! Whoever keeps them answers fetches and questions about offsets; here all of that is refused,
//! as is every change, with the error that Kafka has for its own topics (`INVALID_TOPIC_EXCEPTION`).

use super::error::TopicError;
use super::front::Topics;
use super::registry::{TopicKey, TopicSummary};

impl Topics {
    /// Shows one more topic, whose records are kept elsewhere. One of the same name that exists
    /// is hidden.
    #[must_use]
    pub fn with_internal(mut self, topic: TopicSummary) -> Self {
        self.internal = Some(topic);
        self
    }

    /// The topic whose records are kept elsewhere, if this is it.
    pub(super) fn internal(&self, key: &TopicKey) -> Option<&TopicSummary> {
        self.internal.as_ref().filter(|internal| match key {
            TopicKey::Name(name) => *name == internal.name,
            TopicKey::Id(id) => *id == internal.id,
        })
    }

    /// Refuses what changes or reads the records that are kept elsewhere.
    pub(super) fn refuse_internal(&self, key: &TopicKey) -> Result<(), TopicError> {
        match self.internal(key) {
            Some(_) => Err(TopicError::InternalTopic),
            None => Ok(()),
        }
    }

    /// Puts it where it belongs among others that come after the name `after`.
    pub(super) fn list_internal(
        &self,
        listed: &mut Vec<TopicSummary>,
        after: Option<&str>,
        max: usize,
    ) {
        let Some(internal) = &self.internal else {
            return;
        };
        listed.retain(|topic| topic.name != internal.name);
        if after.is_none_or(|after| after < internal.name.as_str()) {
            let at = listed.partition_point(|topic| topic.name < internal.name);
            listed.insert(at, internal.clone());
            listed.truncate(max);
        }
    }
}
