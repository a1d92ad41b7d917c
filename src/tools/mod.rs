//! Offline tools: what lies in a data directory, and how it comes out of there and in.
//!
//! ```text
//!   DIR --inspect--> every record of the log, and the damage, as JSON lines
//!   DIR --export---> all groups and offsets as JSON lines --import--> DIR
//!   segment files of Kafka's __consumer_offsets ------------import--> DIR
//! ```
//!
//! `DIR` is a data directory, whose journal is in `DIR/groups`, or the journal's own.
//! [`inspect`](inspect()) and [`export`](export()) change nothing in it. [`import`](import()) reads
//! all of its input before it writes anything, so that what is refused has changed nothing; a
//! directory without a journal gets one whole or not at all.
//!
//! The facts that come out are those of [`Groups::apply`](crate::group::Groups::apply), and the
//! records that go in are read back and compared first: what a line says and the journal cannot
//! hold is refused, so that an export that is imported is the same again.

mod counts;
mod error;
mod export;
mod import;
mod inspect;
mod kafka_log;
mod lines;
mod object;
mod place;

pub use counts::Counts;
pub use error::ToolError;
pub use export::{Exported, export};
pub use import::{ImportOptions, import, read_lines};
pub use inspect::{Inspected, inspect};
pub(crate) use kafka_log::BatchWriter;
pub use kafka_log::{KafkaLog, read_kafka_log};
