//! Why a scenario failed, in words.

use std::fmt;

/// What was expected and what was seen instead.
pub struct Failure(String);

impl Failure {
    /// A failure that reads as `words`.
    pub fn new(words: impl Into<String>) -> Self {
        Self(words.into())
    }

    /// Holds a scenario to a promise.
    ///
    /// # Errors
    ///
    /// The promise in words, when it does not hold.
    pub fn unless(holds: bool, promise: impl FnOnce() -> String) -> Result<(), Self> {
        if holds { Ok(()) } else { Err(Self(promise())) }
    }

    /// The same failure, with `more` below it.
    #[must_use]
    pub fn with(self, more: &str) -> Self {
        Self(format!("{}\n{more}", self.0))
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}
