//! Which APIs there are, in which versions, and which of them are offered: one table.

use std::ops::RangeInclusive;

use super::codec::NEVER;

macro_rules! apis {
    ($($(#[$doc:meta])* $name:ident = $key:literal, $versions:expr, announced from $announced:expr,
        flexible $flexible:expr, offered $offered:literal;)*) => {
        /// The number by which a request names its API.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        #[repr(i16)]
        pub enum ApiKey {
            $(
                #[doc = concat!("Key ", stringify!($key), ".")]
                $(#[$doc])*
                $name = $key,
            )*
        }

        /// All APIs that have a codec, by rising key.
        pub const APIS: [Api; [$($key),*].len()] = [$(Api {
            key: ApiKey::$name,
            name: stringify!($name),
            versions: $versions,
            announced_from: $announced,
            flexible_from: $flexible,
            offered: $offered,
        }),*];

        impl ApiKey {
            /// The row of the table.
            pub const fn api(self) -> &'static Api {
                match self {
                    $(Self::$name => {
                        const ROW: &Api = &APIS[index_of(ApiKey::$name)];
                        ROW
                    })*
                }
            }

            /// The API of a key; `None` for one that has no codec here.
            pub const fn from_key(key: i16) -> Option<Self> {
                match key {
                    $($key => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

// The versions are those that Kafka 4.4.0 serves and announces. The codecs of OffsetCommit (from
// 0) and OffsetFetch (from 0) know more; Kafka 4.0 removed those (KIP-896), and what is offered
// is compared with Kafka. Produce is the one API of which Kafka announces versions that it does
// not serve: 0 to 2, without which librdkafka finds no compression (KIP-896).
apis! {
    Produce = 0, 3..=13, announced from 0, flexible 9, offered true;
    Fetch = 1, 4..=18, announced from 4, flexible 12, offered true;
    ListOffsets = 2, 1..=11, announced from 1, flexible 6, offered true;
    Metadata = 3, 0..=13, announced from 0, flexible 9, offered true;
    OffsetCommit = 8, 2..=10, announced from 2, flexible 8, offered true;
    OffsetFetch = 9, 1..=10, announced from 1, flexible 6, offered true;
    FindCoordinator = 10, 0..=6, announced from 0, flexible 3, offered true;
    JoinGroup = 11, 0..=9, announced from 0, flexible 6, offered true;
    Heartbeat = 12, 0..=4, announced from 0, flexible 4, offered true;
    LeaveGroup = 13, 0..=5, announced from 0, flexible 4, offered true;
    SyncGroup = 14, 0..=5, announced from 0, flexible 4, offered true;
    DescribeGroups = 15, 0..=6, announced from 0, flexible 5, offered true;
    ListGroups = 16, 0..=5, announced from 0, flexible 3, offered true;
    ApiVersions = 18, 0..=5, announced from 0, flexible 3, offered true;
    CreateTopics = 19, 2..=7, announced from 2, flexible 5, offered true;
    DeleteTopics = 20, 1..=6, announced from 1, flexible 4, offered true;
    DeleteRecords = 21, 0..=2, announced from 0, flexible 2, offered true;
    InitProducerId = 22, 0..=6, announced from 0, flexible 2, offered true;
    OffsetForLeaderEpoch = 23, 2..=4, announced from 2, flexible 4, offered true;
    AddPartitionsToTxn = 24, 0..=5, announced from 0, flexible 3, offered true;
    AddOffsetsToTxn = 25, 0..=4, announced from 0, flexible 3, offered true;
    EndTxn = 26, 0..=5, announced from 0, flexible 3, offered true;
    TxnOffsetCommit = 28, 0..=6, announced from 0, flexible 3, offered true;
    DescribeConfigs = 32, 1..=4, announced from 1, flexible 4, offered true;
    CreatePartitions = 37, 0..=3, announced from 0, flexible 2, offered true;
    DeleteGroups = 42, 0..=3, announced from 0, flexible 2, offered true;
    IncrementalAlterConfigs = 44, 0..=1, announced from 0, flexible 1, offered true;
    OffsetDelete = 47, 0..=0, announced from 0, flexible NEVER, offered true;
    DescribeCluster = 60, 0..=2, announced from 0, flexible 0, offered true;
    DescribeTransactions = 65, 0..=0, announced from 0, flexible 0, offered true;
    ListTransactions = 66, 0..=2, announced from 0, flexible 0, offered true;
    ConsumerGroupHeartbeat = 68, 0..=1, announced from 0, flexible 0, offered false;
    ConsumerGroupDescribe = 69, 0..=1, announced from 0, flexible 0, offered false;
    DescribeTopicPartitions = 75, 0..=0, announced from 0, flexible 0, offered true;
}

/// Where the row of an API is in [`APIS`].
const fn index_of(key: ApiKey) -> usize {
    let mut index = 0;
    while APIS[index].key as i16 != key as i16 {
        index += 1;
    }
    index
}

/// A row of the table of APIs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Api {
    /// Its number.
    pub key: ApiKey,
    /// Kafka's name of it.
    pub name: &'static str,
    /// The versions that are served.
    pub versions: RangeInclusive<i16>,
    /// The first version that `ApiVersions` tells; below the first served one only for Produce.
    pub announced_from: i16,
    /// The first flexible version (KIP-482); [`NEVER`] if there is none.
    pub flexible_from: i16,
    /// Whether `ApiVersions` tells of it and requests are taken.
    pub offered: bool,
}

impl Api {
    /// Whether a version is served.
    pub fn serves(&self, version: i16) -> bool {
        self.offered && self.versions.contains(&version)
    }
}

impl ApiKey {
    /// The number on the wire.
    pub const fn number(self) -> i16 {
        self as i16
    }

    /// Kafka's name of it.
    pub const fn name(self) -> &'static str {
        self.api().name
    }

    /// Whether a version is flexible: its request has a header of version 2.
    pub const fn is_flexible(self, version: i16) -> bool {
        version >= self.api().flexible_from
    }

    /// Whether the response has a header of version 1, with tagged fields. That of `ApiVersions`
    /// never has: the client does not know yet which version the server speaks (KIP-511).
    pub const fn has_flexible_response_header(self, version: i16) -> bool {
        !matches!(self, Self::ApiVersions) && self.is_flexible(version)
    }

    /// The APIs that `ApiVersions` tells of, by rising key.
    pub fn offered() -> impl Iterator<Item = &'static Api> {
        const ROWS: &[Api] = &APIS;
        ROWS.iter().filter(|api| api.offered)
    }
}

impl std::fmt::Display for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
