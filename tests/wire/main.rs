//! The codec against Kafka's own layouts, against another codec, and against garbage.
#![expect(
    elided_lifetimes_in_paths,
    reason = "one macro names messages with and without text"
)]

mod framing;
mod hostile;
mod known;
mod layout;
mod oracle;
mod schema;
