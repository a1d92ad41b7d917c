//! Idempotent producers: order, duplicates, epochs and forgetting.

use super::sample::{NOW, batch, name, new_topic, topics_with};
use crate::topics::{ProducerIdentity, TopicError, Topics, TopicsConfig};

/// Appends a batch of two records; the base offset.
fn write(topics: &Topics, id: i64, epoch: i16, sequence: i32) -> Result<i64, TopicError> {
    let bytes = batch(2).of(id, epoch, sequence).bytes();
    let appended = topics.produce(&name("t"), 0, &bytes, NOW)?;
    Ok(appended.base_offset)
}

#[test]
fn each_producer_gets_an_id_of_its_own_with_epoch_zero() {
    let topics = Topics::new(TopicsConfig::default());
    let none = ProducerIdentity { id: -1, epoch: -1 };
    let first = topics.init_producer(none).unwrap();
    let second = topics.init_producer(first).unwrap();
    assert_eq!((first.epoch, second.epoch), (0, 0));
    assert!(first.id >= 0 && second.id > first.id);
}

#[test]
fn an_id_without_an_epoch_is_refused() {
    let topics = Topics::new(TopicsConfig::default());
    for (id, epoch) in [(5, -1), (-1, 5)] {
        let refusal = topics.init_producer(ProducerIdentity { id, epoch });
        assert_eq!(refusal, Err(TopicError::InvalidRequest));
    }
}

#[test]
fn numbers_must_follow_each_other() {
    let topics = topics_with("t", 1);
    assert_eq!(write(&topics, 7, 0, 0), Ok(0));
    assert_eq!(write(&topics, 7, 0, 2), Ok(2));
    assert_eq!(write(&topics, 7, 0, 5), Err(TopicError::OutOfOrderSequence));
    assert_eq!(write(&topics, 7, 0, 3), Err(TopicError::OutOfOrderSequence));
    assert_eq!(write(&topics, 7, 0, 4), Ok(4));
}

#[test]
fn the_last_five_batches_are_recognised_and_answered_as_before() {
    let topics = topics_with("t", 1);
    for turn in 0..6 {
        write(&topics, 7, 0, turn * 2).unwrap();
    }
    for turn in 1..6 {
        assert_eq!(write(&topics, 7, 0, turn * 2), Ok(i64::from(turn * 2)));
    }
    // Older than what is remembered.
    assert_eq!(write(&topics, 7, 0, 0), Err(TopicError::OutOfOrderSequence));
    // None of the repetitions was appended.
    assert_eq!(write(&topics, 7, 0, 12), Ok(12));
}

#[test]
fn a_repetition_is_recognised_after_its_batch_was_deleted() {
    let topics = topics_with("t", 1);
    write(&topics, 7, 0, 0).unwrap();
    topics.delete_records(&name("t"), 0, -1).unwrap();
    let bytes = batch(2).of(7, 0, 0).bytes();
    let again = topics.produce(&name("t"), 0, &bytes, NOW).unwrap();
    assert_eq!((again.base_offset, again.log_start_offset), (0, 2));
    assert_eq!(write(&topics, 7, 0, 2), Ok(2));
}

#[test]
fn producers_do_not_disturb_each_other_nor_partitions() {
    let topics = topics_with("t", 2);
    assert_eq!(write(&topics, 7, 0, 0), Ok(0));
    assert_eq!(write(&topics, 8, 0, 0), Ok(2));
    assert_eq!(write(&topics, 7, 0, 2), Ok(4));
    let bytes = batch(1).of(7, 0, 0).bytes();
    let elsewhere = topics.produce(&name("t"), 1, &bytes, NOW).unwrap();
    assert_eq!(elsewhere.base_offset, 0);
}

#[test]
fn a_new_epoch_begins_at_zero_and_shuts_the_old_one_out() {
    let topics = topics_with("t", 1);
    write(&topics, 7, 0, 0).unwrap();
    assert_eq!(write(&topics, 7, 1, 2), Err(TopicError::OutOfOrderSequence));
    assert_eq!(write(&topics, 7, 1, 0), Ok(2));
    assert_eq!(
        write(&topics, 7, 0, 2),
        Err(TopicError::InvalidProducerEpoch)
    );
    assert_eq!(write(&topics, 7, 1, 2), Ok(4));
}

#[test]
fn a_producer_that_is_not_remembered_may_begin_anywhere() {
    let topics = topics_with("t", 1);
    assert_eq!(write(&topics, 7, 3, 40), Ok(0));
    assert_eq!(
        write(&topics, 7, 3, 43),
        Err(TopicError::OutOfOrderSequence)
    );
}

#[test]
fn numbers_wrap_from_the_largest_to_zero() {
    let topics = topics_with("t", 1);
    assert_eq!(write(&topics, 7, 0, i32::MAX - 1), Ok(0));
    assert_eq!(write(&topics, 7, 0, 0), Ok(2));
    // A batch that itself goes over the edge.
    assert_eq!(write(&topics, 8, 0, i32::MAX), Ok(4));
    assert_eq!(write(&topics, 8, 0, 1), Ok(6));
}

#[test]
fn the_producer_that_was_silent_for_longest_is_forgotten_first() {
    let topics = Topics::new(TopicsConfig {
        producers_per_partition_max: 2,
        ..TopicsConfig::default()
    });
    topics.create(&new_topic("t", 1), false).unwrap();
    write(&topics, 1, 0, 0).unwrap();
    write(&topics, 2, 0, 0).unwrap();
    write(&topics, 1, 0, 2).unwrap();
    write(&topics, 3, 0, 0).unwrap();
    assert_eq!(write(&topics, 1, 0, 9), Err(TopicError::OutOfOrderSequence));
    // Forgotten, thus free to begin anywhere.
    assert!(write(&topics, 2, 0, 9).is_ok());
}
