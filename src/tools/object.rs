//! One JSON object a line: written in a fixed order of its fields, read without leaving one out.

use serde_json::{Map, Value};

/// A line being written.
#[derive(Debug)]
pub(super) struct Line {
    text: String,
}

impl Line {
    /// Begins the line of a thing of this kind.
    pub(super) fn new(kind: &str) -> Self {
        Self {
            text: String::from("{"),
        }
        .text("kind", kind)
    }

    /// An object within a line.
    pub(super) fn object() -> Self {
        Self {
            text: String::from("{"),
        }
    }

    pub(super) fn text(self, key: &str, value: &str) -> Self {
        let value = Value::from(value).to_string();
        self.raw(key, &value)
    }

    pub(super) fn text_or_null(self, key: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.text(key, value),
            None => self.raw(key, "null"),
        }
    }

    pub(super) fn number(self, key: &str, value: impl Into<i64>) -> Self {
        self.raw(key, &value.into().to_string())
    }

    pub(super) fn count(self, key: &str, value: u64) -> Self {
        self.raw(key, &value.to_string())
    }

    pub(super) fn number_or_null(self, key: &str, value: Option<i64>) -> Self {
        match value {
            Some(value) => self.number(key, value),
            None => self.raw(key, "null"),
        }
    }

    pub(super) fn flag(self, key: &str, value: bool) -> Self {
        self.raw(key, if value { "true" } else { "false" })
    }

    pub(super) fn bytes(self, key: &str, value: &[u8]) -> Self {
        self.text(key, &to_hex(value))
    }

    pub(super) fn list(self, key: &str, values: impl Iterator<Item = String>) -> Self {
        let values: Vec<String> = values.collect();
        self.raw(key, &format!("[{}]", values.join(",")))
    }

    /// A value that is JSON already.
    pub(super) fn raw(mut self, key: &str, json: &str) -> Self {
        if self.text.len() > 1 {
            self.text.push(',');
        }
        self.text.push_str(&Value::from(key).to_string());
        self.text.push(':');
        self.text.push_str(json);
        self
    }

    /// The object without a line's end.
    pub(super) fn end(mut self) -> String {
        self.text.push('}');
        self.text
    }
}

/// An object being read: each field is taken once, and none may be left.
#[derive(Debug)]
pub(super) struct Fields {
    map: Map<String, Value>,
}

impl Fields {
    pub(super) fn parse(line: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(line).map_err(|error| {
            let column = error.column();
            format!("it is not JSON at column {column}")
        })?;
        Self::of(value, "the line")
    }

    pub(super) fn of(value: Value, what: &str) -> Result<Self, String> {
        match value {
            Value::Object(map) => Ok(Self { map }),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => Err(format!("{what} is not an object")),
        }
    }

    fn take(&mut self, key: &str) -> Result<Value, String> {
        let value = self.map.remove(key);
        value.ok_or_else(|| format!("it has no \"{key}\""))
    }

    pub(super) fn text(&mut self, key: &str) -> Result<String, String> {
        let text = self.text_or_null(key)?;
        text.ok_or_else(|| format!("\"{key}\" is null"))
    }

    pub(super) fn text_or_null(&mut self, key: &str) -> Result<Option<String>, String> {
        match self.take(key)? {
            Value::String(text) => Ok(Some(text)),
            Value::Null => Ok(None),
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                Err(format!("\"{key}\" is not text"))
            }
        }
    }

    pub(super) fn number<N: TryFrom<i64>>(&mut self, key: &str) -> Result<N, String> {
        let number = self.number_or_null(key)?;
        number.ok_or_else(|| format!("\"{key}\" is null"))
    }

    pub(super) fn number_or_null<N: TryFrom<i64>>(
        &mut self,
        key: &str,
    ) -> Result<Option<N>, String> {
        let value = self.take(key)?;
        if value.is_null() {
            return Ok(None);
        }
        let number = value.as_i64().and_then(|number| N::try_from(number).ok());
        let number = number.ok_or_else(|| format!("\"{key}\" is not a whole number in range"))?;
        Ok(Some(number))
    }

    pub(super) fn flag(&mut self, key: &str) -> Result<bool, String> {
        let value = self.take(key)?.as_bool();
        value.ok_or_else(|| format!("\"{key}\" is neither true nor false"))
    }

    pub(super) fn bytes(&mut self, key: &str) -> Result<Vec<u8>, String> {
        let text = self.text(key)?;
        from_hex(&text).ok_or_else(|| format!("\"{key}\" is not hexadecimal"))
    }

    pub(super) fn list(&mut self, key: &str) -> Result<Vec<Value>, String> {
        match self.take(key)? {
            Value::Array(values) => Ok(values),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Object(_) => Err(format!("\"{key}\" is not a list")),
        }
    }

    /// All fields were taken.
    pub(super) fn end(self) -> Result<(), String> {
        match self.map.keys().next() {
            None => Ok(()),
            Some(key) => Err(format!("\"{key}\" is not known")),
        }
    }
}

pub(super) fn to_hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('?');
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

pub(super) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    pairs
        .iter()
        .map(|[high, low]| u8::try_from(digit(*high)? << 4 | digit(*low)?).ok())
        .collect()
}
