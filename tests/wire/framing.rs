//! Frames, headers, error codes, and the replies that have a writer of their own.

use std::collections::BTreeSet;

use proptest::prelude::*;
use takhin_coordinator::error::Refusal;
use takhin_coordinator::ids::TopicId;
use takhin_coordinator::wire::fetched::FetchedWriter;
use takhin_coordinator::wire::messages::{
    ApiVersionsResponse, HeartbeatRequest, HeartbeatResponse, OffsetFetchRequest,
    OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartition,
    OffsetFetchResponsePartitions, OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use takhin_coordinator::wire::{
    ApiKey, DecodeError, EncodeError, ErrorCode, FrameError, HeaderError, Message, RequestHeader,
    ResponseHeader, frame, heartbeat,
};

#[test]
fn a_frame_is_found_once_it_is_complete() {
    let bytes = b"\0\0\0\x03abc\0\0\0\x01d";
    for len in 0..7 {
        assert_eq!(frame::split(&bytes[..len], 100), Ok(None));
    }
    assert_eq!(frame::split(bytes, 100), Ok(Some((7, &b"abc"[..]))));
    assert_eq!(frame::split(&bytes[7..], 100), Ok(Some((5, &b"d"[..]))));
    assert_eq!(frame::split(b"\0\0\0\0", 100), Ok(Some((4, &b""[..]))));
}

#[test]
fn a_frame_longer_than_the_limit_is_refused_by_its_length_alone() {
    assert_eq!(
        frame::split(b"\0\0\0\x65", 100),
        Err(FrameError::TooLong { len: 101, max: 100 })
    );
    assert_eq!(frame::split(b"\0\0\0\x64", 100), Ok(None));
}

#[test]
fn a_negative_length_is_refused() {
    assert_eq!(
        frame::split(b"\xff\xff\xff\xfe", 100),
        Err(FrameError::Negative(-2))
    );
}

#[test]
fn a_request_is_read_as_a_client_wrote_it() {
    for (version, client_id) in [(0, None), (3, Some("client")), (4, Some(""))] {
        let header = RequestHeader {
            api: ApiKey::Heartbeat,
            version,
            correlation_id: 77,
            client_id,
        };
        let request = HeartbeatRequest {
            group_id: "g",
            member_id: "m",
            ..Default::default()
        };
        let mut out = b"before".to_vec();
        frame::append_request(&mut out, &header, &request).unwrap();
        let (taken, content) = frame::split(&out[6..], 1000).unwrap().unwrap();
        assert_eq!(taken, out.len() - 6);
        let (read, body) = RequestHeader::decode(content).unwrap();
        assert_eq!(read, header);
        assert_eq!(HeartbeatRequest::decode_exact(body, version), Ok(request));
    }
}

#[test]
fn a_flexible_header_keeps_the_classic_client_id_and_skips_its_tagged_fields() {
    let frame = b"\0\x0c\0\x04\0\0\0\x09\0\x01c\x01\x05\x02xy!";
    let (header, body) = RequestHeader::decode(frame).unwrap();
    assert_eq!(
        (header.correlation_id, header.client_id, body),
        (9, Some("c"), &b"!"[..])
    );
}

#[test]
fn what_is_not_offered_is_told_apart() {
    let unknown = RequestHeader::decode(b"\x03\xe7\0\x02\0\0\0\x01\xff\xff");
    assert_eq!(
        unknown,
        Err(HeaderError::UnknownApi {
            key: 999,
            version: 2
        })
    );
    // ConsumerGroupHeartbeat has a codec and is not offered.
    let withheld = RequestHeader::decode(b"\0\x44\0\0\0\0\0\x01\xff\xff");
    assert_eq!(
        withheld,
        Err(HeaderError::UnknownApi {
            key: 68,
            version: 0
        })
    );
    let newer = RequestHeader::decode(b"\0\x12\0\x63\0\0\0\x05anything");
    assert_eq!(
        newer,
        Err(HeaderError::UnsupportedVersion {
            api: ApiKey::ApiVersions,
            version: 99,
            correlation_id: 5
        })
    );
    // The codec of OffsetCommit reads version 1, which Kafka 4 no longer serves.
    let older = RequestHeader::decode(b"\0\x08\0\x01\0\0\0\x05\xff\xff");
    assert!(matches!(
        older,
        Err(HeaderError::UnsupportedVersion { version: 1, .. })
    ));
    let short = RequestHeader::decode(b"\0\x08\0");
    assert_eq!(
        short,
        Err(HeaderError::Malformed(DecodeError::Short {
            needed: 2,
            left: 1
        }))
    );
}

#[test]
fn a_response_is_read_as_the_server_wrote_it() {
    let response = HeartbeatResponse {
        throttle_time_ms: 1,
        error_code: 27,
    };
    for version in 1..=4 {
        let mut out = Vec::new();
        frame::append_response(&mut out, ApiKey::Heartbeat, version, -5, &response).unwrap();
        let (_, content) = frame::split(&out, 1000).unwrap().unwrap();
        let (header, body) = ResponseHeader::decode(content, ApiKey::Heartbeat, version).unwrap();
        assert_eq!(header.correlation_id, -5);
        assert_eq!(
            HeartbeatResponse::decode_exact(body, version),
            Ok(response.clone())
        );
    }
}

#[test]
fn api_versions_is_answered_with_a_classic_header_in_all_versions() {
    for version in 0..=5 {
        let mut out = Vec::new();
        let response = ApiVersionsResponse::offered(0);
        frame::append_response(&mut out, ApiKey::ApiVersions, version, 1, &response).unwrap();
        let read = ApiVersionsResponse::decode_exact(&out[8..], version).unwrap();
        // Features came with version 3.
        let knows_features = version >= 3;
        assert_eq!(read.api_keys, response.api_keys, "{version}");
        assert_eq!(read == response, knows_features, "{version}");
        assert_eq!(
            read.finalized_features_epoch,
            if knows_features { 0 } else { -1 }
        );
    }
}

#[test]
fn the_answer_to_an_unsupported_api_versions_is_version_0_with_the_list() {
    let mut out = Vec::new();
    let response = ApiVersionsResponse::offered(ErrorCode::UNSUPPORTED_VERSION.0);
    frame::append_response(&mut out, ApiKey::ApiVersions, 0, 5, &response).unwrap();
    assert_eq!(out[4..10], [0, 0, 0, 5, 0, 35]);
    let api = ApiKey::offered().count();
    assert_eq!(out.len(), 4 + 4 + 2 + 4 + 6 * api);
}

#[test]
fn a_response_that_cannot_be_sent_leaves_the_buffer_as_it_was() {
    let long = "x".repeat(40_000);
    let mut out = b"before".to_vec();
    let request = OffsetFetchRequest {
        group_id: &long,
        ..Default::default()
    };
    let sent = frame::append_response(&mut out, ApiKey::OffsetFetch, 1, 1, &request);
    assert_eq!(sent, Err(EncodeError::StringLength(40_000)));
    assert_eq!(out, b"before");
}

proptest! {
    #[test]
    fn the_reply_to_a_heartbeat_is_that_of_the_generic_encoder(
        correlation_id: i32,
        code: i16,
        version in 0_i16..=4,
    ) {
        let mut fast = Vec::new();
        frame::append(&mut fast, |writer| {
            let mut reply = Vec::new();
            heartbeat::append_reply(&mut reply, correlation_id, version, ErrorCode(code));
            writer.raw(&reply);
        })
        .unwrap();
        let mut generic = Vec::new();
        let response = HeartbeatResponse { throttle_time_ms: 0, error_code: code };
        frame::append_response(&mut generic, ApiKey::Heartbeat, version, correlation_id, &response)
            .unwrap();
        prop_assert_eq!(fast, generic);
    }
}

#[test]
fn error_codes_have_kafkas_numbers_and_names() {
    use kafka_protocol::error::ResponseError;
    let mut names = BTreeSet::new();
    for number in -1..=136 {
        let code = ErrorCode(number);
        assert!(!code.name().is_empty(), "{number}");
        assert!(names.insert(code.name()), "{number}");
        let known = ResponseError::try_from_code(number);
        let Some(known) = known.filter(|known| !matches!(known, ResponseError::Unknown(_))) else {
            continue;
        };
        assert_eq!(
            code.name().replace('_', ""),
            format!("{known:?}").to_uppercase()
        );
    }
    assert_eq!(ErrorCode(137).name(), "");
    assert_eq!(
        format!("{:?} {:?}", ErrorCode(16), ErrorCode(999)),
        "NOT_COORDINATOR(16) 999"
    );
}

#[test]
fn an_overloaded_coordinator_tells_clients_to_come_again() {
    assert_eq!(
        ErrorCode::from(Refusal::Overloaded),
        ErrorCode::COORDINATOR_NOT_AVAILABLE
    );
    assert_eq!(
        ErrorCode::from(Refusal::Failed),
        ErrorCode::UNKNOWN_SERVER_ERROR
    );
    assert_eq!(ErrorCode::from(Refusal::RebalanceInProgress).0, 27);
    assert_eq!(ErrorCode::NONE.message(), "NONE");
}

fn fetched_row() -> impl Strategy<Value = OffsetFetchResponsePartitions<'static>> {
    let metadata = prop_oneof![3 => Just(Some("")), 1 => Just(Some("some text")), 1 => Just(None)];
    (any::<(i32, i64, i32, i16)>(), metadata).prop_map(
        |((partition_index, committed_offset, committed_leader_epoch, error_code), metadata)| {
            OffsetFetchResponsePartitions {
                partition_index,
                committed_offset,
                committed_leader_epoch,
                metadata,
                error_code,
            }
        },
    )
}

