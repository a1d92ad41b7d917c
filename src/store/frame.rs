//! A frame: one record with its place in the log. All numbers are little-endian.
//!
//! ```text
//!    0  crc          u32  CRC32C of all that follows, begun with the salt and the segment's life
//!    4  length       u32  of the frame, these 19 bytes included, in the lower 26 bits;
//!       and flags         above:
//!                         1 first of its entry   4 last of its batch   16 carried along
//!                         2 last of its entry    8 tombstone           32 a mark, no record
//!    8  place        u32  frames of the segment before this one
//!   12  lag          u24  frames between the first one of the same write and this one
//!   15  shard        u16
//!   17  key's length u16
//!   19  key               as in `__consumer_offsets`
//!       value             the rest; a tombstone has none
//! ```
//!
//! A frame's sequence number counts frames over the whole log, without gaps: the number at which
//! its segment begins, and its place in there.
//!
//! The salt is drawn when the directory is made, so that no client can have bytes stored that
//! look like a frame, and no frame of another directory is taken for one of this.
//!
//! `sequence - lag` is the first frame of the write. A write begins only when the one before is
//! durable, so a frame proves that everything before its write's first frame once was: this tells
//! a torn tail from damage.

/// Bytes before the key.
pub(super) const HEAD: usize = 19;
/// Bytes of a frame.
pub(super) const FRAME_MAX: usize = LEN_MASK as usize;
const LEN_BITS: u32 = 26;
const LEN_MASK: u32 = (1 << LEN_BITS) - 1;
/// Frames of a write.
pub(super) const LAG_MAX: u32 = (1 << 24) - 1;

/// No number on disk counts that far; whatever is greater is damage, and never added to.
pub(super) const NUMBER_MAX: u64 = 1 << 62;

/// One life of a segment: what the frames in it are relative to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Life {
    /// What their checksums begin with.
    pub(super) seed: u32,
    /// The sequence number of the first one.
    pub(super) base: u64,
}

/// The flags of a frame: six bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Flags(pub(super) u8);

impl Flags {
    pub(super) const FIRST_OF_ENTRY: Self = Self(1);
    pub(super) const LAST_OF_ENTRY: Self = Self(2);
    pub(super) const LAST_OF_BATCH: Self = Self(4);
    pub(super) const TOMBSTONE: Self = Self(8);
    pub(super) const CARRIED: Self = Self(16);
    pub(super) const MARK: Self = Self(32);

    pub(super) fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    pub(super) fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A frame that was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'a> {
    pub(super) sequence: u64,
    pub(super) lag: u32,
    pub(super) shard: u32,
    pub(super) flags: Flags,
    pub(super) key: &'a [u8],
    pub(super) body: &'a [u8],
    /// Bytes of the whole frame.
    pub(super) len: usize,
}

impl<'a> Frame<'a> {
    pub(super) fn value(&self) -> Option<&'a [u8]> {
        (!self.flags.has(Flags::TOMBSTONE)).then_some(self.body)
    }

    /// The first sequence number of the write that the frame was part of.
    pub(super) fn write_began_at(&self) -> u64 {
        self.sequence - u64::from(self.lag)
    }

    /// Reads the frame at the beginning of these bytes; `None` if none is there that is whole.
    pub(super) fn parse(bytes: &'a [u8], life: Life) -> Option<Self> {
        let frame = Self::parse_unchecked(bytes, life)?;
        let crc = crc32c::crc32c_append(life.seed, &bytes[4..frame.len]);
        (crc == u32_at(bytes, 0)).then_some(frame)
    }

    /// Reads the frame as it stands, without asking the checksum.
    pub(super) fn parse_unchecked(bytes: &'a [u8], life: Life) -> Option<Self> {
        if bytes.len() < HEAD {
            return None;
        }
        let len = len_at(bytes)?;
        if len < HEAD || len > bytes.len() {
            return None;
        }
        let flags = Flags((u32_at(bytes, 4) >> LEN_BITS).to_le_bytes()[0]);
        let place = u32_at(bytes, 8);
        let lag = u32_at(bytes, 12) & LAG_MAX;
        let shard = u32::from(u16_at(bytes, 15));
        let key_len = usize::from(u16_at(bytes, 17));
        if key_len > len - HEAD || lag > place {
            return None;
        }
        let (key, body) = bytes[HEAD..len].split_at(key_len);
        Some(Self {
            sequence: life.base + u64::from(place),
            lag,
            shard,
            flags,
            key,
            body,
            len,
        })
    }
}

/// The length that the frame at the beginning of these bytes says it has, if they go that far.
pub(super) fn len_at(bytes: &[u8]) -> Option<usize> {
    let four = bytes.get(4..8)?;
    usize::try_from(u32_at(four, 0) & LEN_MASK).ok()
}

/// The frames of a batch, which have no place yet.
pub(super) fn unplaced(batch: &[u8]) -> impl Iterator<Item = Frame<'_>> {
    const NOWHERE: Life = Life { seed: 0, base: 0 };
    let mut rest = batch;
    std::iter::from_fn(move || {
        let frame = Frame::parse_unchecked(rest, NOWHERE)?;
        rest = &rest[frame.len..];
        Some(frame)
    })
}

