//! Segment files that Apache Kafka 4.4.0 wrote (`tests/kafka-log/record.sh`) are taken over, and
//! the engine then says of the groups what Kafka said.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use takhin_coordinator::config::Config;
use takhin_coordinator::engine::{Engine, FetchRequest};
use takhin_coordinator::store::{DiskJournal, StoreConfig};
use takhin_coordinator::time::ManualClock;
use takhin_coordinator::tools::{ImportOptions, ToolError, import, read_kafka_log};
use takhin_coordinator::wire::Reader;

use super::place;

const NAMES: [&str; 5] = ["plain", "gzip", "snappy", "lz4", "zstd"];

fn recorded(file: &str) -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    tests.join("kafka-log").join(file)
}

fn engine_on(dir: &Path, shards: u32) -> Engine {
    let config = Config::builder().takhin_shards(shards).build().unwrap();
    let journal = DiskJournal::open(dir.join("groups"), StoreConfig::default(), shards).unwrap();
    let builder = Engine::builder(config).journal(journal);
    // Its time is before the recording, so that nothing expires.
    let engine = builder.clock(ManualClock::new()).open().unwrap();
    engine.wait_until_loaded().wait().unwrap();
    engine
}

/// What the engine says, in the words of the recording.
fn told_by(engine: &Engine, groups: &BTreeSet<String>, modern: &BTreeSet<String>) -> Vec<String> {
    let mut lines = Vec::new();
    for group in groups {
        let fetched = engine
            .fetch(FetchRequest::all(group.as_str()))
            .wait()
            .unwrap();
        for topic in &fetched {
            assert_eq!(topic.topic.as_str(), "orders");
            for partition in &topic.partitions {
                let value = partition.committed.as_ref().unwrap();
                lines.push(format!(
                    "offset\t{group}\t{}\t{}\t{}\t{}",
                    partition.partition, value.offset, value.leader_epoch, &*value.metadata
                ));
            }
        }
        if modern.contains(group) {
            lines.push(format!("modern\t{group}"));
            continue;
        }
        let described = engine.describe(group.as_str().into()).wait().unwrap();
        lines.push(format!(
            "group\t{group}\t{:?}\t{}\t{}",
            described.phase, described.protocol_type, described.protocol,
        ));
        for member in &described.members {
            lines.push(format!(
                "member\t{group}\t{}\t{}\t{}\t{}\t{}",
                member.member,
                member.instance.as_ref().map_or("-", |it| it.as_str()),
                member.client_id,
                member.client_host,
                assigned(&member.assignment)
            ));
        }
    }
    lines
}

/// The partitions of an assignment of the consumer protocol.
fn assigned(bytes: &[u8]) -> String {
    let mut reader = Reader::new(bytes);
    let _version = reader.i16().unwrap();
    let mut partitions = Vec::new();
    for _ in 0..reader.i32().unwrap() {
        let _topic = reader.string(false).unwrap();
        for _ in 0..reader.i32().unwrap() {
            partitions.push(reader.i32().unwrap());
        }
    }
    partitions.sort_unstable();
    let words: Vec<String> = partitions.iter().map(i32::to_string).collect();
    words.join(",")
}

#[test]
fn groups_and_offsets_are_what_kafka_said_in_every_compression() {
    for (codec, name) in (0..).zip(NAMES) {
        let log = recorded(&format!("{name}.log"));
        assert!(
            codecs(&std::fs::read(&log).unwrap()).contains(&codec),
            "{name}"
        );
        let read = read_kafka_log(&[log]).unwrap();
        let dir = place(&format!("kafka-log-{name}"));
        import(&dir, &read.records, ImportOptions::default()).unwrap();
        let said = std::fs::read_to_string(recorded(&format!("{name}.txt"))).unwrap();
        let said: Vec<&str> = said.lines().collect();
        let group = |line: &&str| line.split('\t').nth(1).unwrap().to_owned();
        let groups = said.iter().map(group).collect();
        let modern = said.iter().filter(|line| line.starts_with("modern"));
        let modern = modern.map(group).collect();
        let shards = DiskJournal::shards_of(dir.join("groups")).unwrap().unwrap();
        let engine = engine_on(&dir, shards);
        assert_eq!(told_by(&engine, &groups, &modern), said, "{name}");
        assert_eq!(read.skipped["offsets of open transactions"], 1);
        assert_eq!(read.skipped["ConsumerGroupMemberMetadata records"], 2);
    }
}

