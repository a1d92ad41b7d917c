//! What was measured, by name, a value a round; and why something was not.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// The figures of one peer.
#[derive(Debug, Default)]
pub(super) struct Figures {
    values: BTreeMap<String, Vec<f64>>,
    /// By load: why it has no figures in some round, the last reason.
    reasons: BTreeMap<String, String>,
}

impl Figures {
    pub(super) fn add(&mut self, load: &str, figure: &str, value: f64) {
        let values = self.values.entry(format!("{load}.{figure}")).or_default();
        values.push(value);
    }

    pub(super) fn add_reason(&mut self, load: &str, reason: String) {
        self.reasons.insert(load.to_owned(), reason);
    }

    /// The middle one of the rounds; between the two middle ones if their number is even.
    pub(super) fn median(&self, load: &str, figure: &str) -> Option<f64> {
        let mut values = self.values.get(&format!("{load}.{figure}"))?.clone();
        values.sort_by(f64::total_cmp);
        let upper = *values.get(values.len() / 2)?;
        let lower = values[(values.len() - 1) / 2];
        Some(f64::midpoint(lower, upper))
    }

    pub(super) fn reason(&self, load: &str) -> Option<&str> {
        self.reasons.get(load).map(String::as_str)
    }

    /// By load.
    pub(super) fn reasons(&self) -> impl Iterator<Item = (&str, &str)> {
        let pairs = self.reasons.iter();
        pairs.map(|(load, reason)| (load.as_str(), reason.as_str()))
    }

    pub(super) fn to_json(&self) -> Value {
        let mut whole = Map::new();
        for (name, values) in &self.values {
            whole.insert(name.clone(), json!(values));
        }
        whole.insert("reasons".into(), json!(self.reasons));
        Value::Object(whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_the_rounds_counts() {
        let mut figures = Figures::default();
        assert_eq!(figures.median("a", "b"), None);
        for value in [9.0, 1.0, 2.0] {
            figures.add("a", "b", value);
        }
        assert_eq!(figures.median("a", "b"), Some(2.0));
        figures.add("a", "b", 4.0);
        assert_eq!(figures.median("a", "b"), Some(3.0));
    }
}
