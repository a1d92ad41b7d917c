//! Transcripts and comparisons for the reader.

use std::collections::BTreeMap;

use crate::cx::Step;
use crate::report::{Report, Transcript};

/// Prints a case: the steps that are not as expected, or all of them.
pub fn case(t: &Transcript, verbose: bool) {
    println!("{:<18} {} {:?}", t.status, t.key(), t.numbers);
    if let Some(why) = &t.why {
        println!("    {why}");
    }
    for step in &t.steps {
        let bad = step.ok == Some(false);
        if bad {
            let spec = step.spec.as_deref().unwrap_or("");
            println!("    ! {}: {}   (spec: {spec})", step.label, step.seen);
        } else if verbose {
            println!("      {}: {}", step.label, step.seen);
        }
        if let (true, Some(detail)) = (bad || verbose, &step.detail) {
            println!("          {detail}");
        }
    }
}

/// Prints how many cases of each group came out how.
pub fn summary(transcripts: &[Transcript]) {
    let mut groups: Vec<&str> = Vec::new();
    let mut table: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for t in transcripts {
        if !groups.contains(&t.group.as_str()) {
            groups.push(&t.group);
        }
        *table.entry((&t.group, &t.status)).or_default() += 1;
        *table.entry(("all", &t.status)).or_default() += 1;
    }
    groups.push("all");
    let columns = ["ok", "differs-from-spec", "unsupported", "stuck", "error"];
    println!(
        "\n{:<20} {}",
        "group",
        columns.map(|c| format!("{c:>18}")).concat()
    );
    for group in groups {
        let row = columns.map(|c| format!("{:>18}", table.get(&(group, c)).copied().unwrap_or(0)));
        println!("{group:<20} {}", row.concat());
    }
}

/// How cases of a group compare.
#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    same: usize,
    differ: usize,
    unsupported: usize,
    missing: usize,
}

/// Prints the differences; true if there are none. Cases that only the other server does not
/// support count as differences if `strict`.
pub fn diff(reference: &Report, other: &Report, filter: Option<&str>, strict: bool) -> bool {
    for (name, range) in &reference.offered {
        let theirs = other.offered.get(name).map_or("-", |s| s.as_str());
        if theirs != range {
            println!("api {name}: {range} / {theirs}");
        }
    }
    let wanted = |t: &&Transcript| filter.is_none_or(|f| t.key().contains(f));
    let mut tallies: Vec<(&str, Tally)> = Vec::new();
    let mut lacking = 0;
    for a in reference.cases.iter().filter(wanted) {
        if tallies.last().is_none_or(|(group, _)| *group != a.group) {
            tallies.push((&a.group, Tally::default()));
        }
        let tally = &mut tallies.last_mut().expect("just pushed").1;
        let Some(b) = other.cases.iter().find(|b| b.key() == a.key()) else {
            println!("{}: only in the reference", a.key());
            tally.missing += 1;
            continue;
        };
        if a.status == "unsupported" || b.status == "unsupported" {
            if a.status != b.status {
                println!("{} {:?}: {} / {}", a.key(), a.numbers, a.status, b.status);
                lacking += usize::from(b.status == "unsupported");
            }
            tally.unsupported += 1;
        } else if diff_case(a, b) {
            tally.same += 1;
        } else {
            tally.differ += 1;
        }
    }
    for b in other.cases.iter().filter(wanted) {
        if reference.cases.iter().all(|a| a.key() != b.key()) {
            println!("{}: not in the reference", b.key());
        }
    }
    let sum = table(&tallies);
    sum.differ == 0 && sum.missing == 0 && !(strict && lacking > 0)
}

fn table(tallies: &[(&str, Tally)]) -> Tally {
    let row = |name: &str, [same, differ, unsupported, missing]: [&dyn std::fmt::Display; 4]| {
        println!("{name:<20} {same:>6} {differ:>8} {unsupported:>13} {missing:>8}");
    };
    println!();
    row("group", [&"same", &"differ", &"unsupported", &"missing"]);
    let mut sum = Tally::default();
    for (group, t) in tallies {
        row(group, [&t.same, &t.differ, &t.unsupported, &t.missing]);
        sum.same += t.same;
        sum.differ += t.differ;
        sum.unsupported += t.unsupported;
        sum.missing += t.missing;
    }
    row(
        "all",
        [&sum.same, &sum.differ, &sum.unsupported, &sum.missing],
    );
    sum
}

fn diff_case(a: &Transcript, b: &Transcript) -> bool {
    let differences = a.differences(b);
    if differences.is_empty() {
        return true;
    }
    println!("{} {:?} ({} / {})", a.key(), a.numbers, a.status, b.status);
    for d in &differences {
        let of = |t: &Transcript| -> Option<Step> {
            t.steps.iter().find(|s| s.label == d.step).cloned()
        };
        let (ours, theirs) = (of(a), of(b));
        let word = match (ours.as_ref().and_then(|s| s.ok), theirs.and_then(|s| s.ok)) {
            (Some(true), Some(false)) => " [ref as specified]",
            (Some(false), Some(true)) => " [SPEC IS WRONG: ref differs from it]",
            (Some(false), Some(false)) => " [both differ from the spec]",
            _ => "",
        };
        let none = "(no such step)";
        println!("  {}{word}", d.step);
        println!("      ref:  {}", d.reference.as_deref().unwrap_or(none));
        println!("      here: {}", d.other.as_deref().unwrap_or(none));
        println!("      {}", d.tokens());
        if let Some(spec) = ours.and_then(|s| s.spec) {
            println!("      (spec: {spec})");
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::diff;
    use crate::report::samples::{case, report};

    #[test]
    fn unsupported_cases_are_differences_only_if_strict() {
        let a = report(vec![case("g/n", "ok", &[("s", "NONE gen=1")])]);
        let b = report(vec![case("g/n", "ok", &[("s", "NONE gen=2")])]);
        let lacking = report(vec![case("g/n", "unsupported", &[])]);
        assert!(diff(&a, &a, None, false));
        assert!(!diff(&a, &b, None, false));
        assert!(diff(&a, &b, Some("elsewhere"), false));
        assert!(diff(&a, &lacking, None, false));
        assert!(!diff(&a, &lacking, None, true));
        assert!(!diff(&a, &report(Vec::new()), None, false));
    }
}
