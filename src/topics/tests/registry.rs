//! Topics come, grow and go.

use super::sample::{NOW, batch, name, new_topic, topics_with};
use crate::topics::{
    DeletedTopic, NewTopic, ReplicaAssignment, TopicError, TopicKey, Topics, TopicsConfig,
};

fn topics() -> Topics {
    Topics::new(TopicsConfig::default())
}

#[test]
fn a_topic_is_found_by_name_and_by_id_until_it_is_deleted() {
    let topics = topics();
    let created = topics.create(&new_topic("t", 3), false).unwrap();
    assert_eq!(created.partitions, 3);
    let by_id = TopicKey::Id(created.id);
    assert_eq!(topics.describe(&by_id).unwrap(), created);
    assert_eq!(topics.describe(&name("t")).unwrap(), created);
    assert_eq!(topics.counts(), (1, 3));

    let deleted = DeletedTopic {
        name: created.name,
        id: created.id,
    };
    assert_eq!(topics.delete(&by_id), Ok(deleted));
    assert_eq!(topics.describe(&by_id), Err(TopicError::UnknownTopicId));
    let refusal = topics.describe(&name("t"));
    assert_eq!(refusal, Err(TopicError::UnknownTopicOrPartition));
    assert_eq!(topics.counts(), (0, 0));
}

#[test]
fn a_topic_of_the_same_name_later_has_another_id_and_no_records() {
    let topics = topics_with("t", 1);
    let first = topics.describe(&name("t")).unwrap();
    topics
        .produce(&name("t"), 0, &batch(1).bytes(), NOW)
        .unwrap();
    topics.delete(&name("t")).unwrap();
    let second = topics.create(&new_topic("t", 1), false).unwrap();
    assert_ne!(first.id, second.id);
    let appended = topics
        .produce(&name("t"), 0, &batch(1).bytes(), NOW)
        .unwrap();
    assert_eq!(appended.base_offset, 0);
}

#[test]
fn names_follow_the_rules() {
    let topics = topics();
    let longest = "x".repeat(249);
    for good in ["a", "...", "A-b_c.9", &longest] {
        assert!(topics.create(&new_topic(good, 1), true).is_ok(), "{good}");
    }
    let longer = "x".repeat(250);
    for bad in ["", ".", "..", "a b", "a/b", "\u{e4}", &longer] {
        let refusal = topics.create(&new_topic(bad, 1), true);
        assert_eq!(refusal, Err(TopicError::InvalidTopic), "{bad}");
    }
}

#[test]
fn names_differ_in_more_than_dots_and_underscores() {
    let topics = topics();
    topics.create(&new_topic("a.b_c", 1), false).unwrap();
    let refusal = topics.create(&new_topic("a_b.c", 1), false);
    assert_eq!(refusal, Err(TopicError::InvalidTopic));
    topics.delete(&name("a.b_c")).unwrap();
    assert!(topics.create(&new_topic("a_b.c", 1), false).is_ok());
}

#[test]
fn what_is_only_validated_does_not_come_to_be() {
    let topics = topics();
    let summary = topics.create(&new_topic("t", 4), true).unwrap();
    assert_eq!(summary.partitions, 4);
    assert_eq!(topics.counts(), (0, 0));
    topics.create(&new_topic("t", 4), false).unwrap();
    let refusal = topics.create(&new_topic("t", 4), true);
    assert_eq!(refusal, Err(TopicError::TopicAlreadyExists));
    topics.create_partitions(&name("t"), 6, &[], true).unwrap();
    assert_eq!(topics.counts(), (1, 4));
}

#[test]
fn counts_must_make_sense() {
    let topics = topics();
    for partitions in [0, -2] {
        let refusal = topics.create(&new_topic("t", partitions), false);
        assert_eq!(refusal, Err(TopicError::InvalidPartitions));
    }
    for replication_factor in [0, 2, -2] {
        let new = NewTopic {
            replication_factor,
            ..new_topic("t", 1)
        };
        let refusal = topics.create(&new, false);
        assert_eq!(refusal, Err(TopicError::InvalidReplicationFactor));
    }
}

