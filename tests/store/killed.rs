//! A process that commits is killed again and again; whatever it was told is kept is kept.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use takhin_coordinator::engine::CommitRequest;

use super::{committed, engine, journal, place};

/// Where the process that is to be killed works; set by the test that kills it.
const DIR: &str = "TAKHIN_STORE_KILLED_DIR";
const GROUPS: usize = 4;

/// Commits ever greater offsets and says which were acknowledged. Without the directory, when
/// the tests are run as usual, there is nothing to do.
#[test]
fn commits_until_killed() {
    let Some(dir) = std::env::var_os(DIR) else {
        return;
    };
    let engine = engine(journal(dir.as_ref()));
    let first = (0..GROUPS)
        .filter_map(|at| committed(&engine, &format!("group-{at}")))
        .max();
    for offset in first.unwrap_or(0) + 1.. {
        let commits: Vec<_> = (0..GROUPS)
            .map(|at| {
                let request = CommitRequest::new(format!("group-{at}"));
                engine.commit(request.offset("topic", 0, offset))
            })
            .collect();
        for (at, answer) in commits.into_iter().enumerate() {
            answer.wait().unwrap();
            println!("acknowledged {at} {offset}");
        }
    }
}

#[test]
fn what_was_acknowledged_before_sigkill_is_there_afterwards() {
    let dir = place("killed");
    let mut acknowledged = [0; GROUPS];
    for life in 0..5 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killed::commits_until_killed", "--nocapture"])
            .env(DIR, &dir)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut seen = 0;
        for line in lines.map_while(Result::ok) {
            let mut words = line
                .split_whitespace()
                .skip_while(|it| *it != "acknowledged");
            let (Some(_), Some(group), Some(offset)) = (words.next(), words.next(), words.next())
            else {
                continue;
            };
            acknowledged[group.parse::<usize>().unwrap()] = offset.parse().unwrap();
            seen += 1;
            // What is in the pipe by then was acknowledged, too, and is read to the end.
            if seen == 40 + 13 * life {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(seen >= 40, "the process ended by itself");
        let engine = engine(journal(&dir));
        for (at, least) in acknowledged.iter().enumerate() {
            let found = committed(&engine, &format!("group-{at}"));
            // The next one may have been on its way.
            assert!(
                found == Some(*least) || found == Some(least + 1),
                "life {life}: {found:?}"
            );
        }
    }
}
