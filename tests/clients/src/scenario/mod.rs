//! The scenarios, one a file; none knows which client it runs.

mod admin;
mod basic;
mod check;
mod join_leave;
mod kill;
mod server_killed;
mod static_restart;
mod transform;

pub use admin::admin;
pub use basic::basic;
pub use join_leave::join_leave;
pub use kill::kill;
pub use server_killed::server_killed;
pub use static_restart::static_restart;
pub use transform::transform;
