//! The offline tools, as functions and as command lines.

#![cfg(feature = "server")]
#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test may fail it as the test itself"
)]

#[path = "../server_wire/client.rs"]
#[expect(dead_code, reason = "the tests of the server need more of it")]
mod client;
#[path = "../server_wire/node.rs"]
#[expect(dead_code, reason = "the tests of the server need more of it")]
mod node;
#[path = "../server_wire/records.rs"]
#[expect(dead_code, reason = "the tests of the server need more of it")]
mod records;

mod export;
mod inspect;
mod kafka_log;
mod offsets_topic;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// An empty place for the test of that name; what an earlier run left there is removed.
fn place(name: &str) -> PathBuf {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("tools-{name}"));
    if place.exists() {
        std::fs::remove_dir_all(&place).unwrap();
    }
    std::fs::create_dir(&place).unwrap();
    place
}

/// Runs the binary to its end.
fn run(args: &[&str], stdin: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_takhin-coordinator"))
        .args(args)
        .env_remove("RUST_LOG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Who refuses at once does not read.
    let _ = child.stdin.take().unwrap().write_all(stdin);
    child.wait_with_output().unwrap()
}

/// The exit code and what was said on stderr.
fn said(output: &Output) -> (Option<i32>, String) {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    (output.status.code(), text)
}

/// Every file below a folder with its bytes, to see that nothing was changed.
fn image(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                files.push((path.clone(), std::fs::read(path).unwrap()));
            }
        }
    }
    files.sort();
    files
}
