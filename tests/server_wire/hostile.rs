//! Garbage: only its own connection may notice.

use takhin_coordinator::wire::api::APIS;
use takhin_coordinator::wire::messages::{
    CreatableTopic, CreateTopicsRequest, CreateTopicsResponse, DescribeConfigsRequest,
    DescribeConfigsResource, DescribeConfigsResponse, FetchRequest, FetchRequestPartition,
    FetchRequestTopic, FetchResponse, ProduceResponse,
};
use takhin_coordinator::wire::{ApiKey, RequestHeader, Writer};

use crate::client::read;
use crate::node::Node;
use crate::records::{NOBODY, batch, create, fetch_request, produce, produce_request};
use crate::schema::{Values, layouts};

#[test]
fn an_api_that_is_not_offered_closes_only_its_connection() {
    let node = Node::start(&[]);
    let mut witness = node.connect();
    let topic = create(&mut witness, "witness", 1);
    for key in [7_i16, 24, 68, 999, -1, i16::MAX] {
        let mut client = node.connect();
        let mut frame = vec![0, 0, 0, 10];
        frame.extend(key.to_be_bytes());
        frame.extend([0, 0, 0, 0, 0, 1, 0xff, 0xff]);
        assert!(client.send_raw(&frame));
        assert!(client.is_closed(), "{key}");
        let good = batch(b"v", NOBODY);
        assert_eq!(produce(&mut witness, &topic, 9, &good).0, 0);
    }
}

#[test]
fn a_length_that_is_none_closes_only_its_connection() {
    let node = Node::start(&["--set", "socket.request.max.bytes=1000"]);
    let mut witness = node.connect();
    let topic = create(&mut witness, "witness", 1);
    for length in [-1_i32, 1_001, i32::MAX, i32::MIN] {
        let mut client = node.connect();
        assert!(client.send_raw(&length.to_be_bytes()));
        assert!(client.is_closed(), "{length}");
        let good = batch(b"v", NOBODY);
        assert_eq!(produce(&mut witness, &topic, 9, &good).0, 0);
    }
}

#[test]
fn half_a_large_frame_stops_only_those_that_bring_another() {
    const LARGE: i32 = 900_000;
    let limit = "queued.max.request.bytes=1000000";
    let node = Node::start(&["--set", limit]);
    let mut witness = node.connect();
    let topic = create(&mut witness, "witness", 1);
    let half = [&LARGE.to_be_bytes()[..], &[0, 3, 0, 9], &[0; 1_000]].concat();
    let mut first = node.connect();
    assert!(first.send_raw(&half));
    node.await_metric("takhin_large_request_bytes ", 900_000);
    let mut writer = node.connect();
    let large = batch(&vec![b'v'; 300_000], NOBODY);
    writer.send(ApiKey::Produce, 9, &produce_request(&topic, 9, -1, &large));
    for offset in 0..100 {
        let good = batch(b"v", NOBODY);
        assert_eq!(produce(&mut witness, &topic, 9, &good), (0, offset));
    }
    drop(first);
    let body = writer.receive(ApiKey::Produce, 9);
    let response = read::<ProduceResponse<'_>>(&body, 9);
    assert_eq!(
        response.responses[0].partition_responses[0].base_offset,
        100
    );
    node.await_metric("takhin_large_request_bytes ", 0);
}

#[test]
fn a_request_that_names_more_than_there_can_be_is_refused() {
    let node = Node::start(&[]);
    let mut client = node.connect();
    let mut request = FetchRequest {
        topics: vec![FetchRequestTopic {
            topic: "t",
            partitions: vec![FetchRequestPartition::default(); 100_001],
            ..Default::default()
        }],
        ..Default::default()
    };
    client.send(ApiKey::Fetch, 12, &request);
    assert!(client.is_closed());
    request.topics[0].partitions.pop();
    node.connect().ask(ApiKey::Fetch, 12, &request);
    let mut client = node.connect();
    let topic = CreatableTopic {
        name: "many",
        num_partitions: 10_001,
        replication_factor: 1,
        ..Default::default()
    };
    let request = CreateTopicsRequest {
        topics: vec![topic],
        ..Default::default()
    };
    let body = client.ask(ApiKey::CreateTopics, 7, &request);
    let response = read::<CreateTopicsResponse<'_>>(&body, 7);
    assert_eq!(response.topics[0].error_code, 44);
}

#[test]
fn a_question_that_is_repeated_is_answered_once() {
    let node = Node::start(&[]);
    let mut client = node.connect();
    let resource = DescribeConfigsResource {
        resource_type: 4,
        resource_name: "1",
        configuration_keys: None,
    };
    let request = DescribeConfigsRequest {
        resources: vec![resource; 100_000],
        ..Default::default()
    };
    let body = client.ask(ApiKey::DescribeConfigs, 4, &request);
    assert_eq!(
        read::<DescribeConfigsResponse<'_>>(&body, 4).results.len(),
        1
    );
}

