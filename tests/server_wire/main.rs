//! The server over TCP: the real binary, asked by a small client that speaks our own codec.
#![cfg(feature = "server")]
#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test may fail it as the test itself"
)]

mod client;
mod node;
mod records;

mod admin;
mod heartbeats;
mod hostile;
mod many;
mod metadata;
mod produce_fetch;
mod transactions;
mod transactions_kept;
mod txn_offsets;
mod waiting;

#[path = "../wire/schema.rs"]
#[expect(dead_code, reason = "the tests of the codec need more of it")]
mod schema;
