//! `ApiVersions`: what is offered, also to clients that speak a version of the future.

use super::call::{Call, Head};
use crate::server::service::Handled;
use crate::wire::codec::{DecodeError, Message};
use crate::wire::messages::{ApiVersionsRequest, ApiVersionsResponse};
use crate::wire::{ApiKey, ErrorCode};

/// The answer to a version that is not served: in version 0, with the list (KIP-511).
pub(super) fn downgrade(correlation_id: i32, out: &mut Vec<u8>) -> Handled {
    let head = Head::new(ApiKey::ApiVersions, 0, correlation_id);
    head.write(
        &ApiVersionsResponse::offered(ErrorCode::UNSUPPORTED_VERSION.0),
        out,
    )
}

impl Call<'_> {
    pub(super) fn api_versions(&mut self) -> Result<Handled, DecodeError> {
        let version = self.header.version;
        let request = ApiVersionsRequest::decode(self.body, version)?;
        let names_its_software = is_software_name(request.client_software_name)
            && is_software_name(request.client_software_version);
        let code = if version >= 3 && !names_its_software {
            ErrorCode::INVALID_REQUEST
        } else {
            ErrorCode::NONE
        };
        if code == ErrorCode::NONE {
            return Ok(self.reply(&ApiVersionsResponse::offered(code.0)));
        }
        Ok(self.reply(&ApiVersionsResponse {
            error_code: code.0,
            ..Default::default()
        }))
    }
}

/// Letters and digits, between them also dots and dashes (KIP-511).
fn is_software_name(name: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-';
    let bytes = name.as_bytes();
    let ends_well = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    ends_well(bytes.first()) && ends_well(bytes.last()) && bytes.iter().copied().all(is_inner)
}
