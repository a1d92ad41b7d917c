//! Mistakes that are made on purpose, one at a time, so that the tests can show that they notice.
//!
//! Only a crate that is built with `--cfg takhin_mutations` can make them, and makes the one that
//! `TAKHIN_MUTATION` names; `tests/mutations.sh` goes through all of them. In any other build
//! nothing of this is left.

/// Whether the mistake of that name is to be made.
#[cfg(takhin_mutations)]
pub(crate) fn is(name: &str) -> bool {
    static CHOSEN: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    let chosen = CHOSEN.get_or_init(|| std::env::var("TAKHIN_MUTATION").ok());
    chosen.as_deref() == Some(name)
}

/// Never.
#[cfg(not(takhin_mutations))]
pub(crate) const fn is(_: &str) -> bool {
    false
}
