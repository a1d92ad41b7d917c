//! What stands before a body: who asks for what, and which answer belongs to which question.

use std::fmt;

use super::api::ApiKey;
use super::codec::{DecodeError, Reader, Writer};

/// The header of a request, versions 1 and 2.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RequestHeader<'a> {
    /// What is asked for.
    pub api: ApiKey,
    /// In which version.
    pub version: i16,
    /// The number that the answer repeats.
    pub correlation_id: i32,
    /// What the client calls itself.
    pub client_id: Option<&'a str>,
}

/// Why a frame is not a request that is served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum HeaderError {
    /// The bytes are no header.
    Malformed(DecodeError),
    /// The API is not known or not offered. Kafka closes the connection.
    UnknownApi {
        /// The key that was sent.
        key: i16,
        /// The version that was sent.
        version: i16,
    },
    /// The version is not served. Kafka closes the connection, except that `ApiVersions` is
    /// answered in version 0 with `UNSUPPORTED_VERSION` and the list (KIP-511).
    UnsupportedVersion {
        /// What was asked for.
        api: ApiKey,
        /// The version that was sent.
        version: i16,
        /// The number that an answer repeats.
        correlation_id: i32,
    },
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(error) => write!(f, "malformed request header: {error}"),
            Self::UnknownApi { key, version } => {
                write!(f, "API key {key} (version {version}) is not offered")
            }
            Self::UnsupportedVersion { api, version, .. } => {
                write!(f, "version {version} of {api} is not served")
            }
        }
    }
}

impl std::error::Error for HeaderError {}

impl From<DecodeError> for HeaderError {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(error)
    }
}

impl<'a> RequestHeader<'a> {
    /// Reads the header of a frame and answers with the body behind it.
    ///
    /// # Errors
    ///
    /// Where the bytes are no header, or the API or its version is not served.
    pub fn decode(frame: &'a [u8]) -> Result<(Self, &'a [u8]), HeaderError> {
        let mut reader = Reader::new(frame);
        let (key, version, correlation_id) = (reader.i16()?, reader.i16()?, reader.i32()?);
        let Some(api) = ApiKey::from_key(key).filter(|api| api.api().offered) else {
            return Err(HeaderError::UnknownApi { key, version });
        };
        if !api.api().serves(version) {
            return Err(HeaderError::UnsupportedVersion {
                api,
                version,
                correlation_id,
            });
        }
        // The client id keeps its classic form in flexible headers (KIP-482).
        let client_id = reader.string(false)?;
        if api.is_flexible(version) {
            reader.skip_tagged_fields()?;
        }
        Ok((
            Self {
                api,
                version,
                correlation_id,
                client_id,
            },
            reader.rest(),
        ))
    }

    /// Appends the header, as a client does.
    pub fn encode(&self, writer: &mut Writer<'_>) {
        writer.i16(self.api.number());
        writer.i16(self.version);
        writer.i32(self.correlation_id);
        writer.string(self.client_id, false);
        if self.api.is_flexible(self.version) {
            writer.uvarint(0);
        }
    }
}

/// The header of a response, versions 0 and 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ResponseHeader {
    /// The number of the request that this answers.
    pub correlation_id: i32,
}

impl ResponseHeader {
    /// Reads the header of a frame that answers a request of `api` in `version`, as a client
    /// does, and answers with the body behind it.
    ///
    /// # Errors
    ///
    /// Where the bytes are no header.
    pub fn decode(frame: &[u8], api: ApiKey, version: i16) -> Result<(Self, &[u8]), DecodeError> {
        let mut reader = Reader::new(frame);
        let correlation_id = reader.i32()?;
        if api.has_flexible_response_header(version) {
            reader.skip_tagged_fields()?;
        }
        Ok((Self { correlation_id }, reader.rest()))
    }

    /// Appends the header.
    #[inline]
    pub fn encode(self, writer: &mut Writer<'_>, api: ApiKey, version: i16) {
        writer.i32(self.correlation_id);
        if api.has_flexible_response_header(version) {
            writer.uvarint(0);
        }
    }
}
