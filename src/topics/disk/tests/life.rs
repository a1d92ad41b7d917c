//! What is kept over an orderly end.

use super::stage::{SMALL, bounds, open, read, read_from, try_open, write};
use crate::disk::simulated::SimDisk;
use crate::topics::disk::OpenError;
use crate::topics::tests::sample::{NOW, batch, name, new_topic, with_config};
use crate::topics::{
    ConfigChange, ConfigOp, OffsetSpec, ProducerIdentity, TopicError, TopicKey, Topics,
};

fn retention(topics: &Topics, topic: &str) -> String {
    let entries = topics.describe_configs(&name(topic)).unwrap();
    let found = entries.into_iter().find(|it| it.name == "retention.bytes");
    found.unwrap().value
}

#[test]
fn topics_their_ids_partitions_and_settings_are_there_after_a_restart() {
    let disk = SimDisk::default();
    let topics = open(&disk);
    let new = with_config(new_topic("b", 3), "retention.bytes", "5000");
    let created = topics.create(&new, false).unwrap();
    topics.create(&new_topic("a", 1), false).unwrap();
    topics.create(&new_topic("gone", 1), false).unwrap();
    topics.create_partitions(&name("a"), 2, &[], false).unwrap();
    let change = ConfigChange {
        name: "retention.bytes".to_owned(),
        op: ConfigOp::Set,
        value: Some("6000".to_owned()),
    };
    topics.alter_configs(&name("a"), &[change], false).unwrap();
    topics.delete(&name("gone")).unwrap();
    topics.synced().wait().unwrap();
    let cluster = topics.cluster_id();
    drop(topics);
    let topics = open(&disk);
    assert_eq!(topics.cluster_id(), cluster);
    let listed: Vec<_> = topics
        .list(None, 9)
        .into_iter()
        .map(|topic| (topic.name.to_string(), topic.partitions))
        .collect();
    assert_eq!(listed, [("a".to_owned(), 2), ("b".to_owned(), 3)]);
    assert_eq!(topics.describe(&TopicKey::Id(created.id)).unwrap(), created);
    assert_eq!(retention(&topics, "a"), "6000");
    assert_eq!(retention(&topics, "b"), "5000");
}

#[test]
fn batches_are_read_back_byte_for_byte_over_many_files() {
    let disk = SimDisk::default();
    let topics = open(&disk);
    topics.create(&new_topic("t", 2), false).unwrap();
    for at in 0..100 {
        assert_eq!(
            write(&topics, "t", 1, 10 + at).unwrap(),
            i64::try_from(at).unwrap()
        );
    }
    let before = read(&topics, "t", 1);
    assert_eq!(before.len(), 100);
    assert!(disk.names_ending(".log").len() > 5);
    drop(topics);
    let topics = open(&disk);
    assert_eq!(bounds(&topics, "t", 1), (0, 100));
    assert_eq!(bounds(&topics, "t", 0), (0, 0));
    assert_eq!(read(&topics, "t", 1), before);
    assert_eq!(read_from(&topics, "t", 1, 42), before[42..]);
    assert_eq!(write(&topics, "t", 1, 10).unwrap(), 100);
    let spec = OffsetSpec::AtOrAfter(1000);
    let found = topics.list_offset(&name("t"), 1, -1, spec).unwrap();
    assert_eq!((found.offset, found.timestamp), (0, 1000));
}

#[test]
fn what_the_log_stamped_is_known_after_a_restart() {
    let disk = SimDisk::default();
    let topics = open(&disk);
    let new = with_config(new_topic("t", 1), "message.timestamp.type", "LogAppendTime");
    topics.create(&new, false).unwrap();
    let bytes = batch(2).of(7, 0, 0).bytes();
    let first = topics.produce(&name("t"), 0, &bytes, NOW).unwrap();
    drop(topics);
    let topics = open(&disk);
    assert_eq!(topics.produce(&name("t"), 0, &bytes, NOW).unwrap(), first);
    let newest = topics.list_offset(&name("t"), 0, -1, OffsetSpec::MaxTimestamp);
    assert_eq!(newest.unwrap().timestamp, NOW.0);
}

