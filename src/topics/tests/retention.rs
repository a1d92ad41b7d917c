//! What goes when there is too much, and what is deleted on demand.

use super::sample::{NOW, answer, ask, batch, fetch_of, name, new_topic, topics_with, with_config};
use crate::topics::{
    ConfigChange, ConfigOp, NewTopic, OffsetSpec, TopicError, Topics, TopicsConfig,
};

fn log_start(topics: &Topics, topic: &str) -> i64 {
    let earliest = topics.list_offset(&name(topic), 0, -1, OffsetSpec::Earliest);
    earliest.unwrap().offset
}

fn write(topics: &Topics, topic: &str) -> Result<i64, TopicError> {
    let appended = topics.produce(&name(topic), 0, &batch(1).bytes(), NOW)?;
    Ok(appended.log_start_offset)
}

/// A topic that keeps that many batches of one record.
fn keeping(topic: &str, batches: usize) -> NewTopic {
    let bytes = batches * batch(1).bytes().len();
    with_config(new_topic(topic, 1), "retention.bytes", &bytes.to_string())
}

#[test]
fn the_oldest_batches_go_when_the_log_is_larger_than_its_retention() {
    let topics = Topics::new(TopicsConfig::default());
    topics.create(&keeping("t", 3), false).unwrap();
    let starts: Vec<i64> = (0..6).map(|_| write(&topics, "t").unwrap()).collect();
    assert_eq!(starts, [0, 0, 0, 1, 2, 3]);
    let response = answer(&topics, fetch_of(vec![ask(&name("t"), 0, 2)]));
    let partition = &response.partitions[0];
    assert_eq!(partition.error, Some(TopicError::OffsetOutOfRange));
    assert_eq!(
        (partition.log_start_offset, partition.high_watermark),
        (3, 6)
    );
}

#[test]
fn the_newest_batch_stays_however_large_it_is() {
    let topics = Topics::new(TopicsConfig::default());
    topics.create(&keeping("t", 1), false).unwrap();
    write(&topics, "t").unwrap();
    let large = batch(1).value_bytes(10_000).bytes();
    let appended = topics.produce(&name("t"), 0, &large, NOW).unwrap();
    assert_eq!((appended.base_offset, appended.log_start_offset), (1, 1));
    let response = answer(&topics, fetch_of(vec![ask(&name("t"), 0, 1)]));
    assert_eq!(response.partitions[0].batches.len(), 1);
}

#[test]
fn a_smaller_retention_holds_at_once() {
    let topics = topics_with("t", 1);
    for _ in 0..5 {
        write(&topics, "t").unwrap();
    }
    let change = ConfigChange {
        name: "retention.bytes".to_owned(),
        op: ConfigOp::Set,
        value: Some((2 * batch(1).bytes().len()).to_string()),
    };
    topics.alter_configs(&name("t"), &[change], false).unwrap();
    assert_eq!(log_start(&topics, "t"), 3);
}

#[test]
fn without_the_policy_to_delete_nothing_is_dropped() {
    let topics = Topics::new(TopicsConfig::default());
    let compacted = with_config(keeping("t", 1), "cleanup.policy", "compact");
    topics.create(&compacted, false).unwrap();
    assert_eq!(
        write(&topics, "t"),
        Err(TopicError::InvalidRecord),
        "no key"
    );
    for _ in 0..3 {
        let opaque = batch(1).attributes(1).bytes();
        topics.produce(&name("t"), 0, &opaque, NOW).unwrap();
    }
    assert_eq!(log_start(&topics, "t"), 0);
    let refusal = topics.delete_records(&name("t"), 0, -1);
    assert_eq!(refusal, Err(TopicError::PolicyViolation));
}

