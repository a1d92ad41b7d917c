//! Ours and its peers side by side: the same loads by the same generator in the same run.
//!
//! ```text
//!   rounds, so that what the machine does meanwhile meets everybody
//!     peers, in another order each round
//!       start afresh -> first answer -> idle memory -> ten thousand groups' memory -> stop
//!       start afresh -> closed loads, open loads, ten thousand groups, a crowd     -> stop
//!   medians of the rounds -> table, goals (table), plots, rounds as JSON
//! ```
//!
//! A load that a peer cannot do within its bound is a sentence in the table instead of a figure,
//! and the rest goes on.

mod figures;
mod goals;
mod loads;
mod peer;
mod plots;
mod run;
mod suite;
mod table;

pub(crate) use loads::load_names;
pub(crate) use peer::Peer;
pub(crate) use run::run;
