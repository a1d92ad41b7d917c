//! The versions that the load speaks, and a question to the server whether it speaks them too.
//!
//! They are the same for all servers, so that all are asked for the same work. Each is the newest
//! that Apache Kafka 4.4, kfake and Tansu 0.6 all offer, but for `OffsetCommit` and `OffsetFetch`:
//! theirs is the last with topic names, which need no question for ids.

use takhin_coordinator::wire::ApiKey;
use takhin_coordinator::wire::messages::{ApiVersionsRequest, ApiVersionsResponse};

use super::socket::Socket;
use crate::failure::Failure;

pub(super) const OFFSET_COMMIT: i16 = 9;
pub(super) const OFFSET_FETCH: i16 = 9;
pub(super) const FIND_COORDINATOR: i16 = 4;
pub(super) const JOIN_GROUP: i16 = 9;
pub(super) const HEARTBEAT: i16 = 4;
pub(super) const LEAVE_GROUP: i16 = 5;
pub(super) const SYNC_GROUP: i16 = 5;
pub(super) const CREATE_TOPICS: i16 = 7;

/// All of them.
pub(crate) const SPOKEN: [(ApiKey, i16); 8] = [
    (ApiKey::OffsetCommit, OFFSET_COMMIT),
    (ApiKey::OffsetFetch, OFFSET_FETCH),
    (ApiKey::FindCoordinator, FIND_COORDINATOR),
    (ApiKey::JoinGroup, JOIN_GROUP),
    (ApiKey::Heartbeat, HEARTBEAT),
    (ApiKey::LeaveGroup, LEAVE_GROUP),
    (ApiKey::SyncGroup, SYNC_GROUP),
    (ApiKey::CreateTopics, CREATE_TOPICS),
];

/// Asks what the server offers; it is an error if that is not all of [`SPOKEN`].
pub(super) async fn refuse_older_servers(socket: &mut Socket) -> Result<(), Failure> {
    let request = ApiVersionsRequest::default();
    let reply = socket.ask(ApiKey::ApiVersions, 0, &request).await?;
    match missing(&reply.read()?).as_slice() {
        [] => Ok(()),
        missing => Err(Failure::new(format!(
            "the server does not offer {}",
            missing.join(", ")
        ))),
    }
}

fn missing(offered: &ApiVersionsResponse<'_>) -> Vec<String> {
    let is_offered = |api: ApiKey, version: i16| {
        offered.api_keys.iter().any(|it| {
            it.api_key == api.number() && (it.min_version..=it.max_version).contains(&version)
        })
    };
    let missing = SPOKEN.iter().filter(|(api, it)| !is_offered(*api, *it));
    missing.map(|(api, it)| format!("{api} {it}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_without_a_version_that_is_needed_is_told_apart() {
        let mut offered = ApiVersionsResponse::offered(0);
        assert_eq!(missing(&offered), Vec::<String>::new());
        for api in &mut offered.api_keys {
            if api.api_key == ApiKey::Heartbeat.number() {
                api.max_version = 3;
            }
        }
        assert_eq!(missing(&offered), ["Heartbeat 4"]);
    }
}
