//! Offsets by position, time and leader epoch.

use super::sample::{NOW, batch, name, topics_with};
use crate::topics::{EpochEnd, ListedOffset, OffsetSpec, TopicError, Topics};

const NOTHING: ListedOffset = ListedOffset {
    timestamp: -1,
    offset: -1,
    leader_epoch: -1,
};

fn list(topics: &Topics, timestamp: i64) -> ListedOffset {
    let spec = OffsetSpec::from_timestamp(timestamp).unwrap();
    topics.list_offset(&name("t"), 0, -1, spec).unwrap()
}

fn found(timestamp: i64, offset: i64) -> ListedOffset {
    ListedOffset {
        timestamp,
        offset,
        leader_epoch: 0,
    }
}

fn write(topics: &Topics, attributes: i16, timestamps: &[i64]) {
    let sample = batch(1).attributes(attributes).timestamps(timestamps);
    topics.produce(&name("t"), 0, &sample.bytes(), NOW).unwrap();
}

#[test]
fn an_empty_log_begins_and_ends_at_zero_and_holds_no_time() {
    let topics = topics_with("t", 1);
    assert_eq!(list(&topics, -1), found(-1, 0));
    assert_eq!(list(&topics, -2), found(-1, 0));
    assert_eq!(list(&topics, -3), NOTHING);
    assert_eq!(list(&topics, 0), NOTHING);
}

#[test]
fn the_ends_of_a_log_are_its_first_offset_and_the_one_after_its_last() {
    let topics = topics_with("t", 1);
    write(&topics, 0, &[10, 20, 30]);
    topics.delete_records(&name("t"), 0, 1).unwrap();
    assert_eq!(list(&topics, -1), found(-1, 3));
    assert_eq!(list(&topics, -2), found(-1, 1));
    assert_eq!(list(&topics, -4), found(-1, 1));
    assert_eq!(list(&topics, -5), NOTHING);
}

#[test]
fn a_time_finds_the_first_record_that_is_not_older() {
    let topics = topics_with("t", 1);
    write(&topics, 0, &[10, 20, 15]);
    write(&topics, 0, &[40, 30]);
    assert_eq!(list(&topics, 0), found(10, 0));
    assert_eq!(list(&topics, 12), found(20, 1));
    assert_eq!(list(&topics, 20), found(20, 1));
    assert_eq!(list(&topics, 21), found(40, 3));
    assert_eq!(list(&topics, 41), NOTHING);
    // Records that were deleted are not found.
    topics.delete_records(&name("t"), 0, 2).unwrap();
    assert_eq!(list(&topics, 0), found(15, 2));
}

#[test]
fn a_time_within_a_compressed_batch_finds_its_first_offset() {
    let topics = topics_with("t", 1);
    write(&topics, 0, &[10]);
    write(&topics, 4, &[20, 30, 40]);
    assert_eq!(list(&topics, 35), found(40, 1));
}

#[test]
fn the_largest_timestamp_is_found_wherever_it_is() {
    let topics = topics_with("t", 1);
    write(&topics, 0, &[10, 50, 20]);
    write(&topics, 0, &[30, 50]);
    assert_eq!(list(&topics, -3), found(50, 1));
}

#[test]
fn a_special_timestamp_that_is_not_known_is_refused() {
    for timestamp in [-7, i64::MIN] {
        let refusal = OffsetSpec::from_timestamp(timestamp);
        assert_eq!(refusal, Err(TopicError::UnsupportedVersion));
    }
}

#[test]
fn a_leader_epoch_that_never_was_is_unknown() {
    let topics = topics_with("t", 1);
    let key = name("t");
    let refusal = topics.list_offset(&key, 0, 1, OffsetSpec::Latest);
    assert_eq!(refusal, Err(TopicError::UnknownLeaderEpoch));
    let refusal = topics.epoch_end(&key, 0, 1, 0);
    assert_eq!(refusal, Err(TopicError::UnknownLeaderEpoch));
    assert!(topics.list_offset(&key, 0, 0, OffsetSpec::Latest).is_ok());
}

#[test]
fn the_only_leader_epoch_ends_with_the_log() {
    let topics = topics_with("t", 1);
    write(&topics, 0, &[10, 20]);
    let end = |leader_epoch, end_offset| EpochEnd {
        leader_epoch,
        end_offset,
    };
    assert_eq!(topics.epoch_end(&name("t"), 0, -1, 0), Ok(end(0, 2)));
    for unknown in [1, -1] {
        let answer = topics.epoch_end(&name("t"), 0, -1, unknown);
        assert_eq!(answer, Ok(end(-1, -1)));
    }
}
