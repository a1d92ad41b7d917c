//! A small asynchronous client for the Apache Kafka wire protocol.
//!
//! There are two handles on a connection:
//!
//! * [`Socket`] belongs to one task. It negotiates versions, makes one call at a time,
//!   and sends raw bytes or frames, well-formed or not.
//! * [`Conn`] is shared by any number of tasks. Calls made at the same time are pipelined:
//!   one driver task writes all requests that have gathered in a single write and hands
//!   each reply to its caller by correlation id.
//!
//! Every wait is bounded: connecting by [`Options::connect_timeout`], a call by
//! [`Options::call_timeout`] or by the limit given to it.

mod conn;
mod error;
mod find;
mod frame;
mod options;
mod socket;
mod topics;

pub use conn::{Conn, Reply};
pub use error::{WireError, code, error_name};
pub use find::{Coordinator, GROUP_KEY, find_coordinators};
pub use frame::{CORRELATION_AT, decode_reply, encode_frame};
pub use options::{Anomalies, Options, Versions, api_name};
pub use socket::Socket;
pub use topics::{Topic, ensure_topic, metadata};
