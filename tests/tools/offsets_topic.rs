//! The journal is read as the topic `__consumer_offsets`: by a reader of our own, as monitors do,
//! and by Kafka's console consumer.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::process::Command;

use takhin_coordinator::group::Record;
use takhin_coordinator::ids::TopicId;
use takhin_coordinator::journal::schema;
use takhin_coordinator::shard::shard_of;
use takhin_coordinator::wire::messages::{
    CreatableTopic, CreateTopicsRequest, CreateTopicsResponse, DeleteTopicsRequest,
    DeleteTopicsResponse, FetchRequest, FetchRequestPartition, FetchRequestTopic, FetchResponse,
    ListOffsetsRequest, ListOffsetsRequestPartition, ListOffsetsRequestTopic, ListOffsetsResponse,
    MetadataRequest, MetadataRequestTopic, MetadataResponse, OffsetCommitRequest,
    OffsetCommitRequestPartition, OffsetCommitRequestTopic, OffsetCommitResponse, ProduceRequest,
    ProduceRequestPartition, ProduceRequestTopic, ProduceResponse,
};
use takhin_coordinator::wire::{ApiKey, Reader};

use super::client::{Client, read};
use super::node::Node;
use super::place;
use super::records::{NOBODY, batch, create};

const NAME: &str = "__consumer_offsets";
const SHARDS: i32 = 3;

/// A server with a data directory.
fn serve(dir: &Path) -> Node {
    let shards = format!("takhin.shards={SHARDS}");
    Node::start(&["--data-dir", dir.to_str().unwrap(), "--set", &shards])
}

