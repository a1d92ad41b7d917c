//! Java's `.properties` text, the form of Kafka's `server.properties`.
//!
//! ```text
//! # comment          ! comment          (the mark stands first in its line)
//! key=value          key: value         key value
//! key = first, \
//!       second                          (a backslash joins the next line, less its indentation)
//! \t \n \r \f \u0041 \=                 (escapes, in keys and values)
//! ```

use std::fmt;

/// The pairs of a `.properties` text, in its order; a name may come more than once.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Properties {
    /// Name and value of each.
    pub pairs: Vec<(String, String)>,
}

/// What cannot be read in a `.properties` text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum PropertiesError {
    /// `\u` without four hexadecimal digits of a character behind it.
    Escape {
        /// The line, from 1, at which the property begins.
        line: usize,
    },
}

impl fmt::Display for PropertiesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Escape { line } = self;
        write!(
            f,
            "line {line}: '\\u' must be followed by four hexadecimal digits"
        )
    }
}

impl std::error::Error for PropertiesError {}

impl Properties {
    /// Reads a text; needs memory in proportion to its length.
    ///
    /// # Errors
    ///
    /// [`PropertiesError::Escape`] for a malformed `\u`.
    pub fn parse(text: &str) -> Result<Self, PropertiesError> {
        let mut pairs = Vec::new();
        let mut lines = Lines::new(text);
        while let Some((line, logical)) = lines.next_logical() {
            let (key, value) = split(&logical);
            let escape = |()| PropertiesError::Escape { line };
            pairs.push((
                unescape(key).map_err(escape)?,
                unescape(value).map_err(escape)?,
            ));
        }
        Ok(Self { pairs })
    }
}

/// The lines as they stand in the text, joined where a backslash says so.
struct Lines<'a> {
    rest: &'a str,
    number: usize,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            rest: text.strip_prefix('\u{feff}').unwrap_or(text),
            number: 0,
        }
    }

    /// The next line as it stands, without indentation and line end.
    fn next_natural(&mut self) -> Option<&'a str> {
        if self.rest.is_empty() {
            return None;
        }
        self.number += 1;
        let end = self.rest.find(['\n', '\r']).unwrap_or(self.rest.len());
        let (line, rest) = self.rest.split_at(end);
        self.rest = rest
            .strip_prefix("\r\n")
            .or_else(|| rest.strip_prefix(['\n', '\r']))
            .unwrap_or(rest);
        Some(line.trim_start_matches(is_blank))
    }

    /// The next property, unsplit, with the number of its first line.
    fn next_logical(&mut self) -> Option<(usize, String)> {
        loop {
            let first = self.next_natural()?;
            if first.is_empty() || first.starts_with(['#', '!']) {
                continue;
            }
            let number = self.number;
            let mut logical = String::new();
            let mut line = first;
            while let Some(open) = without_joint(line) {
                logical.push_str(open);
                match self.next_natural() {
                    Some(next) => line = next,
                    None => return Some((number, logical)),
                }
            }
            logical.push_str(line);
            return Some((number, logical));
        }
    }
}

/// The line without its last backslash, if that one joins the next line.
fn without_joint(line: &str) -> Option<&str> {
    let backslashes = line.bytes().rev().take_while(|b| *b == b'\\').count();
    (backslashes % 2 == 1).then(|| &line[..line.len() - 1])
}

/// Cuts at the first separator that no backslash protects.
fn split(logical: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = logical
        .find(|c| {
            let cut = !escaped && (is_blank(c) || c == '=' || c == ':');
            escaped = !escaped && c == '\\';
            cut
        })
        .unwrap_or(logical.len());
    let (key, rest) = logical.split_at(end);
    let rest = rest.trim_start_matches(is_blank);
    let value = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (key, value.trim_start_matches(is_blank))
}

