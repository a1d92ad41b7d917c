//! The Kafka wire protocol.

pub mod api;
pub mod codec;
pub mod error_code;
pub mod frame;
pub mod header;
pub mod heartbeat;
pub mod messages;
mod schema;

pub use api::{Api, ApiKey};
pub use codec::{DecodeError, EncodeError, Message, Reader, Writer};
pub use error_code::ErrorCode;
pub use frame::FrameError;
pub use header::{HeaderError, RequestHeader, ResponseHeader};

pub(crate) use schema::schema;
