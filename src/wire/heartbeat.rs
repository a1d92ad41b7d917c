//! The heartbeat's reply, whose bytes are known before the request comes.
//!
//! The request needs no path of its own: what [`schema`](crate::wire) makes of it is borrowed,
//! without a loop or an allocation. The reply is one fixed array with two numbers put in.

use super::codec::{DecodeError, Message};
use super::error_code::ErrorCode;
use super::messages::HeartbeatRequest;

/// Reads the body of a heartbeat.
///
/// # Errors
///
/// Where the version is not known or the bytes are no heartbeat.
#[inline]
pub fn decode(body: &[u8], version: i16) -> Result<HeartbeatRequest<'_>, DecodeError> {
    HeartbeatRequest::decode(body, version)
}

/// Appends the whole reply to a heartbeat: length, header, body, with no throttling.
///
/// `version` is one that the request was read in, 0 to 4.
#[inline]
pub fn append_reply(out: &mut Vec<u8>, correlation_id: i32, version: i16, code: ErrorCode) {
    let [c0, c1, c2, c3] = correlation_id.to_be_bytes();
    let [e0, e1] = code.0.to_be_bytes();
    match version {
        // Length, correlation id, error code.
        ..=0 => out.extend_from_slice(&[0, 0, 0, 6, c0, c1, c2, c3, e0, e1]),
        // The same with the throttle time before the error code.
        1..=3 => out.extend_from_slice(&[0, 0, 0, 10, c0, c1, c2, c3, 0, 0, 0, 0, e0, e1]),
        // The same with empty tagged fields after the header and after the body.
        4.. => out.extend_from_slice(&[0, 0, 0, 12, c0, c1, c2, c3, 0, 0, 0, 0, 0, e0, e1, 0]),
    }
}
