//! The Kafka wire protocol: our own codec, borrowed and bounded.
//!
//! Promises:
//! - Reading never panics and never trusts a length: each count and size is checked against the
//!   bytes that remain before memory is reserved ([`codec`] has the figures). Text and bytes are
//!   borrowed from the frame.
//! - What is not the protocol is a typed error: [`FrameError`], [`HeaderError`], [`DecodeError`].
//! - Writing appends to the connection's one buffer; a message that cannot be sent leaves it as it
//!   was ([`frame::append_response`]).
//! - Both directions of every message, so that clients, load generators and tests can use it too.
//! - Bytes behind a body and tagged fields that nobody knows are ignored, as Kafka ignores them. A
//!   string that is not UTF-8 is an error, where Kafka replaces what it cannot read.
//!
//! ```text
//!            +--------+--------+---------+----------------+-----------+--------+ +------+
//! request    | length | key    | version | correlation id | client id | [tags] | | body |
//!            | i32    | i16    | i16     | i32            | string?   | (v2)   | |      |
//!            +--------+--------+---------+----------------+-----------+--------+ +------+
//!            +--------+----------------+--------+ +------+
//! response   | length | correlation id | [tags] | | body |     tags: in flexible versions; in
//!            | i32    | i32            | (v1)   | |      |     the response to ApiVersions never
//!            +--------+----------------+--------+ +------+
//!
//! bytes --frame::split--> content --RequestHeader::decode--> header, body
//!       --XRequest::decode(body, version)--> what is asked
//! what is answered --frame::append_response--> bytes
//! ```
//!
//! Why not the crate `kafka-protocol`: a hostile count makes it ask for more memory than there
//! is, which ends the process; it stops at Kafka 4.1; and it copies, which costs it two to three
//! times the time. It stays the tests' second opinion (`tests/wire`), beside the layouts of Kafka
//! 4.4.0 as data.
//!
//! To add an API: a file in `messages/` with its table of fields (the private macro `schema!` has
//! the rules), a row in [`api`], its layout in `tests/wire`. To add a version: the ranges in its
//! file, the row, the layout. Stored records are tables of the same macro, with versions of their
//! own.

pub mod api;
pub mod codec;
pub mod error_code;
pub mod fetched;
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
