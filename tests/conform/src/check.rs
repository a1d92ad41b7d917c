//! The verdict: what a server answered, against what Kafka answered to the same cases.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::case::Profile;
use crate::deviations::{DEVIATIONS, Deviation, NOT_OFFERED, NotOffered};
use crate::report::{Report, Transcript, load};
use crate::run::{Options, run};
use crate::server::Server;

/// How often a case that differs is tried again, alone and with more patience.
const SECOND_LOOKS: usize = 2;
/// How much longer no answer must last then to be seen as parked.
const PATIENCE: u64 = 3;

/// What the check of a profile found.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Why the server does not conform; empty if it does.
    pub problems: Vec<String>,
    /// Cases that differed while many ran at once, but not when looked at alone.
    pub unsteady: Vec<String>,
    /// How many cases were the same.
    pub same: usize,
    /// How many cases differ as the table of deviations says.
    pub deviating: usize,
    /// How many cases need what is not offered yet.
    pub not_offered: usize,
}

impl Verdict {
    /// Whether the server conforms.
    pub fn is_good(&self) -> bool {
        self.problems.is_empty()
    }

    /// The numbers, on a line.
    pub fn summary(&self) -> String {
        let Self {
            problems,
            unsteady,
            same,
            deviating,
            not_offered,
        } = self;
        format!(
            "{same} the same, {deviating} deviate on purpose, {not_offered} not offered, {} \
             unsteady, {} problems",
            unsteady.len(),
            problems.len()
        )
    }
}

/// The problems, and what was unsteady, a paragraph each.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for what in &self.unsteady {
            writeln!(f, "  unsteady: {what}")?;
        }
        for what in &self.problems {
            writeln!(f, "  {what}")?;
        }
        Ok(())
    }
}

/// Kafka's own answers to the cases of `profile`.
pub fn recorded(profile: Profile) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("kafka-4.4.0");
    folder.join(format!("{profile}.json"))
}

/// Starts `binary` with the settings of `profile` and checks it.
///
/// # Errors
/// If the check itself cannot be done: the server does not start, ends, or cannot be reached.
pub async fn check_binary(binary: &Path, profile: Profile, options: &Options) -> Result<Verdict> {
    let mut server = Server::start(binary, profile)?;
    let addr = server.addr().to_owned();
    let verdict = check(&addr, profile, options, (DEVIATIONS, NOT_OFFERED)).await;
    if !server.is_alive() {
        bail!(
            "the server ended during the cases; it said:\n{}",
            server.said()
        );
    }
    verdict
}

/// Checks the server at `bootstrap`, which must run with the settings of `profile`, against
/// Kafka's recorded answers and the tables of what may differ.
///
/// A case that differs is tried again alone and with more patience, because what counts as
/// parked depends on time; it is good if it never differs then, and noted as unsteady.
///
/// # Errors
/// If the server cannot be reached or the recorded answers cannot be read.
pub async fn check(
    bootstrap: &str,
    profile: Profile,
    options: &Options,
    tables: (&[Deviation], &[NotOffered]),
) -> Result<Verdict> {
    let reference = load(&recorded(profile))?;
    let mut ours = run(bootstrap, profile, options).await?;
    let mut unsteady = Vec::new();
    let suspects: Vec<String> = suspects(&reference, &ours, tables.0);
    for key in suspects {
        let first = ours.cases.iter().position(|t| t.key() == key);
        let index = first.expect("a suspect is one of ours");
        let before = ours.cases[index].clone();
        if let Some(again) = look_again(bootstrap, profile, options, &reference, &key).await? {
            unsteady.push(format!("{key}: {}", explain(&reference, &before)));
            ours.cases[index] = again;
        }
    }
    let mut verdict = judge(&reference, &ours, options.partial(), tables);
    verdict.unsteady = unsteady;
    Ok(verdict)
}

