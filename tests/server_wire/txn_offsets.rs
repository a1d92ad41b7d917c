//! `TxnOffsetCommit` by those who have no transaction, and stable fetches.

use takhin_coordinator::ids::TopicId;
use takhin_coordinator::wire::ApiKey;
use takhin_coordinator::wire::messages::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchResponse,
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
    TxnOffsetCommitResponse,
};

use crate::client::{Client, read};
use crate::node::Node;
use crate::records::create;

fn topic<'n>(
    name: &'n str,
    topic_id: TopicId,
    partitions: &[i32],
) -> TxnOffsetCommitRequestTopic<'n> {
    let partition = |index: &i32| TxnOffsetCommitRequestPartition {
        partition_index: *index,
        committed_offset: 5,
        ..Default::default()
    };
    TxnOffsetCommitRequestTopic {
        name,
        topic_id,
        partitions: partitions.iter().map(partition).collect(),
    }
}

/// The codes, by partition.
fn stage(
    client: &mut Client,
    version: i16,
    group_id: &str,
    topics: Vec<TxnOffsetCommitRequestTopic<'_>>,
) -> Vec<(i32, i16)> {
    let request = TxnOffsetCommitRequest {
        transactional_id: "nobody's",
        group_id,
        producer_id: 7,
        topics,
        ..Default::default()
    };
    let body = client.ask(ApiKey::TxnOffsetCommit, version, &request);
    let response = read::<TxnOffsetCommitResponse<'_>>(&body, version);
    let rows = response.topics.iter().flat_map(|it| &it.partitions);
    rows.map(|it| (it.partition_index, it.error_code)).collect()
}

#[test]
fn whoever_has_no_transaction_stages_nothing() {
    let node = Node::start(&[]);
    let mut client = node.connect();
    let id = create(&mut client, "t", 2).id;
    for version in 0..=5 {
        let known = || topic("t", TopicId::ZERO, &[0, 1, 9]);
        let codes = stage(&mut client, version, "g", vec![known()]);
        assert_eq!(codes, [(9, 3), (0, 49), (1, 49)], "version {version}");
        let codes = stage(&mut client, version, "", vec![known()]);
        assert_eq!(codes, [(9, 3), (0, 24), (1, 24)], "version {version}");
        // Where nothing is left to ask for, nobody is asked.
        let unknown = topic("unknown", TopicId::ZERO, &[0]);
        assert_eq!(stage(&mut client, version, "", vec![unknown]), [(0, 3)]);
        assert_eq!(stage(&mut client, version, "", vec![]), []);
    }
    let codes = stage(&mut client, 6, "g", vec![topic("", id, &[0, 9])]);
    assert_eq!(codes, [(9, 3), (0, 49)]);
    for unknown in [TopicId::ZERO, TopicId([7; 16])] {
        let codes = stage(&mut client, 6, "", vec![topic("", unknown, &[0])]);
        assert_eq!(codes, [(0, 100)]);
    }
}

#[test]
fn a_stable_fetch_shows_what_no_transaction_may_change() {
    let node = Node::start(&[]);
    let mut client = node.connect();
    create(&mut client, "t", 1);
    let commit = OffsetCommitRequest {
        group_id: "g",
        topics: vec![OffsetCommitRequestTopic {
            name: "t",
            partitions: vec![OffsetCommitRequestPartition {
                committed_offset: 5,
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    client.ask(ApiKey::OffsetCommit, 8, &commit);
    let one = OffsetFetchRequest {
        group_id: "g",
        topics: Some(vec![OffsetFetchRequestTopic {
            name: "t",
            partition_indexes: vec![0],
        }]),
        require_stable: true,
        ..Default::default()
    };
    let body = client.ask(ApiKey::OffsetFetch, 7, &one);
    let fetched = read::<OffsetFetchResponse<'_>>(&body, 7);
    let row = &fetched.topics[0].partitions[0];
    assert_eq!((row.committed_offset, row.error_code), (5, 0));
    let all = OffsetFetchRequest {
        groups: vec![OffsetFetchRequestGroup {
            group_id: "g",
            topics: None,
            ..Default::default()
        }],
        require_stable: true,
        ..Default::default()
    };
    let body = client.ask(ApiKey::OffsetFetch, 9, &all);
    let fetched = read::<OffsetFetchResponse<'_>>(&body, 9);
    let row = &fetched.groups[0].topics[0].partitions[0];
    assert_eq!((row.committed_offset, row.error_code), (5, 0));
}
