//! What is exported and imported is the same again; what is no export changes nothing.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use takhin_coordinator::config::Config;
use takhin_coordinator::engine::{CommitRequest, Engine};
use takhin_coordinator::group::{GroupMetadata, MemberMetadata, OffsetValue, PendingValue, Record};
use takhin_coordinator::ids::{Generation, ProducerEpoch, ProducerId, TopicId};
use takhin_coordinator::store::{DiskJournal, Repair, StoreConfig};
use takhin_coordinator::time::WallMs;
use takhin_coordinator::tools::{ImportOptions, export, import, read_lines};

use super::{image, place, run, said};

fn exported(dir: &Path) -> String {
    let mut out = Vec::new();
    export(dir, Repair::Refuse, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// An offset of "group" in "topic".
fn offset(partition: i32, offset: i64) -> Record {
    Record::Offset {
        group: "group".into(),
        topic: "topic".into(),
        partition,
        value: Some(OffsetValue {
            offset,
            leader_epoch: -1,
            metadata: "".into(),
            committed_at: WallMs(1_767_225_600_000),
            expires_at: None,
            topic_id: TopicId::ZERO,
        }),
    }
}

fn imported(name: &str, records: &[Record]) -> std::path::PathBuf {
    let dir = place(name);
    let options = ImportOptions {
        shards: Some(3),
        ..ImportOptions::default()
    };
    import(&dir, records, options).unwrap();
    dir
}

/// Names with everything that text can have.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-c]{1,3}",
        "\\PC{0,6}",
        Just("\u{0}\"\\\n\u{1f600}".to_owned())
    ]
}

fn offset_value() -> impl Strategy<Value = OffsetValue> {
    let parts = (any::<i64>(), any::<i32>(), name(), any::<i64>());
    let form = prop_oneof![
        Just((None, TopicId::ZERO)),
        any::<[u8; 16]>().prop_map(|id| (None, TopicId(id))),
        (0..i64::MAX).prop_map(|at| (Some(WallMs(at)), TopicId::ZERO)),
    ];
    (parts, form).prop_map(
        |((offset, epoch, metadata, at), (expires_at, topic_id))| OffsetValue {
            offset,
            // A value with an expiry has no room for the epoch.
            leader_epoch: if expires_at.is_some() { -1 } else { epoch },
            metadata: metadata.into(),
            committed_at: WallMs(at),
            expires_at,
            topic_id,
        },
    )
}

fn member() -> impl Strategy<Value = MemberMetadata> {
    let names = (name(), proptest::option::of(name()), name(), name());
    let times = (any::<i32>(), any::<i32>());
    (
        names,
        times,
        vec(any::<u8>(), 0..20),
        vec(any::<u8>(), 0..20),
    )
        .prop_map(
            |((member, instance, id, host), (rebalance, session), subscription, assignment)| {
                MemberMetadata {
                    member: member.into(),
                    instance: instance.map(Into::into),
                    client_id: id.into(),
                    client_host: host.into(),
                    rebalance_timeout_ms: rebalance,
                    session_timeout_ms: session,
                    subscription: Bytes::from(subscription),
                    assignment: Bytes::from(assignment),
                }
            },
        )
}

fn group() -> impl Strategy<Value = GroupMetadata> {
    let names = (
        proptest::option::of("[a-z]{1,8}"),
        proptest::option::of(name()),
        proptest::option::of(name()),
    );
    let phase = proptest::option::of(0..i64::MAX);
    (names, any::<i32>(), phase, vec(member(), 0..3)).prop_map(
        |((kind, protocol, leader), generation, phase_since, members)| GroupMetadata {
            protocol_type: kind.map(Into::into),
            generation: Generation(generation),
            protocol: protocol.map(Into::into),
            leader: leader.map(Into::into),
            phase_since: phase_since.map(WallMs),
            members,
        },
    )
}

fn pending() -> impl Strategy<Value = PendingValue> {
    let parts = (any::<i16>(), 0..i64::MAX, any::<bool>(), offset_value());
    parts.prop_map(|(epoch, order, is_overtaken, offset)| PendingValue {
        epoch: ProducerEpoch(epoch),
        order: order.cast_unsigned(),
        is_overtaken,
        offset,
    })
}

