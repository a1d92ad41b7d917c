//! The manners of the house, held by a test: arrows between rooms, ceilings, and what must not
//! be named where.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A room and the rooms that it may name; everything else is a wall.
///
/// `group` and `wire` stand at the bottom, so that the protocol can be understood without the
/// engine and the bytes without the protocol; nothing but `wire` and `server` knows Kafka's
/// numbers, but for `journal`, whose records are Kafka's by design.
const ARROWS: &[(&str, &[&str])] = &[
    ("main", &["server"]),
    (
        "server",
        &[
            "engine", "wire", "topics", "txn", "tools", "store", "group", "config", "error", "ids",
            "metrics", "time",
        ],
    ),
    (
        "tools",
        &[
            "store", "shard", "journal", "group", "wire", "error", "ids", "time",
        ],
    ),
    ("topics", &["disk", "ids", "time"]),
    ("txn", &["disk", "ids", "time"]),
    (
        "engine",
        &[
            "shard", "session", "journal", "group", "config", "error", "ids", "metrics", "time",
            "atomic",
        ],
    ),
    (
        "shard",
        &[
            "group", "session", "journal", "time", "atomic", "error", "ids", "metrics",
        ],
    ),
    (
        "store",
        &[
            "journal", "group", "disk", "atomic", "error", "ids", "mutation", "time",
        ],
    ),
    (
        "journal",
        &["group", "wire", "error", "ids", "mutation", "time"],
    ),
    ("session", &["atomic", "error", "ids", "time"]),
    ("group", &["error", "ids", "mutation", "time"]),
    ("wire", &["error", "ids"]),
    ("config", &[]),
    ("metrics", &[]),
    ("error", &[]),
    ("ids", &[]),
    ("time", &[]),
    ("atomic", &[]),
    ("mutation", &[]),
    ("disk", &[]),
];

/// Files that may be longer than [`LINES_MAX`], each with the reason.
const LONGER: &[(&str, &str)] = &[];

/// Folders whose functions may be longer than [`FUNCTION_LINES_MAX`], each with the reason.
const LONGER_FUNCTIONS: &[(&str, &str)] = &[(
    "tests/conform/src/",
    "tables of cases, and scripts that read best in one piece",
)];

/// Files of pure rooms that may use a hash map, each with the reason.
const HASH_MAPS: &[(&str, &str)] = &[
    (
        "src/group/places.rs",
        "names to slots: looked up, never walked",
    ),
    (
        "src/group/seats.rs",
        "seats to the names of who sits there: looked up, never walked",
    ),
    (
        "src/group/classic/sync.rs",
        "the leader's assignments: looked up by member, never walked",
    ),
    (
        "src/group/classic/member.rs",
        "names seen: asked, never walked",
    ),
];

/// What may stand at the top level, dotfiles and licences apart.
const TOP: &[&str] = &[
    "Cargo.toml",
    "Cargo.lock",
    "src",
    "benches",
    "tests",
    "perf",
    "README.md",
];

const LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 70;
const COLUMNS_MAX: usize = 100;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every file of the project with that ending, by its path from the root.
fn files(ending: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut open = vec![root()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let name = entry.file_name().into_string().unwrap();
            if name == "target" || name == "node_modules" || name.starts_with(".venv") {
                continue;
            }
            let path = entry.path();
            if path.is_dir() {
                if name != ".git" {
                    open.push(path);
                }
            } else if name.ends_with(ending) {
                let text = fs::read_to_string(&path).unwrap();
                found.push((relative(&path), text));
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "no file ends with {ending}");
    found
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root())
        .unwrap()
        .to_str()
        .unwrap()
        .replace('\\', "/")
}

/// The room of a source file.
fn room(path: &str) -> Option<&str> {
    let rest = path.strip_prefix("src/")?;
    let room = rest.split('/').next()?;
    Some(room.strip_suffix(".rs").unwrap_or(room))
}

/// The rooms that a text names by `crate::` or, in `main.rs`, by the crate's own name.
fn named_rooms(text: &str) -> BTreeSet<String> {
    let code = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let mut rooms = BTreeSet::new();
    for line in code {
        for prefix in ["crate::", "takhin_coordinator::"] {
            for (at, _) in line.match_indices(prefix) {
                let rest = &line[at + prefix.len()..];
                let end = rest.find(|c: char| !c.is_ascii_lowercase() && c != '_');
                rooms.insert(rest[..end.unwrap_or(rest.len())].to_owned());
            }
        }
    }
    rooms.remove("");
    rooms
}

fn complain(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn rooms_name_only_the_rooms_that_they_may() {
    let mut complaints = Vec::new();
    for (path, text) in files(".rs") {
        let Some(room) = room(&path).filter(|room| *room != "lib") else {
            continue;
        };
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == room) else {
            complaints.push(format!("{path}: the room {room} is not in ARROWS"));
            continue;
        };
        for named in named_rooms(&text) {
            if named != room && !allowed.contains(&named.as_str()) {
                complaints.push(format!("{path}: {room} names {named}"));
            }
        }
    }
    complain(&complaints);
}

