//! Topics and what belongs to them, administered.

use takhin_coordinator::ids::TopicId;
use takhin_coordinator::wire::ApiKey;
use takhin_coordinator::wire::messages::{
    AlterConfigsResource, AlterableConfig, CreatableTopic, CreatableTopicConfig,
    CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopic, CreateTopicsRequest,
    CreateTopicsResponse, DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsResponse,
    DeleteRecordsTopic, DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse,
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResponse,
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse, ListOffsetsRequest,
    ListOffsetsRequestPartition, ListOffsetsRequestTopic, ListOffsetsResponse,
    OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, OffsetForLeaderPartition,
    OffsetForLeaderTopic,
};

use crate::client::{Client, read};
use crate::node::Node;
use crate::records::{NOBODY, batch, create, produce};

fn new(name: &str, num_partitions: i32, replication_factor: i16) -> CreatableTopic<'_> {
    CreatableTopic {
        name,
        num_partitions,
        replication_factor,
        ..Default::default()
    }
}

/// Codes by name.
fn create_all(
    client: &mut Client,
    version: i16,
    topics: Vec<CreatableTopic<'_>>,
) -> Vec<(String, i16)> {
    let request = CreateTopicsRequest {
        topics,
        ..Default::default()
    };
    let body = client.ask(ApiKey::CreateTopics, version, &request);
    let response = read::<CreateTopicsResponse<'_>>(&body, version);
    let told = response.topics.iter();
    told.map(|topic| (topic.name.to_owned(), topic.error_code))
        .collect()
}

#[test]
fn each_topic_of_a_request_is_created_or_refused_for_itself() {
    let node = Node::start(&[]);
    let mut client = node.connect();
    for version in 2..=7 {
        let good = format!("good-{version}");
        let topics = vec![
            new(&good, 2, 1),
            new("twice", 1, 1),
            new("twice", 1, 1),
            new("none", 0, 1),
            new("many-replicas", 1, 3),
            new("a/b", 1, 1),
        ];
        let told = create_all(&mut client, version, topics);
        let told: Vec<_> = told.iter().map(|(name, code)| (&name[..], *code)).collect();
        let expected = [
            (&good[..], 0),
            ("twice", 42),
            ("none", 37),
            ("many-replicas", 38),
            ("a/b", 17),
        ];
        assert_eq!(told, expected);
        let again = create_all(&mut client, version, vec![new(&good, 2, 1)]);
        assert_eq!(again[0].1, 36);
    }
}

#[test]
fn what_is_only_validated_is_described_and_not_created() {
    let node = Node::start(&["--set", "num.partitions=4"]);
    let mut client = node.connect();
    let request = |validate_only| CreateTopicsRequest {
        topics: vec![CreatableTopic {
            configs: vec![CreatableTopicConfig {
                name: "retention.bytes",
                value: Some("12345"),
            }],
            ..new("validated", -1, -1)
        }],
        validate_only,
        ..Default::default()
    };
    for validate_only in [true, true, false] {
        let body = client.ask(ApiKey::CreateTopics, 7, &request(validate_only));
        let response = read::<CreateTopicsResponse<'_>>(&body, 7);
        let topic = &response.topics[0];
        assert_eq!((topic.error_code, topic.num_partitions), (0, 4));
        assert_eq!(topic.topic_id.is_zero(), validate_only);
        let configs = topic.configs.as_ref().unwrap();
        let set = configs
            .iter()
            .find(|config| config.name == "retention.bytes");
        let set = set.map(|config| (config.value, config.config_source));
        assert_eq!(set, Some((Some("12345"), 1)));
    }
}

#[test]
fn topics_are_deleted_by_name_and_by_id() {
    let node = Node::start(&[]);
    let mut client = node.connect();
    let by_id = create(&mut client, "by-id", 1);
    for version in 1..=5 {
        create(&mut client, "by-name", 1);
        let request = DeleteTopicsRequest {
            topic_names: vec!["by-name", "nowhere", "twice", "twice"],
            ..Default::default()
        };
        let body = client.ask(ApiKey::DeleteTopics, version, &request);
        let response = read::<DeleteTopicsResponse<'_>>(&body, version);
        let told = response.responses.iter();
        let told: Vec<_> = told
            .map(|one| (one.name.unwrap(), one.error_code))
            .collect();
        assert_eq!(told, [("by-name", 0), ("nowhere", 3), ("twice", 42)]);
    }
    let state = |name, topic_id| DeleteTopicState { name, topic_id };
    let stranger = TopicId([1; 16]);
    let request = DeleteTopicsRequest {
        topics: vec![
            state(None, by_id.id),
            state(None, stranger),
            state(None, TopicId::ZERO),
            state(Some("both"), stranger),
        ],
        ..Default::default()
    };
    let body = client.ask(ApiKey::DeleteTopics, 6, &request);
    let response = read::<DeleteTopicsResponse<'_>>(&body, 6);
    let told = response.responses.iter();
    let told: Vec<_> = told
        .map(|one| (one.name, one.topic_id, one.error_code))
        .collect();
    let expected = [
        (Some("by-id"), by_id.id, 0),
        (None, stranger, 100),
        (None, TopicId::ZERO, 42),
        (Some("both"), stranger, 42),
    ];
    assert_eq!(told, expected);
}

