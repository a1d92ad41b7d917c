//! Writing and reading, in all versions.

use takhin_coordinator::wire::ApiKey;
use takhin_coordinator::wire::api::Api;
use takhin_coordinator::wire::messages::{
    FetchResponse, InitProducerIdRequest, InitProducerIdResponse, MetadataRequest, ProduceResponse,
};

use crate::client::read;
use crate::node::Node;
use crate::records::{
    NOBODY, at, batch, batch_with, create, fetch_request, produce, produce_request,
};

fn versions(api: ApiKey) -> impl Iterator<Item = i16> {
    let row: &Api = api.api();
    row.versions.clone()
}

#[test]
fn what_any_version_wrote_every_version_reads() {
    let node = Node::start(&[]);
    let mut client = node.connect();
    let topic = create(&mut client, "versions", 1);
    let mut expected = Vec::new();
    for (offset, version) in (0..).zip(versions(ApiKey::Produce)) {
        let batch = batch(format!("by version {version}").as_bytes(), NOBODY);
        assert_eq!(produce(&mut client, &topic, version, &batch), (0, offset));
        expected.push(at(offset, batch));
    }
    for version in versions(ApiKey::Fetch) {
        let from = 2;
        let request = fetch_request(&topic, version, from);
        let body = client.ask(ApiKey::Fetch, version, &request);
        let response = read::<FetchResponse<'_>>(&body, version);
        let told = &response.responses[0];
        if version >= 13 {
            assert_eq!(told.topic_id, topic.id);
        } else {
            assert_eq!(told.topic, topic.name);
        }
        let partition = &told.partitions[0];
        let end = i64::try_from(expected.len()).unwrap();
        assert_eq!(partition.error_code, 0);
        assert_eq!(partition.high_watermark, end);
        assert_eq!(partition.last_stable_offset, end);
        assert_eq!(
            partition.records,
            Some(&expected[2..].concat()[..]),
            "{version}"
        );
    }
}

#[test]
fn an_offset_beyond_the_log_is_out_of_range() {
    let node = Node::start(&[]);
    let mut client = node.connect();
    let topic = create(&mut client, "short", 1);
    for version in versions(ApiKey::Fetch) {
        let request = fetch_request(&topic, version, 5);
        let body = client.ask(ApiKey::Fetch, version, &request);
        let response = read::<FetchResponse<'_>>(&body, version);
        let partition = &response.responses[0].partitions[0];
        assert_eq!((partition.error_code, partition.high_watermark), (1, -1));
        assert_eq!(partition.records, Some(&[][..]));
    }
}

#[test]
fn a_batch_that_comes_again_is_answered_with_its_first_offset() {
    let node = Node::start(&[]);
    let mut client = node.connect();
    let topic = create(&mut client, "idempotent", 1);
    let body = client.ask(ApiKey::InitProducerId, 4, &InitProducerIdRequest::default());
    let given = read::<InitProducerIdResponse>(&body, 4);
    assert_eq!((given.error_code, given.producer_epoch), (0, 0));
    let of = |epoch, sequence| batch(b"once", (given.producer_id, epoch, sequence));
    assert_eq!(produce(&mut client, &topic, 9, &of(0, 0)), (0, 0));
    assert_eq!(produce(&mut client, &topic, 9, &of(0, 1)), (0, 1));
    assert_eq!(produce(&mut client, &topic, 9, &of(0, 0)), (0, 0));
    assert_eq!(produce(&mut client, &topic, 9, &of(0, 3)), (45, -1));
    assert_eq!(produce(&mut client, &topic, 9, &of(1, 0)), (0, 2));
    assert_eq!(produce(&mut client, &topic, 9, &of(0, 2)), (47, -1));
}

