//! Names and numbers of the protocol, each a type of its own.
//!
//! Names are shared strings: a clone is a reference count, never a copy of the text. Kafka puts
//! no rule on them beyond the length of a string on the wire (32,767 bytes of UTF-8).

use std::fmt;
use std::sync::Arc;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The text of the name.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Whether the name is the empty string.
            pub fn is_empty(&self) -> bool {
                self.0.is_empty()
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }

        impl From<Arc<str>> for $name {
            fn from(text: Arc<str>) -> Self {
                Self(text)
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self("".into())
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

name! {
    /// The name of a consumer group (`group.id`).
    GroupId
}
name! {
    /// The name of a member within its group, given by the coordinator; "" asks for one.
    MemberId
}
name! {
    /// The name of a static member (`group.instance.id`, KIP-345).
    InstanceId
}
name! {
    /// The name of a topic.
    TopicName
}
name! {
    /// The name of a producer that outlives its process (`transactional.id`, KIP-98).
    TransactionalId
}

/// The 128-bit id of a topic (KIP-516); all zero means "none".
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct TopicId(pub [u8; 16]);

impl TopicId {
    /// The id that stands for "no id".
    pub const ZERO: Self = Self([0; 16]);

    /// Whether this is the id that stands for "no id".
    pub fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }
}

impl fmt::Debug for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&uuid::Uuid::from_bytes(self.0), f)
    }
}

/// The number of a partition within its topic, from 0.
pub type PartitionIndex = i32;

/// The generation of a classic group: 0 before the first completed join, then 1, 2, 3.
///
/// Requests carry -1 where they belong to no generation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct Generation(pub i32);

impl Generation {
    /// What a request says that belongs to no generation.
    pub const NONE: Self = Self(-1);
}

/// The number of a shard, from 0.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ShardId(pub u32);

/// The number of a transactional or idempotent producer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ProducerId(pub i64);

/// The epoch of a producer: of two with the same id the one with the lower epoch is a zombie.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ProducerEpoch(pub i16);