fn unescape(text: &str) -> Result<String, ()> {
    let mut out = String::with_capacity(text.len());
    // Java's escapes are UTF-16 units; two of them can make one character.
    let mut units: Vec<u16> = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let plain = match c {
            '\\' => match chars.next() {
                Some('u') => {
                    let digits = chars.as_str().get(..4).ok_or(())?;
                    if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
                        return Err(());
                    }
                    units.push(u16::from_str_radix(digits, 16).map_err(|_| ())?);
                    chars = chars.as_str()[4..].chars();
                    continue;
                }
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('f') => '\u{c}',
                Some(other) => other,
                None => break,
            },
            other => other,
        };
        flush(&mut units, &mut out)?;
        out.push(plain);
    }
    flush(&mut units, &mut out)?;
    Ok(out)
}

fn flush(units: &mut Vec<u16>, out: &mut String) -> Result<(), ()> {
    for unit in char::decode_utf16(units.drain(..)) {
        out.push(unit.map_err(|_| ())?);
    }
    Ok(())
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\u{c}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        Properties::parse(text).unwrap().pairs
    }

    fn one(text: &str) -> (String, String) {
        let mut pairs = pairs(text);
        assert_eq!(pairs.len(), 1, "{pairs:?}");
        pairs.remove(0)
    }

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn the_separator_is_a_sign_or_a_blank() {
        for text in [
            "a=b", "a:b", "a b", "a = b", "a\t:  b", "  a   b", "a=b\r\n",
        ] {
            assert_eq!(one(text), pair("a", "b"), "{text:?}");
        }
        assert_eq!(one("a==b"), pair("a", "=b"));
        assert_eq!(one("a = : b"), pair("a", ": b"));
    }

    #[test]
    fn a_name_alone_has_an_empty_value() {
        assert_eq!(one("a"), pair("a", ""));
        assert_eq!(one("a="), pair("a", ""));
        assert_eq!(one("=b"), pair("", "b"));
    }

    #[test]
    fn comments_and_blank_lines_are_skipped() {
        let text = "# one\n! two\n\n  \t\n   # three \\\na=b#c\n";
        assert_eq!(pairs(text), [pair("a", "b#c")]);
    }

    #[test]
    fn a_backslash_joins_lines_and_two_do_not() {
        assert_eq!(one("a=b,\\\n    c,\\\r\n\td"), pair("a", "b,c,d"));
        assert_eq!(one("a=b\\"), pair("a", "b"));
        assert_eq!(pairs("a=b\\\\\nc=d"), [pair("a", "b\\"), pair("c", "d")]);
    }

    #[test]
    fn a_comment_mark_in_a_joined_line_is_text() {
        assert_eq!(one("a=b\\\n#c"), pair("a", "b#c"));
    }

    #[test]
    fn escapes_are_resolved_in_keys_and_values() {
        assert_eq!(
            one(r"a\=\:\ b=\t\n\r\f\q\\"),
            pair("a=: b", "\t\n\r\u{c}q\\")
        );
        assert_eq!(one(r"a=\u0041\u00e9"), pair("a", "A\u{e9}"));
        assert_eq!(one(r"a=\ud83d\ude00"), pair("a", "\u{1f600}"));
    }

    #[test]
    fn a_broken_escape_names_its_line() {
        for text in ["x=y\na=\\u12", "\na=\\uzzzz", "\na=\\ud83d.", "\na=\\u+123"] {
            let error = Properties::parse(text).unwrap_err();
            assert_eq!(error, PropertiesError::Escape { line: 2 }, "{text:?}");
            assert!(error.to_string().starts_with("line 2:"));
        }
    }

    #[test]
    fn blanks_at_the_end_of_a_value_stay_as_in_java() {
        assert_eq!(one("a = b  "), pair("a", "b  "));
    }

    #[test]
    fn the_order_is_kept_and_a_name_may_repeat() {
        assert_eq!(pairs("b=1\na=2\nb=3").len(), 3);
    }
}
