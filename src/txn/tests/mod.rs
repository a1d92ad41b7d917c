//! The coordinator of transactions, in its parts.

mod front;
mod log;
mod machine;
mod sample;