#[test]
fn replicas_by_hand_must_be_on_the_one_node_without_gaps() {
    let topics = topics();
    let assigned = |partitions: &[(i32, i32)]| NewTopic {
        assignments: partitions
            .iter()
            .map(|(partition, node)| ReplicaAssignment {
                partition: *partition,
                nodes: vec![*node],
            })
            .collect(),
        ..new_topic("t", -1)
    };
    for bad in [&[(0, 1), (2, 1)][..], &[(0, 2)], &[(0, 1), (0, 1)]] {
        let refusal = topics.create(&assigned(bad), false);
        assert_eq!(refusal, Err(TopicError::InvalidReplicaAssignment));
    }
    let mut both = assigned(&[(0, 1)]);
    both.partitions = 1;
    assert_eq!(topics.create(&both, false), Err(TopicError::InvalidRequest));
    let created = topics.create(&assigned(&[(1, 1), (0, 1)]), false).unwrap();
    assert_eq!(created.partitions, 2);
}

#[test]
fn partitions_only_grow() {
    let topics = topics_with("t", 2);
    for total in [2, 1, 0, -1] {
        let refusal = topics.create_partitions(&name("t"), total, &[], false);
        assert_eq!(refusal, Err(TopicError::InvalidPartitions));
    }
    let grown = topics.create_partitions(&name("t"), 5, &[], false).unwrap();
    assert_eq!(grown.partitions, 5);
    assert!(
        topics
            .produce(&name("t"), 4, &batch(1).bytes(), NOW)
            .is_ok()
    );
    let refusal = topics.create_partitions(&name("t"), 6, &[vec![9]], false);
    assert_eq!(refusal, Err(TopicError::InvalidReplicaAssignment));
}

#[test]
fn the_node_has_a_limit_of_topics_and_of_partitions() {
    let topics = Topics::new(TopicsConfig {
        max_topics: 2,
        max_partitions: 10,
        ..TopicsConfig::default()
    });
    topics.create(&new_topic("a", 1), false).unwrap();
    for many in [10, i32::MAX] {
        let refusal = topics.create(&new_topic("b", many), false);
        assert_eq!(refusal, Err(TopicError::PolicyViolation));
    }
    topics.create(&new_topic("b", 9), false).unwrap();
    let refusal = topics.create_partitions(&name("a"), 2, &[], false);
    assert_eq!(refusal, Err(TopicError::PolicyViolation));
    topics.delete(&name("b")).unwrap();
    topics.create(&new_topic("b", 1), false).unwrap();
    let refusal = topics.create(&new_topic("c", 1), false);
    assert_eq!(refusal, Err(TopicError::PolicyViolation));
}

#[test]
fn an_unknown_topic_is_created_on_demand_where_that_is_allowed() {
    let topics = topics();
    let created = topics.describe_or_create(&"t".into()).unwrap();
    assert_eq!(created.partitions, 1);
    assert_eq!(topics.describe_or_create(&"t".into()), Ok(created));
    let refusal = topics.describe_or_create(&"a b".into());
    assert_eq!(refusal, Err(TopicError::InvalidTopic));

    let strict = Topics::new(TopicsConfig {
        auto_create: false,
        ..TopicsConfig::default()
    });
    let refusal = strict.describe_or_create(&"t".into());
    assert_eq!(refusal, Err(TopicError::UnknownTopicOrPartition));
}

#[test]
fn topics_are_listed_by_name_in_pages() {
    let topics = topics();
    for topic in ["c", "a", "d", "b"] {
        topics.create(&new_topic(topic, 1), false).unwrap();
    }
    let names = |after, max| -> Vec<String> {
        let page = topics.list(after, max);
        page.iter().map(|one| one.name.to_string()).collect()
    };
    assert_eq!(names(None, 3), ["a", "b", "c"]);
    assert_eq!(names(Some("b"), 10), ["c", "d"]);
    assert_eq!(names(Some("bb"), 1), ["c"]);
    assert_eq!(names(Some("d"), 1), [""; 0]);
}
