//! The frames of the load.

use takhin_coordinator::wire::messages::{
    HeartbeatRequest, OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use takhin_coordinator::wire::{ApiKey, RequestHeader, frame};

use super::Kind;
use super::forming::{CLIENT_ID, Member, topic};
use super::versions::{HEARTBEAT, OFFSET_COMMIT, OFFSET_FETCH};

/// Where the correlation id is in a frame with its length.
const CORRELATION: std::ops::Range<usize> = 8..12;

/// A frame for each member, made before the run, and what differs from request to request.
#[derive(Debug)]
pub(super) struct Requests {
    frames: Vec<Frame>,
}

/// A frame that needs two numbers to be a request.
#[derive(Debug)]
struct Frame {
    bytes: Vec<u8>,
    /// Where the offsets of a commit are, eight bytes each.
    offsets: Vec<usize>,
}

impl Requests {
    pub(super) fn new(kind: Kind, members: &[Member], partitions: i32) -> Self {
        let frame = |member| match kind {
            Kind::Heartbeats => heartbeat(member),
            Kind::Commits => commit(member, partitions),
            Kind::Recommits => recommit(member, partitions),
            Kind::Fetches => fetch(member, Some(partitions)),
            Kind::FetchesOfAll => fetch(member, None),
        };
        Self {
            frames: members.iter().map(frame).collect(),
        }
    }

    /// Appends request `number` of the run, the `nth` of its connection.
    pub(super) fn append(&self, out: &mut Vec<u8>, number: u64, nth: u64) {
        let members = self.frames.len() as u64;
        let member = usize::try_from(number % members).expect("an index of a vector");
        let frame = &self.frames[member];
        let start = out.len();
        out.extend_from_slice(&frame.bytes);
        let copy = &mut out[start..];
        copy[CORRELATION].copy_from_slice(&correlation_id(nth).to_be_bytes());
        // Each commit is a step ahead of the member's last one.
        let offset = (number / members).to_be_bytes();
        for at in &frame.offsets {
            copy[*at..*at + 8].copy_from_slice(&offset);
        }
    }
}

/// The number by which the answer to a connection's request is known.
pub(super) fn correlation_id(nth: u64) -> i32 {
    i32::try_from(nth & 0x7fff_ffff).expect("31 bits")
}

fn header(api: ApiKey, version: i16) -> RequestHeader<'static> {
    RequestHeader {
        api,
        version,
        correlation_id: 0,
        client_id: Some(CLIENT_ID),
    }
}

fn heartbeat(member: &Member) -> Frame {
    let request = HeartbeatRequest {
        group_id: &member.group,
        generation_id: member.generation,
        member_id: &member.id,
        group_instance_id: None,
    };
    let mut bytes = Vec::new();
    frame::append_request(&mut bytes, &header(ApiKey::Heartbeat, HEARTBEAT), &request)
        .expect("names of usual length");
    Frame {
        bytes,
        offsets: Vec::new(),
    }
}

/// An offset that nothing else in a frame looks like.
const PLACEHOLDER: i64 = 0x7e57_0ff5_e70f_f5e7;

fn commit(member: &Member, partitions: i32) -> Frame {
    let bytes = commit_of(member, partitions, PLACEHOLDER);
    let pattern = PLACEHOLDER.to_be_bytes();
    let found = bytes.windows(8).enumerate();
    let offsets = found.filter(|(_, window)| *window == pattern);
    let offsets: Vec<usize> = offsets.map(|(at, _)| at).collect();
    assert_eq!(Ok(partitions), i32::try_from(offsets.len()));
    Frame { bytes, offsets }
}

/// Always of the same offset.
fn recommit(member: &Member, partitions: i32) -> Frame {
    Frame {
        bytes: commit_of(member, partitions, 7),
        offsets: Vec::new(),
    }
}

fn commit_of(member: &Member, partitions: i32, offset: i64) -> Vec<u8> {
    let topic = topic(partitions);
    let request = commit_request(member, &topic, partitions, offset);
    let mut bytes = Vec::new();
    let header = header(ApiKey::OffsetCommit, OFFSET_COMMIT);
    frame::append_request(&mut bytes, &header, &request).expect("names of usual length");
    bytes
}

/// A fetch of all partitions of the load's topic, by number as consumers do; `None`: of all that
/// there is.
fn fetch(member: &Member, partitions: Option<i32>) -> Frame {
    let name = topic(partitions.unwrap_or(0));
    let all_of = |partitions| OffsetFetchRequestTopics {
        name: &name,
        partition_indexes: (0..partitions).collect(),
        ..OffsetFetchRequestTopics::default()
    };
    let request = OffsetFetchRequest {
        groups: vec![OffsetFetchRequestGroup {
            group_id: &member.group,
            topics: partitions.map(|partitions| vec![all_of(partitions)]),
            ..OffsetFetchRequestGroup::default()
        }],
        ..OffsetFetchRequest::default()
    };
    let mut bytes = Vec::new();
    let header = header(ApiKey::OffsetFetch, OFFSET_FETCH);
    frame::append_request(&mut bytes, &header, &request).expect("names of usual length");
    Frame {
        bytes,
        offsets: Vec::new(),
    }
}

/// A commit of all partitions of the load's topic.
pub(super) fn commit_request<'m>(
    member: &'m Member,
    topic: &'m str,
    partitions: i32,
    offset: i64,
) -> OffsetCommitRequest<'m> {
    let partition = |partition_index| OffsetCommitRequestPartition {
        partition_index,
        committed_offset: offset,
        committed_metadata: Some(""),
        ..OffsetCommitRequestPartition::default()
    };
    OffsetCommitRequest {
        group_id: &member.group,
        generation_id_or_member_epoch: member.generation,
        member_id: &member.id,
        topics: vec![OffsetCommitRequestTopic {
            name: topic,
            partitions: (0..partitions).map(partition).collect(),
            ..OffsetCommitRequestTopic::default()
        }],
        ..OffsetCommitRequest::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use takhin_coordinator::wire::Message as _;

    #[test]
    fn a_commit_carries_its_own_correlation_id_and_offset() {
        let member = Member {
            group: "g".into(),
            id: "m".into(),
            generation: 3,
        };
        let requests = Requests::new(Kind::Commits, &[member], 2);
        let mut out = vec![1, 2, 3];
        requests.append(&mut out, 41, 7);
        let (_, content) = frame::split(&out[3..], 1_000).unwrap().unwrap();
        let (header, body) = RequestHeader::decode(content).unwrap();
        assert_eq!(header.correlation_id, 7);
        let commit = OffsetCommitRequest::decode_exact(body, OFFSET_COMMIT).unwrap();
        let partitions = &commit.topics[0].partitions;
        let offsets: Vec<i64> = partitions.iter().map(|it| it.committed_offset).collect();
        assert_eq!(offsets, [41, 41]);
    }
}
