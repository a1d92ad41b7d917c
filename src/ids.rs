//! Names and numbers of the protocol, each a type of its own.
//!
//! Names are shared strings: a clone is a reference count, never a copy of the text, and the empty
//! one takes no place of its own. Kafka puts no rule on them beyond the length of a string on the
//! wire (32,767 bytes of UTF-8).

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Eq, PartialOrd, Ord, Default)]
        pub struct $name(
            // `None` is the empty name, and the only way to write it.
            Option<Arc<str>>,
        );

        impl $name {
            /// The text of the name.
            pub fn as_str(&self) -> &str {
                self.0.as_deref().unwrap_or("")
            }

            /// Whether the name is the empty string.
            pub fn is_empty(&self) -> bool {
                self.0.is_none()
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self((!text.is_empty()).then(|| text.into()))
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                text.as_str().into()
            }
        }

        impl From<Arc<str>> for $name {
            fn from(text: Arc<str>) -> Self {
                Self((!text.is_empty()).then_some(text))
            }
        }

        /// Most names that are compared are one and the same string, which needs no reading.
        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                match (&self.0, &other.0) {
                    (Some(one), Some(two)) => Arc::ptr_eq(one, two) || one == two,
                    (one, two) => one.is_none() && two.is_none(),
                }
            }
        }

        /// As its text: names are looked up by it.
        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.as_str().hash(state);
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                self.as_str()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self.as_str(), f)
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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn an_empty_name_is_one_thing_however_it_was_written() {
        let empty = GroupId::default();
        for written in [
            GroupId::from(""),
            GroupId::from(String::new()),
            GroupId::from(Arc::<str>::from("")),
        ] {
            assert_eq!(written, empty);
            assert!(written.is_empty());
        }
        assert!(empty < GroupId::from("a"));
        assert_eq!(
            (empty.as_str(), format!("{empty:?}")),
            ("", "\"\"".to_owned())
        );
    }

    #[test]
    fn a_name_is_found_by_its_text() {
        let names: HashSet<MemberId> = ["", "m"].map(MemberId::from).into();
        assert!(names.contains("") && names.contains("m"));
    }
}
