//! The bodies of requests and responses, a file an API, each readable as its specification.

mod api_versions;
mod delete_groups;
mod describe_groups;
mod find_coordinator;
mod heartbeat;
mod join_group;
mod leave_group;
mod list_groups;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod sync_group;

pub use api_versions::*;
pub use delete_groups::*;
pub use describe_groups::*;
pub use find_coordinator::*;
pub use heartbeat::*;
pub use join_group::*;
pub use leave_group::*;
pub use list_groups::*;
pub use offset_commit::*;
pub use offset_delete::*;
pub use offset_fetch::*;
pub use sync_group::*;
