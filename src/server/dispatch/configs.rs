//! `DescribeConfigs` and `IncrementalAlterConfigs`.
//!
//! Topics have settings of their own. Those of the broker are shown and stay as the process was
//! started with; groups, loggers and client metrics have none.

use std::collections::{BTreeMap, BTreeSet};

use super::call::Call;
use super::topic_admin::{DEFAULT_CONFIG, config_source, spoil};
use super::topic_errors::Refused;
use super::{Broker, NODE_ID};
use crate::config::{self, Config};
use crate::ids::TopicName;
use crate::server::service::Handled;
use crate::topics::{ConfigChange, ConfigEntry, ConfigKind, ConfigOp, TopicKey};
use crate::wire::ErrorCode;
use crate::wire::codec::{DecodeError, Message};
use crate::wire::messages::{
    AlterConfigsResource, AlterConfigsResourceResponse, AlterableConfig, DescribeConfigsEntry,
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResponse,
    DescribeConfigsResult, DescribeConfigsSynonym, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
};

impl Call<'_> {
    pub(super) fn describe_configs(&mut self) -> Result<Handled, DecodeError> {
        let request = DescribeConfigsRequest::decode(self.body, self.header.version)?;
        if self.names_too_many(request.resources.len()) {
            return Ok(Handled::Close);
        }
        // Each resource once: the answer is many times as long as the question.
        let mut seen = BTreeSet::new();
        let resources = request.resources.iter();
        let resources: Vec<&DescribeConfigsResource<'_>> = resources
            .filter(|resource| seen.insert((resource.resource_type, resource.resource_name)))
            .collect();
        let described: Vec<Result<Vec<Setting>, Refused>> = resources
            .iter()
            .map(|resource| describe(self.broker, resource))
            .collect();
        let results = resources.iter().zip(&described);
        let results = results.map(|(resource, described)| DescribeConfigsResult {
            error_code: described.as_ref().err().map_or(0, |refused| refused.code.0),
            error_message: described.as_ref().err().map(|refused| &refused.message[..]),
            resource_type: resource.resource_type,
            resource_name: resource.resource_name,
            configs: described
                .iter()
                .flatten()
                .map(|setting| setting.tell(request.include_synonyms))
                .collect(),
        });
        Ok(self.reply(&DescribeConfigsResponse {
            results: results.collect(),
            ..Default::default()
        }))
    }

    pub(super) fn incremental_alter_configs(&mut self) -> Result<Handled, DecodeError> {
        let request = IncrementalAlterConfigsRequest::decode(self.body, self.header.version)?;
        if self.names_too_many(request.resources.len()) {
            return Ok(Handled::Close);
        }
        let mut times: BTreeMap<(i8, &str), usize> = BTreeMap::new();
        for resource in &request.resources {
            let key = (resource.resource_type, resource.resource_name);
            *times.entry(key).or_default() += 1;
        }
        let mut altered = Vec::new();
        for resource in &request.resources {
            let key = (resource.resource_type, resource.resource_name);
            let outcome = match times.remove(&key) {
                Some(1) => alter(self.broker, resource, request.validate_only),
                Some(_) => Err(invalid("Each resource must appear at most once.")),
                // Told already.
                None => continue,
            };
            altered.push((key.0, key.1.to_owned(), outcome));
        }
        Ok(self.when_synced(move |synced, head, out| {
            for (_, _, outcome) in &mut altered {
                spoil(outcome, &synced);
            }
            let responses =
                altered
                    .iter()
                    .map(|(kind, name, outcome)| AlterConfigsResourceResponse {
                        error_code: outcome.as_ref().err().map_or(0, |refused| refused.code.0),
                        error_message: outcome.as_ref().err().map(|refused| &refused.message[..]),
                        resource_type: *kind,
                        resource_name: name,
                    });
            let response = IncrementalAlterConfigsResponse {
                responses: responses.collect(),
                ..Default::default()
            };
            head.write(&response, out)
        }))
    }
}

/// A key with its value in force.
#[derive(Debug)]
struct Setting {
    name: &'static str,
    value: String,
    default: String,
    source: i8,
    kind: i8,
    read_only: bool,
}

impl Setting {
    fn of_topic(entry: ConfigEntry) -> Self {
        Self {
            name: entry.name,
            source: config_source(&entry),
            kind: match entry.kind {
                ConfigKind::Boolean => BOOLEAN,
                ConfigKind::String => STRING,
                ConfigKind::Int => INT,
                ConfigKind::Long => LONG,
                ConfigKind::Double => DOUBLE,
                ConfigKind::List => LIST,
            },
            value: entry.value,
            default: entry.default,
            read_only: false,
        }
    }

    fn tell(&self, with_synonyms: bool) -> DescribeConfigsEntry<'_> {
        let mut synonyms = Vec::new();
        if with_synonyms {
            // All places that give a value, the one in force first (KIP-226).
            if self.source != DEFAULT_CONFIG {
                synonyms.push(DescribeConfigsSynonym {
                    name: self.name,
                    value: Some(&self.value),
                    source: self.source,
                });
            }
            synonyms.push(DescribeConfigsSynonym {
                name: self.name,
                value: Some(&self.default),
                source: DEFAULT_CONFIG,
            });
        }
        DescribeConfigsEntry {
            name: self.name,
            value: Some(&self.value),
            read_only: self.read_only,
            config_source: self.source,
            is_sensitive: false,
            synonyms,
            config_type: self.kind,
            documentation: None,
        }
    }
}

