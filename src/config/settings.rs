//! The settings that have an effect, as one table.

use std::fmt;
use std::ops::RangeInclusive;

use super::error::ConfigError;
use super::key::{self, Kind, Meaning};

/// Defines [`Config`], its setters and the table of names from one list.
///
/// A line is: doc, `"kafka.name" field: type = default, range`.
macro_rules! settings {
    ($($(#[$doc:meta])* $key:literal $field:ident: $type:ty = $default:expr, $range:expr;)*) => {
        /// Every setting that has an effect, with Kafka's default unless its doc says otherwise.
        ///
        /// Fields may be changed after building; [`Config::validate`] checks them again.
        #[derive(Clone, PartialEq, Eq, Debug)]
        #[non_exhaustive]
        pub struct Config {
            $(
                $(#[$doc])*
                #[doc = concat!("\n\nProperty `", $key, "`.")]
                pub $field: $type,
            )*
        }

        impl Default for Config {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl Config {
            /// Each property with its value as text, in the order of the fields.
            pub fn properties(&self) -> Vec<(&'static str, String)> {
                vec![$(($key, self.$field.to_string()),)*]
            }

            fn assign(&mut self, key: &str, text: &str) -> Result<(), ConfigError> {
                match key {
                    $($key => self.$field = parse($key, text, &$range)?,)*
                    _ => {}
                }
                Ok(())
            }

            fn check_ranges(&self) -> Result<(), ConfigError> {
                $(check($key, self.$field, &$range)?;)*
                Ok(())
            }
        }

        impl ConfigBuilder {
            $(
                #[doc = concat!("Sets `", $key, "`; checked by [`ConfigBuilder::build`].")]
                #[must_use]
                pub fn $field(mut self, value: $type) -> Self {
                    self.config.$field = value;
                    self
                }
            )*
        }

        /// Name and type of each property that has an effect.
        pub(super) const USED: &[(&str, Kind)] = &[$(($key, <$type as Value>::KIND),)*];
    };
}

settings! {
    /// The shortest session timeout, in milliseconds, that a member may ask for.
    "group.min.session.timeout.ms" group_min_session_timeout_ms: i32 = 6_000, 0..=i32::MAX;
    /// The longest session timeout, in milliseconds, that a member may ask for.
    "group.max.session.timeout.ms" group_max_session_timeout_ms: i32 = 1_800_000, 0..=i32::MAX;
    /// How long, in milliseconds, the first join of an empty group waits for others.
    "group.initial.rebalance.delay.ms" group_initial_rebalance_delay_ms: i32 = 3_000, 0..=i32::MAX;
    /// The most members of one group (KIP-389).
    "group.max.size" group_max_size: i32 = i32::MAX, 1..=i32::MAX;
    /// How long, in minutes, offsets outlive the last use of their group (KIP-211).
    "offsets.retention.minutes" offsets_retention_minutes: i32 = 10_080, 1..=i32::MAX;
    /// How often, in milliseconds, expired offsets are removed.
    "offsets.retention.check.interval.ms"
        offsets_retention_check_interval_ms: i64 = 600_000, 1..=i64::MAX;
    /// How long, in milliseconds, each member may be silent after its group was loaded, at least;
    /// it may be silent for longer where more was left of its session when the process stopped in
    /// order, and for its whole session if it did not stop in order. Kafka grants the session
    /// alone. A client must find us again in that time: librdkafka waits up to 10 s before it
    /// connects once more (`reconnect.backoff.max.ms`), hence the default.
    "session.grace.after.load.ms"
        session_grace_after_load_ms: i32 = 10_000, 0..=i32::MAX;
    /// The longest metadata text of an offset, in UTF-16 units as Kafka counts it.
    "offset.metadata.max.bytes" offset_metadata_max_bytes: i32 = 4_096, 0..=i32::MAX;
    /// How long, in milliseconds, whoever waits for a write waits at most. It is then refused,
    /// though the write may still succeed, and so is what would write behind it.
    "offsets.commit.timeout.ms" offsets_commit_timeout_ms: i32 = 5_000, 1..=i32::MAX;

    /// The largest request, in bytes without its length prefix.
    "socket.request.max.bytes" socket_request_max_bytes: i32 = 104_857_600, 1..=i32::MAX;
    /// The most connections at one time, over all listeners; one more is closed at once.
    "max.connections" max_connections: i32 = i32::MAX, 0..=i32::MAX;
    /// The most bytes of the node for requests above 128 KiB that are being received or carried
    /// out, -1 for no limit. At the limit connections that bring such a request are not read from
    /// until others are done, first come, first served; one that waits for as long as it may be
    /// silent is closed. A request above the whole limit takes all of it. Kafka's default is -1;
    /// a node must not take the machine's memory, so the default is finite.
    "queued.max.request.bytes"
        queued_max_request_bytes:
            i64 = 256 * 1024 * 1024, -1..=i64::MAX;
    /// How long, in milliseconds, a connection may be silent; -1 is for ever. A request that waits
    /// for its answer is no silence.
    "connections.max.idle.ms" connections_max_idle_ms: i64 = 600_000, -1..=i64::MAX;

    /// The partitions of a topic that is created without a number of its own.
    "num.partitions" num_partitions: i32 = 1, 1..=i32::MAX;
    /// Whether a client's question about a missing topic may create it.
    "auto.create.topics.enable" auto_create_topics_enable: bool = true, false..=true;
    /// Whether topics may be deleted.
    "delete.topic.enable" delete_topic_enable: bool = true, false..=true;
    /// The bytes that each partition keeps, -1 for no limit. Kafka's default is -1; without
    /// a data directory records are in memory, so the default is finite.
    "log.retention.bytes" log_retention_bytes: i64 = 64 * 1024 * 1024, -1..=i64::MAX;
    /// The largest record batch, in bytes.
    "message.max.bytes" message_max_bytes: i32 = 1_048_588, 0..=i32::MAX;
    /// The most bytes of one fetch response, but for its first batch.
    "fetch.max.bytes" fetch_max_bytes: i32 = 57_671_680, 1_024..=i32::MAX;
    /// The most incremental fetch sessions (KIP-227).
    "max.incremental.fetch.session.cache.slots"
        max_incremental_fetch_session_cache_slots:
            i32 = 1_000, 0..=i32::MAX;

    /// The longest timeout, in milliseconds, that a transactional producer may ask for.
    "transaction.max.timeout.ms" transaction_max_timeout_ms: i32 = 900_000, 1..=i32::MAX;
    /// How long, in milliseconds, a transactional id without a transaction is remembered.
    "transactional.id.expiration.ms"
        transactional_id_expiration_ms:
            i32 = 604_800_000, 1..=i32::MAX;

    /// Shards, each an event loop of its own; 0 is one a core of the machine, or two, up to 64 in
    /// all, where nothing outlives the process.
    "takhin.shards" takhin_shards: u32 = 0, 0..=4_096;
    /// Events that a shard's mailbox holds; at that depth requests are refused as overload.
    "takhin.mailbox.capacity" takhin_mailbox_capacity: u32 = 16_384, 16..=1_048_576;
    /// The most groups of the node.
    "takhin.groups.max" takhin_groups_max: u32 = 1_000_000, 1..=u32::MAX;
    /// The most members of the node, over all groups.
    "takhin.members.max" takhin_members_max: u32 = 2_000_000, 1..=u32::MAX;
    /// The most offsets of the node, over all groups.
    "takhin.offsets.max" takhin_offsets_max: u64 = 20_000_000, 1..=u64::MAX;
    /// The most offsets of one group.
    "takhin.offsets.per.group.max" takhin_offsets_per_group_max: u32 = 1_000_000, 1..=u32::MAX;
    /// A commit of what is stored already, metadata included, is answered and not written again
    /// while what is stored is younger than so many milliseconds, or than the interval at which
    /// expired offsets are removed if that is shorter; 0 writes each commit, as Kafka does.
    /// Offsets that age from their commit expire so much later, never earlier. Consumers that
    /// have nothing to read commit the same offsets every five seconds. Without effect on a journal
    /// that promises a quorum: there only a write tells whether another machine has taken over.
    "takhin.offsets.refresh.ms" takhin_offsets_refresh_ms: i32 = 30_000, 0..=i32::MAX;
    /// The most transactional ids of the node; one more is refused until others expire.
    "takhin.transactional.ids.max" takhin_transactional_ids_max: u32 = 100_000, 1..=u32::MAX;
    /// The most requests of the node that wait for their answer at one time; at that number a
    /// connection that sends one more is closed. At half of it commits of one connection wait for
    /// each other.
    "takhin.requests.parked.max" takhin_requests_parked_max: u32 = 250_000, 1..=u32::MAX;
}

impl Config {
    /// A builder that starts from the defaults.
    pub fn builder() -> ConfigBuilder {
        ConfigBuilder::default()
    }

    /// Checks every range and how settings fit together.
    ///
    /// # Errors
    ///
    /// [`ConfigError::InvalidValue`] or [`ConfigError::Conflict`] for the first
    /// rule that is broken.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.check_ranges()?;
        if self.connections_max_idle_ms == 0 {
            return Err(ConfigError::InvalidValue {
                key: "connections.max.idle.ms",
                value: "0".to_owned(),
                reason: "must be at least 1, or -1 for no limit".to_owned(),
            });
        }
        // Kafka starts with these two crossed and then refuses every join.
        if self.group_min_session_timeout_ms > self.group_max_session_timeout_ms {
            return Err(ConfigError::Conflict {
                key: "group.min.session.timeout.ms",
                other: "group.max.session.timeout.ms",
                reason: format!(
                    "the minimum {} is above the maximum {}",
                    self.group_min_session_timeout_ms, self.group_max_session_timeout_ms
                ),
            });
        }
        Ok(())
    }
}

/// Fills a [`Config`], from typed setters or from names and texts; the later value of one
/// property counts.
#[derive(Clone, Debug, Default)]
pub struct ConfigBuilder {
    config: Config,
    ignored: Vec<String>,
}

impl ConfigBuilder {
    /// Sets the property of that name, as a line of `server.properties` would.
    ///
    /// # Errors
    ///
    /// [`ConfigError::UnknownKey`] for a name that neither Kafka nor this coordinator has,
    /// [`ConfigError::InvalidValue`] for a value of the wrong type or outside its bounds.
    pub fn set(mut self, key: &str, value: &str) -> Result<Self, ConfigError> {
        let Some(known) = key::find(key) else {
            return Err(ConfigError::UnknownKey {
                key: key.to_owned(),
                suggestion: key::nearest(key),
            });
        };
        match known.meaning {
            Meaning::Used => self.config.assign(known.name, value)?,
            Meaning::Accepted => {
                if let Some(reason) = known.kind.refusal(value) {
                    return Err(invalid(known.name, value, reason.to_owned()));
                }
                if !self.ignored.iter().any(|name| name == key) {
                    self.ignored.push(key.to_owned());
                }
            }
        }
        Ok(self)
    }

    /// The properties that were set and have no effect here, in the order of their first mention.
    pub fn ignored(&self) -> &[String] {
        &self.ignored
    }

    /// The checked configuration.
    ///
    /// # Errors
    ///
    /// As [`Config::validate`].
    pub fn build(self) -> Result<Config, ConfigError> {
        self.config.validate()?;
        Ok(self.config)
    }
}

/// A type that a setting can have.
trait Value: Copy + PartialOrd + fmt::Display {
    const KIND: Kind;
    fn read(text: &str) -> Option<Self>;
}

macro_rules! whole_number {
    ($($type:ty: $kind:ident),*) => {$(
        impl Value for $type {
            const KIND: Kind = Kind::$kind;

            fn read(text: &str) -> Option<Self> {
                text.parse().ok()
            }
        }
    )*};
}

whole_number!(i32: Int, u32: Long, i64: Long, u64: Long);

impl Value for bool {
    const KIND: Kind = Kind::Bool;

    fn read(text: &str) -> Option<Self> {
        key::parse_bool(text)
    }
}

fn parse<V: Value>(
    key: &'static str,
    text: &str,
    range: &RangeInclusive<V>,
) -> Result<V, ConfigError> {
    let Some(value) = V::read(text.trim()) else {
        let reason = match V::KIND.refusal(text) {
            Some(expected) => expected.to_owned(),
            None => between(range),
        };
        return Err(invalid(key, text, reason));
    };
    check(key, value, range)?;
    Ok(value)
}

fn check<V: Value>(
    key: &'static str,
    value: V,
    range: &RangeInclusive<V>,
) -> Result<(), ConfigError> {
    if range.contains(&value) {
        return Ok(());
    }
    Err(invalid(key, &value.to_string(), between(range)))
}

fn between<V: Value>(range: &RangeInclusive<V>) -> String {
    format!("must be between {} and {}", range.start(), range.end())
}

fn invalid(key: &'static str, value: &str, reason: String) -> ConfigError {
    ConfigError::InvalidValue {
        key,
        value: value.chars().take(VALUE_CHARS_MAX).collect(),
        reason,
    }
}

/// How much of a wrong value an error repeats.
const VALUE_CHARS_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(key: &str, value: &str) -> String {
        Config::builder().set(key, value).unwrap_err().to_string()
    }

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(Config::builder().build().unwrap(), Config::default());
    }

    #[test]
    fn a_config_written_as_properties_reads_back_the_same() {
        let config = Config::builder()
            .group_max_size(7)
            .auto_create_topics_enable(false)
            .log_retention_bytes(-1)
            .build()
            .unwrap();
        let mut builder = Config::builder();
        for (key, value) in config.properties() {
            builder = builder.set(key, &value).unwrap();
        }
        assert_eq!(builder.build().unwrap(), config);
    }

    #[test]
    fn numbers_and_booleans_are_read_as_kafka_reads_them() {
        let config = Config::builder()
            .set("group.max.size", " 3 ")
            .unwrap()
            .set("auto.create.topics.enable", "FALSE")
            .unwrap()
            .build()
            .unwrap();
        assert_eq!(config.group_max_size, 3);
        assert!(!config.auto_create_topics_enable);
    }

    #[test]
    fn a_value_of_the_wrong_type_says_what_it_must_be() {
        assert_eq!(
            error_of("group.max.size", "many"),
            "invalid value 'many' for 'group.max.size': must be a whole number of 32 bits"
        );
        assert_eq!(
            error_of("auto.create.topics.enable", "yes"),
            "invalid value 'yes' for 'auto.create.topics.enable': must be true or false"
        );
        assert_eq!(
            error_of("takhin.groups.max", "-1"),
            "invalid value '-1' for 'takhin.groups.max': must be between 1 and 4294967295"
        );
        assert!(error_of("group.max.size", "").contains("whole number"));
        assert!(error_of("group.max.size", "3000000000").contains("32 bits"));
        assert!(error_of("offsets.topic.replication.factor", "few").contains("whole number"));
    }

    #[test]
    fn a_value_outside_its_bounds_says_the_bounds() {
        assert_eq!(
            error_of("group.max.size", "0"),
            "invalid value '0' for 'group.max.size': must be between 1 and 2147483647"
        );
        assert!(error_of("fetch.max.bytes", "100").contains("between 1024 and"));
        let typed = Config::builder().group_max_size(0).build();
        assert!(matches!(typed, Err(ConfigError::InvalidValue { .. })));
    }

    #[test]
    fn a_minimum_above_its_maximum_is_a_conflict() {
        let error = Config::builder()
            .group_min_session_timeout_ms(10_000)
            .group_max_session_timeout_ms(9_999)
            .build()
            .unwrap_err();
        assert!(matches!(error, ConfigError::Conflict { .. }));
        assert!(
            error
                .to_string()
                .contains("10000 is above the maximum 9999")
        );
    }

    #[test]
    fn a_connection_cannot_be_idle_for_no_time_at_all() {
        assert!(
            Config::builder()
                .connections_max_idle_ms(0)
                .build()
                .is_err()
        );
        assert!(
            Config::builder()
                .connections_max_idle_ms(-1)
                .build()
                .is_ok()
        );
    }

    #[test]
    fn an_unknown_name_suggests_the_nearest() {
        assert_eq!(
            error_of("group.max.sise", "3"),
            "unknown property 'group.max.sise', did you mean 'group.max.size'?"
        );
        assert_eq!(error_of("nonsense", "3"), "unknown property 'nonsense'");
    }

    #[test]
    fn a_property_without_effect_is_taken_and_told() {
        let builder = Config::builder()
            .set("offsets.topic.replication.factor", "1")
            .unwrap()
            .set("offsets.topic.replication.factor", "3")
            .unwrap()
            .set("num.partitions", "2")
            .unwrap();
        assert_eq!(builder.ignored(), ["offsets.topic.replication.factor"]);
        assert_eq!(builder.build().unwrap().num_partitions, 2);
    }

    #[test]
    fn an_error_repeats_only_the_beginning_of_a_long_value() {
        assert!(error_of("group.max.size", &"x".repeat(1_000_000)).len() < 400);
    }
}