#[test]
fn no_topic_is_deleted_where_that_is_switched_off() {
    let node = Node::start(&["--set", "delete.topic.enable=false"]);
    let mut client = node.connect();
    create(&mut client, "kept", 1);
    for (version, code) in [(1, 42), (2, 42), (3, 73), (5, 73)] {
        let request = DeleteTopicsRequest {
            topic_names: vec!["kept"],
            ..Default::default()
        };
        let body = client.ask(ApiKey::DeleteTopics, version, &request);
        let response = read::<DeleteTopicsResponse<'_>>(&body, version);
        assert_eq!(response.responses[0].error_code, code);
    }
}

#[test]
fn topics_only_grow() {
    let node = Node::start(&[]);
    let mut client = node.connect();
    create(&mut client, "growing", 2);
    for version in 0..=3 {
        let cases = [("growing", 1, 37), ("growing", 2, 37), ("nowhere", 3, 3)];
        for (name, count, code) in cases {
            assert_eq!(grow(&mut client, version, name, count), code);
        }
        let count = 3 + i32::from(version);
        assert_eq!(
            grow(&mut client, version, "growing", count),
            if count > 2 { 0 } else { 37 }
        );
        assert_eq!(grow(&mut client, version, "growing", count), 37);
    }
}

fn grow(client: &mut Client, version: i16, name: &str, count: i32) -> i16 {
    let request = CreatePartitionsRequest {
        topics: vec![CreatePartitionsTopic {
            name,
            count,
            assignments: None,
        }],
        ..Default::default()
    };
    let body = client.ask(ApiKey::CreatePartitions, version, &request);
    read::<CreatePartitionsResponse<'_>>(&body, version).results[0].error_code
}

/// The error, the value of one key and where it comes from.
fn describe(client: &mut Client, kind: i8, name: &str, key: &str) -> (i16, String, i8) {
    let request = DescribeConfigsRequest {
        resources: vec![DescribeConfigsResource {
            resource_type: kind,
            resource_name: name,
            configuration_keys: Some(vec![key]),
        }],
        include_synonyms: true,
        ..Default::default()
    };
    let body = client.ask(ApiKey::DescribeConfigs, 4, &request);
    let response = read::<DescribeConfigsResponse<'_>>(&body, 4);
    let result = &response.results[0];
    if result.error_code != 0 {
        assert!(result.error_message.is_some() && result.configs.is_empty());
        return refused(result.error_code);
    }
    let config = &result.configs[0];
    assert_eq!(config.name, key);
    assert_eq!(config.synonyms[0].value, config.value);
    (0, config.value.unwrap().to_owned(), config.config_source)
}

fn refused(code: i16) -> (i16, String, i8) {
    (code, String::new(), 0)
}

fn alter(
    client: &mut Client,
    kind: i8,
    name: &str,
    change: (&str, i8, Option<&str>),
    validate_only: bool,
) -> i16 {
    let (key, config_operation, value) = change;
    let request = IncrementalAlterConfigsRequest {
        resources: vec![AlterConfigsResource {
            resource_type: kind,
            resource_name: name,
            configs: vec![AlterableConfig {
                name: key,
                config_operation,
                value,
            }],
        }],
        validate_only,
    };
    let body = client.ask(ApiKey::IncrementalAlterConfigs, 1, &request);
    read::<IncrementalAlterConfigsResponse<'_>>(&body, 1).responses[0].error_code
}

#[test]
fn settings_of_topics_are_shown_and_changed() {
    let node = Node::start(&["--set", "log.retention.bytes=1000000"]);
    let mut client = node.connect();
    create(&mut client, "set", 1);
    let key = "retention.bytes";
    let is = |value: &str, source| (0, value.to_owned(), source);
    assert_eq!(describe(&mut client, 2, "set", key), is("1000000", 5));
    assert_eq!(alter(&mut client, 2, "set", (key, 0, Some("77")), true), 0);
    assert_eq!(describe(&mut client, 2, "set", key), is("1000000", 5));
    assert_eq!(alter(&mut client, 2, "set", (key, 0, Some("77")), false), 0);
    assert_eq!(describe(&mut client, 2, "set", key), is("77", 1));
    assert_eq!(alter(&mut client, 2, "set", (key, 1, None), false), 0);
    assert_eq!(describe(&mut client, 2, "set", key), is("1000000", 5));
    assert_eq!(alter(&mut client, 2, "set", (key, 0, Some("x")), false), 40);
    assert_eq!(
        alter(&mut client, 2, "set", ("no.such.key", 0, Some("1")), false),
        40
    );
    assert_eq!(alter(&mut client, 2, "set", (key, 4, Some("1")), false), 42);
    assert_eq!(
        alter(&mut client, 2, "nowhere", (key, 0, Some("1")), false),
        3
    );
    assert_eq!(describe(&mut client, 2, "nowhere", key), refused(3));
    assert_eq!(describe(&mut client, 2, "a b", key), refused(17));
}