#[test]
fn records_are_deleted_up_to_an_offset_even_within_a_batch() {
    let topics = topics_with("t", 1);
    for _ in 0..2 {
        topics
            .produce(&name("t"), 0, &batch(5).bytes(), NOW)
            .unwrap();
    }
    assert_eq!(topics.delete_records(&name("t"), 0, 7), Ok(7));
    assert_eq!(topics.delete_records(&name("t"), 0, 3), Ok(7), "never back");
    let response = answer(&topics, fetch_of(vec![ask(&name("t"), 0, 7)]));
    let batches = &response.partitions[0].batches;
    // The batch that holds the offset, from its beginning.
    assert_eq!(batches.len(), 1);
    assert_eq!(batches[0][..8], 5_i64.to_be_bytes());
    assert_eq!(topics.delete_records(&name("t"), 0, -1), Ok(10));
    for beyond in [11, -2] {
        let refusal = topics.delete_records(&name("t"), 0, beyond);
        assert_eq!(refusal, Err(TopicError::OffsetOutOfRange));
    }
    assert_eq!(topics.bytes_used(), 0);
}

/// Topics with room for about ten batches in all.
fn cramped() -> Topics {
    let each = batch(1).bytes().len() as u64 + 128;
    Topics::new(TopicsConfig {
        bytes_max: 10 * each,
        ..TopicsConfig::default()
    })
}

#[test]
fn a_full_node_takes_the_room_from_the_partition_that_is_written_to() {
    let topics = cramped();
    topics.create(&new_topic("quiet", 1), false).unwrap();
    topics.create(&new_topic("busy", 1), false).unwrap();
    for _ in 0..4 {
        write(&topics, "quiet").unwrap();
    }
    for _ in 0..20 {
        write(&topics, "busy").unwrap();
    }
    assert_eq!(log_start(&topics, "quiet"), 0);
    assert_eq!(log_start(&topics, "busy"), 14);
}

#[test]
fn a_full_node_refuses_what_would_cost_records_that_are_to_be_kept() {
    let topics = cramped();
    let forever = with_config(new_topic("kept", 1), "retention.bytes", "-1");
    topics.create(&forever, false).unwrap();
    topics.create(&new_topic("late", 1), false).unwrap();
    for _ in 0..10 {
        write(&topics, "kept").unwrap();
    }
    assert_eq!(write(&topics, "kept"), Err(TopicError::StorageFull));
    assert_eq!(write(&topics, "late"), Err(TopicError::StorageFull));
    assert_eq!(log_start(&topics, "kept"), 0);

    topics.delete(&name("kept")).unwrap();
    assert_eq!(topics.bytes_used(), 0);
    assert_eq!(write(&topics, "late"), Ok(0));
}

#[test]
fn a_batch_that_cannot_fit_costs_nothing() {
    let topics = cramped();
    topics.create(&new_topic("t", 1), false).unwrap();
    for _ in 0..5 {
        write(&topics, "t").unwrap();
    }
    let huge = batch(1).value_bytes(100_000).bytes();
    let refusal = topics.produce(&name("t"), 0, &huge, NOW);
    assert_eq!(refusal, Err(TopicError::StorageFull));
    assert_eq!(log_start(&topics, "t"), 0);
}

#[test]
fn a_forgotten_producer_gives_its_bytes_to_the_next() {
    let topics = Topics::new(TopicsConfig {
        producers_per_partition_max: 3,
        ..TopicsConfig::default()
    });
    topics.create(&keeping("t", 1), false).unwrap();
    let used = |producer| {
        let bytes = batch(1).of(producer, 0, 0).bytes();
        topics.produce(&name("t"), 0, &bytes, NOW).unwrap();
        topics.bytes_used()
    };
    let figures: Vec<u64> = (0..9).map(used).collect();
    assert!(figures[0] < figures[1] && figures[1] < figures[2]);
    assert!(figures[2..].iter().all(|figure| *figure == figures[2]));
}

#[test]
fn remembered_producers_count_and_are_given_back() {
    let topics = topics_with("t", 1);
    let bytes = batch(1).of(7, 0, 0).bytes();
    topics.produce(&name("t"), 0, &bytes, NOW).unwrap();
    assert!(topics.bytes_used() > bytes.len() as u64 + 128);
    topics.delete(&name("t")).unwrap();
    assert_eq!(topics.bytes_used(), 0);
}
