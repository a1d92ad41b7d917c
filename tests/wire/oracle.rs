//! Random messages: Kafka's layouts, our codec and another codec agree byte for byte.

use proptest::prelude::*;
use takhin_coordinator::wire::codec::Writer;
use takhin_coordinator::wire::messages::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
    OffsetFetchRequest, OffsetFetchRequestTopic,
};
use takhin_coordinator::wire::{EncodeError, Message};

use crate::known;
use crate::schema::{Values, layouts};

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_message_of_kafkas_layout_is_read_and_written_as_it_was(
        entropy in proptest::collection::vec(any::<u8>(), 0..600),
    ) {
        let mut seconded = 0;
        for layout in layouts() {
            let api = known::api(layout.api);
            for version in layout.versions.clone() {
                let bytes = layout.encode(version, &mut Values::Entropy(&entropy));
                let place = format!("{} {version} request {}", layout.api, layout.request);
                let decoded = known::decode(api, layout.request, version, &bytes);
                let decoded = decoded.map_err(|e| TestCaseError::fail(format!("{place}: {e}")))?;
                prop_assert!(decoded.exact, "{place}: bytes are left");
                prop_assert_eq!(&decoded.bytes, &bytes, "{}", &place);
                if let Some(other) = known::decode_other(api, layout.request, version, &bytes) {
                    prop_assert_eq!(other, bytes, "the other codec: {}", &place);
                    seconded += 1;
                }
            }
        }
        // It stops at Kafka 4.1.
        prop_assert!(seconded > 350, "the other codec knows only {seconded} layouts");
    }
}

fn encode<'a, M: Message<'a>>(message: &M, version: i16) -> Result<Vec<u8>, EncodeError> {
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out);
    message.encode(&mut writer, version);
    writer.finish().map(|()| out)
}

/// Versions that Kafka 4 no longer has and our codec still reads.
#[test]
fn the_removed_versions_of_offset_commit_keep_their_layout() {
    let request = OffsetCommitRequest {
        group_id: "g",
        generation_id_or_member_epoch: 3,
        member_id: "m",
        topics: vec![OffsetCommitRequestTopic {
            name: "t",
            partitions: vec![OffsetCommitRequestPartition {
                partition_index: 1,
                committed_offset: 2,
                commit_timestamp: 5,
                committed_metadata: None,
                ..OffsetCommitRequestPartition::default()
            }],
            ..OffsetCommitRequestTopic::default()
        }],
        ..OffsetCommitRequest::default()
    };
    let version_0 = b"\0\x01g\0\0\0\x01\0\x01t\0\0\0\x01\0\0\0\x01\0\0\0\0\0\0\0\x02\xff\xff";
    assert_eq!(encode(&request, 0).as_deref(), Ok(&version_0[..]));
    let version_1 = b"\0\x01g\0\0\0\x03\0\x01m\0\0\0\x01\0\x01t\0\0\0\x01\
        \0\0\0\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x05\xff\xff";
    assert_eq!(encode(&request, 1).as_deref(), Ok(&version_1[..]));
    assert_eq!(OffsetCommitRequest::decode_exact(version_1, 1), Ok(request));
}

#[test]
fn offset_fetch_0_has_the_layout_of_1() {
    let request = OffsetFetchRequest {
        group_id: "g",
        topics: Some(vec![OffsetFetchRequestTopic {
            name: "t",
            partition_indexes: vec![7],
        }]),
        ..OffsetFetchRequest::default()
    };
    let bytes = b"\0\x01g\0\0\0\x01\0\x01t\0\0\0\x01\0\0\0\x07";
    assert_eq!(encode(&request, 0).as_deref(), Ok(&bytes[..]));
    assert_eq!(OffsetFetchRequest::decode_exact(bytes, 0), Ok(request));
}

#[test]
fn a_null_where_the_version_has_none_is_written_as_the_empty_value() {
    let request = OffsetFetchRequest {
        group_id: "g",
        topics: None,
        ..Default::default()
    };
    assert_eq!(encode(&request, 1).as_deref(), Ok(&b"\0\x01g\0\0\0\0"[..]));
    assert_eq!(
        encode(&request, 2).as_deref(),
        Ok(&b"\0\x01g\xff\xff\xff\xff"[..])
    );
}

#[test]
fn a_string_that_is_too_long_cannot_be_sent() {
    let long = "x".repeat(32_768);
    let request = OffsetFetchRequest {
        group_id: &long,
        ..Default::default()
    };
    assert_eq!(encode(&request, 7), Err(EncodeError::StringLength(32_768)));
    assert_eq!(encode(&request, 11), Err(EncodeError::Version(11)));
}
