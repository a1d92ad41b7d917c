//! Requests written by hand, where the message library lacks a version.

use anyhow::{Result, bail};
use bytes::{Buf, Bytes};
use conform_wire::{Socket, WireError};

use crate::cx::{Cx, not};

#[derive(Default)]
pub struct Body(Vec<u8>);

impl Body {
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub fn i16(self, n: i16) -> Self {
        self.raw(&n.to_be_bytes())
    }

    pub fn i32(self, n: i32) -> Self {
        self.raw(&n.to_be_bytes())
    }

    pub fn i64(self, n: i64) -> Self {
        self.raw(&n.to_be_bytes())
    }

    /// A compact string of fewer than 127 bytes.
    pub fn string(self, s: &str) -> Self {
        self.raw(&[s.len() as u8 + 1]).raw(s.as_bytes())
    }
}

/// Sends a request of a flexible version; the reply's body, or why there is none.
pub async fn call(cx: &Cx, key: i16, version: i16, body: Body) -> Result<Result<Bytes, String>> {
    if !cx.offers(key, version) {
        let what = format!("{} v{version}", conform_wire::api_name(key));
        return Err(WireError::Unsupported { what }.into());
    }
    let head = Body::default()
        .i16(key)
        .i16(version)
        .i32(5)
        .raw(&[0, 1, b'c', 0]);
    let mut socket = Socket::open(&cx.env.addr, cx.env.options.clone()).await?;
    socket.send_frame(&head.raw(&body.0).0).await?;
    Ok(match socket.read_frame(cx.env.wait).await {
        Ok(mut reply) => {
            reply.advance(5);
            Ok(reply)
        }
        Err(e) => Err(not(&e)),
    })
}

pub fn take_string(b: &mut Bytes) -> Result<String> {
    let len = usize::from(b.get_u8());
    if len == 0 {
        return Ok("null".into());
    }
    if b.remaining() < len - 1 {
        bail!("a string beyond the end");
    }
    Ok(String::from_utf8_lossy(&b.split_to(len - 1)).into_owned())
}