#[test]
fn large_answers_come_whole_to_readers_that_are_slow() {
    const BATCHES: i64 = 20;
    let limit = "message.max.bytes=2000000";
    let node = Node::start(&["--set", limit]);
    let mut client = node.connect();
    let topic = create(&mut client, "large", 1);
    let large = batch(&vec![b'v'; 1_000_000], NOBODY);
    for offset in 0..BATCHES {
        assert_eq!(produce(&mut client, &topic, 9, &large), (0, offset));
    }
    let mut request = fetch_request(&topic, 12, 0);
    request.max_bytes = i32::MAX;
    request.topics[0].partitions[0].partition_max_bytes = i32::MAX;
    let mut readers: Vec<_> = (0..10).map(|_| node.connect()).collect();
    for reader in &mut readers {
        reader.send(ApiKey::Fetch, 12, &request);
    }
    for reader in &mut readers {
        let body = reader.receive(ApiKey::Fetch, 12);
        let response = read::<FetchResponse<'_>>(&body, 12);
        let records = response.responses[0].partitions[0].records.unwrap();
        assert_eq!(records.len(), large.len() * 20);
    }
}

/// Numbers that look random and are the same in every run (xorshift64*).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    fn bytes(&mut self, max: usize) -> Vec<u8> {
        let len = self.below(max + 1);
        (0..len).map(|_| self.next().to_le_bytes()[3]).collect()
    }
}

/// A request with random contents in the layout of its version, then perhaps broken.
fn frame(random: &mut Random, api: ApiKey, version: i16, body: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    let mut writer = Writer::new(&mut content);
    let header = RequestHeader {
        api,
        version,
        correlation_id: 1,
        client_id: Some("fuzz"),
    };
    header.encode(&mut writer);
    writer.finish().unwrap();
    content.extend(body);
    match random.below(4) {
        0 => {}
        1 => content.truncate(random.below(content.len() + 1)),
        _ => {
            for _ in 0..=random.below(4) {
                let at = random.below(content.len());
                content[at] = match random.below(4) {
                    0 => 0xff,
                    1 => 0x7f,
                    2 => 0,
                    _ => random.next().to_le_bytes()[0],
                };
            }
        }
    }
    let mut frame = i32::try_from(content.len()).unwrap().to_be_bytes().to_vec();
    frame.extend(content);
    frame
}

#[test]
fn frames_of_garbage_disturb_nobody_else() {
    const ROUNDS: usize = 20;
    const RESIDENT_KIB_MAX: u64 = 600_000;
    let mut random = Random(0x7a6b_0001);
    let node = Node::start(&[]);
    let mut witness = node.connect();
    let topic = create(&mut witness, "witness", 1);
    let requests: Vec<_> = layouts()
        .into_iter()
        .filter(|layout| layout.request)
        .collect();
    let offered = || APIS.iter().filter(|api| api.offered);
    let mut frames = 0_u64;
    let mut offset = 0;
    for _ in 0..ROUNDS {
        for api in offered() {
            let layout = requests
                .iter()
                .find(|layout| layout.api == api.name)
                .unwrap();
            for version in api.versions.clone() {
                let entropy = random.bytes(400);
                let body = layout.encode(version, &mut Values::Entropy(&entropy));
                let frame = frame(&mut random, api.key, version, &body);
                // What becomes of it does not matter; a join may wait for its group.
                node.connect().send_raw(&frame);
                frames += 1;
            }
            let good = batch(b"undisturbed", NOBODY);
            assert_eq!(produce(&mut witness, &topic, 9, &good), (0, offset));
            offset += 1;
        }
        let garbage = random.bytes(2_000);
        node.connect().send_raw(&garbage);
    }
    assert!(frames > 3_000, "{frames}");
    // The frames arrived: of each kind some were refused, and some carried out.
    for api in offered() {
        let count = format!(
            "takhin_request_duration_seconds_count{{api=\"{}\"}} ",
            api.name
        );
        assert!(node.metric(&count) > 0, "{}", api.name);
    }
    let refused = node.metric("takhin_connections_closed_total{reason=\"bad_request\"} ");
    assert!(refused > frames / 10, "{refused}");
    let resident_kib = node.resident_kib();
    assert!(resident_kib < RESIDENT_KIB_MAX, "{resident_kib} KiB");
    let (code, log) = node.stop();
    assert_eq!(code, Some(0));
    assert!(!log.contains("panicked"), "{log}");
}
