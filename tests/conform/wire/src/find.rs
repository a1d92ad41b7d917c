//! Finding coordinators.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use kafka_protocol::messages::FindCoordinatorRequest;
use kafka_protocol::protocol::StrBytes;
use tokio::time::{Instant, sleep};

use crate::conn::Conn;
use crate::error::{WireError, code};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coordinator {
    pub node_id: i32,
    pub host: String,
    pub port: i32,
}

/// Key type of FindCoordinator for groups.
pub const GROUP_KEY: i8 = 0;

const FIND_BATCH: usize = 200;
const FIND_PAUSE: Duration = Duration::from_millis(100);

/// The coordinators of `keys`, in their order. Asks again, until `deadline`, for those
/// whose coordinator isn't available yet.
pub async fn find_coordinators(
    conn: &Conn,
    keys: &[StrBytes],
    key_type: i8,
    deadline: Instant,
) -> Result<Vec<Coordinator>, WireError> {
    let version = conn.versions().need::<FindCoordinatorRequest>()?;
    let mut found: Vec<Option<Coordinator>> = vec![None; keys.len()];
    let mut missing: Vec<usize> = (0..keys.len()).collect();
    loop {
        // From version 4 on a request names many keys; before that, one.
        let batch = if version >= 4 { FIND_BATCH } else { 1 };
        let answers: Vec<_> = stream::iter(missing.chunks(batch))
            .map(|chunk| find_once(conn, version, keys, chunk, key_type))
            .buffer_unordered(16)
            .collect()
            .await;
        let mut away = None;
        let mut still_missing = Vec::new();
        for answer in answers {
            for (index, result) in answer? {
                match result {
                    Ok(coordinator) => found[index] = Some(coordinator),
                    Err(code) if code::coordinator_is_away(code) => {
                        away = Some(code);
                        still_missing.push(index);
                    }
                    Err(code) => {
                        return Err(WireError::Server {
                            what: format!("FindCoordinator v{version} for '{}'", keys[index]),
                            code,
                        });
                    }
                }
            }
        }
        let Some(code) = away else { break };
        if Instant::now() + FIND_PAUSE >= deadline {
            return Err(WireError::Server {
                what: format!(
                    "FindCoordinator v{version}: {} of {} keys still without a coordinator",
                    still_missing.len(),
                    keys.len()
                ),
                code,
            });
        }
        missing = still_missing;
        sleep(FIND_PAUSE).await;
    }
    Ok(found
        .into_iter()
        .map(|c| c.expect("the loop ends when all are found"))
        .collect())
}

async fn find_once(
    conn: &Conn,
    version: i16,
    keys: &[StrBytes],
    wanted: &[usize],
    key_type: i8,
) -> Result<Vec<(usize, Result<Coordinator, i16>)>, WireError> {
    let mut request = FindCoordinatorRequest::default();
    if version >= 1 {
        request.key_type = key_type;
    }
    if version >= 4 {
        request.coordinator_keys = wanted.iter().map(|&i| keys[i].clone()).collect();
    } else {
        request.key = keys[wanted[0]].clone();
    }
    let response = conn.call(&request, version).await?;
    if version < 4 {
        let result = match response.error_code {
            0 => Ok(Coordinator {
                node_id: response.node_id.0,
                host: response.host.to_string(),
                port: response.port,
            }),
            code => Err(code),
        };
        return Ok(vec![(wanted[0], result)]);
    }
    let by_key: HashMap<_, _> = response.coordinators.iter().map(|c| (&c.key, c)).collect();
    wanted
        .iter()
        .map(|&index| {
            let answer = by_key.get(&keys[index]).ok_or_else(|| WireError::Decode {
                what: format!("the response to FindCoordinator v{version}"),
                cause: format!("it has no entry for '{}'", keys[index]),
            })?;
            let result = match answer.error_code {
                0 => Ok(Coordinator {
                    node_id: answer.node_id.0,
                    host: answer.host.to_string(),
                    port: answer.port,
                }),
                code => Err(code),
            };
            Ok((index, result))
        })
        .collect()
}