/// The codecs of the batches in a file.
fn codecs(mut bytes: &[u8]) -> BTreeSet<u8> {
    let mut codecs = BTreeSet::new();
    while let Some((batch, length)) = bytes.get(22).zip(bytes.get(8..12)) {
        codecs.insert(batch & 7);
        let length = u32::from_be_bytes(length.try_into().unwrap());
        bytes = &bytes[12 + length as usize..];
    }
    codecs
}

/// The batches of a file, each with its bytes.
fn batches(bytes: &[u8]) -> Vec<&[u8]> {
    let mut rest = bytes;
    let mut batches = Vec::new();
    while let Some(length) = rest.get(8..12) {
        let length = u32::from_be_bytes(length.try_into().unwrap());
        let (batch, after) = rest.split_at(12 + length as usize);
        batches.push(batch);
        rest = after;
    }
    batches
}

fn refusal(files: &[PathBuf]) -> String {
    match read_kafka_log(files) {
        Err(ToolError::Refused(sentence)) => sentence,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_partition_may_come_in_many_files_in_any_order() {
    let whole = recorded("plain.log");
    let bytes = std::fs::read(&whole).unwrap();
    let dir = place("kafka-log-files");
    let mut files = Vec::new();
    for (at, batch) in batches(&bytes).chunks(7).enumerate() {
        let file = dir.join(format!("{at}.log"));
        std::fs::write(&file, batch.concat()).unwrap();
        files.push(file);
    }
    files.reverse();
    let expected = read_kafka_log(&[whole]).unwrap();
    let read = read_kafka_log(&files).unwrap();
    assert_eq!(
        (read.records, read.skipped),
        (expected.records, expected.skipped)
    );
    files.push(files[0].clone());
    assert!(refusal(&files).contains("files are there twice"));
}

#[test]
fn a_file_may_be_cut_off_where_the_partition_ends_and_nowhere_else() {
    let bytes = std::fs::read(recorded("plain.log")).unwrap();
    let parts = batches(&bytes);
    let (first, second) = parts.split_at(parts.len() / 2);
    let dir = place("kafka-log-cut");
    let files = [dir.join("0.log"), dir.join("1.log")];
    let mut cut = second.concat();
    cut.truncate(cut.len() - 3);
    std::fs::write(&files[0], first.concat()).unwrap();
    std::fs::write(&files[1], &cut).unwrap();
    let read = read_kafka_log(&files).unwrap();
    let left = u64::try_from(second.last().unwrap().len() - 3).unwrap();
    assert_eq!(read.skipped["bytes of a write that was not finished"], left);
    // Made longer beforehand, with zeros.
    cut.truncate(second.concat().len() - second.last().unwrap().len());
    cut.resize(cut.len() + 4_096, 0);
    std::fs::write(&files[1], &cut).unwrap();
    read_kafka_log(&files).unwrap();
    let mut early = first.concat();
    early.pop();
    std::fs::write(&files[0], early).unwrap();
    assert!(refusal(&files).contains("ends within a batch"));
}

#[test]
fn no_damage_to_a_file_is_taken_for_something_that_kafka_said() {
    for name in NAMES {
        let bytes = std::fs::read(recorded(&format!("{name}.log"))).unwrap();
        let expected = read_kafka_log(&[recorded(&format!("{name}.log"))]).unwrap();
        let file = place(&format!("kafka-log-damage-{name}")).join("0.log");
        for at in (0..bytes.len()).step_by(97) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x40;
            std::fs::write(&file, damaged).unwrap();
            // The base offset, length and epoch stand outside of the checksum: what they make of
            // a batch is refused, cut off, or the same again.
            match read_kafka_log(std::slice::from_ref(&file)) {
                Err(ToolError::Refused(sentence)) => {
                    assert!(sentence.contains("0.log', byte "), "{sentence}");
                }
                Ok(read) if read.skipped == expected.skipped => {
                    assert_eq!(read.records, expected.records, "{name} at {at}");
                }
                Ok(read) => {
                    let cut = "bytes of a write that was not finished";
                    assert!(read.skipped.contains_key(cut), "{name} at {at}");
                }
                Err(other) => panic!("{other}"),
            }
        }
    }
}

/// A batch with one record, of whatever is claimed and packed.
fn batch(attributes: u8, count: i32, records: &[u8]) -> Vec<u8> {
    let mut covered = vec![0, attributes];
    covered.extend(0_i32.to_be_bytes());
    covered.extend([0; 16]);
    covered.extend((-1_i64).to_be_bytes());
    covered.extend((-1_i16).to_be_bytes());
    covered.extend((-1_i32).to_be_bytes());
    covered.extend(count.to_be_bytes());
    covered.extend(records);
    let mut batch = 0_i64.to_be_bytes().to_vec();
    batch.extend(u32::try_from(covered.len() + 9).unwrap().to_be_bytes());
    batch.extend([0, 0, 0, 0, 2]);
    batch.extend(crc32c::crc32c(&covered).to_be_bytes());
    batch.extend(covered);
    batch
}

#[test]
fn hostile_files_get_a_sentence() {
    let dir = place("kafka-log-hostile");
    let file = dir.join("0.log");
    let mut bomb = Vec::new();
    {
        use std::io::Write;
        let level = flate2::Compression::best();
        let mut encoder = flate2::write::GzEncoder::new(&mut bomb, level);
        let zeros = vec![0; 1 << 20];
        for _ in 0..80 {
            encoder.write_all(&zeros).unwrap();
        }
        encoder.finish().unwrap();
    }
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        (
            "text",
            b"{\"kind\":\"export\"}".repeat(9),
            "record format 2",
        ),
        (
            "records that are not there",
            batch(0, i32::MAX, &[]),
            "damaged",
        ),
        ("a negative count", batch(0, -1, &[]), "contradicts itself"),
        (
            "a record with a huge length",
            batch(0, 1, &[0xfe, 0xff, 0xff, 0xff, 0x0f]),
            "damaged",
        ),
        (
            "bytes behind the last record",
            batch(0, 0, &[1, 2, 3]),
            "behind the last record",
        ),
        ("a bomb", batch(1, 1, &bomb), "unpacks to more than"),
        ("no gzip", batch(1, 1, b"nothing of it"), "gzip cannot read"),
        (
            "snappy that lies",
            batch(2, 1, &[0xff, 0xff, 0xff, 0x1f, 0]),
            "snappy cannot read",
        ),
        ("no snappy", batch(2, 1, &[0xff; 30]), "snappy cannot read"),
        ("no lz4", batch(3, 1, b"nothing of it"), "lz4 cannot read"),
        ("no zstd", batch(4, 1, b"nothing of it"), "zstd cannot read"),
        (
            "a codec of the future",
            batch(5, 1, b""),
            "compression 5 is not known",
        ),
        // Length 12, attributes, deltas, a key of two bytes (type 1), no value, no headers.
        (
            "half a key",
            batch(0, 1, &[16, 0, 0, 0, 4, 0, 1, 1, 0]),
            "the record at offset 0",
        ),
    ];
    for (what, bytes, part) in cases {
        std::fs::write(&file, bytes).unwrap();
        let sentence = refusal(std::slice::from_ref(&file));
        assert!(sentence.contains(part), "{what}: {sentence}");
        assert!(sentence.contains("0.log', byte 0:"), "{what}: {sentence}");
    }
    assert!(refusal(&[dir.join("missing")]).contains("cannot read"));
}
