//! What README says is what the code does.

#![cfg(feature = "server")]

use std::collections::BTreeMap;

use takhin_coordinator::wire::ApiKey;

/// The rows of README's table of APIs: name to versions, as they stand there.
fn told() -> BTreeMap<String, String> {
    let text = include_str!("../README.md");
    let mut told = BTreeMap::new();
    let rows = text
        .lines()
        .skip_while(|line| !line.starts_with("| API | versions |"));
    for row in rows.take_while(|line| line.starts_with('|')).skip(2) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        for pair in [&cells[1..3], &cells[4..6]] {
            let names = pair[0].split(" (").next().unwrap_or_default().split(", ");
            let versions = pair[1].split(", ");
            told.extend(
                names
                    .zip(versions)
                    .map(|(name, it)| (name.to_owned(), it.to_owned())),
            );
        }
    }
    told.remove("");
    told
}

#[test]
fn the_table_of_apis_is_what_is_offered() {
    let offered: BTreeMap<String, String> = ApiKey::offered()
        .map(|api| {
            let (first, last) = (api.versions.start(), api.versions.end());
            let versions = if first == last {
                first.to_string()
            } else {
                format!("{first}-{last}")
            };
            (api.name.to_owned(), versions)
        })
        .collect();
    assert_eq!(told(), offered);
}

#[test]
fn the_number_of_crates_of_the_engine_alone_is_true() {
    let tree = std::process::Command::new(env!("CARGO"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args([
            "tree",
            "--no-default-features",
            "-e",
            "normal",
            "--prefix",
            "none",
        ])
        .args(["--target", "x86_64-unknown-linux-gnu"])
        .output()
        .expect("cargo is there, it runs this test");
    let names: std::collections::BTreeSet<String> = String::from_utf8_lossy(&tree.stdout)
        .lines()
        .filter(|line| !line.starts_with("takhin-coordinator ") && !line.is_empty())
        .map(|line| line.trim_end_matches(" (*)").to_owned())
        .collect();
    let told = format!("the engine: {} crates", names.len());
    assert!(
        include_str!("../README.md").contains(&told),
        "README should say '{told}'"
    );
}
