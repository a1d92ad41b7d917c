//! The standalone server: listeners, connections, the admin endpoint and the command line.
//!
//! ```text
//!  TcpListener --accept--> connection task --one read--> frames --> Service::call
//!                              ^    one write a burst  <-- answers --'
//! ```
//!
//! What this room promises:
//! - requests of one connection are carried out one after the other and answered in their order;
//!   while one waits for its answer (a join), nothing more of that connection is read, and no other
//!   connection notices; commits that follow each other share the syncs of the journal;
//! - what one read brought is answered with one write;
//! - of those that rebalance a few are served before all others have their turn ([`lane`]);
//! - frames, connections, waiting requests, silence and unread answers have limits, each counted
//!   when it bites;
//! - a stop releases what waits, answers what runs and ends in bounded time.
//!
//! What the requests mean is not known here: that is the [`Service`].

mod admin;
mod api;
mod cli;
mod connection;
mod data;
mod dispatch;
mod frames;
mod input;
mod lane;
mod listener;
mod offline;
mod process;
mod service;
mod waiting;

#[cfg(test)]
mod connection_tests;
#[cfg(test)]
mod listener_tests;
#[cfg(test)]
mod testing;

pub use dispatch::{Broker, OffsetsTopic, Remembered};
pub use listener::Server;
pub use process::main;
pub use service::{Answer, Handled, Peer, Service};