/// The cases that differ in a way that no deviation excuses.
fn suspects(reference: &Report, ours: &Report, deviations: &[Deviation]) -> Vec<String> {
    let differing = ours.cases.iter().filter(|b| {
        let a = reference.cases.iter().find(|a| a.key() == b.key());
        let excused = deviations.iter().any(|d| d.case == b.key());
        b.status != "unsupported" && !excused && a.is_some_and(|a| !same(a, b))
    });
    differing.map(Transcript::key).collect()
}

/// The case's transcript if it is Kafka's each time that it runs alone.
async fn look_again(
    bootstrap: &str,
    profile: Profile,
    options: &Options,
    reference: &Report,
    key: &str,
) -> Result<Option<Transcript>> {
    let alone = Options {
        only: Some(key.to_owned()),
        jobs: 1,
        park_ms: options.park_ms * PATIENCE,
        ..options.clone()
    };
    let mut last = None;
    for _ in 0..SECOND_LOOKS {
        let report = run(bootstrap, profile, &alone).await?;
        let a = reference.cases.iter().find(|a| a.key() == key);
        last = report.cases.into_iter().next();
        if !matches!((a, &last), (Some(a), Some(b)) if same(a, b)) {
            return Ok(None);
        }
    }
    Ok(last)
}

fn same(a: &Transcript, b: &Transcript) -> bool {
    a.status == b.status && a.differences(b).is_empty()
}

fn explain(reference: &Report, b: &Transcript) -> String {
    let a = reference.cases.iter().find(|a| a.key() == b.key());
    let first = a.and_then(|a| a.differences(b).into_iter().next());
    first.map_or_else(
        || b.status.clone(),
        |d| format!("{}: {}", d.step, d.tokens()),
    )
}

/// Compares the transcripts of a profile. With `partial`, `ours` may lack cases, and nothing is
/// said of table entries that no case used.
pub fn judge(
    reference: &Report,
    ours: &Report,
    partial: bool,
    (deviations, not_offered): (&[Deviation], &[NotOffered]),
) -> Verdict {
    let mut verdict = Verdict::default();
    let mut used = vec![false; deviations.len()];
    let mut lacking = vec![false; not_offered.len()];
    for b in &ours.cases {
        let key = b.key();
        let Some(a) = reference.cases.iter().find(|a| a.key() == key) else {
            verdict
                .problems
                .push(format!("{key}: Kafka's answers are not recorded"));
            continue;
        };
        if b.status == "unsupported" {
            let index = not_offered.iter().position(|n| covers(n, &key));
            match index {
                Some(index) => {
                    lacking[index] = true;
                    verdict.not_offered += 1;
                }
                None => verdict.problems.push(format!("{key}: {}", why(b))),
            }
            continue;
        }
        let mut excused = false;
        let mut wrong = Vec::new();
        for d in a.differences(b) {
            let entry = deviations
                .iter()
                .position(|x| x.case == key && [d.step.as_str(), "*"].contains(&x.step));
            match entry {
                Some(index) => {
                    used[index] = true;
                    excused = true;
                }
                None => wrong.push(d),
            }
        }
        if a.status != b.status && !excused && wrong.is_empty() {
            verdict
                .problems
                .push(format!("{key}: {} / {} {}", a.status, b.status, why(b)));
        } else if wrong.is_empty() {
            *(if excused {
                &mut verdict.deviating
            } else {
                &mut verdict.same
            }) += 1;
        }
        for d in wrong {
            let side = |seen: Option<String>| seen.unwrap_or_else(|| "(no such step)".into());
            let tokens = d.tokens();
            let (kafka, here) = (side(d.reference), side(d.other));
            verdict.problems.push(format!(
                "{key}: {}\n      kafka: {kafka}\n      here:  {here}\n      {tokens}",
                d.step
            ));
        }
    }
    if !partial {
        stale(
            reference,
            ours,
            &mut verdict,
            (deviations, &used),
            (not_offered, &lacking),
        );
    }
    verdict
}

