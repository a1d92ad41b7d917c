//! Configuration values of topics.

use super::sample::{name, new_topic, topics_with, with_config};
use crate::topics::{ConfigChange, ConfigEntry, ConfigOp, TopicError, Topics, TopicsConfig};

fn change(name: &str, op: ConfigOp, value: Option<&str>) -> ConfigChange {
    ConfigChange {
        name: name.to_owned(),
        op,
        value: value.map(str::to_owned),
    }
}

fn entry(topics: &Topics, key: &str) -> ConfigEntry {
    let entries = topics.describe_configs(&name("t")).unwrap();
    entries.into_iter().find(|one| one.name == key).unwrap()
}

fn alter(topics: &Topics, key: &str, op: ConfigOp, value: &str) -> Result<(), TopicError> {
    topics.alter_configs(&name("t"), &[change(key, op, Some(value))], false)
}

#[test]
fn every_default_passes_its_own_rule_and_the_keys_are_in_order() {
    let topics = topics_with("t", 1);
    let entries = topics.describe_configs(&name("t")).unwrap();
    assert!(entries.is_sorted_by_key(|one| one.name));
    for one in &entries {
        assert!(!one.is_dynamic);
        assert_eq!(
            alter(&topics, one.name, ConfigOp::Set, &one.value),
            Ok(()),
            "{}",
            one.name
        );
    }
}

#[test]
fn a_value_that_is_set_is_shown_as_the_topics_own_until_it_is_deleted() {
    let topics = topics_with("t", 1);
    alter(&topics, "retention.ms", ConfigOp::Set, "5000").unwrap();
    let set = entry(&topics, "retention.ms");
    assert_eq!((&set.value[..], set.is_dynamic), ("5000", true));
    assert_eq!(set.default, "604800000");
    let delete = change("retention.ms", ConfigOp::Delete, None);
    topics.alter_configs(&name("t"), &[delete], false).unwrap();
    let back = entry(&topics, "retention.ms");
    assert_eq!((&back.value[..], back.is_dynamic), ("604800000", false));
}

#[test]
fn the_defaults_are_those_of_the_node() {
    let topics = Topics::new(TopicsConfig {
        log_retention_bytes: 1234,
        max_message_bytes: 99,
        ..TopicsConfig::default()
    });
    topics.create(&new_topic("t", 1), false).unwrap();
    assert_eq!(entry(&topics, "retention.bytes").value, "1234");
    assert_eq!(entry(&topics, "max.message.bytes").value, "99");
}

#[test]
fn lists_gain_and_lose_elements() {
    let topics = topics_with("t", 1);
    let policy = |op, value| alter(&topics, "cleanup.policy", op, value);
    policy(ConfigOp::Append, "compact").unwrap();
    assert_eq!(entry(&topics, "cleanup.policy").value, "delete,compact");
    policy(ConfigOp::Append, "compact").unwrap();
    assert_eq!(entry(&topics, "cleanup.policy").value, "delete,compact");
    policy(ConfigOp::Subtract, "delete").unwrap();
    assert_eq!(entry(&topics, "cleanup.policy").value, "compact");
    let refusal = alter(&topics, "retention.ms", ConfigOp::Append, "1");
    assert!(matches!(refusal, Err(TopicError::InvalidConfig(_))));
}

#[test]
fn wrong_keys_and_values_are_refused_with_the_reason() {
    let topics = topics_with("t", 1);
    for (key, value) in [
        ("retention.ms", "soon"),
        ("retention.ms", "-2"),
        ("max.message.bytes", "-1"),
        ("cleanup.policy", "burn"),
        ("compression.type", "rar"),
        ("compression.gzip.level", "0"),
        ("message.timestamp.type", "Never"),
        ("min.cleanable.dirty.ratio", "2"),
        ("remote.storage.enable", "true"),
        ("leader.replication.throttled.replicas", "1"),
        ("no.such.key", "1"),
    ] {
        let refusal = alter(&topics, key, ConfigOp::Set, value);
        let Err(TopicError::InvalidConfig(reason)) = refusal else {
            panic!("{key}={value} was taken");
        };
        assert!(reason.contains(key), "{reason}");
        let new = with_config(new_topic("u", 1), key, value);
        let refusal = topics.create(&new, false);
        assert_eq!(refusal, Err(TopicError::InvalidConfig(reason)));
    }
}

#[test]
fn a_change_is_taken_as_a_whole_or_not_at_all() {
    let topics = topics_with("t", 1);
    let good = change("retention.ms", ConfigOp::Set, Some("5000"));
    let bad = change("segment.bytes", ConfigOp::Set, Some("x"));
    let twice = [good.clone(), good.clone()];
    let nothing = change("segment.ms", ConfigOp::Set, None);
    let alter = |changes: &[ConfigChange], validate_only| {
        topics.alter_configs(&name("t"), changes, validate_only)
    };
    assert!(alter(&[good.clone(), bad], false).is_err());
    assert_eq!(alter(&twice, false), Err(TopicError::InvalidRequest));
    assert_eq!(alter(&[nothing], false), Err(TopicError::InvalidRequest));
    assert_eq!(alter(&[good], true), Ok(()));
    assert!(!entry(&topics, "retention.ms").is_dynamic);
}

#[test]
fn an_unknown_topic_has_no_configuration() {
    let topics = topics_with("t", 1);
    let unknown = topics.describe_configs(&name("u"));
    assert_eq!(unknown, Err(TopicError::UnknownTopicOrPartition));
    let refusal = topics.alter_configs(&name("u"), &[], false);
    assert_eq!(refusal, Err(TopicError::UnknownTopicOrPartition));
}