/// Topics, each with its rows.
fn fetched_topics() -> impl Strategy<Value = Vec<Vec<OffsetFetchResponsePartitions<'static>>>> {
    prop::collection::vec(prop::collection::vec(fetched_row(), 0..200), 0..3)
}

/// A group's error, and its topics.
type FetchedGroup = (i16, Vec<Vec<OffsetFetchResponsePartitions<'static>>>);

const FETCHED_ID: TopicId = TopicId([7; 16]);

/// An answer of many groups.
fn response_of(groups: &[FetchedGroup]) -> OffsetFetchResponse<'static> {
    let groups = groups.iter().map(|(code, topics)| {
        let topics = topics.iter().map(|rows| OffsetFetchResponseTopics {
            name: "topic",
            topic_id: FETCHED_ID,
            partitions: rows.clone(),
        });
        OffsetFetchResponseGroup {
            group_id: "group",
            topics: topics.collect(),
            error_code: *code,
        }
    });
    OffsetFetchResponse {
        groups: groups.collect(),
        ..Default::default()
    }
}

/// An answer of one group, before version 8.
fn response_of_one((code, topics): &FetchedGroup) -> OffsetFetchResponse<'static> {
    let topics = topics.iter().map(|rows| {
        let partitions = rows.iter().map(|row| OffsetFetchResponsePartition {
            partition_index: row.partition_index,
            committed_offset: row.committed_offset,
            committed_leader_epoch: row.committed_leader_epoch,
            metadata: row.metadata,
            error_code: row.error_code,
        });
        OffsetFetchResponseTopic {
            name: "topic",
            partitions: partitions.collect(),
        }
    });
    OffsetFetchResponse {
        topics: topics.collect(),
        error_code: *code,
        ..Default::default()
    }
}