/// Adds what a whole run must have: every recorded case, and a use for every table entry.
fn stale(
    reference: &Report,
    ours: &Report,
    verdict: &mut Verdict,
    (deviations, used): (&[Deviation], &[bool]),
    (not_offered, lacking): (&[NotOffered], &[bool]),
) {
    for a in &reference.cases {
        if ours.cases.iter().all(|b| b.key() != a.key()) {
            verdict
                .problems
                .push(format!("{}: recorded, but no longer a case", a.key()));
        }
    }
    let here = |matches: &dyn Fn(&str) -> bool| ours.cases.iter().any(|b| matches(&b.key()));
    for (entry, used) in deviations.iter().zip(used) {
        if !used && here(&|key| key == entry.case) {
            let Deviation { case, step, .. } = entry;
            verdict.problems.push(format!(
                "{case}: {step}: in the deviations, but the same now"
            ));
        }
    }
    for (entry, lacking) in not_offered.iter().zip(lacking) {
        if !lacking && here(&|key| covers(entry, key)) {
            let cases = entry.cases;
            verdict.problems.push(format!(
                "{cases}: in the table of what is not offered, but is"
            ));
        }
    }
}

fn covers(entry: &NotOffered, key: &str) -> bool {
    key == entry.cases || entry.cases.ends_with('/') && key.starts_with(entry.cases)
}

fn why(t: &Transcript) -> String {
    t.why.clone().unwrap_or_else(|| t.status.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples::{case, report};

    const DEVIATES: Deviation = Deviation {
        case: "g/n",
        step: "s",
        reason: "a test",
    };
    const LACKS: NotOffered = NotOffered {
        cases: "g/",
        reason: "a test",
    };

    fn one(status: &str, seen: &str) -> Report {
        report(vec![case("g/n", status, &[("s", seen), ("t", "NONE")])])
    }

    #[test]
    fn a_difference_is_a_problem_unless_it_is_deliberate() {
        let (a, b) = (one("ok", "gen=1"), one("ok", "gen=2"));
        assert!(judge(&a, &a, false, (&[], &[])).is_good());
        assert!(!judge(&a, &b, false, (&[], &[])).is_good());
        let verdict = judge(&a, &b, false, (&[DEVIATES], &[]));
        assert!(verdict.is_good());
        assert_eq!((verdict.same, verdict.deviating), (0, 1));
        let elsewhere = Deviation {
            step: "t",
            ..DEVIATES
        };
        assert!(!judge(&a, &b, false, (&[elsewhere], &[])).is_good());
    }

    #[test]
    fn a_table_entry_that_no_longer_applies_is_a_problem() {
        let a = one("ok", "gen=1");
        assert!(!judge(&a, &a, false, (&[DEVIATES], &[])).is_good());
        assert!(!judge(&a, &a, false, (&[], &[LACKS])).is_good());
        // Entries of other profiles' cases are not this profile's business.
        let elsewhere = NotOffered {
            cases: "h/",
            ..LACKS
        };
        assert!(judge(&a, &a, false, (&[], &[elsewhere])).is_good());
        assert!(judge(&a, &a, true, (&[DEVIATES], &[])).is_good());
    }

    #[test]
    fn an_unsupported_case_is_a_problem_unless_it_is_in_the_table() {
        let (a, b) = (one("ok", "gen=1"), one("unsupported", ""));
        assert!(!judge(&a, &b, false, (&[], &[])).is_good());
        let verdict = judge(&a, &b, false, (&[], &[LACKS]));
        assert!(verdict.is_good());
        assert_eq!(verdict.not_offered, 1);
    }

    #[test]
    fn missing_stuck_and_unrecorded_cases_are_problems() {
        let a = one("ok", "gen=1");
        assert!(!judge(&a, &report(Vec::new()), false, (&[], &[])).is_good());
        assert!(judge(&a, &report(Vec::new()), true, (&[], &[])).is_good());
        assert!(!judge(&report(Vec::new()), &a, false, (&[], &[])).is_good());
        assert!(!judge(&a, &one("stuck", "gen=1"), false, (&[], &[])).is_good());
    }
}
