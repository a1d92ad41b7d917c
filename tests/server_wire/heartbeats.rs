//! Heartbeats that come again with the same bytes: whatever happened in between, they are answered
//! as they would be on a connection that never heard them.

use takhin_coordinator::wire::ApiKey;
use takhin_coordinator::wire::messages::{
    HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupRequestProtocol,
    JoinGroupResponse, LeaveGroupRequest, MemberIdentity, SyncGroupRequest,
    SyncGroupRequestAssignment, SyncGroupResponse,
};

use crate::client::{Client, read};
use crate::node::Node;

const NONE: i16 = 0;
const ILLEGAL_GENERATION: i16 = 22;
const UNKNOWN_MEMBER_ID: i16 = 25;
const REBALANCE_IN_PROGRESS: i16 = 27;
const FENCED_INSTANCE_ID: i16 = 82;

/// The last version in which a first join needs no id, and its members may be static from 5 on.
const JOIN: i16 = 3;

/// A member as its own requests name it.
#[derive(Clone, Debug)]
struct Member {
    group: String,
    id: String,
    instance: Option<&'static str>,
    generation: i32,
}

impl Member {
    /// Joins, and hands in an assignment for all if it is asked to.
    fn join(client: &mut Client, group: &str, id: &str, instance: Option<&'static str>) -> Self {
        let version = if instance.is_some() { 5 } else { JOIN };
        send_join(client, version, group, id, instance);
        let member = Self::joined(client, version, group, instance);
        member.sync(client);
        member
    }

    fn joined(
        client: &mut Client,
        version: i16,
        group: &str,
        instance: Option<&'static str>,
    ) -> Self {
        let body = client.receive(ApiKey::JoinGroup, version);
        let joined = read::<JoinGroupResponse<'_>>(&body, version);
        assert_eq!(joined.error_code, NONE);
        Self {
            group: group.to_owned(),
            id: joined.member_id.to_owned(),
            instance,
            generation: joined.generation_id,
        }
    }