fn rowwise(groups: &[FetchedGroup], version: i16) -> Vec<u8> {
    let mut out = Vec::new();
    let written = frame::append(&mut out, |writer| {
        let mut writer = FetchedWriter::begin(writer, version, groups.len());
        for (code, topics) in groups {
            writer.group("group", topics.len());
            for rows in topics {
                writer.topic("topic", FETCHED_ID, rows.len());
                for row in rows {
                    writer.row(row);
                }
                writer.end_topic();
            }
            writer.end_group(*code);
        }
        writer.end();
    });
    assert_eq!(written, Ok(()));
    out
}

proptest! {
    #[test]
    fn the_rows_of_a_fetch_are_those_of_the_generic_encoder(
        version in 8_i16..=10,
        groups in prop::collection::vec((any::<i16>(), fetched_topics()), 0..3),
    ) {
        let response = response_of(&groups);
        let mut generic = Vec::new();
        frame::append(&mut generic, |writer| response.encode(writer, version)).unwrap();
        prop_assert_eq!(rowwise(&groups, version), generic);
    }

    #[test]
    fn so_are_those_of_a_fetch_of_one_group(
        version in 0_i16..=7,
        group in (any::<i16>(), fetched_topics()),
    ) {
        let response = response_of_one(&group);
        let mut generic = Vec::new();
        frame::append(&mut generic, |writer| response.encode(writer, version)).unwrap();
        prop_assert_eq!(rowwise(&[group], version), generic);
    }
}
