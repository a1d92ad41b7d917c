//! How a group at rest is written: numbers of variable length, and each text once.

use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;
use uuid::fmt::Hyphenated;

/// Texts that very many groups have in common.
const WORDS: [&str; 8] = [
    "",
    "consumer",
    "range",
    "roundrobin",
    "sticky",
    "cooperative-sticky",
    "connect",
    "/127.0.0.1",
];

/// What stands for a text: it follows; an earlier one, `-` and a uuid; a word; an earlier one.
const PLAIN: usize = 0;
const NAMED: usize = 1;
const FIRST_WORD: usize = 2;
const FIRST_EARLIER: usize = FIRST_WORD + WORDS.len();

/// Writes.
#[derive(Debug, Default)]
pub(super) struct Packer<'g> {
    bytes: Vec<u8>,
    texts: Vec<&'g str>,
}

impl<'g> Packer<'g> {
    /// Writes into the memory of what was written before.
    pub(super) fn over(mut bytes: Vec<u8>) -> Self {
        bytes.clear();
        Self {
            bytes,
            texts: Vec::new(),
        }
    }

    pub(super) fn done(self) -> Vec<u8> {
        self.bytes
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(super) fn byte(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    /// Seven bits a byte, the lowest first.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the low bits are what is wanted"
    )]
    pub(super) fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.byte(number as u8 | 0x80);
            number >>= 7;
        }
        self.byte(number as u8);
    }

    pub(super) fn length(&mut self, length: usize) {
        self.number(length as u64);
    }

    /// Small numbers of either sign are short.
    pub(super) fn signed(&mut self, number: i64) {
        self.number((number << 1 ^ number >> 63).cast_unsigned());
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.raw(bytes);
    }

    pub(super) fn text(&mut self, text: &'g str) {
        self.maybe_text(Some(text));
    }

    /// 0: there is none.
    pub(super) fn maybe_text(&mut self, text: Option<&'g str>) {
        let Some(text) = text else {
            return self.length(0);
        };
        if let Some(at) = self.earlier(text) {
            return self.length(1 + FIRST_EARLIER + at);
        }
        if let Some(at) = WORDS.iter().position(|word| *word == text) {
            self.length(1 + FIRST_WORD + at);
        } else if let Some((stem, uuid)) = self.parts(text) {
            self.length(1 + NAMED);
            self.length(stem);
            self.raw(uuid.as_bytes());
        } else {
            self.length(1 + PLAIN);
            self.bytes(text.as_bytes());
        }
        self.texts.push(text);
    }

    fn earlier(&self, text: &str) -> Option<usize> {
        self.texts.iter().position(|earlier| *earlier == text)
    }

    /// A member is named after its client or instance, and a uuid.
    fn parts(&self, text: &str) -> Option<(usize, Uuid)> {
        let (stem, uuid) = text.split_at_checked(text.len().checked_sub(Hyphenated::LENGTH)?)?;
        let stem = self.earlier(stem.strip_suffix('-')?)?;
        let parsed = Uuid::try_parse(uuid).ok()?;
        let written = &mut [0; Hyphenated::LENGTH];
        (parsed.hyphenated().encode_lower(written) == uuid).then_some((stem, parsed))
    }
}

/// Reads what a [`Packer`] wrote, in the same order.
///
/// # Panics
///
/// All of it panics at anything else.
#[derive(Debug)]
pub(super) struct Unpacker<'p> {
    rest: &'p [u8],
    texts: Vec<Arc<str>>,
}

impl<'p> Unpacker<'p> {
    pub(super) fn new(packed: &'p [u8]) -> Self {
        Self {
            rest: packed,
            texts: Vec::new(),
        }
    }

