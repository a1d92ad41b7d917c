//! The configuration of one topic: Kafka's keys, their defaults, rules and effects.
//!
//! Every topic key of Kafka 4 is accepted and shown, so that tools which set them work. These have
//! an effect: `retention.bytes`, `max.message.bytes`, `message.timestamp.type`,
//! `message.timestamp.after.max.ms` and `cleanup.policy`: without `delete` nothing is dropped by
//! size and with `compact` each record needs a key, though nothing is ever compacted.

use std::collections::BTreeMap;

use super::config::TopicsConfig;
use super::error::TopicError;

/// The type of a configuration value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ConfigKind {
    /// `true` or `false`.
    Boolean,
    /// Text.
    String,
    /// 32 bits.
    Int,
    /// 64 bits.
    Long,
    /// A floating point number.
    Double,
    /// Texts separated by commas.
    List,
}

/// One configuration value of a topic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigEntry {
    /// The key, as Kafka names it.
    pub name: &'static str,
    /// The value in force.
    pub value: String,
    /// The value that is in force where the topic sets none.
    pub default: String,
    /// Whether the topic sets it (`DYNAMIC_TOPIC_CONFIG`), else it is the default.
    pub is_dynamic: bool,
    /// The type of the value.
    pub kind: ConfigKind,
}

/// What to do to a configuration value (KIP-339).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConfigOp {
    /// Sets the value.
    Set,
    /// Goes back to the default.
    Delete,
    /// Adds elements to a list.
    Append,
    /// Takes elements from a list.
    Subtract,
}

/// One step of an incremental change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigChange {
    /// The key.
    pub name: String,
    /// What to do.
    pub op: ConfigOp,
    /// The value; none for [`ConfigOp::Delete`].
    pub value: Option<String>,
}

/// The settings that have an effect, parsed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Effective {
    /// None: nothing is dropped by size.
    pub(super) retention_bytes: Option<u64>,
    pub(super) max_message_bytes: usize,
    pub(super) log_append_time: bool,
    /// How far ahead of the node's clock a record may be.
    pub(super) ahead_max_ms: i64,
    /// Whether old records of a key are to go; they do not, yet each record needs a key.
    pub(super) compacts: bool,
    pub(super) deletes: bool,
    pub(super) producers_max: usize,
}

/// What a topic sets for itself; the rest is default.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Settings {
    set: BTreeMap<&'static str, String>,
}

impl Settings {
    /// The settings of a new topic; a key without a value means the default.
    pub(super) fn of_new(configs: &[(String, Option<String>)]) -> Result<Self, TopicError> {
        let mut settings = Self::default();
        for (name, value) in configs {
            let key = Key::find(name)?;
            let Some(value) = value else {
                return Err(invalid(format!(
                    "null value not supported for topic config {name}"
                )));
            };
            key.check(value)?;
            settings.set.insert(key.name, value.trim().to_owned());
        }
        Ok(settings)
    }

    /// These settings after an incremental change, or a refusal of the whole change.
    pub(super) fn changed(
        &self,
        changes: &[ConfigChange],
        config: &TopicsConfig,
    ) -> Result<Self, TopicError> {
        let mut settings = self.clone();
        let mut seen = std::collections::BTreeSet::new();
        for change in changes {
            let key = Key::find(&change.name)?;
            if !seen.insert(key.name) {
                return Err(TopicError::InvalidRequest);
            }
            let value = match (change.op, &change.value) {
                (ConfigOp::Delete, _) => {
                    settings.set.remove(key.name);
                    continue;
                }
                (_, None) => return Err(TopicError::InvalidRequest),
                (ConfigOp::Set, Some(value)) => value.trim().to_owned(),
                (ConfigOp::Append, Some(value)) => {
                    edited_list(key, &settings.value(key, config), value, true)?
                }
                (ConfigOp::Subtract, Some(value)) => {
                    edited_list(key, &settings.value(key, config), value, false)?
                }
            };
            key.check(&value)?;
            settings.set.insert(key.name, value);
        }
        Ok(settings)
    }

