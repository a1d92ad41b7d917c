//! Runs the models of the lock-free parts under loom, in a build of their own.

use std::process::Command;

#[test]
fn the_models_of_session_beacon_and_mailbox_hold_under_loom() {
    let root = env!("CARGO_MANIFEST_DIR");
    let ended = Command::new(env!("CARGO"))
        .current_dir(root)
        .args([
            "test",
            "--lib",
            "--no-default-features",
            "--target-dir",
            "target/loom",
            "loom",
        ])
        .env("RUSTFLAGS", "--cfg loom")
        .output()
        .expect("cargo is there, it runs this test");
    let said = String::from_utf8_lossy(&ended.stdout);
    let complained = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{said}\n{complained}");
    // A filter that matches nothing would pass as well.
    let passed = said.lines().find_map(|line| {
        let rest = line.strip_prefix("test result: ok. ")?;
        rest.split(' ').next()?.parse::<u32>().ok()
    });
    assert!(
        passed.is_some_and(|models| models >= 20),
        "too few models ran:\n{said}"
    );
}
