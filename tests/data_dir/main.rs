//! The server with a data directory: what it keeps, what it refuses, and what a kill leaves.
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
mod records;

mod kept;
mod killed;
mod refused;

use takhin_coordinator::wire::ApiKey;
use takhin_coordinator::wire::messages::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
    OffsetCommitResponse,
};

use client::{Client, read};
use records::Topic;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// An empty place for the test of that name; what an earlier run left there is removed.
fn place(name: &str) -> PathBuf {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("data-dir-{name}"));
    if place.is_dir() {
        std::fs::remove_dir_all(&place).unwrap();
    } else if place.exists() {
        std::fs::remove_file(&place).unwrap();
    }
    place
}

/// Commits an offset of partition 0 outside of the group protocol; the error code.
fn commit(client: &mut Client, group: &str, topic: &Topic, offset: i64) -> i16 {
    let nobody = (-1, "");
    try_commit(client, group, nobody, topic, offset).unwrap()
}

/// The same for a generation and a member, where the server may go away meanwhile.
fn try_commit(
    client: &mut Client,
    group: &str,
    (generation, member): (i32, &str),
    topic: &Topic,
    offset: i64,
) -> io::Result<i16> {
    let request = OffsetCommitRequest {
        group_id: group,
        generation_id_or_member_epoch: generation,
        member_id: member,
        topics: vec![OffsetCommitRequestTopic {
            name: topic.name,
            partitions: vec![OffsetCommitRequestPartition {
                partition_index: 0,
                committed_offset: offset,
                committed_leader_epoch: -1,
                committed_metadata: Some(""),
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    let body = client.try_ask(ApiKey::OffsetCommit, 8, &request)?;
    let response = read::<OffsetCommitResponse<'_>>(&body, 8);
    Ok(response.topics[0].partitions[0].error_code)
}

/// Every file below a directory with its bytes; folders without.
fn tree(dir: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut open = vec![dir.to_owned()];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            for entry in std::fs::read_dir(&path).unwrap() {
                open.push(entry.unwrap().path());
            }
            found.insert(path, None);
        } else if path.exists() {
            let bytes = std::fs::read(&path).unwrap();
            found.insert(path, Some(bytes));
        }
    }
    found
}

/// Starts a server that is to refuse; what it says.
fn refusal(dir: &Path, args: &[&str]) -> String {
    let before = tree(dir);
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(env!("CARGO_BIN_EXE_takhin-coordinator"))
        .args(["--listen", "127.0.0.1:0", "--data-dir"])
        .arg(dir)
        .args(args)
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(2), "{text}");
    assert!(stdout.is_empty());
    assert!(text.starts_with("error: "), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains(dir.to_str().unwrap()), "{text}");
    assert!(
        before == tree(dir),
        "a refused start changed something: {text}"
    );
    text
}
