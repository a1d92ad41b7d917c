//! What lies in a journal is shown, damaged or not, and stays as it is.

use std::path::{Path, PathBuf};

use takhin_coordinator::config::Config;
use takhin_coordinator::engine::{CommitRequest, Engine};
use takhin_coordinator::store::{DiskJournal, StoreConfig};

use super::{image, place, run, said};

/// A journal with ten commits in it, and nothing that runs.
fn journal(name: &str) -> PathBuf {
    let dir = place(name);
    let config = Config::builder().takhin_shards(2).build().unwrap();
    let open = || DiskJournal::open(dir.join("groups"), StoreConfig::default(), 2);
    let engine = Engine::builder(config)
        .journal(open().unwrap())
        .open()
        .unwrap();
    engine.wait_until_loaded().wait().unwrap();
    for at in 0..10 {
        let commit = CommitRequest::new(format!("group-{at}").as_str()).offset("topic", 0, at);
        engine.commit(commit).wait().unwrap();
    }
    drop(engine);
    // The engine's threads have the journal for another moment.
    while open().is_err() {
        std::thread::yield_now();
    }
    dir
}

/// The exit code and the lines.
fn inspect(dir: &Path) -> (Option<i32>, Vec<String>) {
    let before = image(dir);
    let output = run(&["inspect", dir.to_str().unwrap()], b"");
    assert_eq!(image(dir), before, "something was changed");
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(said(&output).1, "");
    (
        output.status.code(),
        text.lines().map(str::to_owned).collect(),
    )
}

fn of_kind<'a>(lines: &'a [String], kind: &str) -> Vec<&'a String> {
    let start = format!("{{\"kind\":\"{kind}\",");
    lines
        .iter()
        .filter(|line| line.starts_with(&start))
        .collect()
}

#[test]
fn a_whole_journal_is_shown_record_by_record() {
    let dir = journal("whole");
    let (code, lines) = inspect(&dir);
    assert_eq!(code, Some(0), "{lines:#?}");
    assert_eq!(of_kind(&lines, "damage"), Vec::<&String>::new());
    let offsets = of_kind(&lines, "offset");
    assert_eq!(offsets.len(), 10, "{lines:#?}");
    assert!(
        offsets[3].contains("\"group\":\"group-3\",\"topic\":\"topic\""),
        "{}",
        offsets[3]
    );
    assert!(
        offsets[3].contains("\"in\":\"log-00000001:"),
        "{}",
        offsets[3]
    );
    // The journal's own folder will do as well, and one that cannot be written.
    let (code, again) = inspect(&dir.join("groups"));
    assert_eq!((code, again), (Some(0), lines));
}

#[test]
fn any_damage_is_told_with_its_place_and_the_rest_is_shown() {
    let dir = journal("damaged");
    let file = dir.join("groups").join("log-00000001");
    let whole = std::fs::read(&file).unwrap();
    let (_, lines) = inspect(&dir);
    let place = of_kind(&lines, "offset")[4]
        .rsplit_once("log-00000001:")
        .unwrap()
        .1;
    let at: usize = place.trim_end_matches("\"}").parse().unwrap();
    let mut damaged = whole.clone();
    damaged[at + 30] ^= 1;
    std::fs::write(&file, &damaged).unwrap();
    let (code, lines) = inspect(&dir);
    assert_eq!(code, Some(3), "{lines:#?}");
    let start = format!("{{\"kind\":\"damage\",\"file\":\"log-00000001\",\"at\":{at},\"reason\":");
    let damage = of_kind(&lines, "damage");
    assert!(damage[0].starts_with(&start), "{}", damage[0]);
    assert_eq!(of_kind(&lines, "offset").len(), 9, "{lines:#?}");
    // An export of it is refused, unless it is to go past the damage.
    let path = dir.to_str().unwrap();
    let (code, sentence) = said(&run(&["export", path], b""));
    assert_eq!(code, Some(3), "{sentence}");
    assert!(
        sentence.contains(&format!("log-00000001 at byte {at}")),
        "{sentence}"
    );
    let output = run(&["export", path, "--repair", "quarantine"], b"");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stdout.split(|byte| *byte == b'\n').count(), 12);
    assert!(said(&output).1.contains("1 damaged places"));
    // The header, and the manifest.
    damaged[9] ^= 1;
    std::fs::write(&file, &damaged).unwrap();
    let (code, lines) = inspect(&dir);
    assert_eq!(code, Some(3));
    assert!(
        of_kind(&lines, "damage")[0].contains("header is damaged"),
        "{lines:#?}"
    );
    let manifest = dir.join("groups").join("MANIFEST");
    let mut bytes = std::fs::read(&manifest).unwrap();
    bytes[17] ^= 1;
    std::fs::write(&manifest, bytes).unwrap();
    let (code, lines) = inspect(&dir);
    assert_eq!(code, Some(3));
    assert!(
        of_kind(&lines, "damage")[0].contains("\"file\":\"MANIFEST\""),
        "{lines:#?}"
    );
}

#[test]
fn a_torn_end_is_told_and_is_no_damage() {
    let dir = journal("torn");
    let file = dir.join("groups").join("log-00000001");
    let (_, lines) = inspect(&dir);
    let last = of_kind(&lines, "offset")[9]
        .rsplit_once("log-00000001:")
        .unwrap()
        .1;
    let at: usize = last.trim_end_matches("\"}").parse().unwrap();
    // All that comes after the middle of the last commit was never written.
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[at + 30..].fill(0);
    std::fs::write(&file, bytes).unwrap();
    let (code, lines) = inspect(&dir);
    assert_eq!(code, Some(0), "{lines:#?}");
    assert_eq!(of_kind(&lines, "offset").len(), 9);
    assert_eq!(of_kind(&lines, "damage"), Vec::<&String>::new());
}

#[test]
fn a_directory_that_a_server_has_open_can_be_looked_at() {
    let dir = place("open");
    let journal = DiskJournal::open(dir.join("groups"), StoreConfig::default(), 2).unwrap();
    let config = Config::builder().takhin_shards(2).build().unwrap();
    let engine = Engine::builder(config).journal(journal).open().unwrap();
    engine.wait_until_loaded().wait().unwrap();
    engine
        .commit(CommitRequest::new("group").offset("topic", 0, 1))
        .wait()
        .unwrap();
    let (code, lines) = inspect(&dir);
    assert_eq!(code, Some(0), "{lines:#?}");
    assert_eq!(of_kind(&lines, "offset").len(), 1);
}

#[test]
fn every_tool_has_a_help_text() {
    for tool in ["inspect", "export", "import"] {
        let output = run(&[tool, "--help"], b"");
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert!(
            text.contains(&format!("takhin-coordinator {tool}")),
            "{text}"
        );
        let (code, sentence) = said(&run(&[tool], b""));
        assert_eq!(code, Some(2), "{sentence}");
    }
    let help = String::from_utf8(run(&["--help"], b"").stdout).unwrap();
    assert!(help.contains("inspect, export, import"), "{help}");
}