    fn sync(&self, client: &mut Client) {
        let request = SyncGroupRequest {
            group_id: &self.group,
            generation_id: self.generation,
            member_id: &self.id,
            assignments: vec![SyncGroupRequestAssignment {
                member_id: &self.id,
                assignment: b"all",
            }],
            ..Default::default()
        };
        let body = client.ask(ApiKey::SyncGroup, 2, &request);
        assert_eq!(read::<SyncGroupResponse<'_>>(&body, 2).error_code, NONE);
    }

    /// What a heartbeat is told.
    fn beat(&self, client: &mut Client, version: i16) -> i16 {
        let request = HeartbeatRequest {
            group_id: &self.group,
            generation_id: self.generation,
            member_id: &self.id,
            group_instance_id: self.instance,
        };
        let body = client.ask(ApiKey::Heartbeat, version, &request);
        read::<HeartbeatResponse>(&body, version).error_code
    }

    /// The same three times on a connection that may know it, and once on a new one.
    fn beats(&self, node: &Node, client: &mut Client, version: i16) -> i16 {
        let told = self.beat(client, version);
        assert_eq!(self.beat(client, version), told);
        assert_eq!(self.beat(client, version), told);
        assert_eq!(self.beat(&mut node.connect(), version), told);
        told
    }

    fn leave(&self, client: &mut Client) {
        let request = LeaveGroupRequest {
            group_id: &self.group,
            member_id: &self.id,
            members: vec![MemberIdentity {
                member_id: &self.id,
                group_instance_id: self.instance,
                ..Default::default()
            }],
        };
        client.ask(ApiKey::LeaveGroup, 3, &request);
    }
}

fn send_join(
    client: &mut Client,
    version: i16,
    group: &str,
    id: &str,
    instance: Option<&'static str>,
) {
    let request = JoinGroupRequest {
        group_id: group,
        session_timeout_ms: 300_000,
        rebalance_timeout_ms: 300_000,
        member_id: id,
        group_instance_id: instance,
        protocol_type: "consumer",
        protocols: vec![JoinGroupRequestProtocol {
            name: "range",
            metadata: b"",
        }],
        ..Default::default()
    };
    client.send(ApiKey::JoinGroup, version, &request);
}

fn node() -> Node {
    Node::start(&["--set", "group.initial.rebalance.delay.ms=0"])
}

#[test]
fn a_heartbeat_is_answered_again_in_the_version_in_which_it_comes() {
    let node = node();
    let mut client = node.connect();
    let member = Member::join(&mut client, "versions", "", None);
    for version in [0, 1, 2, 3, 4, 3, 2, 1, 0] {
        assert_eq!(member.beats(&node, &mut client, version), NONE, "{version}");
    }
}

#[test]
fn a_heartbeat_that_was_well_is_told_of_a_rebalance_and_of_the_generation_after_it() {
    let node = node();
    let (mut client, mut other) = (node.connect(), node.connect());
    let first = Member::join(&mut client, "rebalanced", "", None);
    assert_eq!(first.beats(&node, &mut client, 4), NONE);

    // A second member waits for the first to join again.
    send_join(&mut other, JOIN, "rebalanced", "", None);
    node.await_metric("takhin_requests_parked ", 1);
    assert_eq!(first.beats(&node, &mut client, 4), REBALANCE_IN_PROGRESS);

    let again = Member::join(&mut client, "rebalanced", &first.id, None);
    let second = Member::joined(&mut other, JOIN, "rebalanced", None);
    assert_eq!(again.generation, second.generation);
    assert_eq!(again.beats(&node, &mut client, 4), NONE);
    assert_eq!(first.beats(&node, &mut client, 4), ILLEGAL_GENERATION);
    assert_eq!(again.beats(&node, &mut client, 4), NONE);
    assert_eq!(second.beats(&node, &mut client, 4), NONE);

    again.leave(&mut other);
    assert_eq!(again.beats(&node, &mut client, 4), UNKNOWN_MEMBER_ID);
}

#[test]
fn a_heartbeat_of_a_static_member_is_fenced_once_another_takes_its_place() {
    let node = node();
    let mut client = node.connect();
    let first = Member::join(&mut client, "static", "", Some("instance"));
    assert_eq!(first.beats(&node, &mut client, 4), NONE);
    let second = Member::join(&mut client, "static", "", Some("instance"));
    assert_ne!(first.id, second.id);
    assert_eq!(first.beats(&node, &mut client, 4), FENCED_INSTANCE_ID);
    assert_eq!(second.beats(&node, &mut client, 4), NONE);
    // The member alone, without its instance, and with one that is nobody's.
    let unnamed = Member {
        instance: None,
        ..second.clone()
    };
    assert_eq!(unnamed.beats(&node, &mut client, 4), NONE);
    let misnamed = Member {
        instance: Some("nobody's"),
        ..second
    };
    assert_eq!(misnamed.beats(&node, &mut client, 4), UNKNOWN_MEMBER_ID);
}

#[test]
fn one_connection_may_bring_the_heartbeats_of_more_members_than_it_remembers() {
    let node = node();
    let mut client = node.connect();
    let members: Vec<Member> = (0..100)
        .map(|n| Member::join(&mut client, &format!("proxied-{n}"), "", None))
        .collect();
    // Its name alone is longer than what is remembered.
    let long = Member::join(&mut client, &"long".repeat(100), "", None);
    for _ in 0..3 {
        for member in members.iter().chain([&long]) {
            assert_eq!(member.beat(&mut client, 4), NONE);
        }
    }
    members[7].leave(&mut client);
    for (n, member) in members.iter().enumerate() {
        let expected = if n == 7 { UNKNOWN_MEMBER_ID } else { NONE };
        assert_eq!(member.beat(&mut client, 4), expected, "{n}");
    }
}