#[test]
fn settings_of_the_node_are_shown_and_stay() {
    let node = Node::start(&["--set", "num.partitions=7"]);
    let mut client = node.connect();
    let is = |value: &str, source| (0, value.to_owned(), source);
    assert_eq!(describe(&mut client, 4, "1", "num.partitions"), is("7", 4));
    assert_eq!(
        describe(&mut client, 4, "1", "auto.create.topics.enable"),
        is("true", 5)
    );
    assert_eq!(describe(&mut client, 4, "2", "num.partitions"), refused(42));
    assert_eq!(
        describe(&mut client, 4, "one", "num.partitions"),
        refused(42)
    );
    assert_eq!(
        describe(&mut client, 99, "1", "num.partitions"),
        refused(42)
    );
    let change = ("num.partitions", 0, Some("8"));
    assert_eq!(alter(&mut client, 4, "1", change, false), 42);
    assert_eq!(alter(&mut client, 32, "group", change, false), 42);
}

fn list(client: &mut Client, version: i16, timestamp: i64) -> (i16, i64) {
    let request = ListOffsetsRequest {
        topics: vec![ListOffsetsRequestTopic {
            name: "offsets",
            partitions: vec![ListOffsetsRequestPartition {
                partition_index: 0,
                timestamp,
                ..Default::default()
            }],
        }],
        ..Default::default()
    };
    let body = client.ask(ApiKey::ListOffsets, version, &request);
    let response = read::<ListOffsetsResponse<'_>>(&body, version);
    let partition = &response.topics[0].partitions[0];
    (partition.error_code, partition.offset)
}

#[test]
fn offsets_are_found_by_position_and_by_time() {
    let node = Node::start(&[]);
    let mut client = node.connect();
    let topic = create(&mut client, "offsets", 1);
    for offset in 0..3 {
        let batch = batch(b"v", NOBODY);
        assert_eq!(produce(&mut client, &topic, 9, &batch), (0, offset));
    }
    for version in 1..=11 {
        assert_eq!(list(&mut client, version, -1), (0, 3));
        assert_eq!(list(&mut client, version, -2), (0, 0));
        assert_eq!(list(&mut client, version, 1_000), (0, 0));
        assert_eq!(list(&mut client, version, 1_001), (0, -1));
        for (special, since, offset) in [(-3, 7, 0), (-4, 8, 0), (-5, 9, -1), (-6, 11, -1)] {
            let known = version >= since;
            let expected = if known { (0, offset) } else { (35, -1) };
            assert_eq!(
                list(&mut client, version, special),
                expected,
                "{version} {special}"
            );
        }
        assert_eq!(list(&mut client, version, -7), (35, -1));
    }
    for version in 0..=2 {
        assert_eq!(delete_records(&mut client, version, 2), (0, 2));
        assert_eq!(delete_records(&mut client, version, 4), (1, -1));
    }
    assert_eq!(list(&mut client, 7, -2), (0, 2));
    assert_eq!(delete_records(&mut client, 2, -1), (0, 3));
    assert_eq!(epoch_end(&mut client, -1, 0), (0, 3));
    assert_eq!(epoch_end(&mut client, 0, 1), (0, -1));
    assert_eq!(epoch_end(&mut client, 1, 0), (75, -1));
}

fn delete_records(client: &mut Client, version: i16, offset: i64) -> (i16, i64) {
    let request = DeleteRecordsRequest {
        topics: vec![DeleteRecordsTopic {
            name: "offsets",
            partitions: vec![DeleteRecordsPartition {
                partition_index: 0,
                offset,
            }],
        }],
        ..Default::default()
    };
    let body = client.ask(ApiKey::DeleteRecords, version, &request);
    let response = read::<DeleteRecordsResponse<'_>>(&body, version);
    let partition = &response.topics[0].partitions[0];
    (partition.error_code, partition.low_watermark)
}

fn epoch_end(client: &mut Client, current_leader_epoch: i32, leader_epoch: i32) -> (i16, i64) {
    let request = OffsetForLeaderEpochRequest {
        topics: vec![OffsetForLeaderTopic {
            topic: "offsets",
            partitions: vec![OffsetForLeaderPartition {
                partition: 0,
                current_leader_epoch,
                leader_epoch,
            }],
        }],
        ..Default::default()
    };
    let body = client.ask(ApiKey::OffsetForLeaderEpoch, 4, &request);
    let response = read::<OffsetForLeaderEpochResponse<'_>>(&body, 4);
    let partition = &response.topics[0].partitions[0];
    (partition.error_code, partition.end_offset)
}
