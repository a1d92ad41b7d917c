//! A frame: what stands around a batch in a partition's file. All numbers are little-endian; what
//! is in the body keeps its own order.
//!
//! ```text
//!    0  crc       u32  CRC32C of bytes 4 to 24, begun with the file's seed
//!    4  body crc  u32  CRC32C of the body
//!    8  length    u32  of the body
//!   12  kind      u32  1: a record batch as it came; 2: the log begins at that offset, i64
//!   16  began     u32  how many bytes of the file were durable when its write began
//!   20  position  u32  its own place in the file
//!   24  body
//! ```
//!
//! The seed is drawn from the directory's salt and the file's name: what a client writes into a
//! record never looks like a frame, and a frame is valid at its own place only.

pub(super) const HEAD: usize = 24;

/// What a frame holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Batch,
    Start,
}

impl Kind {
    fn number(self) -> u32 {
        match self {
            Self::Batch => 1,
            Self::Start => 2,
        }
    }
}

/// A whole frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Frame<'a> {
    pub(super) kind: Kind,
    pub(super) began: u32,
    pub(super) body: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Reads the frame at the beginning of the bytes, which stand at that position of the file.
    pub(super) fn parse(bytes: &'a [u8], seed: u32, position: u32) -> Option<Self> {
        let (head, rest) = bytes.split_at_checked(HEAD)?;
        if u32_at(head, 20) != position
            || u32_at(head, 0) != crc32c::crc32c_append(seed, &head[4..])
        {
            return None;
        }
        let kind = match u32_at(head, 12) {
            1 => Kind::Batch,
            2 => Kind::Start,
            _ => return None,
        };
        let len = usize::try_from(u32_at(head, 8)).ok()?;
        let body = rest.get(..len)?;
        (crc32c::crc32c(body) == u32_at(head, 4)).then_some(Self {
            kind,
            began: u32_at(head, 16),
            body,
        })
    }

    pub(super) fn len(&self) -> usize {
        HEAD + self.body.len()
    }
}

/// Appends a frame to a write that begins at `began`. `None`: it does not fit into a file.
pub(super) fn append(
    write: &mut Vec<u8>,
    seed: u32,
    began: u32,
    kind: Kind,
    body: &[u8],
) -> Option<u32> {
    let position = began.checked_add(u32::try_from(write.len()).ok()?)?;
    let len = u32::try_from(body.len()).ok()?;
    position.checked_add(len)?.checked_add(HEAD_U32)?;
    let start = write.len();
    write.extend_from_slice(&[0; 4]);
    write.extend_from_slice(&crc32c::crc32c(body).to_le_bytes());
    for number in [len, kind.number(), began, position] {
        write.extend_from_slice(&number.to_le_bytes());
    }
    let crc = crc32c::crc32c_append(seed, &write[start + 4..]);
    write[start..start + 4].copy_from_slice(&crc.to_le_bytes());
    write.extend_from_slice(body);
    Some(position)
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let four = bytes[at..at + 4].try_into().expect("four bytes were cut");
    u32::from_le_bytes(four)
}

const HEAD_U32: u32 = 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_as_it_was_written_and_at_its_place_only() {
        let mut write = Vec::new();
        append(&mut write, 7, 512, Kind::Start, b"12345678").unwrap();
        let position = append(&mut write, 7, 512, Kind::Batch, b"batch").unwrap();
        assert_eq!(position, 512 + 24 + 8);
        let second = &write[32..];
        let frame = Frame::parse(second, 7, position).unwrap();
        assert_eq!(
            (frame.kind, frame.began, frame.body),
            (Kind::Batch, 512, &b"batch"[..])
        );
        assert_eq!(Frame::parse(second, 7, 512), None);
        assert_eq!(Frame::parse(second, 8, position), None);
        for at in 0..second.len() {
            let mut rotten = second.to_vec();
            rotten[at] ^= 1;
            assert_eq!(Frame::parse(&rotten, 7, position), None, "byte {at}");
            assert_eq!(
                Frame::parse(&second[..at], 7, position),
                None,
                "cut at {at}"
            );
        }
    }
}