fn describe(
    broker: &Broker,
    resource: &DescribeConfigsResource<'_>,
) -> Result<Vec<Setting>, Refused> {
    let name = resource.resource_name;
    let mut settings = match resource.resource_type {
        TOPIC => {
            let key = TopicKey::Name(TopicName::from(name));
            let entries = broker.topics.describe_configs(&key)?;
            entries.into_iter().map(Setting::of_topic).collect()
        }
        // Without a name they are the defaults that all brokers share, and none is set.
        BROKER if name.is_empty() => Vec::new(),
        BROKER => {
            check_broker(name)?;
            of_broker(&broker.config)
        }
        BROKER_LOGGER => {
            check_broker(name)?;
            Vec::new()
        }
        CLIENT_METRICS | GROUP if name.is_empty() => {
            return Err(invalid("The resource name must not be empty."));
        }
        CLIENT_METRICS | GROUP => Vec::new(),
        other => return Err(unsupported(other)),
    };
    // As in Kafka an empty list asks for all, too.
    if let Some(keys) = resource
        .configuration_keys
        .as_deref()
        .filter(|keys| !keys.is_empty())
    {
        settings.retain(|setting| keys.contains(&setting.name));
    }
    Ok(settings)
}

/// The properties of the process.
fn of_broker(config: &Config) -> Vec<Setting> {
    let kinds: BTreeMap<&str, config::Kind> =
        config::keys().map(|key| (key.name, key.kind)).collect();
    let defaults = Config::default().properties();
    let in_force = config.properties();
    let both = in_force.into_iter().zip(defaults);
    both.map(|((name, value), (_, default))| Setting {
        name,
        source: if value == default {
            DEFAULT_CONFIG
        } else {
            STATIC_BROKER_CONFIG
        },
        kind: match kinds.get(name) {
            None => UNKNOWN,
            Some(config::Kind::Bool) => BOOLEAN,
            Some(config::Kind::Int) => INT,
            Some(config::Kind::Long) => LONG,
            Some(config::Kind::Double) => DOUBLE,
            Some(config::Kind::List) => LIST,
            Some(config::Kind::Text) => STRING,
        },
        value,
        default,
        read_only: true,
    })
    .collect()
}

fn alter(
    broker: &Broker,
    resource: &AlterConfigsResource<'_>,
    validate_only: bool,
) -> Result<(), Refused> {
    match resource.resource_type {
        TOPIC => {
            let changes: Result<Vec<ConfigChange>, Refused> =
                resource.configs.iter().map(change).collect();
            let key = TopicKey::Name(TopicName::from(resource.resource_name));
            broker
                .topics
                .alter_configs(&key, &changes?, validate_only)?;
            Ok(())
        }
        BROKER | BROKER_LOGGER => Err(invalid(
            "The configuration of this broker is that of its start and cannot be altered.",
        )),
        CLIENT_METRICS | GROUP => Err(invalid(
            "Groups and client metrics have no configuration of their own here.",
        )),
        other => Err(unsupported(other)),
    }
}

fn change(config: &AlterableConfig<'_>) -> Result<ConfigChange, Refused> {
    let op = match config.config_operation {
        0 => ConfigOp::Set,
        1 => ConfigOp::Delete,
        2 => ConfigOp::Append,
        3 => ConfigOp::Subtract,
        other => return Err(invalid(format!("Unknown operation type {other}."))),
    };
    Ok(ConfigChange {
        name: config.name.to_owned(),
        op,
        value: config.value.map(str::to_owned),
    })
}

/// Whether that is the one broker.
fn check_broker(name: &str) -> Result<(), Refused> {
    let shown: String = name.chars().take(100).collect();
    match name.parse::<i32>() {
        // Of several spellings of the number one counts, so that each resource has one name.
        Ok(NODE_ID) if name == NODE_ID.to_string() => Ok(()),
        Ok(_) => Err(invalid(format!(
            "Unexpected broker id, expected {NODE_ID}, but received {shown}"
        ))),
        Err(_) => Err(invalid(format!(
            "Broker id must be an integer, but it is: {shown}"
        ))),
    }
}

fn unsupported(resource_type: i8) -> Refused {
    invalid(format!("Unsupported resource type {resource_type}."))
}

fn invalid(message: impl Into<String>) -> Refused {
    Refused::new(ErrorCode::INVALID_REQUEST, message)
}

// The types of resources.
const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const BROKER_LOGGER: i8 = 8;
const CLIENT_METRICS: i8 = 16;
const GROUP: i8 = 32;

/// The process was started with it.
const STATIC_BROKER_CONFIG: i8 = 4;

// The types of values (KIP-569).
const UNKNOWN: i8 = 0;
const BOOLEAN: i8 = 1;
const STRING: i8 = 2;
const INT: i8 = 3;
const LONG: i8 = 5;
const DOUBLE: i8 = 6;
const LIST: i8 = 7;