#[test]
fn arrows_point_one_way() {
    // Reading the table from the bottom, a room names only what was already read.
    let mut below: Vec<&str> = Vec::new();
    let mut rows: Vec<_> = ARROWS.iter().collect();
    while !rows.is_empty() {
        let free = rows
            .iter()
            .position(|(_, to)| to.iter().all(|room| below.contains(room)));
        let (room, _) = rows.remove(free.expect("the arrows form a circle"));
        below.push(room);
    }
    assert_eq!(below.len(), ARROWS.len());
}

#[test]
fn files_lines_and_functions_stay_below_their_ceilings() {
    let mut complaints = Vec::new();
    for (path, text) in files(".rs") {
        let lines: Vec<&str> = text.lines().collect();
        let may_be_longer = LONGER.iter().any(|(longer, _)| *longer == path);
        if lines.len() > LINES_MAX && !may_be_longer {
            complaints.push(format!("{path}: {} lines", lines.len()));
        }
        for (at, line) in lines.iter().enumerate() {
            // A table in a doc comment cannot be broken.
            let is_table = line.trim_start().starts_with("//! |");
            if line.chars().count() > COLUMNS_MAX && !is_table {
                complaints.push(format!("{path}:{}: longer than {COLUMNS_MAX}", at + 1));
            }
        }
        if !LONGER_FUNCTIONS
            .iter()
            .any(|(folder, _)| path.starts_with(folder))
        {
            complaints.extend(long_functions(&path, &lines));
        }
    }
    complain(&complaints);
}

/// Functions whose closing brace is too far from their first line; formatted code closes a
/// function at the column where it began.
fn long_functions(path: &str, lines: &[&str]) -> Vec<String> {
    let mut complaints = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let indent = line.len() - line.trim_start().len();
        let is_function = line.trim_start().split("fn ").next().is_some_and(|before| {
            line.contains("fn ")
                && before.split_whitespace().all(|word| {
                    word.starts_with("pub")
                        || ["async", "const", "in"].contains(&word)
                        || word.ends_with(')')
                })
        });
        if !is_function {
            continue;
        }
        let close = format!("{}}}", " ".repeat(indent));
        let end = lines[at..].iter().position(|line| *line == close);
        if end.is_some_and(|length| length > FUNCTION_LINES_MAX) {
            complaints.push(format!("{path}:{}: {} lines", at + 1, end.unwrap_or(0)));
        }
    }
    complaints
}

#[test]
fn sources_and_manifests_are_ascii() {
    let mut complaints = Vec::new();
    for ending in [".rs", ".toml"] {
        for (path, text) in files(ending) {
            if let Some(at) = text.lines().position(|line| !line.is_ascii()) {
                complaints.push(format!("{path}:{}: not ASCII", at + 1));
            }
        }
    }
    complain(&complaints);
}

#[test]
fn only_the_clock_reads_a_clock() {
    let clocks = ["Instant::now", "SystemTime::now", "Utc::now"];
    let mut complaints = Vec::new();
    for (path, text) in files(".rs") {
        if room(&path).is_none() || path == "src/time/clock.rs" {
            continue;
        }
        for clock in clocks {
            if text.contains(clock) {
                complaints.push(format!("{path}: {clock}"));
            }
        }
    }
    complain(&complaints);
}

fn has_hash_map(text: &str) -> bool {
    ["HashMap", "HashSet", "HashTable"]
        .iter()
        .any(|it| text.contains(it))
}

#[test]
fn pure_rooms_do_not_walk_hash_maps() {
    let mut complaints = Vec::new();
    for (path, text) in files(".rs") {
        let is_pure = ["group", "assignor"].contains(&room(&path).unwrap_or(""));
        if is_pure && has_hash_map(&text) && !HASH_MAPS.iter().any(|(known, _)| *known == path) {
            complaints.push(format!("{path}: a hash map, and not in HASH_MAPS"));
        }
    }
    complain(&complaints);
}

#[test]
fn pure_rooms_know_no_threads_sockets_or_atomics() {
    let foreign = [
        "std::thread",
        "std::net",
        "tokio",
        "Atomic",
        "Mutex",
        "tracing",
    ];
    let mut complaints = Vec::new();
    for (path, text) in files(".rs") {
        if room(&path) != Some("group") {
            continue;
        }
        for word in foreign {
            let says = |line: &str| !line.trim_start().starts_with("//") && line.contains(word);
            if text.lines().any(says) {
                complaints.push(format!("{path}: {word}"));
            }
        }
    }
    complain(&complaints);
}

#[test]
fn nothing_strays_at_the_top_level() {
    let strays: Vec<String> = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with('.') && !name.starts_with("LICENSE") && name != "target")
        .filter(|name| !TOP.contains(&name.as_str()))
        .collect();
    assert_eq!(strays, Vec::<String>::new());
}

#[test]
fn exceptions_are_still_needed() {
    let mut complaints = Vec::new();
    for (path, _) in LONGER {
        let lines = fs::read_to_string(root().join(path))
            .unwrap()
            .lines()
            .count();
        if lines <= LINES_MAX {
            complaints.push(format!(
                "{path} is no longer too long: take it out of LONGER"
            ));
        }
    }
    for (path, _) in HASH_MAPS {
        let text = fs::read_to_string(root().join(path)).unwrap_or_default();
        if !has_hash_map(&text) {
            complaints.push(format!("{path} has no hash map: take it out of HASH_MAPS"));
        }
    }
    complain(&complaints);
}
