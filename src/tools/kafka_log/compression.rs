//! Unpacks what Kafka's producers and brokers have packed.

use std::borrow::Cow;
use std::io::Read;

/// What a batch may unpack to: far above what a coordinator writes at a time, and bounded however
/// few bytes it is packed in.
const UNPACKED_BYTES_MAX: usize = 64 << 20;

/// The records of a batch, packed by the codec of that number.
pub(super) fn unpack(codec: i16, packed: &[u8]) -> Result<Cow<'_, [u8]>, String> {
    let unpacked = match codec {
        0 => return Ok(Cow::Borrowed(packed)),
        1 => limited(flate2::read::MultiGzDecoder::new(packed), "gzip"),
        2 => snappy(packed),
        3 => limited(lz4_flex::frame::FrameDecoder::new(packed), "lz4"),
        4 => {
            let decoder = ruzstd::decoding::StreamingDecoder::new(packed);
            let decoder = decoder.map_err(|error| format!("zstd cannot read this: {error}"))?;
            limited(decoder, "zstd")
        }
        other => return Err(format!("compression {other} is not known")),
    };
    unpacked.map(Cow::Owned)
}

fn limited(decoder: impl Read, codec: &str) -> Result<Vec<u8>, String> {
    let mut unpacked = Vec::new();
    let read = decoder
        .take(UNPACKED_BYTES_MAX as u64 + 1)
        .read_to_end(&mut unpacked);
    read.map_err(|error| format!("{codec} cannot read this: {error}"))?;
    within(unpacked.len())?;
    Ok(unpacked)
}

fn within(len: usize) -> Result<(), String> {
    if len > UNPACKED_BYTES_MAX {
        return Err(format!(
            "the batch unpacks to more than {UNPACKED_BYTES_MAX} bytes"
        ));
    }
    Ok(())
}

/// Snappy comes in blocks, as Java's library writes them, or as one raw block.
///
/// ```text
///   0 82 53 4e 41 50 50 59 00   8 version i32   12 compatible i32   16 blocks: length i32, bytes
/// ```
fn snappy(packed: &[u8]) -> Result<Vec<u8>, String> {
    let mut unpacked = Vec::new();
    let Some(mut rest) = packed.strip_prefix(XERIAL).and_then(|rest| rest.get(8..)) else {
        block(packed, &mut unpacked)?;
        return Ok(unpacked);
    };
    while let Some((length, after)) = rest.split_first_chunk() {
        let length = usize::try_from(i32::from_be_bytes(*length)).ok();
        let cut = length.and_then(|length| after.split_at_checked(length));
        let (bytes, after) = cut.ok_or("snappy cannot read this: a block ends too early")?;
        block(bytes, &mut unpacked)?;
        rest = after;
    }
    if rest.is_empty() {
        Ok(unpacked)
    } else {
        Err("snappy cannot read this: there are bytes behind the last block".to_owned())
    }
}

fn block(bytes: &[u8], unpacked: &mut Vec<u8>) -> Result<(), String> {
    let fail = |error: snap::Error| format!("snappy cannot read this: {error}");
    let len = snap::raw::decompress_len(bytes).map_err(fail)?;
    within(unpacked.len().saturating_add(len))?;
    // A copy takes three bytes and gives at most 64: whoever promises more lies.
    if len > bytes.len().saturating_mul(64) {
        return Err("snappy cannot read this: it promises more than it can hold".to_owned());
    }
    let from = unpacked.len();
    unpacked.resize(from + len, 0);
    let mut decoder = snap::raw::Decoder::new();
    decoder
        .decompress(bytes, &mut unpacked[from..])
        .map_err(fail)?;
    Ok(())
}

const XERIAL: &[u8] = b"\x82SNAPPY\0";
