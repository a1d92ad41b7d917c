//! `CreateTopics` (19).
//!
//! v4 the broker's defaults (KIP-464); v5 flexible, configuration in the answer (KIP-525); v6
//! throttling (KIP-599); v7 topic ids (KIP-516). Below 2 is gone (KIP-896).

use crate::ids::TopicId;
use crate::wire::schema;

schema! {
    /// The topics to create.
    pub struct CreateTopicsRequest<'a>(versions 2..=7, flexible 5) {
        topics: Vec<CreatableTopic<'a>>, 2..;
        timeout_ms: i32, 2.., default 60_000;
        validate_only: bool, 2..;
    }

    /// A topic.
    pub struct CreatableTopic<'a> {
        name: &'a str, 2..;
        /// -1 stands for the broker's default, or for what `assignments` says.
        num_partitions: i32, 2..;
        /// -1 stands for the broker's default, or for what `assignments` says.
        replication_factor: i16, 2..;
        assignments: Vec<CreatableReplicaAssignment>, 2..;
        configs: Vec<CreatableTopicConfig<'a>>, 2..;
    }

    /// Where a partition shall live.
    pub struct CreatableReplicaAssignment {
        partition_index: i32, 2..;
        broker_ids: Vec<i32>, 2..;
    }

    /// A setting.
    pub struct CreatableTopicConfig<'a> {
        name: &'a str, 2..;
        value: Option<&'a str>, 2..;
    }

    /// What became of each.
    pub struct CreateTopicsResponse<'a>(versions 2..=7, flexible 5) {
        throttle_time_ms: i32, 2..;
        topics: Vec<CreatableTopicResult<'a>>, 2..;
    }

    /// A topic of the request.
    pub struct CreatableTopicResult<'a> {
        name: &'a str, 2..;
        topic_id: TopicId, 7..;
        error_code: i16, 2..;
        error_message: Option<&'a str>, 2..;
        topic_config_error_code: i16, 5.., tag 0;
        num_partitions: i32, 5.., default -1;
        replication_factor: i16, 5.., default -1;
        configs: Option<Vec<CreatedTopicConfig<'a>>>, 5..;
    }

    /// A setting of the new topic.
    pub struct CreatedTopicConfig<'a> {
        name: &'a str, 5..;
        value: Option<&'a str>, 5..;
        read_only: bool, 5..;
        config_source: i8, 5.., default -1;
        is_sensitive: bool, 5..;
    }
}
