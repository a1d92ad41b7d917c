//! Topics by name and by id, created by a question or not; versions that are not served.

use takhin_coordinator::ids::TopicId;
use takhin_coordinator::wire::ApiKey;
use takhin_coordinator::wire::messages::{
    ApiVersionsRequest, ApiVersionsResponse, DescribeClusterRequest, DescribeClusterResponse,
    DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, DescribeTopicPartitionsTopic,
    MetadataRequest, MetadataRequestTopic, MetadataResponse, TopicPartitionsCursor,
};

use crate::client::{Client, read};
use crate::node::Node;
use crate::records::create;

fn asking(name: &str) -> MetadataRequest<'_> {
    MetadataRequest {
        topics: Some(vec![MetadataRequestTopic {
            name: Some(name),
            ..Default::default()
        }]),
        ..Default::default()
    }
}

/// Error, name, id and number of partitions of each topic told.
fn ask(
    client: &mut Client,
    version: i16,
    request: &MetadataRequest<'_>,
) -> Vec<(i16, Option<String>, TopicId, usize)> {
    let body = client.ask(ApiKey::Metadata, version, request);
    let response = read::<MetadataResponse<'_>>(&body, version);
    assert_eq!(response.brokers.len(), 1);
    assert_eq!(response.error_code, 0);
    let topics = response.topics.iter().map(|topic| {
        let name = topic.name.map(str::to_owned);
        (
            topic.error_code,
            name,
            topic.topic_id,
            topic.partitions.len(),
        )
    });
    topics.collect()
}

#[test]
fn a_question_creates_a_topic_unless_it_forbids_that() {
    let node = Node::start(&["--set", "num.partitions=3"]);
    let mut client = node.connect();
    for version in 0..=13_i16 {
        let name = format!("asked-for.{version}");
        let forbidding = MetadataRequest {
            allow_auto_topic_creation: false,
            ..asking(&name)
        };
        if version >= 4 {
            let told = ask(&mut client, version, &forbidding);
            assert_eq!(told, [(3, Some(name.clone()), TopicId::ZERO, 0)]);
        }
        let request = asking(&name);
        let told = &ask(&mut client, version, &request)[0];
        assert_eq!((told.0, told.1.as_ref(), told.3), (0, Some(&name), 3));
        assert_eq!(told.2.is_zero(), version < 10);
    }
    let bad = asking("no spaces");
    assert_eq!(ask(&mut client, 12, &bad)[0].0, 17);
}

#[test]
fn no_question_creates_a_topic_where_the_node_forbids_it() {
    let node = Node::start(&["--set", "auto.create.topics.enable=false"]);
    let request = asking("never");
    assert_eq!(ask(&mut node.connect(), 12, &request)[0].0, 3);
}

#[test]
fn all_topics_are_told_to_null_and_in_version_0_to_an_empty_list() {
    let node = Node::start(&[]);
    let mut client = node.connect();
    create(&mut client, "b", 1);
    create(&mut client, "a", 2);
    let all = MetadataRequest::default();
    let none = MetadataRequest {
        topics: Some(Vec::new()),
        ..Default::default()
    };
    for version in 0..=13 {
        let counts = |client: &mut Client, request| -> Vec<usize> {
            ask(client, version, request)
                .iter()
                .map(|one| one.3)
                .collect()
        };
        assert_eq!(counts(&mut client, &all), [2, 1]);
        let of_none = if version == 0 { vec![2, 1] } else { vec![] };
        assert_eq!(counts(&mut client, &none), of_none);
    }
}

#[test]
fn topics_are_found_by_their_ids() {
    let node = Node::start(&[]);
    let mut client = node.connect();
    let topic = create(&mut client, "by-id", 1);
    let stranger = TopicId([9; 16]);
    let ids = [topic.id, stranger, topic.id].map(|topic_id| MetadataRequestTopic {
        topic_id,
        name: None,
    });
    let request = MetadataRequest {
        topics: Some(ids.to_vec()),
        ..Default::default()
    };
    for version in [12, 13] {
        let told = ask(&mut client, version, &request);
        let found = (0, Some("by-id".to_owned()), topic.id, 1);
        assert_eq!(told, [found, (100, None, stranger, 0)]);
    }
    for version in [10, 11] {
        let told = ask(&mut client, version, &request);
        assert!(told.iter().all(|one| one.0 == 42), "{told:?}");
    }
}

