//! A path beside its floor, and what is wanted of it.

use std::fmt;

use serde_json::{Value, json};

use crate::figures::median;

/// What a path costs.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Row {
    pub(crate) path: String,
    /// What it cannot go below, where there is such a thing.
    pub(crate) floor: Option<f64>,
    pub(crate) ours: f64,
    /// The unit of both.
    pub(crate) unit: &'static str,
    /// Ours by the floor: the median of the turns, not the quotient of the medians.
    pub(crate) ratio: Option<f64>,
    pub(crate) goal: Goal,
}

/// What is wanted: of the ratio, or of ours where there is no floor.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Goal {
    AtMost(f64),
    AtLeast(f64),
}

impl Row {
    /// A path without a floor.
    pub(crate) fn alone(path: &str, ours: f64, unit: &'static str, goal: Goal) -> Self {
        Self {
            path: path.to_owned(),
            floor: None,
            ours,
            unit,
            ratio: None,
            goal,
        }
    }

    /// The medians of what floor and ours have shown, turn by turn.
    pub(crate) fn of_turns(
        path: &str,
        unit: &'static str,
        goal: Goal,
        turns: &[(f64, f64)],
    ) -> Self {
        let of = |figure: fn(&(f64, f64)) -> f64| median(turns.iter().map(figure).collect());
        Self {
            floor: Some(of(|(floor, _)| *floor)),
            ratio: Some(of(|(floor, ours)| ours / floor)),
            ..Self::alone(path, of(|(_, ours)| *ours), unit, goal)
        }
    }

    /// Whether the goal is reached.
    pub(crate) fn passes(&self) -> bool {
        let figure = self.ratio.unwrap_or(self.ours);
        match self.goal {
            Goal::AtMost(most) => figure <= most,
            Goal::AtLeast(least) => figure >= least,
        }
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "path": self.path,
            "floor": self.floor,
            "ours": self.ours,
            "unit": self.unit,
            "ratio": self.ratio,
            "goal": self.goal_in_words(),
            "pass": self.passes(),
        })
    }

    /// The columns of a table.
    pub(crate) fn cells(&self) -> [String; 6] {
        let with_unit = |figure| format!("{} {}", Digits(figure), self.unit);
        [
            self.path.clone(),
            self.floor.map_or_else(|| "-".to_owned(), with_unit),
            with_unit(self.ours),
            self.ratio
                .map_or_else(|| "-".to_owned(), |it| format!("{}x", Digits(it))),
            self.goal_in_words(),
            if self.passes() { "yes" } else { "no" }.to_owned(),
        ]
    }

    fn goal_in_words(&self) -> String {
        let (sign, bound) = match self.goal {
            Goal::AtMost(bound) => ("<=", bound),
            Goal::AtLeast(bound) => (">=", bound),
        };
        match self.ratio {
            Some(_) => format!("{sign} {bound}x"),
            None => format!("{sign} {bound} {}", self.unit),
        }
    }
}

/// A figure with three digits that count.
struct Digits(f64);

impl fmt::Display for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = match self.0.abs() {
            ..10.0 => 2,
            10.0..100.0 => 1,
            _ => 0,
        };
        write!(f, "{:.digits$}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_of_the_ratio_where_there_is_a_floor_and_of_ours_where_there_is_none() {
        let mut row = Row::alone("a call", 0.9, "us", Goal::AtMost(1.0));
        assert!(row.passes());
        row.ratio = Some(1.2);
        assert!(!row.passes());
        row.goal = Goal::AtLeast(1.2);
        assert!(row.passes());
    }

    #[test]
    fn a_row_shows_three_digits_and_its_goal() {
        let row = Row {
            floor: Some(15.04),
            ratio: Some(1.3),
            ..Row::alone("a store", 123.4, "ns", Goal::AtMost(1.6))
        };
        let cells = ["a store", "15.0 ns", "123 ns", "1.30x", "<= 1.6x", "yes"];
        assert_eq!(row.cells(), cells);
    }
}