    pub(super) fn raw(&mut self, length: usize) -> &'p [u8] {
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        taken
    }

    pub(super) fn array<const N: usize>(&mut self) -> [u8; N] {
        let taken = self.raw(N).try_into();
        taken.expect("as many as were asked for")
    }

    pub(super) fn byte(&mut self) -> u8 {
        self.raw(1)[0]
    }

    pub(super) fn number(&mut self) -> u64 {
        let mut number = 0;
        let mut shift = 0;
        loop {
            let byte = self.byte();
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return number;
            }
            shift += 7;
        }
    }

    /// A number that was packed as one that fits.
    pub(super) fn small<T: TryFrom<u64>>(&mut self) -> T {
        let number = T::try_from(self.number()).ok();
        number.expect("it was packed from one that fits")
    }

    pub(super) fn signed(&mut self) -> i64 {
        let number = self.number();
        (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
    }

    /// The same for one of 32 bits.
    pub(super) fn signed_small(&mut self) -> i32 {
        let number = i32::try_from(self.signed());
        number.expect("it was packed from one that fits")
    }

    pub(super) fn bytes(&mut self) -> Bytes {
        Bytes::copy_from_slice(self.slice())
    }

    pub(super) fn slice(&mut self) -> &'p [u8] {
        let length = self.small();
        self.raw(length)
    }

    pub(super) fn text(&mut self) -> Arc<str> {
        let text = self.maybe_text();
        text.expect("a text was packed")
    }

    pub(super) fn maybe_text(&mut self) -> Option<Arc<str>> {
        let code = self.small::<usize>().checked_sub(1)?;
        if let Some(at) = code.checked_sub(FIRST_EARLIER) {
            return Some(Arc::clone(&self.texts[at]));
        }
        let text: Arc<str> = match code {
            PLAIN => Self::utf8(self.slice()).into(),
            NAMED => {
                let stem: usize = self.small();
                let uuid = Uuid::from_bytes(self.array());
                format!("{}-{uuid}", self.texts[stem]).into()
            }
            word => WORDS[word - FIRST_WORD].into(),
        };
        self.texts.push(Arc::clone(&text));
        Some(text)
    }

    pub(super) fn utf8(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).expect("it was packed from a text")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_packed_comes_back(
            numbers in prop::collection::vec((any::<u64>(), 0..64u32), 0..20),
            signed in prop::collection::vec((any::<i64>(), 0..64u32), 0..20),
            bytes in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let mut packer = Packer::default();
            for (number, shift) in &numbers {
                packer.number(number >> shift);
            }
            for (number, shift) in &signed {
                packer.signed(number >> shift);
            }
            packer.bytes(&bytes);
            let packed = packer.done();
            let mut unpacker = Unpacker::new(&packed);
            for (number, shift) in numbers {
                prop_assert_eq!(unpacker.number(), number >> shift);
            }
            for (number, shift) in signed {
                prop_assert_eq!(unpacker.signed(), number >> shift);
            }
            prop_assert_eq!(&unpacker.bytes()[..], &bytes[..]);
            prop_assert!(unpacker.rest.is_empty());
        }

        #[test]
        fn texts_come_back_whatever_they_look_like(
            picks in prop::collection::vec((0..6usize, 0..8usize, any::<u128>()), 0..30),
        ) {
            let ids = |n: u128| Uuid::from_u128(n >> (n % 97));
            let texts: Vec<Option<String>> = picks
                .into_iter()
                .map(|(kind, word, n)| match kind {
                    0 => None,
                    1 => Some(WORDS[word].to_owned()),
                    2 => Some(format!("client {word}")),
                    3 => Some(format!("client {word}-{}", ids(n))),
                    4 => Some(format!("client {word}-{}", ids(n)).to_uppercase()),
                    _ => Some(format!("-{}", ids(n))),
                })
                .collect();
            let mut packer = Packer::default();
            for text in &texts {
                packer.maybe_text(text.as_deref());
            }
            let packed = packer.done();
            let mut unpacker = Unpacker::new(&packed);
            for text in &texts {
                let unpacked = unpacker.maybe_text();
                prop_assert_eq!(unpacked.as_deref(), text.as_deref());
            }
            prop_assert!(unpacker.rest.is_empty());
        }
    }

    #[test]
    fn a_member_named_after_its_client_takes_18_bytes() {
        let uuid = Uuid::from_u128(7).to_string();
        let member = format!("c-{uuid}");
        let mut packer = Packer::default();
        packer.text("c");
        let before = packer.bytes.len();
        packer.text(&member);
        assert_eq!(packer.bytes.len() - before, 18);
        packer.text(&member);
        assert_eq!(packer.bytes.len() - before, 19);
    }
}
