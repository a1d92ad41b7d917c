//! Kafka's own layouts as data, and an encoder that is driven by them: an oracle that shares no
//! line with the codec.

use std::ops::RangeInclusive;

/// The layout of a message.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) api: &'static str,
    pub(crate) request: bool,
    pub(crate) versions: RangeInclusive<i16>,
    pub(crate) flexible_from: i16,
    fields: Vec<Field>,
}

#[derive(Debug)]
struct Field {
    name: &'static str,
    kind: &'static str,
    versions: RangeInclusive<i16>,
    null: Option<RangeInclusive<i16>>,
    tag: Option<u32>,
    fields: Vec<Self>,
}

/// Where the encoder takes its values from.
pub(crate) enum Values<'e> {
    /// Values by which a field tells its name; arrays of two, nothing null.
    Named,
    /// Values made of the bytes; zeros when they are used up.
    Entropy(&'e [u8]),
}

/// All layouts that were recorded.
pub(crate) fn layouts() -> Vec<Layout> {
    let mut lines = include_str!("kafka-4.4.0.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            (
                (line.len() - line.trim_start().len()) / 2,
                line.trim_start(),
            )
        })
        .peekable();
    let mut layouts = Vec::new();
    while let Some((depth, line)) = lines.next() {
        assert_eq!(depth, 0, "{line}");
        let words: Vec<_> = line.split(' ').collect();
        layouts.push(Layout {
            api: words[0],
            request: words[1] == "request",
            versions: range(words[2]),
            flexible_from: words[3].parse().unwrap_or(i16::MAX),
            fields: fields(&mut lines, 1),
        });
    }
    layouts
}

fn range(text: &str) -> RangeInclusive<i16> {
    let (first, last) = text.split_once('-').expect("a range");
    first.parse().expect("a version")..=last.parse().expect("a version")
}

fn fields(
    lines: &mut std::iter::Peekable<impl Iterator<Item = (usize, &'static str)>>,
    depth: usize,
) -> Vec<Field> {
    let mut fields = Vec::new();
    while let Some((_, line)) = lines.next_if(|(found, _)| *found == depth) {
        let words: Vec<_> = line.split(' ').collect();
        let after = |word| {
            words
                .iter()
                .position(|found| *found == word)
                .map(|at| words[at + 1])
        };
        fields.push(Field {
            name: words[0],
            kind: words[1],
            versions: range(words[2]),
            null: after("null").map(range),
            tag: after("tag").map(|tag| tag.parse().expect("a tag")),
            fields: self::fields(lines, depth + 1),
        });
    }
    fields
}

impl Layout {
    /// A message of this layout.
    pub(crate) fn encode(&self, version: i16, values: &mut Values<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        let mut encoder = Encoder {
            out: &mut out,
            version,
            flexible: version >= self.flexible_from,
            values,
        };
        encoder.fields(&self.fields);
        out
    }
}

struct Encoder<'o, 'v, 'e> {
    out: &'o mut Vec<u8>,
    version: i16,
    flexible: bool,
    values: &'v mut Values<'e>,
}

