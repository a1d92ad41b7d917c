//! Transcripts on disk, and where two of them differ.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::cx::Step;

/// What one run saw.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// Who answered, for the reader.
    pub broker: String,
    /// API name to the version range offered.
    pub offered: BTreeMap<String, String>,
    pub cases: Vec<Transcript>,
}

/// What one case saw.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Transcript {
    pub group: String,
    pub name: String,
    pub numbers: Vec<u16>,
    pub profile: String,
    /// ok, differs-from-spec, unsupported, stuck or error.
    pub status: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    pub steps: Vec<Step>,
}

/// A step that two transcripts of a case do not have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The step's label, with ` #2` and so on where a label comes again.
    pub step: String,
    /// What the reference saw, unless it has no such step.
    pub reference: Option<String>,
    /// What the other saw, unless it has no such step.
    pub other: Option<String>,
}

impl Report {
    /// This report with what `older` has of other cases. Cases that are not in `order` go.
    pub fn over(mut self, older: &Self, order: &[String]) -> Self {
        let mut cases = Vec::new();
        for key in order {
            let find = |list: &[Transcript]| list.iter().find(|t| t.key() == *key).cloned();
            cases.extend(find(&self.cases).or_else(|| find(&older.cases)));
        }
        self.cases = cases;
        self
    }
}

impl Transcript {
    /// Group and name.
    pub fn key(&self) -> String {
        format!("{}/{}", self.group, self.name)
    }

    /// The steps with labels that tell them apart: where a label comes again, its how-manieth
    /// time is added.
    fn numbered(&self) -> Vec<(String, &Step)> {
        let mut count: BTreeMap<&str, usize> = BTreeMap::new();
        let numbered = self.steps.iter().map(|step| {
            let n = count.entry(&step.label).or_default();
            *n += 1;
            let label = if *n == 1 {
                step.label.clone()
            } else {
                format!("{} #{n}", step.label)
            };
            (label, step)
        });
        numbered.collect()
    }

    /// Where `other` differs from this, the reference, in the order of its steps.
    pub fn differences(&self, other: &Self) -> Vec<Difference> {
        let (ours, theirs) = (self.numbered(), other.numbered());
        let of = |list: &[(String, &Step)], label: &str| {
            list.iter()
                .find(|(l, _)| l == label)
                .map(|(_, step)| step.seen.clone())
        };
        let mut found = Vec::new();
        for (label, step) in &ours {
            let there = of(&theirs, label);
            if there.as_ref() != Some(&step.seen) {
                let reference = Some(step.seen.clone());
                found.push(Difference {
                    step: label.clone(),
                    reference,
                    other: there,
                });
            }
        }
        for (label, step) in &theirs {
            if of(&ours, label).is_none() {
                let other = Some(step.seen.clone());
                found.push(Difference {
                    step: label.clone(),
                    reference: None,
                    other,
                });
            }
        }
        found
    }
}

impl Difference {
    /// The tokens that differ: `-` only in the reference, `+` only in the other.
    pub fn tokens(&self) -> String {
        let words = |seen: &Option<String>| -> Vec<String> {
            seen.iter()
                .flat_map(|s| s.split_whitespace())
                .map(str::to_owned)
                .collect()
        };
        let (a, b) = (words(&self.reference), words(&self.other));
        let gone = a.iter().filter(|t| !b.contains(t)).map(|t| format!("-{t}"));
        let new = b.iter().filter(|t| !a.contains(t)).map(|t| format!("+{t}"));
        let tokens: Vec<_> = gone.chain(new).collect();
        if tokens.is_empty() {
            "(order)".into()
        } else {
            tokens.join(" ")
        }
    }
}

/// Reads a file of transcripts.
pub fn load(path: &Path) -> Result<Report> {
    let file = std::fs::File::open(path).with_context(|| format!("opening {}", path.display()))?;
    serde_json::from_reader(std::io::BufReader::new(file))
        .with_context(|| format!("reading {}", path.display()))
}

/// Writes a file of transcripts, a step a line.
pub fn save(path: &Path, report: &Report) -> Result<()> {
    let text = lines(report)?;
    std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}

