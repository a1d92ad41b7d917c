//! Both codecs by the name of the message.

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages as other;
use kafka_protocol::protocol::{Decodable, Encodable};
use takhin_coordinator::wire::codec::{DecodeError, Writer};
use takhin_coordinator::wire::{ApiKey, Message, messages as ours};

/// What our codec makes of bytes.
pub(crate) struct Decoded {
    /// The message as Rust prints it.
    pub(crate) text: String,
    /// The message in bytes again.
    pub(crate) bytes: Vec<u8>,
    /// Whether the bytes end where the message does.
    pub(crate) exact: bool,
}

macro_rules! known {
    ($($api:ident: $request:ident, $response:ident;)*) => {
        /// All APIs that have a codec.
        pub(crate) const APIS: &[ApiKey] = &[$(ApiKey::$api),*];

        /// Reads bytes and writes them again with our codec.
        pub(crate) fn decode(
            api: ApiKey,
            request: bool,
            version: i16,
            bytes: &[u8],
        ) -> Result<Decoded, DecodeError> {
            match (api, request) {
                $(
                    (ApiKey::$api, true) => decode_as::<ours::$request>(version, bytes),
                    (ApiKey::$api, false) => decode_as::<ours::$response>(version, bytes),
                )*
            }
        }

        /// The first flexible version and the versions that the codec knows.
        pub(crate) fn versions(api: ApiKey, request: bool) -> (i16, std::ops::RangeInclusive<i16>) {
            match (api, request) {
                $(
                    (ApiKey::$api, true) => (
                        <ours::$request as Message<'_>>::FLEXIBLE_FROM,
                        <ours::$request as Message<'_>>::VERSIONS,
                    ),
                    (ApiKey::$api, false) => (
                        <ours::$response as Message<'_>>::FLEXIBLE_FROM,
                        <ours::$response as Message<'_>>::VERSIONS,
                    ),
                )*
            }
        }

        /// Reads bytes and writes them again with the other codec; `None` where it does not know
        /// the version.
        pub(crate) fn decode_other(
            api: ApiKey,
            request: bool,
            version: i16,
            bytes: &[u8],
        ) -> Option<Vec<u8>> {
            match (api, request) {
                $(
                    (ApiKey::$api, true) => other_as::<other::$request>(version, bytes),
                    (ApiKey::$api, false) => other_as::<other::$response>(version, bytes),
                )*
            }
        }
    };
}

known! {
    Produce: ProduceRequest, ProduceResponse;
    Fetch: FetchRequest, FetchResponse;
    ListOffsets: ListOffsetsRequest, ListOffsetsResponse;
    Metadata: MetadataRequest, MetadataResponse;
    OffsetCommit: OffsetCommitRequest, OffsetCommitResponse;
    OffsetFetch: OffsetFetchRequest, OffsetFetchResponse;
    FindCoordinator: FindCoordinatorRequest, FindCoordinatorResponse;
    JoinGroup: JoinGroupRequest, JoinGroupResponse;
    Heartbeat: HeartbeatRequest, HeartbeatResponse;
    LeaveGroup: LeaveGroupRequest, LeaveGroupResponse;
    SyncGroup: SyncGroupRequest, SyncGroupResponse;
    DescribeGroups: DescribeGroupsRequest, DescribeGroupsResponse;
    ListGroups: ListGroupsRequest, ListGroupsResponse;
    ApiVersions: ApiVersionsRequest, ApiVersionsResponse;
    CreateTopics: CreateTopicsRequest, CreateTopicsResponse;
    DeleteTopics: DeleteTopicsRequest, DeleteTopicsResponse;
    DeleteRecords: DeleteRecordsRequest, DeleteRecordsResponse;
    InitProducerId: InitProducerIdRequest, InitProducerIdResponse;
    OffsetForLeaderEpoch: OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse;
    AddPartitionsToTxn: AddPartitionsToTxnRequest, AddPartitionsToTxnResponse;
    AddOffsetsToTxn: AddOffsetsToTxnRequest, AddOffsetsToTxnResponse;
    EndTxn: EndTxnRequest, EndTxnResponse;
    TxnOffsetCommit: TxnOffsetCommitRequest, TxnOffsetCommitResponse;
    DescribeConfigs: DescribeConfigsRequest, DescribeConfigsResponse;
    CreatePartitions: CreatePartitionsRequest, CreatePartitionsResponse;
    DeleteGroups: DeleteGroupsRequest, DeleteGroupsResponse;
    IncrementalAlterConfigs: IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse;
    OffsetDelete: OffsetDeleteRequest, OffsetDeleteResponse;
    DescribeCluster: DescribeClusterRequest, DescribeClusterResponse;
    DescribeTransactions: DescribeTransactionsRequest, DescribeTransactionsResponse;
    ListTransactions: ListTransactionsRequest, ListTransactionsResponse;
    ConsumerGroupHeartbeat: ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse;
    ConsumerGroupDescribe: ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse;
    DescribeTopicPartitions: DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse;
}

/// The API of Kafka's name.
pub(crate) fn api(name: &str) -> ApiKey {
    *APIS
        .iter()
        .find(|api| api.name() == name)
        .expect("an API of that name")
}

fn decode_as<'a, M: Message<'a> + std::fmt::Debug>(
    version: i16,
    bytes: &'a [u8],
) -> Result<Decoded, DecodeError> {
    let message = M::decode(bytes, version)?;
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out);
    message.encode(&mut writer, version);
    writer.finish().expect("what was read can be written");
    let exact = M::decode_exact(bytes, version).is_ok();
    Ok(Decoded {
        text: format!("{message:?}"),
        bytes: out,
        exact,
    })
}

fn other_as<M>(version: i16, bytes: &[u8]) -> Option<Vec<u8>>
where
    M: kafka_protocol::protocol::Message + Decodable + Encodable,
{
    if version < M::VERSIONS.min || version > M::VERSIONS.max {
        return None;
    }
    let mut bytes = Bytes::copy_from_slice(bytes);
    let message = M::decode(&mut bytes, version).expect("the other codec reads it");
    assert!(!bytes.has_remaining(), "the other codec leaves bytes");
    let mut out = BytesMut::new();
    message
        .encode(&mut out, version)
        .expect("the other codec writes it");
    Some(out.to_vec())
}