#[test]
fn a_producers_repetition_is_recognised_after_a_restart_and_a_gap_is_refused() {
    let disk = SimDisk::default();
    let topics = open(&disk);
    topics.create(&new_topic("t", 1), false).unwrap();
    let write = |topics: &Topics, sequence| {
        let bytes = batch(2).of(7, 3, sequence).bytes();
        let appended = topics.produce(&name("t"), 0, &bytes, NOW);
        appended.map(|it| it.base_offset)
    };
    assert_eq!(write(&topics, 0), Ok(0));
    assert_eq!(write(&topics, 2), Ok(2));
    drop(topics);
    let topics = open(&disk);
    assert_eq!(write(&topics, 0), Ok(0));
    assert_eq!(write(&topics, 2), Ok(2));
    assert_eq!(write(&topics, 6), Err(TopicError::OutOfOrderSequence));
    let older = batch(2).of(7, 2, 0).bytes();
    let refused = topics.produce(&name("t"), 0, &older, NOW);
    assert_eq!(refused, Err(TopicError::InvalidProducerEpoch));
    assert_eq!(write(&topics, 4), Ok(4));
}

#[test]
fn a_producer_id_is_never_given_twice() {
    let disk = SimDisk::default();
    let none = ProducerIdentity { id: -1, epoch: -1 };
    let mut newest = -1;
    for _ in 0..3 {
        let topics = open(&disk);
        // More than one reservation.
        for _ in 0..25_000 {
            let id = loop {
                match topics.init_producer(none) {
                    Ok(given) => break given.id,
                    Err(error) => assert_eq!(error, TopicError::ProducerIdsNotReady),
                }
                std::thread::yield_now();
            };
            assert!(id > newest);
            newest = id;
        }
    }
}

#[test]
fn deleted_records_stay_deleted_and_their_files_go() {
    let disk = SimDisk::default();
    let topics = open(&disk);
    topics.create(&new_topic("t", 1), false).unwrap();
    for _ in 0..60 {
        write(&topics, "t", 0, 100).unwrap();
    }
    let files = |disk: &SimDisk| disk.names_ending(".log").len();
    let many = files(&disk);
    assert_eq!(topics.delete_records(&name("t"), 0, 33), Ok(33));
    assert_eq!(topics.delete_records(&name("t"), 0, 20), Ok(33));
    let too_far = topics.delete_records(&name("t"), 0, 61);
    assert_eq!(too_far, Err(TopicError::OffsetOutOfRange));
    drop(topics);
    assert!(files(&disk) <= many / 2 + 1, "{} of {many}", files(&disk));
    let topics = open(&disk);
    assert_eq!(bounds(&topics, "t", 0), (33, 60));
    assert_eq!(topics.delete_records(&name("t"), 0, -1), Ok(60));
    drop(topics);
    let topics = open(&disk);
    assert_eq!(bounds(&topics, "t", 0), (60, 60));
    assert_eq!(write(&topics, "t", 0, 1).unwrap(), 60);
    drop(topics);
    assert_eq!(bounds(&open(&disk), "t", 0), (60, 61));
}

#[test]
fn a_deleted_topic_leaves_no_files_and_a_new_one_of_its_name_is_empty() {
    let disk = SimDisk::default();
    let topics = open(&disk);
    topics.create(&new_topic("t", 2), false).unwrap();
    write(&topics, "t", 1, 100).unwrap();
    topics.delete(&name("t")).unwrap();
    topics.create(&new_topic("t", 2), false).unwrap();
    topics.synced().wait().unwrap();
    drop(topics);
    assert_eq!(disk.names(), ["CATALOG"]);
    assert_eq!(bounds(&open(&disk), "t", 1), (0, 0));
}

#[test]
fn one_directory_is_opened_once() {
    let disk = SimDisk::default();
    let topics = open(&disk);
    assert!(matches!(try_open(&disk, SMALL), Err(OpenError::Locked)));
    drop(topics);
    open(&disk);
}

#[test]
fn retention_by_bytes_drops_files_and_the_start_holds_over_a_restart() {
    let disk = SimDisk::default();
    let topics = open(&disk);
    let new = with_config(new_topic("t", 1), "retention.bytes", "5000");
    topics.create(&new, false).unwrap();
    for _ in 0..300 {
        write(&topics, "t", 0, 100).unwrap();
    }
    let (start, end) = bounds(&topics, "t", 0);
    assert!(start > 250 && end == 300, "{start}..{end}");
    drop(topics);
    assert!(disk.log_bytes_of(".log") < 5_000 + 2 * 2_048 + 4_000);
    let topics = open(&disk);
    assert_eq!(bounds(&topics, "t", 0), (start, end));
    assert_eq!(
        read(&topics, "t", 0).len(),
        usize::try_from(end - start).unwrap()
    );
}
