//! The names: what is known, what it means here, and which one was probably meant.

use super::accepted::ACCEPTED;
use super::settings::USED;

/// A property that may be set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Key {
    /// The name, as in Kafka's `server.properties`.
    pub name: &'static str,
    /// The type of its value.
    pub kind: Kind,
    /// Whether it does anything here.
    pub meaning: Meaning,
}

/// The type of a property's value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A whole number of 32 bits.
    Int,
    /// A whole number of 64 bits.
    Long,
    /// A number with a fraction.
    Double,
    /// Texts, separated by commas.
    List,
    /// Any text.
    Text,
}

/// What a property does here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Meaning {
    /// It is a field of [`Config`](super::Config).
    Used,
    /// It is a property of Kafka's broker that has no effect here.
    Accepted,
}

/// All properties that may be set: those with an effect first, each part in a fixed order.
pub fn keys() -> impl Iterator<Item = Key> {
    let used = USED.iter().map(|&(name, kind)| Key {
        name,
        kind,
        meaning: Meaning::Used,
    });
    let accepted = ACCEPTED.iter().map(|&(name, kind)| Key {
        name,
        kind,
        meaning: Meaning::Accepted,
    });
    used.chain(accepted)
}

/// The property of that name.
///
/// `listener.name.NAME.PROPERTY` stands for a property of one listener, as in Kafka.
pub(super) fn find(name: &str) -> Option<Key> {
    keys().find(|key| key.name == name).or_else(|| {
        name.starts_with("listener.name.").then_some(Key {
            name: "listener.name.*",
            kind: Kind::Text,
            meaning: Meaning::Accepted,
        })
    })
}

/// The known name nearest to `name`, if so few letters differ that it was probably meant.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    // A name longer than any of ours by that much is no slip of the finger, and the distance
    // costs time in proportion to its length.
    if name.len() > NAME_BYTES_MAX {
        return None;
    }
    let lower = name.to_ascii_lowercase().replace(['_', '-'], ".");
    let (distance, near) = keys()
        .map(|key| (edit_distance(&lower, key.name), key.name))
        .min_by_key(|(distance, _)| *distance)?;
    (distance <= near.len().div_ceil(4)).then_some(near)
}

impl Kind {
    /// What a value of this kind must be, if `text` is none.
    pub(super) fn refusal(self, text: &str) -> Option<&'static str> {
        let text = text.trim();
        let (valid, expected) = match self {
            Self::Bool => (parse_bool(text).is_some(), "must be true or false"),
            Self::Int => (
                text.parse::<i32>().is_ok(),
                "must be a whole number of 32 bits",
            ),
            Self::Long => (
                text.parse::<i64>().is_ok(),
                "must be a whole number of 64 bits",
            ),
            Self::Double => (text.parse::<f64>().is_ok(), "must be a number"),
            Self::List | Self::Text => (true, ""),
        };
        (!valid).then_some(expected)
    }
}

/// Reads a boolean as Kafka does: any case, nothing but the two words.
pub(super) fn parse_bool(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// How many letters must be put in, taken out or exchanged to turn one text into the other.
fn edit_distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.bytes().enumerate() {
            let exchanged = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = exchanged.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[other.len()]
}

const NAME_BYTES_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_known_once() {
        let mut names: Vec<_> = keys().map(|key| key.name).collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
        assert!(all > 370, "{all}");
    }

    #[test]
    fn a_slip_of_the_finger_finds_the_name_that_was_meant() {
        for (given, meant) in [
            ("group.max.sise", "group.max.size"),
            ("GROUP_MAX_SIZE", "group.max.size"),
            ("offset.retention.minutes", "offsets.retention.minutes"),
            ("num.partition", "num.partitions"),
            ("takhin.shard", "takhin.shards"),
        ] {
            assert_eq!(nearest(given), Some(meant), "{given}");
        }
    }

    #[test]
    fn a_name_like_no_other_has_no_suggestion() {
        assert_eq!(nearest("completely.different"), None);
        assert_eq!(nearest(""), None);
        assert_eq!(nearest(&"group.max.size".repeat(100_000)), None);
    }

    #[test]
    fn the_settings_of_a_test_cluster_are_known() {
        for name in [
            "process.roles",
            "node.id",
            "broker.id",
            "listeners",
            "advertised.listeners",
            "log.dirs",
            "offsets.topic.replication.factor",
            "transaction.state.log.min.isr",
            "share.coordinator.state.topic.num.partitions",
            "group.consumer.migration.policy",
            "group.share.assignment.interval.ms",
            "listener.name.internal.ssl.keystore.location",
        ] {
            assert!(find(name).is_some(), "{name}");
        }
        assert!(find("zookeeper.connect").is_none());
    }

    #[test]
    fn the_distance_counts_single_letters() {
        assert_eq!(edit_distance("abc", "abc"), 0);
        assert_eq!(edit_distance("", "abc"), 3);
        assert_eq!(edit_distance("abc", ""), 3);
        assert_eq!(edit_distance("kitten", "sitting"), 3);
    }
}