#[test]
fn bad_records_are_refused_one_by_one() {
    let node = Node::start(&["--set", "message.max.bytes=1000"]);
    let mut client = node.connect();
    let topic = create(&mut client, "bad-records", 1);
    let mut flipped = batch(b"value", NOBODY);
    *flipped.last_mut().unwrap() ^= 1;
    assert_eq!(produce(&mut client, &topic, 9, &flipped), (2, -1));
    assert_eq!(produce(&mut client, &topic, 9, b""), (87, -1));
    assert_eq!(produce(&mut client, &topic, 9, &[7; 30]), (2, -1));
    let large = batch(&[b'v'; 1_000], NOBODY);
    assert_eq!(produce(&mut client, &topic, 9, &large), (10, -1));
    let good = batch(b"value", NOBODY);
    assert_eq!(
        produce(&mut client, &topic, 9, &[&good[..], &good].concat()),
        (87, -1)
    );
    // zstd came with version 7 (KIP-110).
    let zstd = batch_with(4, b"not looked at", NOBODY);
    assert_eq!(produce(&mut client, &topic, 6, &zstd), (76, -1));
    assert_eq!(produce(&mut client, &topic, 7, &zstd), (0, 0));
    assert_eq!(
        produce(&mut client, &topic, 7, &batch_with(5, b"v", NOBODY)),
        (76, -1)
    );
    let mut request = produce_request(&topic, 9, -1, &good);
    request.topic_data[0].partition_data[0].records = None;
    let body = client.ask(ApiKey::Produce, 9, &request);
    let response = read::<ProduceResponse<'_>>(&body, 9);
    let partition = &response.responses[0].partition_responses[0];
    assert_eq!((partition.error_code, partition.base_offset), (87, -1));
    assert!(partition.error_message.is_some());
    assert_eq!(produce(&mut client, &topic, 9, &good), (0, 1));
}

#[test]
fn a_topic_that_is_gone_is_unknown_by_what_it_was_named() {
    let node = Node::start(&[]);
    let mut client = node.connect();
    let mut topic = create(&mut client, "there", 1);
    topic.name = "nowhere";
    topic.id = takhin_coordinator::ids::TopicId([7; 16]);
    let batch = batch(b"v", NOBODY);
    assert_eq!(produce(&mut client, &topic, 12, &batch), (3, -1));
    assert_eq!(produce(&mut client, &topic, 13, &batch), (100, -1));
    for (version, code) in [(12, 3), (13, 100)] {
        let body = client.ask(ApiKey::Fetch, version, &fetch_request(&topic, version, 0));
        let response = read::<FetchResponse<'_>>(&body, version);
        assert_eq!(response.responses[0].partitions[0].error_code, code);
    }
}

#[test]
fn acks_zero_has_no_answer_and_an_error_closes_the_connection() {
    let node = Node::start(&[]);
    let mut client = node.connect();
    let topic = create(&mut client, "silent", 1);
    let good = batch(b"v", NOBODY);
    for version in versions(ApiKey::Produce) {
        client.send(
            ApiKey::Produce,
            version,
            &produce_request(&topic, version, 0, &good),
        );
    }
    // The next answer on the connection is that of the next question.
    let body = client.ask(ApiKey::Fetch, 12, &fetch_request(&topic, 12, 0));
    let response = read::<FetchResponse<'_>>(&body, 12);
    assert_eq!(response.responses[0].partitions[0].high_watermark, 11);
    client.send(
        ApiKey::Produce,
        9,
        &produce_request(&topic, 9, 0, b"garbage"),
    );
    assert!(client.is_closed());
}

#[test]
fn other_acks_are_refused() {
    let node = Node::start(&[]);
    let mut client = node.connect();
    let topic = create(&mut client, "acks", 1);
    let good = batch(b"v", NOBODY);
    for (acks, outcome) in [(1, (0, 0)), (-1, (0, 1)), (2, (21, -1)), (-2, (21, -1))] {
        let body = client.ask(ApiKey::Produce, 9, &produce_request(&topic, 9, acks, &good));
        let response = read::<ProduceResponse<'_>>(&body, 9);
        let partition = &response.responses[0].partition_responses[0];
        assert_eq!(
            (partition.error_code, partition.base_offset),
            outcome,
            "{acks}"
        );
    }
}

#[test]
fn answers_come_in_the_order_of_the_questions() {
    let node = Node::start(&[]);
    let mut client = node.connect();
    let topic = create(&mut client, "pipelined", 1);
    let good = batch(b"v", NOBODY);
    for _ in 0..100 {
        // What has no answer is done before what has one.
        client.send(ApiKey::Produce, 9, &produce_request(&topic, 9, 0, &good));
        client.ask(ApiKey::Metadata, 9, &MetadataRequest::default());
    }
    assert_eq!(produce(&mut client, &topic, 9, &good), (0, 100));
}
