//! Commits that one client sends without waiting: they share the journal's rounds, and nobody can
//! tell that from one after the other.
//!
//! The server runs over in-memory streams, on one thread and a clock that stands still; the
//! journal settles when the test says so.

#![cfg(feature = "server")]
#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test may fail it as the test itself"
)]
#![expect(
    clippy::disallowed_types,
    reason = "a lock is what a test on one thread needs"
)]

mod world;

use takhin_coordinator::error::Refusal;
use takhin_coordinator::wire::ApiKey;
use takhin_coordinator::wire::messages::{
    HeartbeatRequest, JoinGroupRequest, JoinGroupRequestProtocol, OffsetFetchRequest,
    OffsetFetchRequestGroup, OffsetFetchResponse,
};

use world::{Client, World, commit, settle};

const NONE: i16 = 0;
const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const COORDINATOR_NOT_AVAILABLE: i16 = 15;
const GROUP_ID_NOT_FOUND: i16 = 69;
const UNKNOWN_MEMBER_ID: i16 = 25;

/// What is committed for the one partition, as the group tells it.
async fn committed(client: &mut Client, group: &str) -> i64 {
    send_fetch(client, group).await;
    let body = client.receive(ApiKey::OffsetFetch, 9).await;
    fetched(&body)
}

async fn send_fetch(client: &mut Client, group: &str) {
    let request = OffsetFetchRequest {
        groups: vec![OffsetFetchRequestGroup {
            group_id: group,
            topics: None,
            ..Default::default()
        }],
        ..Default::default()
    };
    client.send(ApiKey::OffsetFetch, 9, &request).await;
}

fn fetched(body: &[u8]) -> i64 {
    use takhin_coordinator::wire::Message as _;
    let response = OffsetFetchResponse::decode_exact(body, 9).unwrap();
    let topics = &response.groups[0].topics;
    topics
        .first()
        .map_or(-1, |it| it.partitions[0].committed_offset)
}

/// A client that has sent three commits of its group, which wait.
async fn three_commits() -> (World, Client) {
    let world = World::new();
    let mut client = world.connect();
    client
        .send_commits([commit("g", 1), commit("g", 2), commit("g", 3)])
        .await;
    settle().await;
    (world, client)
}

#[tokio::test]
async fn pipelined_commits_of_one_connection_are_in_one_round_of_the_journal() {
    let world = World::new();
    let mut client = world.connect();
    client.send_commits((0..20).map(|n| commit("g", n))).await;
    settle().await;
    assert_eq!(world.parked(), 20);
    // Two batches may be on their way; the first two went off alone, the others go together.
    assert_eq!(world.journal.batches(), [1, 1]);
    world.journal.settle_first();
    assert_eq!(world.journal.batches(), [1, 18]);
    world.journal.settle(Ok(()));
    for _ in 0..20 {
        assert_eq!(client.receive_codes().await, [NONE]);
    }
    assert_eq!(world.parked(), 0);
    assert_eq!(committed(&mut client, "g").await, 19);
}

#[tokio::test]
async fn commits_to_many_groups_on_many_shards_are_answered_in_the_order_of_the_requests() {
    let world = World::with_shards(4);
    let mut client = world.connect();
    let groups: Vec<String> = (0..30).map(|n| format!("group {}", n % 7)).collect();
    client
        .send_commits(groups.iter().zip(0..).map(|(it, n)| commit(it, n)))
        .await;
    settle().await;
    assert_eq!(world.parked(), 30);
    // The correlation ids are compared with each answer that is read.
    world.journal.settle_latest_first();
    for _ in 0..30 {
        assert_eq!(client.receive_codes().await, [NONE]);
    }
    for n in 23..30 {
        let group = format!("group {}", n % 7);
        assert_eq!(committed(&mut client, &group).await, n);
    }
}

#[tokio::test]
async fn commits_that_come_while_others_wait_join_the_next_round() {
    let world = World::new();
    let mut client = world.connect();
    for n in 0..10 {
        client.send_commits([commit("g", n)]).await;
        settle().await;
    }
    assert_eq!(world.journal.batches(), [1, 1]);
    world.journal.settle_first();
    settle().await;
    // One round is on its way at most while the next is collected.
    assert_eq!(world.journal.batches(), [1, 8]);
    world.journal.settle(Ok(()));
    for _ in 0..10 {
        assert_eq!(client.receive_codes().await, [NONE]);
    }
}