fn commit(client: &mut Client, group: &str, offset: i64) {
    let request = OffsetCommitRequest {
        group_id: group,
        generation_id_or_member_epoch: -1,
        topics: vec![OffsetCommitRequestTopic {
            name: "orders",
            partitions: vec![OffsetCommitRequestPartition {
                partition_index: 0,
                committed_offset: offset,
                committed_leader_epoch: -1,
                committed_metadata: Some("m"),
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    let body = client.ask(ApiKey::OffsetCommit, 8, &request);
    let response = read::<OffsetCommitResponse<'_>>(&body, 8);
    assert_eq!(response.topics[0].partitions[0].error_code, 0);
}

/// The partition of a group, as every reader of the topic reckons it.
fn partition_of(group: &str) -> i32 {
    let shard = shard_of(&group.into(), u32::try_from(SHARDS).unwrap());
    i32::try_from(shard.0).unwrap()
}

fn list(client: &mut Client, partition: i32, timestamp: i64) -> (i16, i64) {
    let request = ListOffsetsRequest {
        replica_id: -1,
        topics: vec![ListOffsetsRequestTopic {
            name: NAME,
            partitions: vec![ListOffsetsRequestPartition {
                partition_index: partition,
                current_leader_epoch: -1,
                timestamp,
            }],
        }],
        ..Default::default()
    };
    let body = client.ask(ApiKey::ListOffsets, 7, &request);
    let response = read::<ListOffsetsResponse<'_>>(&body, 7);
    let listed = &response.topics[0].partitions[0];
    (listed.error_code, listed.offset)
}

fn fetch_request(partition: i32, offset: i64, (wait, bytes): (i32, i32)) -> FetchRequest<'static> {
    FetchRequest {
        replica_id: -1,
        max_wait_ms: wait,
        min_bytes: 1,
        max_bytes: 50 << 20,
        session_epoch: -1,
        topics: vec![FetchRequestTopic {
            topic: NAME,
            partitions: vec![FetchRequestPartition {
                partition,
                current_leader_epoch: -1,
                fetch_offset: offset,
                last_fetched_epoch: -1,
                log_start_offset: -1,
                partition_max_bytes: bytes,
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// The records of batches, each with its offset: a reader of nothing but Kafka's format.
fn records(mut bytes: &[u8]) -> Vec<(i64, Record)> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let length = u32::from_be_bytes(bytes[8..12].try_into().unwrap()) as usize;
        let (batch, rest) = bytes.split_at(12 + length);
        bytes = rest;
        assert_eq!(batch[16], 2);
        assert_eq!(batch[17..21], crc32c::crc32c(&batch[21..]).to_be_bytes());
        let base = Reader::new(batch).i64().unwrap();
        let count = Reader::new(&batch[57..]).i32().unwrap();
        let mut reader = Reader::new(&batch[61..]);
        for _ in 0..count {
            let _length = reader.varint().unwrap();
            let _attributes = reader.i8().unwrap();
            let _timestamp = reader.varlong().unwrap();
            let offset = base + i64::from(reader.varint().unwrap());
            let mut bytes = || match reader.varint().unwrap() {
                -1 => None,
                len => Some(reader.take(usize::try_from(len).unwrap()).unwrap()),
            };
            let (key, value) = (bytes().unwrap(), bytes());
            found.push((offset, schema::decode(key, value).unwrap()));
            assert_eq!(reader.varint().unwrap(), 0, "no headers");
        }
    }
    found
}

/// One fetch: the error, the high watermark, the records.
fn fetch(
    client: &mut Client,
    partition: i32,
    offset: i64,
    bytes: i32,
) -> (i16, i64, Vec<(i64, Record)>) {
    let request = fetch_request(partition, offset, (0, bytes));
    let body = client.ask(ApiKey::Fetch, 12, &request);
    let response = read::<FetchResponse<'_>>(&body, 12);
    assert_eq!((response.error_code, response.session_id), (0, 0));
    let partition = &response.responses[0].partitions[0];
    let records = records(partition.records.unwrap_or_default());
    (partition.error_code, partition.high_watermark, records)
}

/// Reads all partitions from their beginning to their end, as a monitor does; what was committed
/// last, by group.
fn committed(client: &mut Client, bytes: i32) -> BTreeMap<String, i64> {
    let mut last = BTreeMap::new();
    for partition in 0..SHARDS {
        let (_, mut at) = list(client, partition, -2);
        let (_, end) = list(client, partition, -1);
        while at < end {
            let (error, watermark, records) = fetch(client, partition, at, bytes);
            assert_eq!(error, 0);
            assert!(watermark >= end && !records.is_empty(), "at {at} of {end}");
            for (offset, record) in records {
                assert!(offset >= at, "offsets go back");
                at = offset + 1;
                assert_eq!(partition, partition_of(record.group().as_str()));
                if let Record::Offset { group, value, .. } = record {
                    match value {
                        Some(value) => last.insert(group.as_str().to_owned(), value.offset),
                        None => last.remove(group.as_str()),
                    };
                }
            }
        }
    }
    last
}

#[test]
fn a_monitor_reads_every_commit_through_restarts_and_whatever_it_asks_for_at_a_time() {
    let dir = place("monitor");
    let mut expected = BTreeMap::new();
    for turn in 0..2 {
        let node = serve(&dir);
        let mut client = node.connect();
        if turn == 0 {
            create(&mut client, "orders", 1);
        }
        for at in 0..300 {
            let group = format!("group-{}", at % 17);
            commit(&mut client, &group, at + turn);
            expected.insert(group, at + turn);
        }
        for bytes in [1, 300, 1 << 20] {
            assert_eq!(committed(&mut client, bytes), expected);
        }
        assert_eq!(node.stop().0, Some(0));
    }
}

#[test]
fn the_log_can_be_followed_while_segments_are_used_again() {
    let dir = place("recycled");
    let node = serve(&dir);
    let mut client = node.connect();
    create(&mut client, "orders", 200);
    commit(&mut client, "early", 1);
    let partition = partition_of("early");
    let (_, start) = list(&mut client, partition, -2);
    // More than the log keeps of one key: its beginning is given up.
    let metadata = "m".repeat(4_000);
    let mut turn = 0;
    while list(&mut client, partition, -2).1 == start {
        assert!(turn < 200, "the log has no bound");
        turn += 1;
        let partitions = (0..200).map(|index| OffsetCommitRequestPartition {
            partition_index: index,
            committed_offset: turn,
            committed_leader_epoch: -1,
            committed_metadata: Some(&metadata),
            ..Default::default()
        });
        let request = OffsetCommitRequest {
            group_id: "busy",
            generation_id_or_member_epoch: -1,
            topics: vec![OffsetCommitRequestTopic {
                name: "orders",
                partitions: partitions.collect(),
                ..Default::default()
            }],
            ..Default::default()
        };
        let body = client.ask(ApiKey::OffsetCommit, 8, &request);
        let response = read::<OffsetCommitResponse<'_>>(&body, 8);
        let mut codes = response.topics[0].partitions.iter();
        assert!(codes.all(|partition| partition.error_code == 0));
    }
    // Before the beginning and behind the end there is nothing.
    let (error, _, _) = fetch(&mut client, partition, start, 1 << 20);
    assert_eq!(error, 1, "offset out of range");
    let (_, end) = list(&mut client, partition, -1);
    assert_eq!(fetch(&mut client, partition, end + 1, 1 << 20).0, 1);
    // What was carried along is still there.
    assert_eq!(committed(&mut client, 1 << 20)["early"], 1);
}

#[test]
fn a_fetch_waits_for_the_next_commit_and_is_woken_by_it() {
    let dir = place("waits");
    let node = serve(&dir);
    let mut client = node.connect();
    create(&mut client, "orders", 1);
    commit(&mut client, "group", 1);
    let partition = partition_of("group");
    let (_, end) = list(&mut client, partition, -1);
    let mut waiting = node.connect();
    // Ten minutes, far beyond the patience of the test: it ends because it is woken.
    let request = fetch_request(partition, end, (600_000, 1 << 20));
    waiting.send(ApiKey::Fetch, 12, &request);
    // Of another partition: no reason to answer.
    let other = (0..).map(|n| format!("other-{n}"));
    let other = other
        .into_iter()
        .find(|name| partition_of(name) != partition)
        .unwrap();
    commit(&mut client, &other, 1);
    commit(&mut client, "group", 2);
    let body = waiting.receive(ApiKey::Fetch, 12);
    let response = read::<FetchResponse<'_>>(&body, 12);
    let found = records(response.responses[0].partitions[0].records.unwrap());
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].0 >= end);
}

#[test]
fn it_is_listed_as_internal_and_may_be_named_by_its_id() {
    let dir = place("listed");
    let node = serve(&dir);
    let mut client = node.connect();
    create(&mut client, "orders", 1);
    commit(&mut client, "group", 7);
    let all = MetadataRequest {
        topics: None,
        ..Default::default()
    };
    let body = client.ask(ApiKey::Metadata, 12, &all);
    let response = read::<MetadataResponse<'_>>(&body, 12);
    let names: Vec<_> = response
        .topics
        .iter()
        .map(|it| (it.name, it.is_internal))
        .collect();
    assert_eq!(names, [(Some(NAME), true), (Some("orders"), false)]);
    let id = response.topics[0].topic_id;
    assert_eq!(
        response.topics[0].partitions.len(),
        SHARDS.unsigned_abs() as usize
    );
    assert_ne!(id, TopicId::ZERO);
    let mut request = fetch_request(partition_of("group"), 0, (0, 1 << 20));
    let (_, start) = list(&mut client, partition_of("group"), -2);
    request.topics[0].topic = "";
    request.topics[0].topic_id = id;
    request.topics[0].partitions[0].fetch_offset = start;
    let body = client.ask(ApiKey::Fetch, 13, &request);
    let response = read::<FetchResponse<'_>>(&body, 13);
    assert_eq!(response.responses[0].topic_id, id);
    let found = records(response.responses[0].partitions[0].records.unwrap());
    assert_eq!(found.len(), 1);
    // Beside other topics, and with a session that is not given.
    request.session_epoch = 0;
    request.topics[0].topic_id = TopicId([9; 16]);
    let body = client.ask(ApiKey::Fetch, 13, &request);
    let mixed = read::<FetchResponse<'_>>(&body, 13);
    assert_eq!(
        mixed.responses[0].partitions[0].error_code, 100,
        "unknown topic id"
    );
}

#[test]
fn nobody_changes_it() {
    let dir = place("refuses");
    let node = serve(&dir);
    let mut client = node.connect();
    let records = batch(b"x", NOBODY);
    let request = ProduceRequest {
        acks: -1,
        timeout_ms: 1_000,
        topic_data: vec![ProduceRequestTopic {
            name: NAME,
            partition_data: vec![ProduceRequestPartition {
                index: 0,
                records: Some(&records),
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    let body = client.ask(ApiKey::Produce, 9, &request);
    let response = read::<ProduceResponse<'_>>(&body, 9);
    let code = response.responses[0].partition_responses[0].error_code;
    assert_eq!(code, 17, "invalid topic");
    let request = CreateTopicsRequest {
        topics: vec![CreatableTopic {
            name: NAME,
            num_partitions: 1,
            replication_factor: 1,
            ..Default::default()
        }],
        ..Default::default()
    };
    let body = client.ask(ApiKey::CreateTopics, 7, &request);
    let code = read::<CreateTopicsResponse<'_>>(&body, 7).topics[0].error_code;
    assert_eq!(code, 36, "it exists");
    let request = DeleteTopicsRequest {
        topic_names: vec![NAME],
        ..Default::default()
    };
    let body = client.ask(ApiKey::DeleteTopics, 5, &request);
    let code = read::<DeleteTopicsResponse<'_>>(&body, 5).responses[0].error_code;
    assert_eq!(code, 17, "invalid topic");
}

#[test]
fn without_a_data_directory_there_is_no_such_topic() {
    let node = Node::start(&[]);
    let mut client = node.connect();
    let request = MetadataRequest {
        topics: Some(vec![MetadataRequestTopic {
            name: Some(NAME),
            ..Default::default()
        }]),
        allow_auto_topic_creation: false,
        ..Default::default()
    };
    let body = client.ask(ApiKey::Metadata, 12, &request);
    let response = read::<MetadataResponse<'_>>(&body, 12);
    assert_eq!(response.topics[0].error_code, 3, "unknown topic");
}

#[test]
fn kafkas_own_formatter_shows_the_commits() {
    let clients = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/install.sh");
    let check = Command::new("bash")
        .arg(clients)
        .args(["--check", "java"])
        .output()
        .unwrap();
    if !check.status.success() {
        let is_ci = std::env::var("CI").is_ok_and(|value| value == "true");
        assert!(!is_ci, "java is not installed");
        let words = "skipped: needs java (run tests/clients/install.sh java)";
        // Past the capture of the test harness.
        let _ = writeln!(std::io::stderr(), "{words}");
        return;
    }
    let dir = place("formatter");
    let node = serve(&dir);
    let mut client = node.connect();
    create(&mut client, "orders", 1);
    for at in 0..9 {
        commit(&mut client, &format!("group-{at}"), 100 + at);
    }
    // More messages than there are commits: the consumer has a group, too, whose records come along.
    let jars = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/clients/java/libs/*");
    let output = Command::new("java")
        .args([
            "-XX:TieredStopAtLevel=1",
            "-Xmx256m",
            "-cp",
            jars.to_str().unwrap(),
        ])
        .arg("org.apache.kafka.tools.consumer.ConsoleConsumer")
        .args(["--topic", NAME, "--from-beginning", "--max-messages", "14"])
        .args([
            "--timeout-ms",
            "30000",
            "--bootstrap-server",
            &node.address.to_string(),
        ])
        .args([
            "--formatter",
            "org.apache.kafka.tools.consumer.OffsetsMessageFormatter",
        ])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let shown: BTreeSet<i64> = (0..9)
        .filter(|at| {
            let key = format!("\"group\":\"group-{at}\",\"topic\":\"orders\",\"partition\":0}}}},");
            let value = format!("\"data\":{{\"offset\":{},", 100 + at);
            text.split_once(&key).is_some_and(|(_, rest)| {
                rest.split("}}")
                    .next()
                    .is_some_and(|rest| rest.contains(&value))
            })
        })
        .collect();
    assert_eq!(
        shown.len(),
        9,
        "{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