impl Encoder<'_, '_, '_> {
    fn fields(&mut self, fields: &[Field]) {
        let version = self.version;
        let here = |field: &&Field| field.versions.contains(&version);
        for field in fields
            .iter()
            .filter(|field| field.tag.is_none())
            .filter(here)
        {
            self.field(field);
        }
        if !self.flexible {
            return;
        }
        let mut tagged: Vec<_> = fields
            .iter()
            .filter(|field| field.tag.is_some())
            .filter(here)
            .filter(|_| self.values.chance())
            .collect();
        tagged.sort_by_key(|field| field.tag);
        self.uvarint(tagged.len());
        for field in tagged {
            let mut value = Vec::new();
            // A tagged field that has its default is not sent: keep away from defaults.
            let mut bytes = [0x5a; 64];
            if let Values::Entropy(entropy) = &mut *self.values {
                for byte in &mut bytes {
                    *byte = take(entropy) | 1;
                }
            }
            let mut inner = match self.values {
                Values::Named => Values::Named,
                Values::Entropy(_) => Values::Entropy(&bytes),
            };
            let mut encoder = Encoder {
                out: &mut value,
                version: self.version,
                flexible: true,
                values: &mut inner,
            };
            encoder.field(field);
            self.uvarint(field.tag.expect("it is tagged") as usize);
            self.uvarint(value.len());
            self.out.extend(value);
        }
    }

    fn field(&mut self, field: &Field) {
        let nullable = field
            .null
            .as_ref()
            .is_some_and(|null| null.contains(&self.version));
        if nullable && !self.values.chance() {
            return match (field.kind, self.flexible) {
                ("{}", _) => self.out.push(0xff),
                (_, true) => self.out.push(0),
                ("string", false) => self.out.extend([0xff; 2]),
                (_, false) => self.out.extend([0xff; 4]),
            };
        }
        match field.kind.strip_prefix("[]") {
            Some(element) => {
                let count = self.values.count();
                self.length(count, 4);
                for _ in 0..count {
                    if element.is_empty() {
                        self.fields(&field.fields);
                    } else {
                        self.scalar(field.name, element);
                    }
                }
            }
            None if field.kind == "{}" => {
                if nullable {
                    self.out.push(1);
                }
                self.fields(&field.fields);
            }
            None => self.scalar(field.name, field.kind),
        }
    }

    fn scalar(&mut self, name: &str, kind: &str) {
        match kind {
            "bool" => {
                let value = self.values.chance();
                self.out.push(u8::from(value));
            }
            "i8" => self.number::<1>(name),
            "i16" => self.number::<2>(name),
            "i32" => self.number::<4>(name),
            "i64" => self.number::<8>(name),
            "uuid" => self.number::<16>(name),
            "string" => {
                let text = self.values.text(name);
                self.length(text.len(), 2);
                self.out.extend(text.as_bytes());
            }
            "bytes" => {
                let text = self.values.text(name);
                self.length(text.len(), 4);
                self.out.extend(text.as_bytes());
            }
            kind => panic!("no such type: {kind}"),
        }
    }

    fn number<const N: usize>(&mut self, name: &str) {
        match &mut *self.values {
            Values::Named => self.out.extend(named::<N>(name)),
            Values::Entropy(entropy) => self.out.extend([(); N].map(|()| take(entropy))),
        }
    }

    fn length(&mut self, len: usize, classic_bytes: usize) {
        if self.flexible {
            self.uvarint(len + 1);
        } else {
            self.out
                .extend(&(len as u64).to_be_bytes()[8 - classic_bytes..]);
        }
    }

    fn uvarint(&mut self, mut value: usize) {
        while value >= 0x80 {
            self.out.push(value.to_le_bytes()[0] | 0x80);
            value /= 0x80;
        }
        self.out.push(value.to_le_bytes()[0]);
    }
}

impl Values<'_> {
    fn chance(&mut self) -> bool {
        match self {
            Self::Named => true,
            Self::Entropy(entropy) => !take(entropy).is_multiple_of(4),
        }
    }

    fn count(&mut self) -> usize {
        match self {
            Self::Named => 2,
            Self::Entropy(entropy) => usize::from(take(entropy) % 4),
        }
    }

    fn text(&mut self, name: &str) -> String {
        match self {
            Self::Named => name.to_owned(),
            Self::Entropy(entropy) => match take(entropy) {
                byte @ ..8 => "x".repeat(usize::from(byte) * 40),
                byte => {
                    let len = usize::from(byte % 8);
                    (0..len).map(|_| char::from(take(entropy))).collect()
                }
            },
        }
    }
}

/// The number by which a field tells its name, in so many bytes; never negative.
pub(crate) fn named<const N: usize>(name: &str) -> [u8; N] {
    let hash = name
        .bytes()
        .fold(7_u64, |hash, byte| hash.wrapping_mul(131) + u64::from(byte));
    let hash = hash.to_be_bytes();
    let mut number: [u8; N] = std::array::from_fn(|at| hash[at % 8]);
    number[0] &= 0x7f;
    number
}

fn take(entropy: &mut &[u8]) -> u8 {
    let Some((first, rest)) = entropy.split_first() else {
        return 0;
    };
    *entropy = rest;
    *first
}
