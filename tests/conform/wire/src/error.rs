//! What can go wrong on the side of the client, and the names of the server's error codes.

use std::fmt;
use std::time::Duration;

use kafka_protocol::ResponseError;

/// What can go wrong on the client's side of a call. An error code within a response is
/// not one of these, unless the helper that made the call can't go on ([`WireError::Server`]).
#[derive(Debug, Clone)]
pub enum WireError {
    Connect { addr: String, cause: String },
    Closed { peer: String, cause: String },
    Timeout { what: String, after: Duration },
    Unsupported { what: String },
    Encode { what: String, cause: String },
    Decode { what: String, cause: String },
    Server { what: String, code: i16 },
}

impl WireError {
    /// The name under which such errors are counted, beside the server's error codes.
    pub fn name(&self) -> String {
        match self {
            Self::Connect { .. } => "CLIENT_CONNECT_FAILED".into(),
            Self::Closed { .. } => "CLIENT_CONNECTION_CLOSED".into(),
            Self::Timeout { .. } => "CLIENT_TIMEOUT".into(),
            Self::Unsupported { .. } => "CLIENT_UNSUPPORTED".into(),
            Self::Encode { .. } => "CLIENT_ENCODE_FAILED".into(),
            Self::Decode { .. } => "CLIENT_DECODE_FAILED".into(),
            Self::Server { code, .. } => error_name(*code),
        }
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect { addr, cause } => write!(f, "can't connect to {addr}: {cause}"),
            Self::Closed { peer, cause } => write!(f, "connection to {peer} is closed: {cause}"),
            Self::Timeout { what, after } => {
                write!(f, "{what}: no reply within {:.1} s", after.as_secs_f64())
            }
            Self::Unsupported { what } => write!(f, "the server doesn't offer {what}"),
            Self::Encode { what, cause } => write!(f, "can't encode {what}: {cause}"),
            Self::Decode { what, cause } => write!(f, "can't decode {what}: {cause}"),
            Self::Server { what, code } => write!(f, "{what}: {}", error_name(*code)),
        }
    }
}

impl std::error::Error for WireError {}

/// Kafka's name of an error code, such as `REBALANCE_IN_PROGRESS`; `NONE` for 0.
pub fn error_name(code: i16) -> String {
    match ResponseError::try_from_code(code) {
        None => "NONE".into(),
        Some(ResponseError::Unknown(code)) => format!("UNKNOWN_CODE_{code}"),
        Some(error) => {
            let camel = error.to_string();
            let mut name = String::with_capacity(camel.len() + 8);
            for c in camel.chars() {
                if c.is_ascii_uppercase() && !name.is_empty() {
                    name.push('_');
                }
                name.push(c.to_ascii_uppercase());
            }
            name
        }
    }
}

/// The error codes that the code of this package names.
pub mod code {
    pub const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
    pub const LEADER_NOT_AVAILABLE: i16 = 5;
    pub const REQUEST_TIMED_OUT: i16 = 7;
    pub const COORDINATOR_LOAD_IN_PROGRESS: i16 = 14;
    pub const COORDINATOR_NOT_AVAILABLE: i16 = 15;
    pub const NOT_COORDINATOR: i16 = 16;
    pub const ILLEGAL_GENERATION: i16 = 22;
    pub const UNKNOWN_MEMBER_ID: i16 = 25;
    pub const REBALANCE_IN_PROGRESS: i16 = 27;
    pub const UNSUPPORTED_VERSION: i16 = 35;
    pub const TOPIC_ALREADY_EXISTS: i16 = 36;
    pub const INVALID_REPLICATION_FACTOR: i16 = 38;
    pub const MEMBER_ID_REQUIRED: i16 = 79;
    pub const GROUP_ID_NOT_FOUND: i16 = 69;

    /// Whether a group request so answered may simply be sent again a little later.
    pub fn coordinator_is_away(code: i16) -> bool {
        matches!(
            code,
            REQUEST_TIMED_OUT
                | COORDINATOR_LOAD_IN_PROGRESS
                | COORDINATOR_NOT_AVAILABLE
                | NOT_COORDINATOR
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_names_are_kafkas() {
        assert_eq!(error_name(0), "NONE");
        assert_eq!(error_name(27), "REBALANCE_IN_PROGRESS");
        assert_eq!(error_name(-1), "UNKNOWN_SERVER_ERROR");
        assert_eq!(error_name(4711), "UNKNOWN_CODE_4711");
    }
}
