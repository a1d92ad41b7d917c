//! `FindCoordinator`: always here.

use super::NODE_ID;
use super::call::Call;
use crate::server::service::Handled;
use crate::wire::ErrorCode;
use crate::wire::codec::{DecodeError, Message};
use crate::wire::messages::{Coordinator, FindCoordinatorRequest, FindCoordinatorResponse};

/// The kinds of keys.
const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
const SHARE: i8 = 2;

impl Call<'_> {
    pub(super) fn find_coordinator(&mut self) -> Result<Handled, DecodeError> {
        let version = self.header.version;
        let request = FindCoordinatorRequest::decode(self.body, version)?;
        // Share groups (type 2) are not offered: what Kafka says when they are switched off.
        let code = match request.key_type {
            GROUP | TRANSACTION => ErrorCode::NONE,
            _ => ErrorCode::INVALID_REQUEST,
        };
        // Kafka words the error only for a type that it has never heard of.
        let is_known = matches!(request.key_type, GROUP | TRANSACTION | SHARE);
        let (host, port) = self.broker.address(self.connection);
        let (node_id, host, port) = match code {
            ErrorCode::NONE => (NODE_ID, host.as_str(), port),
            _ => (-1, "", -1),
        };
        let response = if version <= 3 {
            let message = if code == ErrorCode::NONE {
                "NONE"
            } else {
                code.message()
            };
            FindCoordinatorResponse {
                error_code: code.0,
                error_message: Some(message),
                node_id,
                host,
                port,
                ..Default::default()
            }
        } else {
            let coordinators = request.coordinator_keys.iter().map(|key| Coordinator {
                key,
                node_id,
                host,
                port,
                error_code: code.0,
                error_message: Some(if is_known { "" } else { code.message() }),
            });
            FindCoordinatorResponse {
                coordinators: coordinators.collect(),
                ..Default::default()
            }
        };
        Ok(self.reply(&response))
    }
}
