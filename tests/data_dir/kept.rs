//! What an orderly stop and start keeps, as clients see it.

use takhin_coordinator::wire::ApiKey;
use takhin_coordinator::wire::messages::{
    DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse, FetchResponse,
    ProduceRequestPartition, ProduceResponse,
};

use crate::client::{Client, read};
use crate::node::Node;
use crate::place;
use crate::records::{NOBODY, Topic, at, batch, create, fetch_request, produce, produce_request};

fn fetched(client: &mut Client, topic: &Topic, offset: i64) -> (i16, Vec<u8>) {
    let request = fetch_request(topic, 13, offset);
    let body = client.ask(ApiKey::Fetch, 13, &request);
    let response = read::<FetchResponse<'_>>(&body, 13);
    let partition = &response.responses[0].partitions[0];
    (
        partition.error_code,
        partition.records.unwrap_or_default().to_vec(),
    )
}

/// Files and sockets that the process has open.
fn open_files(node: &Node) -> usize {
    let files = format!("/proc/{}/fd", node.child.id());
    std::fs::read_dir(files).unwrap().count()
}

/// One request for every tenth partition; their offsets.
fn produce_to_many(client: &mut Client, topic: &Topic) -> Vec<i64> {
    let records = batch(b"x", NOBODY);
    let mut request = produce_request(topic, 9, -1, &records);
    let partitions = (0..1_000).map(|at| ProduceRequestPartition {
        index: at * 10,
        records: Some(&records),
    });
    request.topic_data[0].partition_data = partitions.collect();
    let body = client.ask(ApiKey::Produce, 9, &request);
    let response = read::<ProduceResponse<'_>>(&body, 9);
    let told = response.responses[0].partition_responses.iter();
    told.map(|partition| {
        assert_eq!(partition.error_code, 0);
        partition.base_offset
    })
    .collect()
}

#[test]
fn the_start_line_says_what_an_acknowledgement_is_worth() {
    let dir = place("line");
    let (_, log) = Node::start(&["--data-dir", dir.to_str().unwrap()]).stop();
    assert!(log.contains("durability LocalFsync"), "{log}");
    assert!(log.contains(dir.to_str().unwrap()), "{log}");
    let (_, log) = Node::start(&[]).stop();
    assert!(log.contains("durability Memory"), "{log}");
}

#[test]
fn records_are_read_back_and_a_deleted_topic_is_gone() {
    let dir = place("kept");
    let args = ["--data-dir", dir.to_str().unwrap()];
    let node = Node::start(&args);
    let mut client = node.connect();
    let topic = create(&mut client, "kept", 1);
    let gone = create(&mut client, "gone", 2);
    let mut expected = Vec::new();
    for offset in 0..5 {
        let sent = batch(format!("value {offset}").as_bytes(), NOBODY);
        assert_eq!(produce(&mut client, &topic, 9, &sent), (0, offset));
        assert_eq!(produce(&mut client, &gone, 9, &sent), (0, offset));
        expected.extend(at(offset, sent));
    }
    let request = DeleteTopicsRequest {
        topics: vec![DeleteTopicState {
            name: Some("gone"),
            ..Default::default()
        }],
        ..Default::default()
    };
    let body = client.ask(ApiKey::DeleteTopics, 6, &request);
    let deleted = read::<DeleteTopicsResponse<'_>>(&body, 6);
    assert_eq!(deleted.responses[0].error_code, 0);
    assert_eq!(node.stop().0, Some(0));
    let node = Node::start(&args);
    let mut client = node.connect();
    assert_eq!(fetched(&mut client, &topic, 0), (0, expected));
    // UNKNOWN_TOPIC_ID
    assert_eq!(fetched(&mut client, &gone, 0).0, 100);
    let sent = batch(b"next", NOBODY);
    assert_eq!(produce(&mut client, &topic, 9, &sent), (0, 5));
    assert_eq!(produce(&mut client, &topic, 13, &sent), (0, 6));
}

#[test]
fn ten_thousand_partitions_fit_into_a_few_open_files() {
    let dir = place("many");
    let args = ["--data-dir", dir.to_str().unwrap()];
    let node = Node::start(&args);
    let mut client = node.connect();
    let topic = create(&mut client, "many", 10_000);
    let before = open_files(&node);
    assert_eq!(produce_to_many(&mut client, &topic), [0; 1_000]);
    assert!(open_files(&node) < before + 256);
    assert_eq!(node.stop().0, Some(0));
    let node = Node::start(&args);
    let mut client = node.connect();
    assert_eq!(produce_to_many(&mut client, &topic), [1; 1_000]);
    assert!(open_files(&node) < before + 256);
}
