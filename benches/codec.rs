//! The codec against a copy of the same bytes, and against the crate `kafka-protocol`.
//!
//! `cargo bench --bench codec`. Both codecs read and write the same bytes in the same run; that
//! they agree is asserted before anything is timed. Our reading borrows from the frame; the other
//! shares it by reference counts. Writing appends to a buffer that is there already.

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use kafka_protocol::messages as other;
use kafka_protocol::protocol::{Decodable, Encodable};
use takhin_coordinator::wire::messages::{
    HeartbeatRequest, HeartbeatResponse, JoinGroupResponse, JoinGroupResponseMember,
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
    OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use takhin_coordinator::wire::{Message, Writer};

mod profiled;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn encoded<'a, M: Message<'a>>(message: &M, version: i16) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out);
    message.encode(&mut writer, version);
    writer.finish().expect("nothing is too long");
    out
}

fn of_bytes<'c>(c: &'c mut Criterion, label: &str, bytes: &[u8]) -> BenchmarkGroup<'c, WallTime> {
    let mut group = c.benchmark_group(label);
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    let mut out = Vec::with_capacity(bytes.len());
    group.bench_function("floor: a copy", |b| {
        b.iter(|| {
            out.clear();
            out.extend_from_slice(black_box(bytes));
            black_box(out.as_slice());
        });
    });
    group
}

/// Reads `bytes` by the codec named.
macro_rules! reading {
    ($group:expr, ours $ours:ty, other $other:ty, $version:expr, $bytes:expr) => {{
        let bytes: &[u8] = $bytes;
        $group.bench_function("read", |b| {
            b.iter(|| <$ours>::decode_exact(black_box(bytes), $version).expect("valid"));
        });
        let shared = Bytes::copy_from_slice(bytes);
        $group.bench_function("read by kafka-protocol", |b| {
            b.iter(|| {
                let mut cursor = black_box(&shared).clone();
                <$other>::decode(&mut cursor, $version).expect("valid")
            });
        });
    }};
}

/// Writes what `bytes` hold by each codec into a buffer that is used again.
macro_rules! writing {
    ($group:expr, ours $ours:ty, other $other:ty, $version:expr, $bytes:expr) => {{
        let bytes: &[u8] = $bytes;
        let ours = <$ours>::decode_exact(bytes, $version).expect("valid");
        let mut out = Vec::with_capacity(bytes.len());
        $group.bench_function("write", |b| {
            b.iter(|| {
                out.clear();
                let mut writer = Writer::new(&mut out);
                black_box(&ours).encode(&mut writer, $version);
                writer.finish().expect("nothing is too long");
                black_box(out.as_slice());
            });
        });
        assert_eq!(out, bytes);
        let theirs = <$other>::decode(&mut Bytes::copy_from_slice(bytes), $version);
        let theirs = theirs.expect("valid");
        let mut out = BytesMut::with_capacity(bytes.len());
        $group.bench_function("write by kafka-protocol", |b| {
            b.iter(|| {
                out.clear();
                black_box(&theirs)
                    .encode(&mut out, $version)
                    .expect("valid");
                black_box(&out[..]);
            });
        });
        assert_eq!(&out[..], bytes);
    }};
}

fn heartbeat(c: &mut Criterion) {
    let request = HeartbeatRequest {
        group_id: "orders-enrichment-000001",
        generation_id: 7,
        member_id: "consumer-app-1-0f8b7a3e-51c2-4d7e-9b60-3a4f5b6c7d8e",
        group_instance_id: None,
    };
    let bytes = encoded(&request, 4);
    let mut group = of_bytes(c, "Heartbeat 4 request", &bytes);
    reading!(group, ours HeartbeatRequest<'_>, other other::HeartbeatRequest, 4, &bytes);
    writing!(group, ours HeartbeatRequest<'_>, other other::HeartbeatRequest, 4, &bytes);
    group.finish();

    let bytes = encoded(&HeartbeatResponse::default(), 4);
    let mut group = of_bytes(c, "Heartbeat 4 response", &bytes);
    reading!(group, ours HeartbeatResponse, other other::HeartbeatResponse, 4, &bytes);
    writing!(group, ours HeartbeatResponse, other other::HeartbeatResponse, 4, &bytes);
    group.finish();
}

fn offset_commit(c: &mut Criterion) {
    let partition = |partition_index| OffsetCommitRequestPartition {
        partition_index,
        committed_offset: 123_456_789,
        committed_leader_epoch: 3,
        committed_metadata: Some(""),
        ..OffsetCommitRequestPartition::default()
    };
    let request = OffsetCommitRequest {
        group_id: "orders-enrichment-000001",
        generation_id_or_member_epoch: 7,
        member_id: "consumer-app-1-0f8b7a3e-51c2-4d7e-9b60-3a4f5b6c7d8e",
        topics: vec![OffsetCommitRequestTopic {
            name: "orders",
            partitions: (0..10).map(partition).collect(),
            ..OffsetCommitRequestTopic::default()
        }],
        ..OffsetCommitRequest::default()
    };
    let bytes = encoded(&request, 9);
    let mut group = of_bytes(c, "OffsetCommit 9 request of 10 partitions", &bytes);
    reading!(group, ours OffsetCommitRequest<'_>, other other::OffsetCommitRequest, 9, &bytes);
    writing!(group, ours OffsetCommitRequest<'_>, other other::OffsetCommitRequest, 9, &bytes);
    group.finish();

    let partition = |partition_index| OffsetCommitResponsePartition {
        partition_index,
        ..OffsetCommitResponsePartition::default()
    };
    let response = OffsetCommitResponse {
        topics: vec![OffsetCommitResponseTopic {
            name: "orders",
            partitions: (0..10).map(partition).collect(),
            ..OffsetCommitResponseTopic::default()
        }],
        ..OffsetCommitResponse::default()
    };
    let bytes = encoded(&response, 9);
    let mut group = of_bytes(c, "OffsetCommit 9 response of 10 partitions", &bytes);
    reading!(group, ours OffsetCommitResponse<'_>, other other::OffsetCommitResponse, 9, &bytes);
    writing!(group, ours OffsetCommitResponse<'_>, other other::OffsetCommitResponse, 9, &bytes);
    group.finish();
}

fn join_group(c: &mut Criterion) {
    let ids: Vec<String> = (0..100)
        .map(|n| format!("consumer-app-{n:03}-0f8b7a3e-51c2-4d7e-9b60-3a4f5b6c7d8e"))
        .collect();
    let member = |id| JoinGroupResponseMember {
        member_id: id,
        group_instance_id: None,
        metadata: &[7; 60],
    };
    let response = JoinGroupResponse {
        generation_id: 7,
        protocol_type: Some("consumer"),
        protocol_name: Some("cooperative-sticky"),
        leader: &ids[0],
        member_id: &ids[0],
        members: ids.iter().map(|id| member(id)).collect(),
        ..JoinGroupResponse::default()
    };
    let bytes = encoded(&response, 9);
    let mut group = of_bytes(c, "JoinGroup 9 response to the leader of 100", &bytes);
    reading!(group, ours JoinGroupResponse<'_>, other other::JoinGroupResponse, 9, &bytes);
    writing!(group, ours JoinGroupResponse<'_>, other other::JoinGroupResponse, 9, &bytes);
    group.finish();
}

criterion_group! {
    name = benches;
    config = profiled::criterion();
    targets = heartbeat, offset_commit, join_group
}
criterion_main!(benches);
