//! Directories that are refused: a sentence, exit code 2, and nothing changed.

use std::path::{Path, PathBuf};

use crate::node::Node;
use crate::records::{NOBODY, batch, create, produce};
use crate::{commit, place, refusal};

/// A directory that a server has used and left in order.
fn used(name: &str) -> PathBuf {
    let dir = place(name);
    let node = serve(&dir, &["--set", "takhin.shards=3"]);
    let mut client = node.connect();
    let topic = create(&mut client, "t", 1);
    for _ in 0..3 {
        assert_eq!(
            produce(&mut client, &topic, 9, &batch(b"value", NOBODY)).0,
            0
        );
    }
    assert_eq!(commit(&mut client, "group", &topic, 1), 0);
    assert_eq!(node.stop().0, Some(0));
    dir
}

fn serve(dir: &Path, args: &[&str]) -> Node {
    let args = [&["--data-dir", dir.to_str().unwrap()], args].concat();
    Node::start(&args)
}

/// The file in a folder whose name ends so.
fn find(dir: &Path, ending: &str) -> PathBuf {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut paths = entries.map(|entry| entry.unwrap().path());
    paths
        .find(|path| path.to_str().unwrap().ends_with(ending))
        .unwrap()
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

/// Another format version, with a sound checksum.
fn age(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[8] = 77;
    let end = bytes.len() - 4;
    let crc = crc32c::crc32c(&bytes[..end]);
    bytes[end..].copy_from_slice(&crc.to_le_bytes());
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn what_is_no_directory_of_ours() {
    let file = place("file");
    std::fs::write(&file, b"text").unwrap();
    assert!(refusal(&file, &[]).contains("cannot be read"));
    let alien = place("alien");
    std::fs::create_dir_all(alien.join("photos")).unwrap();
    assert!(refusal(&alien, &[]).contains("nothing of this server"));
    for (room, name) in [("groups", "diary.txt"), ("topics", "diary.txt")] {
        let alien = place("alien-room");
        std::fs::create_dir_all(alien.join(room)).unwrap();
        std::fs::write(alien.join(room).join(name), b"text").unwrap();
        let text = refusal(&alien, &[]);
        assert!(text.contains(room) && text.contains(name), "{text}");
    }
}

#[test]
fn damage_is_named_with_its_file() {
    for (room, ending) in [
        ("groups", "MANIFEST"),
        ("groups", "log-00000001"),
        ("topics", "CATALOG"),
        ("topics", ".log"),
    ] {
        let dir = used("damaged");
        let path = find(&dir.join(room), ending);
        // In the header, or behind the first frame's beginning.
        flip(&path, if ending == ".log" { 540 } else { 9 });
        let text = refusal(&dir, &[]);
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(text.contains(name) && text.contains("at byte"), "{text}");
        assert!(text.contains("--repair quarantine"), "{text}");
    }
}

#[test]
fn another_version_is_named() {
    for (room, ending) in [("groups", "MANIFEST"), ("topics", "CATALOG")] {
        let dir = used("version");
        age(&find(&dir.join(room), ending));
        let text = refusal(&dir, &["--repair", "quarantine"]);
        assert!(text.contains("format version 77"), "{text}");
    }
}

#[test]
fn another_number_of_shards_is_refused_and_none_takes_the_directorys_own() {
    let dir = used("shards");
    let text = refusal(&dir, &["--set", "takhin.shards=2"]);
    assert!(
        text.contains("of 3 shards") && text.contains("with 2"),
        "{text}"
    );
    let node = serve(&dir, &[]);
    assert_eq!(node.stop().0, Some(0));
}

#[test]
fn a_directory_in_use() {
    let dir = used("locked");
    let node = serve(&dir, &[]);
    let text = refusal(&dir, &[]);
    assert!(text.contains("another process"), "{text}");
    assert_eq!(node.stop().0, Some(0));
    assert_eq!(serve(&dir, &[]).stop().0, Some(0));
}

#[test]
fn quarantine_goes_on_without_what_is_damaged() {
    let dir = used("quarantine");
    flip(&find(&dir.join("topics"), ".log"), 560);
    let node = serve(&dir, &["--repair", "quarantine"]);
    let (code, log) = node.stop();
    assert_eq!(code, Some(0));
    assert!(log.contains("damage in a partition was skipped"), "{log}");
}
