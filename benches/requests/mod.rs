//! What a usual consumer asks, for benchmarks and loads that form groups.

use bytes::Bytes;
use takhin_coordinator::group::{Client, JoinRequest, Joined, Protocol, SyncRequest};
use takhin_coordinator::ids::{GroupId, MemberId};

/// A join as a usual consumer sends it.
pub(crate) fn join(group: &GroupId, member: MemberId) -> JoinRequest {
    JoinRequest {
        group: group.clone(),
        member,
        instance: None,
        client: Client {
            id: "orders".into(),
            host: "/127.0.0.1".into(),
        },
        session_timeout_ms: 1_800_000,
        rebalance_timeout_ms: 1_800_000,
        protocol_type: "consumer".into(),
        protocols: vec![Protocol {
            name: "range".into(),
            metadata: Bytes::from_static(&[0; 24]),
        }],
        reason: None,
        requires_known_member_id: true,
        can_skip_assignment: true,
        fresh: uuid::Uuid::nil(),
    }
}

/// A sync that hands in what the leader decided, if it is the leader's.
pub(crate) fn sync(group: &GroupId, joined: &Joined) -> SyncRequest {
    let assignment = Bytes::from_static(&[0; 32]);
    SyncRequest {
        group: group.clone(),
        member: joined.member.clone(),
        instance: None,
        generation: joined.generation,
        protocol_type: None,
        protocol: None,
        assignments: joined
            .members
            .iter()
            .map(|it| (it.member.clone(), assignment.clone()))
            .collect(),
    }
}