    /// What is set, in the order of the keys.
    pub(super) fn pairs(&self) -> Vec<(String, String)> {
        let set = self.set.iter();
        set.map(|(key, value)| ((*key).to_owned(), value.clone()))
            .collect()
    }

    /// All values in force, in the order of the keys.
    pub(super) fn entries(&self, config: &TopicsConfig) -> Vec<ConfigEntry> {
        let entry = |key: &Key| ConfigEntry {
            name: key.name,
            value: self.value(key, config),
            default: key.default(config),
            is_dynamic: self.set.contains_key(key.name),
            kind: key.rule.kind,
        };
        KEYS.iter().map(entry).collect()
    }

    /// What has an effect.
    pub(super) fn effective(&self, config: &TopicsConfig) -> Effective {
        let retention = self.number(RETENTION_BYTES, config.log_retention_bytes);
        let policy = self
            .set
            .get(CLEANUP_POLICY)
            .map_or("delete", String::as_str);
        let has = |wanted| policy.split(',').any(|one| one.trim() == wanted);
        let max_message = self.number(MAX_MESSAGE_BYTES, config.max_message_bytes.into());
        let stamps = self.set.get(TIMESTAMP_TYPE);
        Effective {
            retention_bytes: u64::try_from(retention).ok().filter(|_| has("delete")),
            max_message_bytes: usize::try_from(max_message).unwrap_or(0),
            log_append_time: stamps.is_some_and(|stamps| stamps == "LogAppendTime"),
            ahead_max_ms: self.number(AHEAD_MAX_MS, 3_600_000),
            compacts: has("compact"),
            deletes: has("delete"),
            producers_max: config.producers_per_partition_max.max(1),
        }
    }

    fn number(&self, name: &str, default: i64) -> i64 {
        let text = self.set.get(name);
        text.and_then(|text| text.parse().ok()).unwrap_or(default)
    }

    fn value(&self, key: &Key, config: &TopicsConfig) -> String {
        let set = self.set.get(key.name).cloned();
        set.unwrap_or_else(|| key.default(config))
    }
}

/// A list with elements added or taken.
fn edited_list(key: &Key, old: &str, edit: &str, add: bool) -> Result<String, TopicError> {
    if key.rule.kind != ConfigKind::List {
        return Err(invalid(format!(
            "append and subtract are for lists, which {} is not",
            key.name
        )));
    }
    let elements = |text: &str| -> Vec<String> {
        let all = text.split(',').map(|one| one.trim().to_owned());
        all.filter(|one| !one.is_empty()).collect()
    };
    let mut list = elements(old);
    let edits = elements(edit);
    list.retain(|one| add || !edits.contains(one));
    if add {
        let new: Vec<String> = edits
            .into_iter()
            .filter(|one| !list.contains(one))
            .collect();
        list.extend(new);
    }
    Ok(list.join(","))
}

fn invalid(reason: String) -> TopicError {
    TopicError::InvalidConfig(reason)
}

/// One known key.
struct Key {
    name: &'static str,
    default: &'static str,
    rule: &'static Rule,
}

impl Key {
    fn find(name: &str) -> Result<&'static Self, TopicError> {
        let found = KEYS.binary_search_by(|key| key.name.cmp(name));
        // The text of a stranger is shown cut: it comes back in a reply.
        let shown: String = name.chars().take(100).collect();
        found
            .map(|at| &KEYS[at])
            .map_err(|_| invalid(format!("unknown topic config name: {shown}")))
    }

    fn check(&self, value: &str) -> Result<(), TopicError> {
        let checked = if value.len() > VALUE_BYTES_MAX {
            Err("too long")
        } else {
            (self.rule.check)(value)
        };
        checked.map_err(|why| {
            let shown: String = value.chars().take(100).collect();
            let name = self.name;
            invalid(format!(
                "invalid value {shown} for configuration {name}: {why}"
            ))
        })
    }

    fn default(&self, config: &TopicsConfig) -> String {
        match self.name {
            RETENTION_BYTES => config.log_retention_bytes.to_string(),
            MAX_MESSAGE_BYTES => config.max_message_bytes.to_string(),
            "retention.ms" => config.log_retention_ms.to_string(),
            "segment.bytes" => config.log_segment_bytes.to_string(),
            _ => self.default.to_owned(),
        }
    }
}

