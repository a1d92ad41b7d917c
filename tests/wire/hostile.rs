//! Garbage: typed errors, no panic, no memory out of proportion.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use takhin_coordinator::wire::codec::{ARRAY_CAPACITY_MAX, DecodeError, Field, Reader, Version};
use takhin_coordinator::wire::messages::{
    ApiVersionsRequest, HeartbeatRequest, JoinGroupRequest, MetadataRequest, MetadataRequestTopic,
};
use takhin_coordinator::wire::{Message, RequestHeader, ResponseHeader, api::APIS};

use crate::known;
use crate::schema::{Values, layouts};

/// What our codec accepts it writes, and reads again as the same.
fn accept(layout: &crate::schema::Layout, version: i16, bytes: &[u8]) {
    let api = known::api(layout.api);
    if let Ok(decoded) = known::decode(api, layout.request, version, bytes) {
        let again = known::decode(api, layout.request, version, &decoded.bytes)
            .unwrap_or_else(|error| panic!("{} {version}: {error}", layout.api));
        assert_eq!(again.text, decoded.text, "{} {version}", layout.api);
        assert!(again.exact, "{} {version}", layout.api);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_are_a_message_or_an_error(
        bytes in vec(any::<u8>(), 0..200),
    ) {
        for layout in layouts() {
            for version in layout.versions.clone() {
                accept(&layout, version, &bytes);
            }
        }
        let _ = RequestHeader::decode(&bytes);
        for api in APIS {
            let _ = ResponseHeader::decode(&bytes, api.key, *api.versions.end());
        }
    }

    #[test]
    fn a_mutated_message_is_a_message_or_an_error(
        entropy in vec(any::<u8>(), 0..300),
        mutations in vec((any::<Index>(), any::<u8>()), 1..6),
        cut in proptest::option::of(any::<Index>()),
    ) {
        for layout in layouts() {
            for version in layout.versions.clone() {
                let mut bytes = layout.encode(version, &mut Values::Entropy(&entropy));
                for (at, byte) in &mutations {
                    if !bytes.is_empty() {
                        let at = at.index(bytes.len());
                        bytes[at] = *byte;
                    }
                }
                if let Some(cut) = cut {
                    bytes.truncate(cut.index(bytes.len() + 1));
                }
                accept(&layout, version, &bytes);
            }
        }
    }
}

/// A count in every place of every message: had one of them been believed, the two billion
/// elements would not fit in memory.
#[test]
fn a_huge_count_anywhere_is_refused() {
    let huge: [&[u8]; 3] = [
        &[0x7f, 0xff, 0xff, 0xff],
        &[0xff, 0xff, 0xff, 0xff, 0x07],
        &[0xff; 5],
    ];
    for layout in layouts() {
        for version in layout.versions.clone() {
            let named = layout.encode(version, &mut Values::Named);
            for at in 0..named.len() {
                for huge in huge {
                    let mut bytes = named.clone();
                    bytes.splice(at..(at + 4).min(named.len()), huge.iter().copied());
                    accept(&layout, version, &bytes);
                }
            }
        }
    }
}

#[test]
fn every_cut_of_a_message_is_an_error() {
    for layout in layouts() {
        for version in layout.versions.clone() {
            let named = layout.encode(version, &mut Values::Named);
            for len in 0..named.len() {
                let decoded = known::decode(
                    known::api(layout.api),
                    layout.request,
                    version,
                    &named[..len],
                );
                assert!(decoded.is_err(), "{} {version} cut at {len}", layout.api);
            }
        }
    }
}

#[test]
fn a_count_that_the_bytes_cannot_hold_is_refused() {
    // Topics of version 1 are at least the two bytes of an empty name's length.
    let body = [0, 0, 0, 3, 0, 0, 0, 0, 0, 0];
    let topics = MetadataRequest::decode(&body, 1).unwrap().topics.unwrap();
    assert_eq!(
        topics,
        vec![
            MetadataRequestTopic {
                name: Some(""),
                ..Default::default()
            };
            3
        ]
    );
    let body = [0, 0, 0, 4, 0, 0, 0, 0, 0, 0];
    assert_eq!(
        MetadataRequest::decode(&body, 1),
        Err(DecodeError::Count { count: 4, left: 6 })
    );
}

#[test]
fn an_array_reserves_no_more_than_its_first_thousand_elements() {
    let version = Version {
        number: 0,
        flexible: false,
    };
    let count = 1_000_000_u32;
    // A million strings are announced and held by the bytes, but the second one is broken.
    let mut bytes = count.to_be_bytes().to_vec();
    bytes.extend([0, 0, 0x7f, 0xff]);
    bytes.resize(4 + 2 * 1_000_000, 0xff);
    let failed = Vec::<&str>::read(&mut Reader::new(&bytes), version);
    assert_eq!(failed, Err(DecodeError::Utf8));

    // Growth follows the count.
    let count = ARRAY_CAPACITY_MAX + 500;
    let mut bytes = u32::try_from(count).unwrap().to_be_bytes().to_vec();
    bytes.resize(4 + 2 * count, 0);
    let read = Vec::<&str>::read(&mut Reader::new(&bytes), version).unwrap();
    assert_eq!((read.len(), read.capacity()), (count, count));
}

#[test]
fn unknown_tagged_fields_are_skipped_and_bounded() {
    let plain = b"\x02n\x02v\0";
    let tagged = b"\x02n\x02v\x02\x07\x03abc\x07\x00";
    assert_eq!(
        ApiVersionsRequest::decode_exact(tagged, 3),
        ApiVersionsRequest::decode(plain, 3)
    );
    let too_long = b"\x02n\x02v\x01\x07\x04abc";
    assert_eq!(
        ApiVersionsRequest::decode(too_long, 3),
        Err(DecodeError::Short { needed: 4, left: 3 })
    );
    let too_many = b"\x02n\x02v\xff\xff\xff\xff\x0f";
    assert_eq!(
        ApiVersionsRequest::decode(too_many, 3),
        Err(DecodeError::Count {
            count: 4_294_967_295,
            left: 0
        })
    );
}

#[test]
fn text_lengths_and_nulls_are_typed_errors() {
    let heartbeat = |body: &'static [u8], version| HeartbeatRequest::decode(body, version);
    assert_eq!(heartbeat(b"\0\x02\xc3\x28", 0), Err(DecodeError::Utf8));
    assert_eq!(heartbeat(b"\xff\xff", 0), Err(DecodeError::Null));
    assert_eq!(
        heartbeat(b"\xff\xfe", 0),
        Err(DecodeError::NegativeLength(-2))
    );
    assert_eq!(heartbeat(b"\0", 4), Err(DecodeError::Null));
    assert_eq!(
        heartbeat(b"\x81\x80\x02", 4),
        Err(DecodeError::StringLength(32_768))
    );
    assert_eq!(
        heartbeat(b"\xff\xff\xff\xff\x10", 4),
        Err(DecodeError::Varint)
    );
    assert_eq!(
        heartbeat(b"\0\x05abc", 0),
        Err(DecodeError::Short { needed: 5, left: 3 })
    );
    assert_eq!(heartbeat(b"", 5), Err(DecodeError::Version(5)));
    assert_eq!(
        JoinGroupRequest::decode(b"", -1),
        Err(DecodeError::Version(-1))
    );
}

/// Kafka ignores what stands behind a body, so a client may rely on it.
#[test]
fn bytes_behind_a_body_are_ignored_unless_the_caller_asks() {
    let body = b"\0\x01g\0\0\0\x05\0\x01m!";
    let request = HeartbeatRequest::decode(body, 0).unwrap();
    assert_eq!(
        (request.group_id, request.generation_id, request.member_id),
        ("g", 5, "m")
    );
    assert_eq!(
        HeartbeatRequest::decode_exact(body, 0),
        Err(DecodeError::Trailing(1))
    );
}
