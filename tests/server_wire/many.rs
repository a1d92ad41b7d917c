//! Questions about many groups at once, as monitors ask them.

use takhin_coordinator::wire::ApiKey;
use takhin_coordinator::wire::messages::{
    DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse,
    ListGroupsRequest, ListGroupsResponse, OffsetCommitRequest, OffsetCommitRequestPartition,
    OffsetCommitRequestTopic, OffsetCommitResponse, OffsetFetchRequest, OffsetFetchRequestGroup,
    OffsetFetchResponse,
};

use crate::client::{Client, read};
use crate::node::Node;
use crate::records::create;

/// More than are asked about at a time, and more rows than are written in one go.
const GROUPS: usize = 1_500;

fn commit(client: &mut Client, group: &str, offset: i64) {
    let request = OffsetCommitRequest {
        group_id: group,
        generation_id_or_member_epoch: -1,
        topics: vec![OffsetCommitRequestTopic {
            name: "many",
            partitions: vec![OffsetCommitRequestPartition {
                partition_index: 0,
                committed_offset: offset,
                committed_metadata: Some(""),
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    let body = client.ask(ApiKey::OffsetCommit, 9, &request);
    let response = read::<OffsetCommitResponse<'_>>(&body, 9);
    assert_eq!(response.topics[0].partitions[0].error_code, 0);
}

#[test]
fn what_was_answered_is_in_every_large_answer_after_it() {
    let node = Node::start(&[]);
    let mut writer = node.connect();
    let mut monitor = node.connect();
    create(&mut writer, "many", 1);
    let names: Vec<String> = (0..GROUPS).map(|n| format!("group-{n}")).collect();
    for (group, offset) in names.iter().zip(0..) {
        commit(&mut writer, group, offset);
    }

    let body = monitor.ask(ApiKey::ListGroups, 5, &ListGroupsRequest::default());
    let listed = read::<ListGroupsResponse<'_>>(&body, 5);
    let mut ids: Vec<&str> = listed.groups.iter().map(|it| it.group_id).collect();
    ids.sort_unstable();
    let mut expected: Vec<&str> = names.iter().map(String::as_str).collect();
    expected.sort_unstable();
    assert_eq!(ids, expected);

    let request = OffsetFetchRequest {
        groups: names
            .iter()
            .map(|group_id| OffsetFetchRequestGroup {
                group_id,
                topics: None,
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    };
    let body = monitor.ask(ApiKey::OffsetFetch, 9, &request);
    let fetched = read::<OffsetFetchResponse<'_>>(&body, 9);
    assert_eq!(fetched.groups.len(), GROUPS);
    for (group, offset) in fetched.groups.iter().zip(0..) {
        assert_eq!(group.topics[0].partitions[0].committed_offset, offset);
    }

    let request = DescribeGroupsRequest {
        groups: names.iter().map(String::as_str).chain(["none"]).collect(),
        ..Default::default()
    };
    let body = monitor.ask(ApiKey::DescribeGroups, 5, &request);
    let described = read::<DescribeGroupsResponse<'_>>(&body, 5);
    let (last, others) = described.groups.split_last().unwrap();
    assert_eq!((last.group_id, last.group_state), ("none", "Dead"));
    assert!(others.iter().all(|it| it.group_state == "Empty"));
    assert_eq!(others.len(), GROUPS);

    let request = DeleteGroupsRequest {
        groups_names: names.iter().map(String::as_str).collect(),
    };
    let body = writer.ask(ApiKey::DeleteGroups, 2, &request);
    let deleted = read::<DeleteGroupsResponse<'_>>(&body, 2);
    assert_eq!(deleted.results.len(), GROUPS);
    assert!(deleted.results.iter().all(|it| it.error_code == 0));
    let body = monitor.ask(ApiKey::ListGroups, 5, &ListGroupsRequest::default());
    let listed = read::<ListGroupsResponse<'_>>(&body, 5);
    assert!(listed.groups.is_empty());
}