/// The type of a value and what is allowed of it.
struct Rule {
    kind: ConfigKind,
    check: fn(&str) -> Result<(), &'static str>,
}

fn number(value: &str, min: i64, max: i64) -> Result<(), &'static str> {
    match value.trim().parse::<i64>() {
        Ok(number) if (min..=max).contains(&number) => Ok(()),
        Ok(_) => Err("out of range"),
        Err(_) => Err("not a number of this type"),
    }
}

fn one_of(value: &str, allowed: &[&str]) -> Result<(), &'static str> {
    if allowed.contains(&value.trim()) {
        Ok(())
    } else {
        Err("not one of the allowed values")
    }
}

const INT_MAX: i64 = i32::MAX as i64;

/// From 0.
const INT: Rule = Rule {
    kind: ConfigKind::Int,
    check: |value| number(value, 0, INT_MAX),
};
/// From 1.
const COUNT: Rule = Rule {
    kind: ConfigKind::Int,
    check: |value| number(value, 1, INT_MAX),
};
/// Kafka's smallest segment since 4.0 (KIP-1030).
const SEGMENT: Rule = Rule {
    kind: ConfigKind::Int,
    check: |value| number(value, 1 << 20, INT_MAX),
};
/// From 4, the size of an entry.
const INDEX: Rule = Rule {
    kind: ConfigKind::Int,
    check: |value| number(value, 4, INT_MAX),
};
/// From 0.
const LONG: Rule = Rule {
    kind: ConfigKind::Long,
    check: |value| number(value, 0, i64::MAX),
};
/// From 1.
const SPAN: Rule = Rule {
    kind: ConfigKind::Long,
    check: |value| number(value, 1, i64::MAX),
};
/// From -1, which means no limit.
const RETENTION_MS: Rule = Rule {
    kind: ConfigKind::Long,
    check: |value| number(value, -1, i64::MAX),
};
/// Any; below 0 means no limit.
const RETENTION: Rule = Rule {
    kind: ConfigKind::Long,
    check: |value| number(value, i64::MIN, i64::MAX),
};
/// From -2, which means as the retention of the whole.
const LOCAL: Rule = Rule {
    kind: ConfigKind::Long,
    check: |value| number(value, -2, i64::MAX),
};
const BOOLEAN: Rule = Rule {
    kind: ConfigKind::Boolean,
    check: |value| one_of(value, &["true", "false"]),
};
/// Tiered storage does not exist here.
const FALSE: Rule = Rule {
    kind: ConfigKind::Boolean,
    check: |value| one_of(value, &["false"]),
};
const RATIO: Rule = Rule {
    kind: ConfigKind::Double,
    check: |value| match value.trim().parse::<f64>() {
        Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(()),
        _ => Err("not a number from 0 to 1"),
    },
};
const POLICY: Rule = Rule {
    kind: ConfigKind::List,
    check: |value| {
        let mut policies = value.split(',');
        let all = policies.all(|policy| matches!(policy.trim(), "delete" | "compact" | ""));
        if all {
            Ok(())
        } else {
            Err("only delete and compact are allowed")
        }
    },
};
const CODEC: Rule = Rule {
    kind: ConfigKind::String,
    check: |value| {
        let codecs = ["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"];
        one_of(value, &codecs)
    },
};
const GZIP: Rule = Rule {
    kind: ConfigKind::Int,
    check: |value| number(value, 1, 9).or_else(|why| number(value, -1, -1).map_err(|_| why)),
};
const LZ4: Rule = Rule {
    kind: ConfigKind::Int,
    check: |value| number(value, 1, 17),
};
const ZSTD: Rule = Rule {
    kind: ConfigKind::Int,
    check: |value| number(value, -131_072, 22),
};
const STAMPS: Rule = Rule {
    kind: ConfigKind::String,
    check: |value| one_of(value, &["CreateTime", "LogAppendTime"]),
};
/// `partition:broker` pairs or `*`.
const THROTTLED: Rule = Rule {
    kind: ConfigKind::List,
    check: |value| {
        let is_pair = |pair: &str| {
            pair.split_once(':')
                .is_some_and(|(a, b)| a.parse::<u32>().is_ok() && b.parse::<u32>().is_ok())
        };
        let mut pairs = value.split(',').map(str::trim);
        if matches!(value.trim(), "" | "*") || pairs.all(is_pair) {
            Ok(())
        } else {
            Err("neither * nor partition:broker pairs")
        }
    },
};

