//! The data plane through its front.

pub(in crate::topics) mod sample;

mod configs;
mod fetch;
mod offsets;
mod produce;
mod producers;
mod registry;
mod retention;
mod sessions;
mod transactions;
mod waiting;