/// Appends a frame whose place is not known yet; see [`place`]. `None` if it is too long.
pub(super) fn append(
    out: &mut Vec<u8>,
    shard: u32,
    flags: Flags,
    key: &[u8],
    value: Option<&[u8]>,
) -> Option<usize> {
    let from = begin(out);
    out.extend_from_slice(key);
    out.extend_from_slice(value.unwrap_or(&[]));
    let flags = match value {
        Some(_) => flags,
        None => flags.with(Flags::TOMBSTONE),
    };
    end(out, from, shard, flags, key.len())
}

/// Makes room for a frame's head; its key and value follow, and then [`end`].
pub(super) fn begin(out: &mut Vec<u8>) -> usize {
    let from = out.len();
    out.extend_from_slice(&[0; HEAD]);
    from
}

/// Ends the frame that began at `from`, and has all of its key and value by now; its length, or
/// `None` if it is too long. It has no place yet; see [`place`].
pub(super) fn end(
    out: &mut [u8],
    from: usize,
    shard: u32,
    flags: Flags,
    key_len: usize,
) -> Option<usize> {
    let frame = &mut out[from..];
    if frame.len() > FRAME_MAX {
        return None;
    }
    let len = u32::try_from(frame.len()).ok()?;
    let packed = len | u32::from(flags.0) << LEN_BITS;
    let key_len = u16::try_from(key_len).ok()?;
    let shard = u16::try_from(shard).ok()?;
    frame[4..8].copy_from_slice(&packed.to_le_bytes());
    frame[15..17].copy_from_slice(&shard.to_le_bytes());
    frame[17..HEAD].copy_from_slice(&key_len.to_le_bytes());
    Some(frame.len())
}

/// Gives a frame its place in a segment, and with it the checksum; `lag` is at most [`LAG_MAX`].
pub(super) fn place(frame: &mut [u8], place: u32, lag: u32, seed: u32) {
    frame[8..12].copy_from_slice(&place.to_le_bytes());
    frame[12..15].copy_from_slice(&lag.to_le_bytes()[..3]);
    let crc = crc32c::crc32c_append(seed, &frame[4..]);
    frame[..4].copy_from_slice(&crc.to_le_bytes());
}

/// Adds a flag to a frame that has no place yet.
pub(super) fn add_flag(frame: &mut [u8], flag: Flags) {
    frame[7] |= flag.0 << (LEN_BITS - 24);
}

/// The group that a key speaks of; the whole key where that cannot be told.
pub(super) fn group_of(key: &[u8]) -> &[u8] {
    // The record type, then the group as a string with its length before it.
    let Some([_, _, high, low]) = key.get(..4) else {
        return key;
    };
    let len = usize::from(u16::from_be_bytes([*high, *low]));
    key.get(4..4 + len).unwrap_or(key)
}

/// Whether the key is that of a group itself (record type 2).
pub(super) fn is_group_key(key: &[u8]) -> bool {
    key.starts_with(&[0, 2])
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    let two = bytes[at..at + 2].try_into().expect("two bytes were cut");
    u16::from_le_bytes(two)
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let four = bytes[at..at + 4].try_into().expect("four bytes were cut");
    u32::from_le_bytes(four)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_as_it_was_written() {
        let mut bytes = Vec::new();
        let flags = Flags::FIRST_OF_ENTRY.with(Flags::LAST_OF_BATCH);
        append(&mut bytes, 3, flags, b"key", Some(b"value")).unwrap();
        place(&mut bytes, 77, 5, 9);
        let life = Life {
            seed: 9,
            base: 1_000,
        };
        let frame = Frame::parse(&bytes, life).unwrap();
        assert_eq!((frame.sequence, frame.lag, frame.shard), (1_077, 5, 3));
        assert_eq!(
            (frame.key, frame.value()),
            (&b"key"[..], Some(&b"value"[..]))
        );
        assert_eq!((frame.flags, frame.write_began_at()), (flags, 1_072));
        let other = Life { seed: 8, ..life };
        assert!(Frame::parse(&bytes, other).is_none(), "another directory's");
    }

    #[test]
    fn no_byte_of_a_frame_can_change_unnoticed() {
        let mut bytes = Vec::new();
        append(&mut bytes, 0, Flags::MARK, b"k", None).unwrap();
        place(&mut bytes, 1, 0, 0);
        let life = Life { seed: 0, base: 0 };
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << bit;
                assert!(Frame::parse(&damaged, life).is_none());
            }
            assert!(Frame::parse(&bytes[..at], life).is_none());
        }
    }

    #[test]
    fn what_a_frame_cannot_count_is_no_frame() {
        let mut bytes = Vec::new();
        let long = vec![0; FRAME_MAX];
        assert_eq!(append(&mut bytes, 0, Flags::MARK, b"k", Some(&long)), None);
        bytes.clear();
        assert_eq!(
            append(&mut bytes, 0, Flags::MARK, &long[..1 << 16], None),
            None
        );
        bytes.clear();
        assert_eq!(append(&mut bytes, 1 << 16, Flags::MARK, b"k", None), None);
    }

    #[test]
    fn the_group_is_found_in_both_kinds_of_key() {
        assert_eq!(group_of(b"\0\x01\0\x02ab\0\x01t\0\0\0\x07"), b"ab");
        assert_eq!(group_of(b"\0\x02\0\x02ab"), b"ab");
        assert_eq!(group_of(b"\0\x02\0\x09ab"), b"\0\x02\0\x09ab");
        assert_eq!(group_of(b"\0"), b"\0");
    }
}
