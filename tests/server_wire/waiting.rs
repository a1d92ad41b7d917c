//! Fetches that wait, and fetch sessions.

use takhin_coordinator::wire::ApiKey;
use takhin_coordinator::wire::messages::{
    FetchForgottenTopic, FetchRequest, FetchRequestPartition, FetchRequestTopic, FetchResponse,
};

use crate::client::{Client, read};
use crate::node::Node;
use crate::records::{NOBODY, Topic, at, batch, create, fetch_request, produce};

const PARKED: &str = "takhin_requests_parked ";
const LONG_MS: i32 = 300_000;

#[test]
fn a_waiting_fetch_is_answered_by_a_produce() {
    let node = Node::start(&[]);
    let (mut reader, mut writer) = (node.connect(), node.connect());
    let topic = create(&mut writer, "awaited", 1);
    for (offset, version) in [(0, 4), (1, 12), (2, 18)] {
        let mut request = fetch_request(&topic, version, offset);
        request.max_wait_ms = LONG_MS;
        reader.send(ApiKey::Fetch, version, &request);
        node.await_metric(PARKED, 1);
        let batch = batch(b"at last", NOBODY);
        assert_eq!(produce(&mut writer, &topic, 9, &batch), (0, offset));
        let body = reader.receive(ApiKey::Fetch, version);
        let response = read::<FetchResponse<'_>>(&body, version);
        let records = response.responses[0].partitions[0].records;
        assert_eq!(records, Some(&at(offset, batch)[..]));
    }
}

#[test]
fn a_fetch_waits_for_as_many_bytes_as_it_wants() {
    let node = Node::start(&[]);
    let (mut reader, mut writer) = (node.connect(), node.connect());
    let topic = create(&mut writer, "many", 1);
    let batch = batch(b"some bytes", NOBODY);
    let mut request = fetch_request(&topic, 12, 0);
    request.max_wait_ms = LONG_MS;
    request.min_bytes = i32::try_from(batch.len()).unwrap() * 3;
    reader.send(ApiKey::Fetch, 12, &request);
    node.await_metric(PARKED, 1);
    for offset in 0..3 {
        assert_eq!(node.metric(PARKED), 1);
        assert_eq!(produce(&mut writer, &topic, 9, &batch), (0, offset));
    }
    let body = reader.receive(ApiKey::Fetch, 12);
    let response = read::<FetchResponse<'_>>(&body, 12);
    assert_eq!(response.responses[0].partitions[0].high_watermark, 3);
}

#[test]
fn a_fetch_that_waited_in_vain_is_answered_without_records() {
    let node = Node::start(&[]);
    let mut client = node.connect();
    let topic = create(&mut client, "quiet", 1);
    let mut request = fetch_request(&topic, 12, 0);
    request.max_wait_ms = 30;
    let body = client.ask(ApiKey::Fetch, 12, &request);
    let response = read::<FetchResponse<'_>>(&body, 12);
    let partition = &response.responses[0].partitions[0];
    assert_eq!((partition.error_code, partition.high_watermark), (0, 0));
    assert_eq!(partition.records, Some(&[][..]));
}

#[test]
fn a_stop_answers_a_fetch_that_waits() {
    let node = Node::start(&[]);
    let mut client = node.connect();
    let topic = create(&mut client, "stopped", 1);
    let mut request = fetch_request(&topic, 12, 0);
    request.max_wait_ms = LONG_MS;
    client.send(ApiKey::Fetch, 12, &request);
    node.await_metric(PARKED, 1);
    let (code, log) = node.stop();
    assert_eq!(code, Some(0));
    assert!(!log.contains("cut off"), "{log}");
    let body = client.receive(ApiKey::Fetch, 12);
    assert_eq!(read::<FetchResponse<'_>>(&body, 12).error_code, 0);
    assert!(client.is_closed());
}

/// Partitions of a topic, each from an offset on.
fn wanting<'a>(topic: &Topic, places: &[(i32, i64)]) -> Vec<FetchRequestTopic<'a>> {
    let partitions = places
        .iter()
        .map(|(partition, offset)| FetchRequestPartition {
            partition: *partition,
            fetch_offset: *offset,
            partition_max_bytes: 1_000_000,
            ..Default::default()
        });
    vec![FetchRequestTopic {
        topic_id: topic.id,
        partitions: partitions.collect(),
        ..Default::default()
    }]
}

/// What the server told: error, session, partitions with the number of their bytes.
fn fetch(client: &mut Client, request: &FetchRequest<'_>) -> (i16, i32, Vec<(i32, usize)>) {
    let body = client.ask(ApiKey::Fetch, 17, request);
    let response = read::<FetchResponse<'_>>(&body, 17);
    let partitions = response
        .responses
        .iter()
        .flat_map(|topic| &topic.partitions);
    let told = partitions.map(|one| (one.partition_index, one.records.unwrap().len()));
    (response.error_code, response.session_id, told.collect())
}

#[test]
fn a_fetch_session_tells_only_what_is_new() {
    let node = Node::start(&[]);
    let mut client = node.connect();
    let topic = create(&mut client, "session", 3);
    let at = |session_id, session_epoch| FetchRequest {
        min_bytes: 1,
        max_bytes: 10_000_000,
        session_id,
        session_epoch,
        ..Default::default()
    };
    let opening = FetchRequest {
        topics: wanting(&topic, &[(0, 0), (1, 0), (2, 0)]),
        ..at(0, 0)
    };
    let (code, session, told) = fetch(&mut client, &opening);
    assert_eq!((code, told), (0, vec![(0, 0), (1, 0), (2, 0)]));
    assert_ne!(session, 0);
    assert_eq!(fetch(&mut client, &at(session, 1)), (0, session, vec![]));
    let batch = batch(b"news", NOBODY);
    assert_eq!(produce(&mut client, &topic, 13, &batch), (0, 0));
    let news = (0, session, vec![(0, batch.len())]);
    assert_eq!(fetch(&mut client, &at(session, 2)), news);
    let moved = FetchRequest {
        topics: wanting(&topic, &[(0, 1)]),
        ..at(session, 3)
    };
    assert_eq!(fetch(&mut client, &moved), (0, session, vec![]));
    let forgetting = FetchRequest {
        forgotten_topics_data: vec![FetchForgottenTopic {
            topic_id: topic.id,
            partitions: vec![0],
            ..Default::default()
        }],
        ..at(session, 4)
    };
    assert_eq!(fetch(&mut client, &forgetting), (0, session, vec![]));
    assert_eq!(produce(&mut client, &topic, 13, &batch), (0, 1));
    assert_eq!(fetch(&mut client, &at(session, 5)), (0, session, vec![]));
    // An epoch of the past, a session of somebody else, and the end.
    assert_eq!(fetch(&mut client, &at(session, 5)), (71, 0, vec![]));
    assert_eq!(fetch(&mut client, &at(session ^ 1, 6)), (70, 0, vec![]));
    assert_eq!(fetch(&mut client, &at(session, -1)), (0, 0, vec![]));
    assert_eq!(fetch(&mut client, &at(session, 6)), (70, 0, vec![]));
}