/// Facts in the order in which they are exported.
fn facts() -> impl Strategy<Value = Vec<Record>> {
    let offsets = btree_map((name(), any::<i32>()), offset_value(), 0..6);
    let staged = btree_map((name(), any::<i32>(), any::<i64>()), pending(), 0..4);
    let of_group = (proptest::option::of(group()), offsets, staged);
    btree_map(name(), of_group, 0..6).prop_map(|groups| {
        let mut records = Vec::new();
        for (group, (value, offsets, staged)) in groups {
            records.extend(value.map(|value| Record::Group {
                group: group.as_str().into(),
                value: Some(Arc::new(value)),
            }));
            for ((topic, partition), value) in offsets {
                records.push(Record::Offset {
                    group: group.as_str().into(),
                    topic: topic.into(),
                    partition,
                    value: Some(value),
                });
            }
            for ((topic, partition, producer), value) in staged {
                records.push(Record::Pending {
                    group: group.as_str().into(),
                    topic: topic.into(),
                    partition,
                    producer: ProducerId(producer),
                    value: Some(value),
                });
            }
        }
        records
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn an_export_that_is_imported_is_the_same_again(facts in facts()) {
        let text = exported(&imported("round", &facts));
        let read = read_lines("the export", &mut text.as_bytes()).unwrap();
        prop_assert_eq!(&read, &facts);
        prop_assert_eq!(exported(&imported("round", &read)), text);
    }
}

#[test]
fn what_an_engine_has_acknowledged_is_exported_and_the_directory_stays_as_it_was() {
    let dir = place("engine");
    let config = Config::builder().takhin_shards(2).build().unwrap();
    let journal = DiskJournal::open(dir.join("groups"), StoreConfig::default(), 2).unwrap();
    let journal = Arc::new(journal);
    let engine = Engine::builder(config)
        .journal(Arc::clone(&journal))
        .open()
        .unwrap();
    engine.wait_until_loaded().wait().unwrap();
    for (group, partition) in [("b", 1), ("a", 0), ("b", 0)] {
        let commit = CommitRequest::new(group).offset("topic", partition, 7);
        engine.commit(commit).wait().unwrap();
    }
    engine.delete_group("a".into()).wait().unwrap();
    let path = dir.to_str().unwrap();
    let (code, sentence) = said(&run(&["export", path], b""));
    assert_eq!(code, Some(2), "{sentence}");
    assert!(sentence.contains("another process"), "{sentence}");
    drop((engine, journal));
    let output = loop {
        let output = run(&["export", path], b"");
        // The engine's threads have the journal for another moment.
        if output.status.code() != Some(2) {
            break output;
        }
    };
    let before = image(&dir);
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    assert_eq!(lines[0], "{\"kind\":\"export\",\"version\":1}");
    let start =
        "{\"kind\":\"offset\",\"group\":\"b\",\"topic\":\"topic\",\"partition\":0,\"offset\":7,";
    assert!(lines[1].starts_with(start), "{text}");
    assert_eq!(
        lines[3],
        "{\"kind\":\"end\",\"groups\":0,\"offsets\":2,\"pending\":0}"
    );
    assert_eq!(run(&["export", path], b"").stdout, text.as_bytes());
    assert_eq!(image(&dir), before);
}

/// A part of an export, what stands there instead, and what is said about it.
const CHANGES: &[[&str; 3]] = &[
    [
        r#""version":1"#,
        r#""version":2"#,
        "line 1: lines of version 2 are not known",
    ],
    [
        r#""kind":"offset""#,
        r#""kind":"offsett""#,
        "line 2: a line of kind",
    ],
    [
        r#""offset":1"#,
        r#""offset":1.5"#,
        r#"line 2: "offset" is not a whole number"#,
    ],
    [
        r#""partition":0"#,
        r#""partition":4294967296"#,
        r#""partition" is not a whole number"#,
    ],
    [r#","metadata":"""#, "", r#"line 2: it has no "metadata""#],
    [
        r#""metadata":"""#,
        r#""metadata":null"#,
        r#"line 2: "metadata" is null"#,
    ],
    [
        r#","metadata""#,
        r#","more":1,"metadata""#,
        r#"line 2: "more" is not known"#,
    ],
    [
        r#""topic_id":null"#,
        r#""topic_id":"x""#,
        r#""topic_id" is not a UUID"#,
    ],
    [
        r#""partition":1"#,
        r#""partition":0"#,
        "line 3: line 2 speaks of the same",
    ],
    [
        r#""expires_at":null"#,
        r#""expires_at":-1"#,
        "two of its values exclude each other",
    ],
    [
        r#""offsets":2"#,
        r#""offsets":3"#,
        "line 4: there should be 0 group records, 3 offsets",
    ],
];

/// What is no export, made of one that is, with what is said about it.
fn bad_exports(good: &str) -> Vec<(String, &'static str)> {
    let line = |at: usize| good.lines().nth(at).unwrap().to_owned();
    let changes = CHANGES.iter().map(|[old, new, said]| {
        let changed = good.replacen(old, new, 1);
        assert_ne!(changed, good, "{old}");
        (changed, *said)
    });
    let long = format!("\"group\":\"{}\"", "g".repeat(40_000));
    let mut bad = vec![
        (String::new(), "line 1: the end of the export is missing"),
        ("nonsense".to_owned(), "line 1: it is not JSON at column"),
        ("[1]\n".to_owned(), "line 1: the line is not an object"),
        (line(1), "line 1: an export does not begin like this"),
        (good.replace(&line(2), "\u{1}"), "line 3: it is not JSON"),
        (
            [line(0), line(1)].join("\n"),
            "line 3: the end of the export is missing",
        ),
        (
            format!("{good}{}", line(1)),
            "line 5: it comes after the end of the export",
        ),
        (good.replacen("\"group\":\"group\"", &long, 1), "too long"),
    ];
    bad.extend(changes);
    bad
}

#[test]
fn a_line_that_is_none_is_refused_with_its_number_and_nothing_is_changed() {
    let good = exported(&imported("good", &[offset(0, 1), offset(1, 2)]));
    for (text, part) in bad_exports(&good) {
        let dir = place("bad");
        let (code, sentence) = said(&run(&["import", dir.to_str().unwrap()], text.as_bytes()));
        assert_eq!(code, Some(2), "{sentence}");
        assert!(sentence.contains(part), "expected {part:?}: {sentence}");
        assert!(sentence.starts_with("error: 'stdin', line "), "{sentence}");
        assert_eq!(image(&dir), vec![], "{part}");
    }
}

#[test]
fn a_directory_with_groups_takes_more_only_if_it_is_told_to_merge() {
    let dir = imported("merge", &[offset(0, 1), offset(1, 2)]);
    let file = dir.join("export");
    std::fs::write(
        &file,
        exported(&imported("other", &[offset(1, 20), offset(2, 30)])),
    )
    .unwrap();
    let before = image(&dir);
    let args = [
        "import",
        dir.to_str().unwrap(),
        "--file",
        file.to_str().unwrap(),
    ];
    let (code, sentence) = said(&run(&args, b""));
    assert_eq!(code, Some(2), "{sentence}");
    assert!(
        sentence.contains("has groups or offsets already (--merge"),
        "{sentence}"
    );
    assert_eq!(image(&dir), before);
    let (code, sentence) = said(&run(&[&args[..], &["--merge"]].concat(), b""));
    assert_eq!(code, Some(0), "{sentence}");
    let read = read_lines("the export", &mut exported(&dir).as_bytes()).unwrap();
    assert_eq!(read, [offset(0, 1), offset(1, 20), offset(2, 30)]);
    assert_eq!(DiskJournal::shards_of(dir.join("groups")).unwrap(), Some(3));
}

#[test]
fn what_is_not_ours_is_refused_and_left_alone() {
    let dir = place("alien");
    std::fs::write(dir.join("letter"), "dear").unwrap();
    let before = image(&dir);
    let good = exported(&imported("good-again", &[offset(0, 1)]));
    let path = dir.to_str().unwrap();
    for args in [&["import", path][..], &["export", path], &["inspect", path]] {
        let (code, sentence) = said(&run(args, good.as_bytes()));
        assert_eq!(code, Some(2), "{args:?}: {sentence}");
        assert_eq!(sentence.lines().count(), 1, "{sentence}");
        assert!(sentence.contains(path), "{sentence}");
        assert_eq!(image(&dir), before);
    }
}

#[test]
fn an_import_that_was_cut_short_leaves_no_journal_and_is_begun_again() {
    let dir = place("short");
    let unfinished = dir.join("groups.importing");
    std::fs::create_dir(&unfinished).unwrap();
    std::fs::write(unfinished.join("log-00000001"), "half of it").unwrap();
    assert!(export(&dir, Repair::Refuse, &mut Vec::new()).is_err());
    import(&dir, &[offset(0, 1)], ImportOptions::default()).unwrap();
    let read = read_lines("the export", &mut exported(&dir).as_bytes()).unwrap();
    assert_eq!(read, [offset(0, 1)]);
    assert!(!unfinished.exists());
}

#[test]
fn a_file_of_an_export_is_there_only_if_it_is_whole() {
    let dir = imported("file", &[offset(0, 1)]);
    let (path, file) = (dir.to_str().unwrap(), dir.join("export.jsonl"));
    let args = ["export", path, "--file", file.to_str().unwrap()];
    assert_eq!(said(&run(&args, b"")).0, Some(0));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), exported(&dir));
    let (code, sentence) = said(&run(&args, b""));
    assert_eq!(code, Some(2), "{sentence}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), exported(&dir));
}
