//! Why a configuration was not taken.

use std::fmt;

/// What is wrong with a setting or with two that do not fit together.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ConfigError {
    /// No setting has this name, neither here nor in Kafka.
    UnknownKey {
        /// The name as it was given.
        key: String,
        /// The nearest known name, if one is near enough to be meant.
        suggestion: Option<&'static str>,
    },
    /// The setting exists, its value is not one that it can have.
    InvalidValue {
        /// The setting.
        key: &'static str,
        /// The value as it was given.
        value: String,
        /// What the value would have to be.
        reason: String,
    },
    /// Two settings, each of them valid, contradict each other.
    Conflict {
        /// The setting that is too large, or comes first.
        key: &'static str,
        /// The other setting.
        other: &'static str,
        /// The rule that they break.
        reason: String,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKey {
                key,
                suggestion: Some(near),
            } => write!(f, "unknown property '{key}', did you mean '{near}'?"),
            Self::UnknownKey {
                key,
                suggestion: None,
            } => write!(f, "unknown property '{key}'"),
            Self::InvalidValue { key, value, reason } => {
                write!(f, "invalid value '{value}' for '{key}': {reason}")
            }
            Self::Conflict { key, other, reason } => {
                write!(f, "'{key}' and '{other}' contradict each other: {reason}")
            }
        }
    }
}

impl std::error::Error for ConfigError {}
