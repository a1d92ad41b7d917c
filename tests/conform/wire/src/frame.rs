//! Frames: what goes over the wire, as bytes.

use kafka_protocol::messages::ResponseHeader;
use kafka_protocol::protocol::buf::ByteBuf;
use kafka_protocol::protocol::{Decodable, HeaderVersion, Request};

use crate::error::WireError;
use crate::options::{Anomalies, api_name, count};

/// Where the correlation id lies in a frame made by [`encode_frame`]: after the length (4),
/// the API key (2) and the version (2). Whoever keeps an encoded frame may patch it there.
pub const CORRELATION_AT: usize = 8;

/// Appends a whole request frame (length, header, body) to `out`.
pub fn encode_frame<R: Request>(
    out: &mut Vec<u8>,
    client_id: &str,
    correlation: i32,
    version: i16,
    request: &R,
) -> Result<(), WireError> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&R::KEY.to_be_bytes());
    out.extend_from_slice(&version.to_be_bytes());
    out.extend_from_slice(&correlation.to_be_bytes());
    // The client id keeps its 16-bit length in every version of the header.
    out.extend_from_slice(&(client_id.len() as i16).to_be_bytes());
    out.extend_from_slice(client_id.as_bytes());
    if R::header_version(version) >= 2 {
        out.push(0); // no tagged fields
    }
    if let Err(cause) = request.encode(out, version) {
        out.truncate(start);
        return Err(WireError::Encode {
            what: format!("{} v{version}", api_name(R::KEY)),
            cause: cause.to_string(),
        });
    }
    let length = (out.len() - start - 4) as i32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

/// Decodes a reply frame (without its length) to a request of type `R`.
pub fn decode_reply<R: Request>(
    mut frame: impl ByteBuf,
    version: i16,
    anomalies: &Anomalies,
) -> Result<R::Response, WireError> {
    let failed = |cause: String| WireError::Decode {
        what: format!("the response to {} v{version}", api_name(R::KEY)),
        cause,
    };
    ResponseHeader::decode(&mut frame, R::Response::header_version(version))
        .map_err(|e| failed(format!("header: {e}")))?;
    let response = R::Response::decode(&mut frame, version).map_err(|e| failed(e.to_string()))?;
    if frame.has_remaining() {
        count(&anomalies.trailing_bytes);
    }
    Ok(response)
}

/// The length announced at the start of `buffer`, if all of that frame has come.
/// `Err` if no sane frame can follow.
pub(crate) fn whole_frame(buffer: &[u8], max_frame: usize) -> Result<Option<usize>, String> {
    let Some(head) = buffer.first_chunk::<4>() else {
        return Ok(None);
    };
    let length = i32::from_be_bytes(*head);
    if length < 4 || length as usize > max_frame {
        return Err(format!("a reply frame announces {length} bytes"));
    }
    let length = length as usize;
    Ok((buffer.len() >= 4 + length).then_some(length))
}

pub(crate) fn correlation_of(frame: &[u8]) -> i32 {
    i32::from_be_bytes(
        *frame
            .first_chunk::<4>()
            .expect("whole_frame checked the length"),
    )
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::{GroupId, HeartbeatRequest};
    use kafka_protocol::protocol::StrBytes;

    use super::*;

    #[test]
    fn frames_have_header_version_and_length() {
        let request = HeartbeatRequest::default()
            .with_group_id(GroupId(StrBytes::from_static_str("g")))
            .with_member_id(StrBytes::from_static_str("m"));
        let mut out = vec![9];
        encode_frame(&mut out, "c", 0x0102_0304, 3, &request).unwrap();
        // v3 isn't flexible: header v1, strings with 16-bit lengths
        let v3 = [
            9, 0, 0, 0, 25, 0, 12, 0, 3, 1, 2, 3, 4, 0, 1, b'c', 0, 1, b'g', 0, 0, 0, 0, 0, 1,
            b'm', 0xff, 0xff,
        ];
        assert_eq!(out[1 + CORRELATION_AT..][..4], [1, 2, 3, 4]);
        assert_eq!(out[4], (out.len() - 5) as u8);
        assert_eq!(out[..4], v3[..4]);
        assert_eq!(out[5..], v3[5..]);
        // v4 is: header v2 with tagged fields, compact strings
        let mut out = Vec::new();
        encode_frame(&mut out, "c", 7, 4, &request).unwrap();
        let v4 = [
            0, 12, 0, 4, 0, 0, 0, 7, 0, 1, b'c', 0, 2, b'g', 0, 0, 0, 0, 2, b'm', 0, 0,
        ];
        assert_eq!(out[4..], v4);
        assert_eq!(out[3] as usize, v4.len());
    }

    #[test]
    fn silly_frame_lengths_are_refused() {
        assert_eq!(whole_frame(&[0, 0, 0], 100), Ok(None));
        assert_eq!(whole_frame(&[0, 0, 0, 5, 1, 2, 3, 4], 100), Ok(None));
        assert_eq!(whole_frame(&[0, 0, 0, 4, 1, 2, 3, 4], 100), Ok(Some(4)));
        assert!(whole_frame(&[0, 0, 0, 101], 100).is_err());
        assert!(whole_frame(&[0xff, 0xff, 0xff, 0xff], 100).is_err());
        assert!(whole_frame(&[0, 0, 0, 3], 100).is_err());
    }
}