#[test]
fn operations_are_told_where_they_are_asked_for() {
    let node = Node::start(&[]);
    let mut client = node.connect();
    create(&mut client, "operated", 1);
    for (asked, of_topic, of_cluster) in [(true, 3_576, 8_096), (false, i32::MIN, i32::MIN)] {
        let request = MetadataRequest {
            include_cluster_authorized_operations: asked,
            include_topic_authorized_operations: asked,
            ..Default::default()
        };
        let body = client.ask(ApiKey::Metadata, 10, &request);
        let response = read::<MetadataResponse<'_>>(&body, 10);
        assert_eq!(response.topics[0].topic_authorized_operations, of_topic);
        assert_eq!(response.cluster_authorized_operations, of_cluster);
    }
}

#[test]
fn the_cluster_is_described_to_those_who_want_brokers() {
    let node = Node::start(&[]);
    let mut client = node.connect();
    for version in 0..=2 {
        for (endpoint_type, code) in [(1, 0), (2, 114), (3, 115)] {
            if version == 0 && endpoint_type != 1 {
                continue;
            }
            let request = DescribeClusterRequest {
                endpoint_type,
                ..Default::default()
            };
            let body = client.ask(ApiKey::DescribeCluster, version, &request);
            let response = read::<DescribeClusterResponse<'_>>(&body, version);
            assert_eq!(response.error_code, code);
            assert_eq!(response.brokers.len(), usize::from(code == 0));
        }
    }
}

#[test]
fn topics_come_page_by_page() {
    let node = Node::start(&[]);
    let mut client = node.connect();
    for (name, partitions) in [("c", 2), ("a", 3), ("b", 1)] {
        create(&mut client, name, partitions);
    }
    let mut cursor = None;
    let mut pages = Vec::new();
    loop {
        let request = DescribeTopicPartitionsRequest {
            response_partition_limit: 2,
            cursor: cursor.as_ref().map(|(name, partition): &(String, i32)| {
                TopicPartitionsCursor {
                    topic_name: name,
                    partition_index: *partition,
                }
            }),
            ..Default::default()
        };
        let body = client.ask(ApiKey::DescribeTopicPartitions, 0, &request);
        let response = read::<DescribeTopicPartitionsResponse<'_>>(&body, 0);
        let topics = response.topics.iter().flat_map(|topic| {
            let indices = topic.partitions.iter().map(|one| one.partition_index);
            indices.map(|index| format!("{}{index}", topic.name.unwrap()))
        });
        pages.push(topics.collect::<Vec<_>>().join(" "));
        let next = response.next_cursor;
        cursor = next.map(|next| (next.topic_name.to_owned(), next.partition_index));
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(pages, ["a0 a1", "a2 b0", "c0 c1"]);
    let strange = DescribeTopicPartitionsRequest {
        topics: vec![
            DescribeTopicPartitionsTopic { name: "nowhere" },
            DescribeTopicPartitionsTopic { name: "b" },
        ],
        ..Default::default()
    };
    let body = client.ask(ApiKey::DescribeTopicPartitions, 0, &strange);
    let response = read::<DescribeTopicPartitionsResponse<'_>>(&body, 0);
    let told = response.topics.iter();
    let told: Vec<_> = told
        .map(|topic| (topic.name.unwrap(), topic.error_code))
        .collect();
    assert_eq!(told, [("b", 0), ("nowhere", 3)]);
}

#[test]
fn a_version_of_the_future_is_answered_with_the_list_in_version_0() {
    let node = Node::start(&[]);
    let mut client = node.connect();
    // Key, version 99, correlation id, client id, an empty list of tags.
    let mut frame = vec![0, 0, 0, 11, 0, 18, 0, 99, 0, 0, 0, 0, 0xff, 0xff, 0];
    assert!(client.send_raw(&frame));
    let body = client.receive(ApiKey::ApiVersions, 0);
    let response = read::<ApiVersionsResponse<'_>>(&body, 0);
    assert_eq!(response.error_code, 35);
    assert!(
        response
            .api_keys
            .iter()
            .any(|api| api.api_key == 18 && api.max_version == 5)
    );
    // The connection goes on.
    let request = ApiVersionsRequest {
        client_software_name: "test",
        client_software_version: "1.0",
        ..Default::default()
    };
    let body = client.ask(ApiKey::ApiVersions, 4, &request);
    assert_eq!(read::<ApiVersionsResponse<'_>>(&body, 4).error_code, 0);
    // Of other APIs a version that is not served ends it.
    frame[5] = 3;
    assert!(client.send_raw(&frame));
    assert!(client.is_closed());
}
