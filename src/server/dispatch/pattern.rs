//! The pattern of `ListTransactions` 2 (KIP-1152): a regular expression from a stranger.
//!
//! It is turned into an automaton of bounded size, which answers in time proportional to the text.
//! As in Kafka's engine, RE2, classes such as `\w` are of ASCII.

use regex_automata::dfa::Automaton;
use regex_automata::dfa::dense::{self, DFA};
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input};

/// A pattern that whole texts are held against.
#[derive(Debug)]
pub(super) struct Pattern(DFA<Vec<u32>>);

impl Pattern {
    /// `None` for what is no regular expression, or one that is too large.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.len() > BYTES_MAX {
            return None;
        }
        // By itself first, so that it cannot close the bracket that is put around it.
        build(text)?;
        build(&format!("(?:{text})\\z")).map(Self)
    }

    /// Whether the pattern matches all of the text.
    pub(super) fn matches(&self, text: &str) -> bool {
        let input = Input::new(text).anchored(Anchored::Yes);
        let found = self.0.try_search_fwd(&input);
        found.is_ok_and(|found| found.is_some())
    }
}

fn build(text: &str) -> Option<DFA<Vec<u32>>> {
    let config = DFA::config()
        .start_kind(regex_automata::dfa::StartKind::Anchored)
        .dfa_size_limit(Some(AUTOMATON_BYTES_MAX))
        .determinize_size_limit(Some(AUTOMATON_BYTES_MAX));
    dense::Builder::new()
        .configure(config)
        .syntax(
            syntax::Config::new()
                .unicode(false)
                .utf8(false)
                .nest_limit(NEST_MAX),
        )
        .thompson(
            regex_automata::nfa::thompson::Config::new()
                .utf8(false)
                .nfa_size_limit(Some(AUTOMATON_BYTES_MAX)),
        )
        .build(text)
        .ok()
}

const BYTES_MAX: usize = 1_024;
const NEST_MAX: u32 = 50;
const AUTOMATON_BYTES_MAX: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        Pattern::parse(pattern).unwrap().matches(text)
    }

    #[test]
    fn a_pattern_must_match_the_whole_text() {
        assert!(matches("my-.*", "my-app-7"));
        assert!(!matches("my-", "my-app-7"));
        assert!(!matches("app.*", "my-app-7"));
        assert!(matches("a|ab", "ab"));
        assert!(matches(r"\w+-\d{2}", "app-42"));
        assert!(matches("", ""));
        assert!(!matches("", "a"));
        assert!(matches("gr\u{fc}n.*", "gr\u{fc}n-1"));
    }

    #[test]
    fn what_is_no_pattern_or_too_large_is_refused() {
        for text in ["(", "a)|(b", "*", "[", "(?<x", r"\1"] {
            assert!(Pattern::parse(text).is_none(), "{text}");
        }
        assert!(Pattern::parse(&"a".repeat(2_000)).is_none());
        assert!(Pattern::parse("(a{1000}){1000}").is_none());
        assert!(Pattern::parse("(?:a|b)*a(?:a|b){30}").is_none());
        assert!(Pattern::parse(&"(".repeat(500)).is_none());
    }
}