const CLEANUP_POLICY: &str = "cleanup.policy";
const MAX_MESSAGE_BYTES: &str = "max.message.bytes";
const TIMESTAMP_TYPE: &str = "message.timestamp.type";
const AHEAD_MAX_MS: &str = "message.timestamp.after.max.ms";
const RETENTION_BYTES: &str = "retention.bytes";

/// The longest value that is kept.
const VALUE_BYTES_MAX: usize = 32_767;

const LONG_MAX: &str = "9223372036854775807";

/// Key, Kafka's default (some come from the node's settings instead) and rule; sorted by key.
const KEYS: &[Key] = &[
    key(CLEANUP_POLICY, "delete", &POLICY),
    key("compression.gzip.level", "-1", &GZIP),
    key("compression.lz4.level", "9", &LZ4),
    key("compression.type", "producer", &CODEC),
    key("compression.zstd.level", "3", &ZSTD),
    key("delete.retention.ms", "86400000", &LONG),
    key("file.delete.delay.ms", "60000", &LONG),
    key("flush.messages", LONG_MAX, &SPAN),
    key("flush.ms", LONG_MAX, &LONG),
    key("follower.replication.throttled.replicas", "", &THROTTLED),
    key("index.interval.bytes", "4096", &INT),
    key("leader.replication.throttled.replicas", "", &THROTTLED),
    key("local.retention.bytes", "-2", &LOCAL),
    key("local.retention.ms", "-2", &LOCAL),
    key("max.compaction.lag.ms", LONG_MAX, &SPAN),
    key(MAX_MESSAGE_BYTES, "1048588", &INT),
    key(AHEAD_MAX_MS, "3600000", &LONG),
    key("message.timestamp.before.max.ms", LONG_MAX, &LONG),
    key(TIMESTAMP_TYPE, "CreateTime", &STAMPS),
    key("min.cleanable.dirty.ratio", "0.5", &RATIO),
    key("min.compaction.lag.ms", "0", &LONG),
    key("min.insync.replicas", "1", &COUNT),
    key("preallocate", "false", &BOOLEAN),
    key("remote.log.copy.disable", "false", &BOOLEAN),
    key("remote.log.delete.on.disable", "false", &BOOLEAN),
    key("remote.storage.enable", "false", &FALSE),
    key(RETENTION_BYTES, "-1", &RETENTION),
    key("retention.ms", "604800000", &RETENTION_MS),
    key("segment.bytes", "1073741824", &SEGMENT),
    key("segment.index.bytes", "10485760", &INDEX),
    key("segment.jitter.ms", "0", &LONG),
    key("segment.ms", "604800000", &SPAN),
    key("unclean.leader.election.enable", "false", &BOOLEAN),
];

const fn key(name: &'static str, default: &'static str, rule: &'static Rule) -> Key {
    Key {
        name,
        default,
        rule,
    }
}
