//! Figures side by side, each beside its floor.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::machine::Machine;

/// Named figures of one run.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) about: &'static str,
    pub(crate) machine: Machine,
    rows: Vec<(String, f64, &'static str)>,
}

impl Figures {
    pub(crate) fn new(about: &'static str) -> Self {
        Self {
            about,
            machine: Machine::look(),
            rows: Vec::new(),
        }
    }

    /// One figure with its unit.
    pub(crate) fn row(&mut self, name: impl Into<String>, figure: f64, unit: &'static str) {
        self.rows.push((name.into(), figure, unit));
    }

    pub(crate) fn to_json(&self) -> Value {
        let mut whole = Map::new();
        whole.insert("about".into(), json!(self.about));
        whole.insert("machine".into(), self.machine.to_json());
        let mut rows = Map::new();
        for (name, figure, unit) in &self.rows {
            rows.insert(name.clone(), json!({ "figure": figure, "unit": unit }));
        }
        whole.insert("figures".into(), Value::Object(rows));
        Value::Object(whole)
    }

    pub(crate) fn to_table(&self) -> String {
        let mut rows = vec![("about".to_owned(), self.about.to_owned())];
        rows.extend(self.machine.rows());
        for (name, figure, unit) in &self.rows {
            let digits = if figure.abs() < 100.0 { 2 } else { 0 };
            rows.push((name.clone(), format!("{figure:.digits$} {unit}")));
        }
        let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        let mut table = String::new();
        for (name, value) in rows {
            writeln!(table, "{name:width$}  {value}").expect("to memory");
        }
        table
    }
}

/// The middle one; 0 where there is none.
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_of_what_is_sorted() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!(median(Vec::new()).abs() < 1e-9);
    }
}