#[tokio::test]
async fn a_fetch_behind_commits_sees_them() {
    let world = World::new();
    let mut client = world.connect();
    client.send_commits([commit("g", 1), commit("g", 2)]).await;
    send_fetch(&mut client, "g").await;
    client.send_commits([commit("g", 3)]).await;
    settle().await;
    assert_eq!(world.parked(), 2);
    world.journal.settle(Ok(()));
    assert_eq!(client.receive_codes().await, [NONE]);
    assert_eq!(client.receive_codes().await, [NONE]);
    let body = client.receive(ApiKey::OffsetFetch, 9).await;
    // The commit behind the fetch was not carried out before it.
    assert_eq!(fetched(&body), 2);
    world.journal.settle(Ok(()));
    assert_eq!(client.receive_codes().await, [NONE]);
}

#[tokio::test]
async fn a_commit_behind_a_join_waits_for_it() {
    let world = World::new();
    let mut client = world.connect();
    let join = JoinGroupRequest {
        group_id: "g",
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 10_000,
        protocol_type: "consumer",
        protocols: vec![JoinGroupRequestProtocol {
            name: "range",
            metadata: b"",
        }],
        ..Default::default()
    };
    // A version whose new members are taken without an id of theirs; the group waits for more.
    client.send(ApiKey::JoinGroup, 3, &join).await;
    client.send_commits([commit("other", 1)]).await;
    world.journal.settle(Ok(()));
    settle().await;
    // The join alone.
    assert_eq!(world.parked(), 1);
    assert_eq!(committed(&mut world.connect(), "other").await, -1);
    world.pass(3_000);
    client.receive(ApiKey::JoinGroup, 3).await;
    settle().await;
    world.journal.settle(Ok(()));
    assert_eq!(client.receive_codes().await, [NONE]);
    assert_eq!(committed(&mut client, "other").await, 1);
}

#[tokio::test]
async fn a_heartbeat_behind_a_commit_waits_for_it() {
    let world = World::new();
    let mut client = world.connect();
    client.send_commits([commit("g", 1)]).await;
    let beat = HeartbeatRequest {
        group_id: "g",
        member_id: "nobody",
        ..Default::default()
    };
    client.send(ApiKey::Heartbeat, 4, &beat).await;
    settle().await;
    world.journal.settle(Ok(()));
    assert_eq!(client.receive_codes().await, [NONE]);
    let body = client.receive(ApiKey::Heartbeat, 4).await;
    assert_eq!(body[4..6], UNKNOWN_MEMBER_ID.to_be_bytes());
}

#[tokio::test]
async fn a_commit_that_is_refused_at_once_is_answered_in_its_place() {
    let world = World::new();
    let mut client = world.connect();
    let mut of_nobody = commit("g", 2);
    of_nobody.member = "nobody";
    of_nobody.generation = 7;
    let mut of_no_group = commit("none", 3);
    of_no_group.generation = 7;
    let mut unknown = commit("g", 4);
    unknown.topic = "unknown";
    let commits = [
        commit("g", 1),
        of_nobody,
        of_no_group,
        unknown,
        commit("g", 5),
    ];
    client.send_commits(commits).await;
    settle().await;
    assert_eq!(world.parked(), 2);
    world.journal.settle(Ok(()));
    let refused = [NONE, UNKNOWN_MEMBER_ID, GROUP_ID_NOT_FOUND];
    for code in refused
        .into_iter()
        .chain([UNKNOWN_TOPIC_OR_PARTITION, NONE])
    {
        assert_eq!(client.receive_codes().await, [code]);
    }
    assert_eq!(committed(&mut client, "g").await, 5);
}

#[tokio::test]
async fn commits_of_a_round_that_fails_are_refused_and_count_for_nothing() {
    let (world, mut client) = three_commits().await;
    world.journal.settle_first();
    settle().await;
    world.journal.settle(Err(Refusal::NotAvailable));
    assert_eq!(client.receive_codes().await, [NONE]);
    for _ in 0..2 {
        assert_eq!(client.receive_codes().await, [COORDINATOR_NOT_AVAILABLE]);
    }
    assert_eq!(committed(&mut client, "g").await, 1);
}

#[tokio::test]
async fn commits_of_a_round_that_takes_too_long_are_refused_in_order() {
    let (world, mut client) = three_commits().await;
    world.pass(5_000);
    for _ in 0..3 {
        assert_eq!(client.receive_codes().await, [COORDINATOR_NOT_AVAILABLE]);
    }
}