fn lines(report: &Report) -> Result<String> {
    let mut text = String::from("{\n");
    text += &format!("\"broker\": {},\n", serde_json::to_string(&report.broker)?);
    text += &format!(
        "\"offered\": {},\n\"cases\": [",
        serde_json::to_string(&report.offered)?
    );
    for (n, case) in report.cases.iter().enumerate() {
        let head = serde_json::to_string(&Transcript {
            steps: Vec::new(),
            ..case.clone()
        })?;
        let head = head
            .strip_suffix("]}")
            .context("a transcript ends in its steps")?;
        let steps: Result<Vec<String>, _> = case.steps.iter().map(serde_json::to_string).collect();
        let comma = if n == 0 { "" } else { "," };
        text += &format!("{comma}\n{head}\n  {}\n]}}", steps?.join(",\n  "));
    }
    Ok(text + "\n]\n}\n")
}

#[cfg(test)]
pub(crate) mod samples {
    use super::{Report, Transcript};
    use crate::cx::Step;

    pub(crate) fn case(key: &str, status: &str, steps: &[(&str, &str)]) -> Transcript {
        let (group, name) = key.split_once('/').expect("group/name");
        let steps = steps.iter().map(|(label, seen)| Step {
            label: (*label).into(),
            seen: (*seen).into(),
            spec: None,
            ok: None,
            detail: None,
        });
        Transcript {
            group: group.into(),
            name: name.into(),
            numbers: vec![1],
            profile: "default".into(),
            status: status.into(),
            why: None,
            steps: steps.collect(),
        }
    }

    pub(crate) fn report(cases: Vec<Transcript>) -> Report {
        Report {
            broker: String::new(),
            offered: std::collections::BTreeMap::new(),
            cases,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::samples::{case, report};
    use super::{Report, lines};

    #[test]
    fn what_is_written_can_be_read() {
        let empty = case("g/none", "unsupported", &[]);
        let cases = vec![case("g/n", "ok", &[("a \"b\"", "x"), ("c", "y")]), empty];
        let text = lines(&report(cases.clone())).unwrap();
        let read: Report = serde_json::from_str(&text).unwrap();
        assert_eq!(read.cases.len(), 2);
        assert_eq!(read.cases[0].steps, cases[0].steps);
        assert!(read.cases[1].steps.is_empty());
        let none: Report = serde_json::from_str(&lines(&report(Vec::new())).unwrap()).unwrap();
        assert!(none.cases.is_empty());
    }

    #[test]
    fn a_newer_recording_replaces_only_its_own_cases() {
        let old = report(vec![
            case("g/a", "ok", &[("s", "1")]),
            case("g/b", "ok", &[("s", "1")]),
        ]);
        let new = report(vec![case("g/b", "ok", &[("s", "2")])]);
        let both = new.over(&old, &["g/b".into(), "g/a".into(), "g/c".into()]);
        let keys: Vec<_> = both
            .cases
            .iter()
            .map(|t| (t.key(), t.steps[0].seen.clone()))
            .collect();
        assert_eq!(
            keys,
            [("g/b".into(), "2".into()), ("g/a".into(), "1".into())]
        );
    }

    #[test]
    fn a_step_that_differs_is_found_with_its_tokens() {
        let a = case("g/n", "ok", &[("s", "NONE gen=1 me=A"), ("t", "NONE")]);
        let b = case("g/n", "ok", &[("s", "NONE gen=2 me=A"), ("t", "NONE")]);
        assert!(a.differences(&a).is_empty());
        let found = a.differences(&b);
        assert_eq!((found.len(), found[0].step.as_str()), (1, "s"));
        assert_eq!(found[0].tokens(), "-gen=1 +gen=2");
    }

    #[test]
    fn steps_that_only_one_side_has_are_found() {
        let a = case("g/n", "ok", &[("s", "x"), ("s", "y")]);
        let b = case("g/n", "ok", &[("s", "x"), ("z", "w")]);
        let found = a.differences(&b);
        assert_eq!(found.len(), 2);
        assert_eq!(
            (found[0].step.as_str(), found[0].other.as_deref()),
            ("s #2", None)
        );
        assert_eq!(
            (found[1].step.as_str(), found[1].reference.as_deref()),
            ("z", None)
        );
    }
}
